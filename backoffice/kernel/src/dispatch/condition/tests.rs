use super::{TAGS_MAX, Tags, tags};
use crate::error::Code;

#[track_caller]
fn check(text: &str, expected: &[i64]) {
    let expected = Tags::Versions(expected.to_vec());
    assert_eq!(tags(Some(text)).unwrap(), Some(expected), "{text}");
}

#[track_caller]
fn refused(text: &str, code: Code) {
    let error = tags(Some(text)).unwrap_err();
    assert_eq!((error.code(), error.list()[0].field.as_str()), (code, "If-Match"), "{text}");
}

#[test]
fn a_list_names_the_versions_of_its_strong_tags() {
    assert_eq!(tags(None).unwrap(), None);
    assert_eq!(tags(Some(" * ")).unwrap(), Some(Tags::Any));
    check("\"3\"", &[3]);
    check("\"3\", \"4\"", &[3, 4]);
    check("\"3\",\"4\"\t,\"3\"", &[3, 4]);
    check(", ,\"3\",, \"4\",", &[3, 4]);
    check("W/\"3\", \"4\"", &[4]);
    check("\"x\", \"a,b\", \"5\"", &[5]);
    check("\"-1\"", &[-1]);
    check("\"3.0123456789abcdef\", \"4\"", &[3, 4]);
}

#[test]
fn what_names_no_version_matches_none() {
    for text in [
        "",
        ",",
        "1",
        "\"x\"",
        "\"\"",
        "W/\"1\"",
        "w/\"1\"",
        "\"1",
        "1\"",
        "\"1\" \"2\"",
        "\"1\"2",
        "\"1\";q=1",
        "\"01\"",
        "\"+1\"",
        "\" 1\"",
        "\"1,2\"",
        "\"1.\"",
        "\"1.0123456789ABCDEF\"",
        "\"1.0123456789abcdef0\"",
        "W/\"1.0123456789abcdef\"",
        "*, \"1\"",
        "\"1\", *",
        "\"9223372036854775808\"",
    ] {
        refused(text, Code::VersionMismatch);
    }
}

#[test]
fn a_list_has_an_end() {
    let list = |count: usize| {
        let tags: Vec<String> = (0..count).map(|n| format!("\"{n}\"")).collect();
        tags.join(", ")
    };
    let most: Vec<i64> = (0..).take(TAGS_MAX).collect();
    check(&list(TAGS_MAX), &most);
    refused(&list(TAGS_MAX + 1), Code::InvalidRequest);
}
