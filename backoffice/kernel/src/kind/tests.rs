use serde_json::json;

use super::*;

#[track_caller]
fn good(kind: Kind, value: Value) {
    if let Err(refusal) = decode(kind, &value) {
        panic!("{kind:?} refused {value}: {refusal:?}");
    }
}

#[track_caller]
fn bad(kind: Kind, value: Value, code: Code) {
    match decode(kind, &value) {
        Err(refusal) => assert_eq!(refusal.code, code, "{kind:?} {value}: {refusal:?}"),
        Ok(param) => panic!("{kind:?} took {value} as {param:?}"),
    }
}

const LINE: Kind = Kind::Text { max: 5 };
const BODY: Kind = Kind::Text { max: 20_000 };

#[test]
fn texts() {
    good(LINE, json!("Grüße"));
    bad(LINE, json!("sechs!"), Code::TooLong);
    bad(LINE, json!("a\nb"), Code::InvalidFormat);
    bad(LINE, json!("a\u{0}b"), Code::InvalidFormat);
    bad(LINE, json!(5), Code::WrongType);
    good(BODY, json!("a\nb\tc"));
    bad(BODY, json!("a\u{0}"), Code::InvalidFormat);
    good(Kind::Slug, json!("north-3_a"));
    bad(Kind::Slug, json!("-a"), Code::InvalidFormat);
    bad(Kind::Slug, json!("A"), Code::InvalidFormat);
    bad(Kind::Slug, json!(""), Code::InvalidFormat);
}

#[test]
fn forms() {
    good(Kind::Email, json!("a.b+c@example.org"));
    good(Kind::Email, json!("jörg@müller.example"));
    for text in ["a", "@b", "a@", "a@b@c", "a b@c.d", "a@b..c", "<a@b.c>", "a@.b"] {
        bad(Kind::Email, json!(text), Code::InvalidFormat);
    }
    good(Kind::Phone, json!("+49 (30) 123-456"));
    good(Kind::Phone, json!("+123456789012345"));
    bad(Kind::Phone, json!("+1234567890123456"), Code::InvalidFormat);
    bad(Kind::Phone, json!("+49 301"), Code::InvalidFormat);
    bad(Kind::Phone, json!("+0301234567"), Code::InvalidFormat);
    bad(Kind::Phone, json!("030 1234567"), Code::InvalidFormat);
    bad(Kind::Phone, json!("call me"), Code::InvalidFormat);
    bad(Kind::Phone, json!("+"), Code::InvalidFormat);
    good(Kind::Url, json!("https://example.org/a?b#c"));
    bad(Kind::Url, json!("javascript:alert(1)"), Code::InvalidFormat);
    bad(Kind::Url, json!("//example.org"), Code::InvalidFormat);
    good(Kind::Language, json!("zh-Hant-TW"));
    bad(Kind::Language, json!("english"), Code::InvalidFormat);
    good(Kind::TimeZone, json!("Europe/Berlin"));
    bad(Kind::TimeZone, json!("../../etc/passwd"), Code::InvalidFormat);
    bad(Kind::Currency, json!("eur"), Code::InvalidFormat);
    bad(Kind::Country, json!("DEU"), Code::InvalidFormat);
    bad(Kind::Choice(&["a", "b"]), json!("c"), Code::NotAnOption);
}

#[test]
fn numbers() {
    let small = Kind::Integer { min: 1, max: 10 };
    good(small, json!(10));
    bad(small, json!(11), Code::OutOfRange);
    bad(small, json!(1.0), Code::OutOfRange);
    bad(small, json!(u64::MAX), Code::OutOfRange);
    bad(small, json!("5"), Code::WrongType);
    let decimal = Kind::Decimal { scale: 2 };
    good(decimal, json!("-1.50"));
    good(decimal, json!(3));
    bad(decimal, json!("1.505"), Code::InvalidFormat);
    bad(decimal, json!(1.5), Code::WrongType);
    bad(decimal, json!("1e3"), Code::InvalidFormat);
    bad(decimal, json!("99999999999999999999999999999"), Code::InvalidFormat);
    bad(decimal, json!("100000000000000000000000000"), Code::OutOfRange);
    good(decimal, json!("99999999999999999999999999"));
}

#[test]
fn times() {
    good(Kind::Date, json!("2026-02-28"));
    bad(Kind::Date, json!("2026-02-30"), Code::InvalidFormat);
    bad(Kind::Date, json!("2026-2-3"), Code::InvalidFormat);
    good(Kind::Instant, json!("2026-11-21T19:05:00.123456Z"));
    good(Kind::Instant, json!("2026-11-21T19:05:00+01:00"));
    bad(Kind::Instant, json!("2026-11-21T19:05:00"), Code::InvalidFormat);
    bad(Kind::Instant, json!("2026-11-21T19:05:00.1234567Z"), Code::InvalidFormat);
    bad(Kind::Instant, json!(0), Code::WrongType);
}

