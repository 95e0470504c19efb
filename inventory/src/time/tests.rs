use super::*;

#[track_caller]
fn check(ms: i64, text: &str) {
    assert_eq!(Millis(ms).to_string(), text);
    assert_eq!(Millis::parse(text), Ok(Millis(ms)));
}

#[test]
fn known_instants() {
    check(0, "1970-01-01T00:00:00.000Z");
    check(1, "1970-01-01T00:00:00.001Z");
    check(-1, "1969-12-31T23:59:59.999Z");
    check(951_782_400_000, "2000-02-29T00:00:00.000Z");
    check(951_868_800_000, "2000-03-01T00:00:00.000Z");
    check(1_582_934_400_000, "2020-02-29T00:00:00.000Z");
    check(1_577_836_800_000, "2020-01-01T00:00:00.000Z");
    check(1_795_287_900_123, "2026-11-21T19:05:00.123Z");
    check(4_107_542_399_999, "2100-02-28T23:59:59.999Z");
    check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    check(Millis::MIN.0, "0000-01-01T00:00:00.000Z");
    check(Millis::MAX.0, "9999-12-31T23:59:59.999Z");
}

/// Every day of 1600 to 2400, against a calendar that counts one day at a time.
#[test]
fn every_day_of_two_eras() {
    let (mut year, mut month, mut day) = (1600, 1, 1);
    for days in days_from_civil(1600, 1, 1)..days_from_civil(2400, 1, 1) {
        assert_eq!(civil_from_days(days), (year, month, day));
        assert_eq!(days_from_civil(year, month, day), days);
        day += 1;
        if days_in_month(year, month) < day {
            (month, day) = (month + 1, 1);
        }
        if 12 < month {
            (year, month) = (year + 1, 1);
        }
    }
    assert_eq!((year, month, day), (2400, 1, 1));
}

#[test]
fn other_forms_of_the_same_instant() {
    let same = Millis(1_795_287_900_120);
    for text in [
        "2026-11-21T19:05:00.12Z",
        "2026-11-21t19:05:00.120z",
        "2026-11-21 19:05:00.1209999Z",
        "2026-11-21T20:05:00.120+01:00",
        "2026-11-21T13:35:00.120-05:30",
        "2026-11-22T00:04:60.120+05:00",
    ] {
        assert_eq!(Millis::parse(text), Ok(same), "{text}");
    }
    assert_eq!(Millis::parse("1970-01-01T00:00:07Z"), Ok(Millis(7_000)));
}

#[test]
fn what_is_no_instant_is_refused() {
    for text in [
        "",
        "2026-11-21",
        "2026-11-21T19:05:00",
        "2026-11-21T19:05Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T19:60:00Z",
        "2026-11-21T19:05:61Z",
        "2026-11-21T19:05:00.Z",
        "2026-11-21T19:05:00.1234567890Z",
        "2026-11-21T19:05:00+1:00",
        "2026-11-21T19:05:00+24:00",
        "2026-11-21T19:05:00Zz",
        "+026-11-21T19:05:00Z",
        "2026-11-21T1é:05:00Z",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ] {
        assert!(Millis::parse(text).is_err(), "{text}");
    }
}

#[test]
fn json_is_text_and_out_of_range_is_an_error() {
    assert_eq!(serde_json::to_string(&Millis(0)).unwrap(), "\"1970-01-01T00:00:00.000Z\"");
    assert_eq!(
        serde_json::from_str::<Millis>("\"2026-11-21T19:05:00.123Z\"").unwrap(),
        Millis(1_795_287_900_123)
    );
    assert!(serde_json::to_string(&Millis(i64::MAX)).is_err());
    assert!(serde_json::from_str::<Millis>("12").is_err());
}
