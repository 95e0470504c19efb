//! The same values as the lenient reader's, but for members that stand twice.

use super::{DEPTH_MAX, TEXT_BYTES_MAX, VALUES_MAX, read};
use crate::error::Code;

#[track_caller]
fn check(text: &str, same: bool) {
    let lenient: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let strict = read(text.as_bytes()).ok();
    assert_eq!(strict, lenient.filter(|_| same), "{text}");
}

#[test]
fn reads_what_the_lenient_reader_reads() {
    for text in [
        "null",
        "true",
        "-9223372036854775808",
        "18446744073709551615",
        "1.5e300",
        r#""a\u0000\ud83c\udfaa""#,
        r#"[1,[],{},{"a":{"b":[null,false,"x"]}}]"#,
        r#"{"a":{"b":1},"b":[{"b":1},{"b":1}]}"#,
        // Refused by both.
        "1e999",
        r#""\ud800""#,
        "{",
        "[1,]",
        "{} {}",
        &"[".repeat(100_000),
    ] {
        check(text, true);
    }
    for text in [r#"{"a":1,"a":1}"#, r#"[{"x":{"a":1,"b":2,"\u0061":3}}]"#] {
        check(text, false);
    }
}

#[test]
fn bounds_hold_at_the_last_value_that_fits() {
    let refuses = |text: String, words: &str| {
        let refused = read(text.as_bytes()).unwrap_err();
        assert_eq!(refused.code(), Code::MalformedJson);
        assert!(refused.detail().contains(words), "{}", refused.detail());
    };
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    read(nested(DEPTH_MAX).as_bytes()).unwrap();
    refuses(nested(DEPTH_MAX + 1), "at most 32 levels (line 1, column 33)");
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    read(objects(DEPTH_MAX).as_bytes()).unwrap();
    refuses(objects(DEPTH_MAX + 1), "at most 32 levels");
    let many = |items: usize| format!("[{}]", vec!["1"; items].join(","));
    read(many(VALUES_MAX - 1).as_bytes()).unwrap();
    refuses(many(VALUES_MAX), "at most 50000");
    let long = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes));
    read(long(TEXT_BYTES_MAX).as_bytes()).unwrap();
    refuses(long(TEXT_BYTES_MAX + 1), "at most 524288 bytes");
    refuses(format!("{{\"{}\":1}}", "x".repeat(TEXT_BYTES_MAX + 1)), "a text is too long");
    // What the caller wrote is not told back, not even where it reads like words of ours.
    let quoted = read(br#"{"a member stands there twice": hunter2}"#).unwrap_err();
    assert_eq!(quoted.detail(), "the body is not JSON (line 1, column 33)");
}