#[test]
fn others() {
    good(Kind::Id, json!("018f0000-0000-7000-8000-000000000000"));
    bad(Kind::Id, json!("018f000000007000800000000000000000"), Code::InvalidFormat);
    good(Kind::Bytes { max: 2 }, json!("AAA="));
    bad(Kind::Bytes { max: 1 }, json!("AAA="), Code::TooLong);
    bad(Kind::Bytes { max: 9 }, json!("*"), Code::InvalidFormat);
    good(Kind::TextList { max_items: 1 }, json!(["a"]));
    bad(Kind::TextList { max_items: 1 }, json!(["a", "b"]), Code::TooLong);
    bad(Kind::TextList { max_items: 2 }, json!(["a", 1]), Code::WrongType);
    good(Kind::Json, json!({"a": [1, null]}));
    bad(Kind::Json, json!({"a": ["\u{0}"]}), Code::InvalidFormat);
    good(Kind::Json, json!([1e300, -1e300, 1e-320, 0]));
    bad(Kind::Json, json!({"a": [f64::MAX]}), Code::OutOfRange);
    bad(Kind::Json, json!(f64::MIN), Code::OutOfRange);
    bad(Kind::Json, json!("x".repeat(JSON_BYTES_MAX)), Code::TooLong);
}

#[track_caller]
fn pair(kind: Kind, value: Value, expected: Result<&str, (&str, Code)>) {
    let got = decode_pair(kind, &value).map(|[first, second]| {
        let shown = |param| match param {
            Param::Decimal(number) => number.to_string(),
            Param::Text(text) => text,
            other => panic!("{other:?} is no part of a pair"),
        };
        format!("{} {}", shown(first), shown(second))
    });
    match (got, expected) {
        (Ok(got), Ok(expected)) => assert_eq!(got, expected),
        (Err(got), Err((path, code))) => {
            assert_eq!((got.below.as_str(), got.code), (path, code), "{value}");
        }
        (got, expected) => panic!("{value}: {got:?} and not {expected:?}"),
    }
}

#[test]
fn amounts_of_money() {
    let amount = |value, expected| pair(Kind::Money, value, expected);
    amount(json!({"amount": "42.50", "currency": "EUR"}), Ok("42.50 EUR"));
    amount(json!({"amount": "42.505", "currency": "EUR"}), Err((".amount", Code::InvalidFormat)));
    amount(json!({"amount": "42.5", "currency": "JPY"}), Err((".amount", Code::InvalidFormat)));
    amount(json!({"amount": 42, "currency": "EUR"}), Err((".amount", Code::WrongType)));
    amount(json!({"amount": "1"}), Err((".currency", Code::Required)));
    amount(json!({"amount": "1", "currency": "EUR", "x": 1}), Err((".x", Code::UnknownField)));
    amount(json!("42.50 EUR"), Err(("", Code::WrongType)));
    let long = json!({"amount": "1000000000000000", "currency": "EUR"});
    amount(long, Err((".amount", Code::OutOfRange)));
}

#[test]
fn prices_are_finer_than_money() {
    let price = |value, expected| pair(Kind::Price, value, expected);
    price(json!({"amount": "0.0125", "currency": "EUR"}), Ok("0.0125 EUR"));
    price(json!({"amount": "12.5", "currency": "JPY"}), Ok("12.5 JPY"));
    let fine = json!({"amount": "0.01255", "currency": "EUR"});
    price(fine, Err((".amount", Code::OutOfRange)));
}

#[test]
fn places_on_earth() {
    let place = |latitude: &str, longitude: &str, expected| {
        pair(Kind::Geo, json!({"latitude": latitude, "longitude": longitude}), expected);
    };
    place("-90", "180.0000000", Ok("-90 180.0000000"));
    place("90.0000001", "0", Err((".latitude", Code::OutOfRange)));
    place("0", "-180.1", Err((".longitude", Code::OutOfRange)));
    place("0.00000001", "0", Err((".latitude", Code::InvalidFormat)));
    place("1e1", "0", Err((".latitude", Code::InvalidFormat)));
    pair(Kind::Geo, json!({"latitude": "1"}), Err((".longitude", Code::Required)));
    pair(Kind::Geo, json!({"latitude": 1, "longitude": "1"}), Err((".latitude", Code::WrongType)));
    let high = json!({"latitude": "1", "longitude": "1", "altitude": "1"});
    pair(Kind::Geo, high, Err((".altitude", Code::UnknownField)));
    pair(Kind::Geo, json!([1, 2]), Err(("", Code::WrongType)));
}

