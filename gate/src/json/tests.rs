use super::{Fields, parse};
use crate::problem::{Code, Problem};

fn read(body: &str) -> Result<(), Problem> {
    let mut fields = Fields::root(parse(body.as_bytes())?)?;
    fields.uuid("id");
    fields.u32("quantity", 1, 10);
    fields.choice("direction", &["entry", "exit"]);
    fields.flag("force");
    fields.objects("items", (0, 2), |item| item.text("name", 1, 5));
    fields.reserved("answers", "not yet");
    fields.finish()
}

#[track_caller]
fn refused(body: &str, expect: &[(&str, &str)]) {
    let problem = read(body).expect_err("must be refused");
    let found: Vec<(&str, &str)> =
        problem.errors.iter().map(|e| (e.field.as_str(), e.code)).collect();
    assert_eq!(found, expect, "{body}");
    assert_eq!(problem.code, Code::InvalidBody);
}

const ID: &str = r#""id":"00000000-0000-4000-8000-000000000001""#;

#[test]
fn a_good_body_passes() {
    read(&format!(r#"{{{ID},"quantity":3,"direction":"exit","force":true,"answers":{{}}}}"#))
        .expect("good");
    read(&format!(r#"{{{ID},"quantity":1,"direction":null,"items":[{{"name":"GA"}}]}}"#))
        .expect("good");
}

#[test]
fn wrong_fields_are_named() {
    refused(r#"{"quantity":1}"#, &[("id", "required")]);
    refused(r#"{"id":7,"quantity":1}"#, &[("id", "type")]);
    refused(r#"{"id":"x","quantity":1}"#, &[("id", "format")]);
    refused(&format!(r#"{{{ID},"quantity":0}}"#), &[("quantity", "range")]);
    refused(&format!(r#"{{{ID},"quantity":1.5}}"#), &[("quantity", "type")]);
    refused(&format!(r#"{{{ID},"quantity":-1}}"#), &[("quantity", "type")]);
    refused(&format!(r#"{{{ID},"quantity":4294967297}}"#), &[("quantity", "range")]);
    refused(&format!(r#"{{{ID},"quantity":1,"x":2}}"#), &[("x", "unknown")]);
    refused(&format!(r#"{{{ID},"quantity":1,"direction":"up"}}"#), &[("direction", "format")]);
    refused(&format!(r#"{{{ID},"quantity":1,"force":"yes"}}"#), &[("force", "type")]);
    refused(
        &format!(r#"{{{ID},"quantity":1,"answers":{{"a":1}}}}"#),
        &[("answers", "unsupported")],
    );
    refused(
        &format!(r#"{{{ID},"quantity":1,"items":[{{"name":"","y":1}},7]}}"#),
        &[("items[0].name", "range"), ("items[0].y", "unknown"), ("items[1]", "type")],
    );
    refused(
        &format!(r#"{{{ID},"quantity":1,"items":[{{"name":"a\u0000"}}]}}"#),
        &[("items[0].name", "format")],
    );
    refused(&format!(r#"{{{ID},"quantity":1,"items":[1,2,3]}}"#), &[("items", "range")]);
}

#[test]
fn what_is_not_json_or_says_a_thing_twice_is_malformed() {
    for body in
        ["", "{", "{\"a\":1,\"a\":2}", "\u{feff}{}", "{} {}", "{\"a\":{\"b\":1,\"b\":1}}", "nul"]
    {
        let problem = parse(body.as_bytes()).expect_err(body);
        assert_eq!(problem.code, Code::MalformedJson, "{body}");
    }
    assert_eq!(parse(b"\xff").expect_err("not UTF-8").code, Code::MalformedJson);
    assert_eq!(
        parse("[".repeat(200_000).as_bytes()).expect_err("too deep").code,
        Code::MalformedJson
    );
    for body in ["[]", "1", "\"x\"", "null"] {
        assert_eq!(read(body).expect_err(body).code, Code::InvalidBody);
    }
}

#[test]
fn numbers_that_are_not_whole_are_told_apart() {
    let cases = [
        ("7", "a number"),
        ("-7", "a negative number"),
        ("7.0", "a number with a point, an exponent or more than 64 bits"),
        ("18446744073709551616", "a number with a point, an exponent or more than 64 bits"),
    ];
    for (text, expect) in cases {
        let value = super::parse(text.as_bytes()).expect("JSON");
        assert_eq!(super::kind(&value), expect, "{text}");
    }
}
