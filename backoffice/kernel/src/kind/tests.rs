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
    bad(Kind::Json, json!("x".repeat(JSON_BYTES_MAX)), Code::TooLong);
}

#[track_caller]
fn amount(value: Value, expected: Result<&str, (&str, Code)>) {
    let got = decode_money(&value).map(|(amount, currency)| format!("{amount} {currency}"));
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
];

proptest::proptest! {
    /// What a caller writes is taken or refused, never a panic, and never holds what the database
    /// cannot store.
    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC{0,40}|[-+0-9.eE:TZ/ ]{0,40}|[\\x00-\\x1f]{1,4}") {
        for kind in KINDS {
            for param in [read(*kind, &text).ok(), decode(*kind, &json!(text)).ok()] {
                if let Some(Param::Text(taken)) = param {
                    proptest::prop_assert!(!taken.contains('\0'));
                    proptest::prop_assert_eq!(&taken, &text);
                }
            }
        }
        let money = json!({"amount": text, "currency": "EUR"});
        if let Ok((amount, _)) = decode_money(&money) {
            proptest::prop_assert!(money::fits(amount));
        }
    }
}