#[test]
fn parts_rates_and_amounts() {
    let percent = Kind::Percent { scale: 4 };
    good(percent, json!("19"));
    good(percent, json!(100));
    good(percent, json!("0.0001"));
    bad(percent, json!("100.0001"), Code::OutOfRange);
    bad(percent, json!("-1"), Code::OutOfRange);
    bad(percent, json!("1.00001"), Code::InvalidFormat);
    bad(percent, json!(19.5), Code::WrongType);
    good(Kind::Rate, json!("1.0833333333"));
    good(Kind::Rate, json!("-0.5"));
    bad(Kind::Rate, json!("1.08333333333"), Code::InvalidFormat);
    bad(Kind::Rate, json!("1000000000000000000"), Code::OutOfRange);
    let quantity = Kind::Quantity { scale: 3 };
    good(quantity, json!("-12.125"));
    bad(quantity, json!("0.0005"), Code::InvalidFormat);
}

#[track_caller]
fn length(text: &str, expected: i64, written: &str) {
    assert_eq!(read(Kind::Duration, text).unwrap(), Param::Int(expected), "{text}");
    assert_eq!(span::text(expected), written, "{text}");
}

#[test]
fn durations() {
    length("PT1H30M", 5_400, "PT1H30M");
    length("PT90M", 5_400, "PT1H30M");
    length("P1DT2H", 93_600, "PT26H");
    length("P2W", 1_209_600, "PT336H");
    length("-PT15M", -900, "-PT15M");
    length("PT0S", 0, "PT0S");
    for text in [
        "", "P", "PT", "P1DT", "1H", "PT1", "PTH", "P1M", "P1Y", "PT1.5H", "PT1S1M", "PT1H1H",
        "pt1h", "PT-1H", "P 1D", "1 hour", "P1H", "PT1W", "PTÜ",
    ] {
        bad(Kind::Duration, json!(text), Code::InvalidFormat);
    }
    bad(Kind::Duration, json!("P36526D"), Code::OutOfRange);
    bad(Kind::Duration, json!("PT99999999999999999999999H"), Code::OutOfRange);
    bad(Kind::Duration, json!(90), Code::WrongType);
}

/// One of each kind, with bounds that texts can meet.
const KINDS: &[Kind] = &[
    LINE,
    BODY,
    Kind::Slug,
    Kind::Email,
    Kind::Phone,
    Kind::Url,
    Kind::Bool,
    Kind::Integer { min: -5, max: 5 },
    Kind::Money,
    Kind::Decimal { scale: 0 },
    Kind::Decimal { scale: 28 },
    Kind::Currency,
    Kind::Country,
    Kind::Language,
    Kind::TimeZone,
    Kind::Date,
    Kind::Instant,
    Kind::Choice(&["a"]),
    Kind::Id,
    Kind::Json,
    Kind::Bytes { max: 4 },
    Kind::TextList { max_items: 2 },
    Kind::Price,
    Kind::Percent { scale: 4 },
    Kind::Rate,
    Kind::Quantity { scale: 3 },
    Kind::Duration,
    Kind::Geo,
    Kind::Rrule,
    Kind::File,
];

proptest::proptest! {
    /// What a caller writes is taken or refused, never a panic, and never holds what the database
    /// cannot store.
    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC{0,40}|[-+0-9.eE:TZ/ ]{0,40}|[-PWDTHMS0-9]{0,20}|[A-Z0-9=;,-]{0,40}|[\\x00-\\x1f]{1,4}") {
        for kind in KINDS {
            for param in [read(*kind, &text).ok(), decode(*kind, &json!(text)).ok()] {
                if let Some(Param::Text(taken)) = param {
                    proptest::prop_assert!(!taken.contains('\0'));
                    proptest::prop_assert_eq!(&taken, &text);
                }
            }
        }
        let money = json!({"amount": text, "currency": "EUR"});
        for kind in [Kind::Money, Kind::Price] {
            if let Ok([Param::Decimal(amount), _]) = decode_pair(kind, &money) {
                proptest::prop_assert!(crate::money::fits(amount));
            }
        }
        let place = json!({"latitude": text, "longitude": text});
        if let Ok([Param::Decimal(latitude), _]) = decode_pair(Kind::Geo, &place) {
            proptest::prop_assert!(latitude.abs() <= Decimal::from(90));
        }
    }
}
