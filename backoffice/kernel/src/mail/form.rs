//! A mail's text on the wire: RFC 5322 headers, RFC 2047 words, RFC 2045 base64 body.

use data_encoding::BASE64;

use super::Mail;
use crate::error::{Code, Error, Result};

/// Characters of base64 on a line (RFC 2045, 6.8).
const LINE_CHARS: usize = 76;
/// Bytes that one encoded word may carry within its 75 characters (RFC 2047, 2).
const WORD_BYTES: usize = 45;

pub(super) fn message(mail: &Mail) -> Result<String> {
    let date = mail.at.strftime("%a, %d %b %Y %H:%M:%S +0000");
    let body = mail.text.expose().replace("\r\n", "\n").replace('\n', "\r\n");
    let mut text = format!(
        "From: {}\r\nTo: {}\r\nSubject: {}\r\nDate: {date}\r\nMessage-ID: <{}@{}>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\nAuto-Submitted: auto-generated\r\n\r\n",
        address("From", &mail.from)?,
        address("To", &mail.to)?,
        subject(&mail.subject)?,
        mail.id,
        mail.from.rsplit('@').next().unwrap_or_default(),
    );
    for line in BASE64.encode(body.as_bytes()).as_bytes().chunks(LINE_CHARS) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push_str("\r\n");
    }
    Ok(text)
}

/// One bare address (`addr-spec`): nothing in it may end the header or name a second recipient.
fn address<'a>(header: &str, text: &'a str) -> Result<&'a str> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "<>,;:\"()[]\\".contains(c);
    let whole = text
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    if !whole || text.chars().any(bad) {
        let text = format!("{header} is not one bare address");
        return Err(Error::new(Code::MailRefused, text));
    }
    Ok(text)
}

/// Encoded words where a character needs them; a word never cuts a character.
fn subject(text: &str) -> Result<String> {
    if text.chars().any(char::is_control) {
        return Err(Error::new(Code::MailRefused, "a subject has no control characters"));
    }
    if text.is_ascii() && text.len() <= LINE_CHARS {
        return Ok(text.to_owned());
    }
    let mut words: Vec<String> = Vec::new();
    let mut part = String::new();
    for c in text.chars() {
        if part.len() + c.len_utf8() > WORD_BYTES {
            words.push(encoded(&part));
            part.clear();
        }
        part.push(c);
    }
    words.push(encoded(&part));
    Ok(words.join("\r\n "))
}

fn encoded(part: &str) -> String {
    format!("=?utf-8?B?{}?=", BASE64.encode(part.as_bytes()))
}
