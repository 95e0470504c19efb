use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Timing;

fn timing(row: Value) -> Timing {
    let Value::Object(row) = row else { panic!("{row} is no row") };
    Timing::of(&row).unwrap()
}

/// The next time after `due` when it is looked at `now`.
#[track_caller]
fn check(row: Value, due: &str, now: &str, expect: Option<&str>) {
    let (due, now) = (due.parse().unwrap(), now.parse().unwrap());
    let next = timing(row).next(due, now).map(|next| next.to_string());
    assert_eq!(next.as_deref(), expect);
}

#[test]
fn missed_times_are_passed_over_and_the_beat_is_kept() {
    let due = "2026-11-21T12:00:00Z";
    let hourly = || json!({"every_minutes": 60});
    check(hourly(), due, due, Some("2026-11-21T13:00:00Z"));
    check(hourly(), due, "2026-11-21T12:59:59Z", Some("2026-11-21T13:00:00Z"));
    check(hourly(), due, "2026-11-21T13:00:00Z", Some("2026-11-21T14:00:00Z"));
    check(hourly(), due, "2026-11-23T13:20:00Z", Some("2026-11-23T14:00:00Z"));
    let daily = || json!({"cron": "30 2 * * *", "zone": "Europe/Berlin"});
    check(daily(), due, "2026-11-24T12:00:00Z", Some("2026-11-25T01:30:00Z"));
    // Berlin shows no 02:30 on 29 March 2027, and two on 31 October.
    check(daily(), "2027-03-27T01:30:00Z", "2027-03-27T01:30:01Z", Some("2027-03-28T01:30:00Z"));
    check(daily(), "2027-10-31T00:30:00Z", "2027-10-31T00:30:01Z", Some("2027-11-01T01:30:00Z"));
    check(json!({"at": due}), due, due, None);
}

#[test]
fn what_is_no_time_names_its_field() {
    for (row, field) in [
        (json!({"cron": "61 * * * *", "zone": "UTC"}), "cron"),
        (json!({"cron": "* * * * *", "zone": "Moon/Sea"}), "zone"),
        (json!({}), "cron"),
    ] {
        let Value::Object(row) = row else { panic!("no row") };
        let error = Timing::of(&row).unwrap_err();
        assert_eq!(error.list()[0].field, field);
    }
}

proptest! {
    /// The next time of an interval lies after now, at most an interval away, and on the beat.
    #[test]
    fn intervals_keep_their_beat(minutes in 1_i64..600_000, due in 0_i64..2_000_000_000, late in 0_i64..100_000_000) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let next = timing(json!({"every_minutes": minutes})).next(at(due), at(due + late)).unwrap();
        let (next, beat) = (next.as_second(), minutes * 60);
        prop_assert!(due + late < next && next <= due + late + beat);
        prop_assert_eq!((next - due) % beat, 0);
    }
}
