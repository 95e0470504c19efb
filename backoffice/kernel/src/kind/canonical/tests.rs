use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(kind: Kind, spelling: Value, kept: Value) {
    assert_eq!(canonical(kind, &spelling), Ok(kept.clone()), "{kind:?} {spelling}");
    assert_eq!(canonical(kind, &kept), Ok(kept), "{kind:?}: kept as it is");
}

#[test]
fn one_spelling_is_kept() {
    let instant = json!("2026-11-21T19:05:00Z");
    check(Kind::Instant, json!("2026-11-21T20:05:00+01:00[Europe/Berlin]"), instant.clone());
    check(Kind::Instant, json!("2026-11-21 19:05:00.000Z"), instant.clone());
    check(Kind::Instant, json!("2026-11-21t19:05z"), instant);
    check(Kind::Date, json!("2026-11-21"), json!("2026-11-21"));
    check(Kind::Decimal { scale: 6 }, json!("0012.500"), json!("12.5"));
    check(Kind::Decimal { scale: 6 }, json!("-0.0"), json!("0"));
    check(Kind::Decimal { scale: 6 }, json!(7), json!("7"));
    let (spelled, kept) = (json!({"amount": "01.5", "currency": "EUR"}), json!("1.50"));
    check(Kind::Money, spelled, json!({"amount": kept, "currency": "EUR"}));
    let place = |latitude: &str| json!({"latitude": latitude, "longitude": "13.4"});
    check(Kind::Geo, place("052.50"), place("52.5"));
    check(Kind::Duration, json!("PT90M"), json!("PT1H30M"));
    check(Kind::Text { max: 300 }, json!(" as it is "), json!(" as it is "));
    check(Kind::Json, json!({"a": [1, null]}), json!({"a": [1, null]}));
    check(Kind::Bool, Value::Null, Value::Null);
}

/// Spellings near the forms of all kinds.
fn spelling() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "-?0{0,3}[0-9]{1,12}(\\.[0-9]{0,7})?",
        "[0-9]{4}-[01][0-9]-[0-3][0-9]",
        "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9](:[0-6][0-9](\\.[0-9]{1,7})?)?([Zz]|[+-][01][0-9]:?[0-5][0-9])(\\[UTC\\])?",
        "P([0-9]{1,3}W)?([0-9]{1,3}D)?(T([0-9]{1,3}H)?([0-9]{1,3}M)?)?",
        ".{0,12}",
    ];
    let money = ("-?0{0,2}[0-9]{1,6}(\\.[0-9]{0,3})?", "(EUR|JPY|KWD)");
    prop_oneof![
        4 => text.prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        2 => money.prop_map(|(amount, currency)| json!({"amount": amount, "currency": currency})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What is kept means what was given, and is kept as it is when it is given again.
    #[test]
    fn what_is_kept_means_what_was_given(value in spelling()) {
        let kinds = [
            Kind::Text { max: 300 }, Kind::Bool, Kind::Integer { min: i64::MIN, max: i64::MAX },
            Kind::Decimal { scale: 6 }, Kind::Date, Kind::Instant, Kind::Duration,
        ];
        for kind in kinds.into_iter().filter(|kind| decode(*kind, &value).is_ok()) {
            let kept = canonical(kind, &value).unwrap();
            prop_assert_eq!(decode(kind, &kept), decode(kind, &value));
            prop_assert_eq!(canonical(kind, &kept), Ok(kept));
        }
        if let Ok(pair) = decode_pair(Kind::Money, &value) {
            let kept = canonical(Kind::Money, &value).unwrap();
            prop_assert_eq!(decode_pair(Kind::Money, &kept), Ok(pair));
        }
    }
}
