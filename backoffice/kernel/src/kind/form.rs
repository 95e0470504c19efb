//! Forms of texts: what a slug, an address, a language tag may look like.

use reqwest::Url;

use super::{Decoded, refuse};
use crate::error::Code;
use crate::money;

/// Texts up to this length are one line: no line breaks, no tabs.
const LINE_CHARS_MAX: u32 = 300;
const URL_CHARS_MAX: usize = 2_000;
const PHONE_CHARS_MAX: usize = 40;
/// E.164: a number has at most fifteen digits; fewer than seven reach nobody from abroad.
const PHONE_DIGITS_MIN: usize = 7;
const PHONE_DIGITS_MAX: usize = 15;

pub(super) fn text(text: &str, max: u32) -> Decoded<String> {
    if text.chars().count() as u64 > u64::from(max) {
        return refuse(Code::TooLong, format!("has at most {max} characters"));
    }
    let breaks = max > LINE_CHARS_MAX;
    let forbidden = |c: char| c.is_control() && !(breaks && matches!(c, '\n' | '\r' | '\t'));
    if text.chars().any(forbidden) {
        return refuse(Code::InvalidFormat, "must not hold control characters");
    }
    Ok(text.to_owned())
}

pub(super) fn slug(text: &str) -> Decoded<String> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if first && rest && text.len() <= 63 {
        return Ok(text.to_owned());
    }
    refuse(Code::InvalidFormat, "must be lower-case letters, digits, - and _, 63 at most")
}

/// RFC 5321 lengths; the form is kept loose on purpose: only sending a mail proves an address.
pub(super) fn email(text: &str) -> Decoded<String> {
    let good = text.split_once('@').is_some_and(|(local, domain)| {
        let plain =
            |c: char| !c.is_whitespace() && !c.is_control() && !"@<>,;:\"()[]\\".contains(c);
        (1..=64).contains(&local.len())
            && !domain.is_empty()
            && local.chars().all(plain)
            && domain.chars().all(plain)
            && !domain.starts_with(['.', '-'])
            && !domain.ends_with(['.', '-'])
            && !domain.contains("..")
    });
    if good && text.len() <= 254 {
        return Ok(text.to_owned());
    }
    refuse(Code::InvalidFormat, "must be an e-mail address")
}

/// An international number of E.164, with whatever separators people write between its digits:
/// none stands in front or behind.
pub(super) fn phone(text: &str) -> Decoded<String> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let good = text.strip_prefix('+').is_some_and(|rest| {
        rest.starts_with(|c: char| matches!(c, '1'..='9'))
            && rest.ends_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|b| b.is_ascii_digit() || b" -./()".contains(&b))
            && rest.ends_with(|c: char| c.is_ascii_digit() || c == ')')
    });
    let long = (PHONE_DIGITS_MIN..=PHONE_DIGITS_MAX).contains(&digits);
    if good && long && text.len() <= PHONE_CHARS_MAX {
        return Ok(text.to_owned());
    }
    refuse(Code::InvalidFormat, "must be an international telephone number like +49 30 123456")
}

pub(super) fn url(text: &str) -> Decoded<String> {
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let web = Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if plain && web && text.chars().count() <= URL_CHARS_MAX {
        return Ok(text.to_owned());
    }
    refuse(Code::InvalidFormat, "must be a URL that begins with http:// or https://")
}

pub(super) fn currency(text: &str) -> Decoded<String> {
    if money::is_currency(text) {
        return Ok(text.to_owned());
    }
    refuse(Code::InvalidFormat, "must be an ISO 4217 code like EUR")
}

pub(super) fn country(text: &str) -> Decoded<String> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(text.to_owned());
    }
    refuse(Code::InvalidFormat, "must be an ISO 3166-1 code like DE")
}

/// BCP 47 in its usual shape: a language of two or three letters, then subtags.
pub(super) fn language(text: &str) -> Decoded<String> {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let good = (2..=3).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
    if good && text.len() <= 35 {
        return Ok(text.to_owned());
    }
    refuse(Code::InvalidFormat, "must be a BCP 47 language tag like de-AT")
}

pub(super) fn time_zone(text: &str) -> Decoded<String> {
    let shaped = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b))
        && !text.starts_with('/');
    // A machine without zone data can only judge the shape.
    let database = jiff::tz::db();
    let known = shaped && (database.is_definitively_empty() || database.get(text).is_ok());
    if known {
        return Ok(text.to_owned());
    }
    refuse(Code::InvalidFormat, "must be an IANA time zone like Europe/Berlin")
}
