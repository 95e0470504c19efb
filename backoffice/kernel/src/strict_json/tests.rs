//! The same values as the lenient reader's, but for members that stand twice.

use super::read;

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
