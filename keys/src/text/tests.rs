//! Reading: what is skipped, what is refused and with which words.

use super::*;
use crate::{Claims, Kid, Minutes};

fn credential() -> Credential {
    let claims = Claims {
        kid: Kid([1, 2, 3]),
        event: 1042,
        ticket: 7,
        ticket_type: 1,
        from: Minutes(0),
        until: Minutes(0),
        zones: 1,
        revision: 0,
        rotating: false,
    };
    Credential::new(claims, [0x5a; 64])
}

#[track_caller]
fn check_read(text: &str, live_code: Option<&str>) {
    let live_code = live_code.map(|code| LiveCode::from_ascii(code.as_bytes()).unwrap());
    assert_eq!(parse(text), Ok(Presented { credential: credential(), live_code }), "{text:?}");
}

#[track_caller]
fn check_refused(text: &str, expected: ParseError) {
    assert_eq!(parse(text), Err(expected), "{text:?}");
}

#[test]
fn decoration_is_skipped() {
    let text = credential().text();
    check_read(&text, None);
    check_read(&text.to_lowercase(), None);
    check_read(&format!("]Q1{text}"), None);
    check_read(&format!("]q1\\000026{text}"), None);
    check_read(&format!(" \t\r\n\x0b\x0c{}\n", text.replace("AA", "A A")), None);
    check_read(&format!("https://host.example/t/{text}"), None);
    check_read(&format!("/{text}.01234567"), Some("01234567"));
    check_read(&format!("{text} . 0123\n4567 "), Some("01234567"));
    let filled = format!("{}/{text}", " ".repeat(INPUT_BYTES_MAX - text.len() - 1));
    assert_eq!(filled.len(), INPUT_BYTES_MAX);
    check_read(&filled, None);
}

#[test]
fn refusals_name_the_reason() {
    let text = credential().text();
    let too_long = format!("{}{text}", " ".repeat(INPUT_BYTES_MAX));
    check_refused(&too_long, ParseError::TooLong(too_long.len()));
    check_refused("", ParseError::Prefix);
    check_refused("/", ParseError::Prefix);
    check_refused(&text[1..], ParseError::Prefix);
    check_refused(&format!("{text}/"), ParseError::Prefix);
    check_refused(&format!("]Q1]Q1{text}"), ParseError::Prefix);
    check_refused(&format!("\\00026{text}"), ParseError::Prefix);
    check_refused(&format!("\\000026]Q1{text}"), ParseError::Prefix);
    check_refused(&format!("T\u{212a}{}", &text[2..]), ParseError::Prefix);
    check_refused("TK", ParseError::Length);
    check_refused(&text[..153], ParseError::Length);
    check_refused(&format!("{text}A"), ParseError::Length);
    check_refused(&format!("{text}="), ParseError::Length);
    check_refused(&format!("{text}{text}"), ParseError::Length);
    check_refused(&format!("{text}."), ParseError::LiveCode);
    check_refused(&format!("{text}.1234567"), ParseError::LiveCode);
    check_refused(&format!("{text}.123456789"), ParseError::LiveCode);
    check_refused(&format!("{text}.1234567A"), ParseError::LiveCode);
    for (position, foreign) in [(0, '1'), (1, '0'), (80, '8'), (151, '='), (7, '.')] {
        let mut changed = text.clone();
        changed.replace_range(position + 2..position + 3, &foreign.to_string());
        check_refused(&changed, ParseError::Character(position));
    }
}

#[test]
fn refusals_do_not_repeat_what_was_presented() {
    let text = credential().text().replace('A', "8");
    let error = parse(&text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "credential: the character at position 0 is not of the Base32 alphabet"
    );
}

#[test]
fn unknown_versions_and_flags_are_no_credentials() {
    for (offset, value, expected) in
        [(0, 2, Malformed::Version(2)), (30, 0x83, Malformed::ReservedFlags(0x83))]
    {
        let mut bytes = credential().to_bytes();
        bytes[offset] = value;
        let text = format!("TK{}", BASE32_NOPAD.encode(&bytes));
        check_refused(&text, ParseError::Malformed(expected));
    }
}
