//! What each kind is in a cell, both ways. A cell's value is the API's JSON value, so that whatever
//! comes in through a file passes the same validation as a body. Knows no framing and no entity.

use serde_json::{Value, json};

use super::text::Cell;
use crate::entity::Kind;
use crate::error::{Code, Error, Result};
use crate::kind::Refusal;

#[cfg(test)]
mod tests;

/// Members of a kind that is an object in JSON and two columns in a file: the suffix of each column
/// and the object's member.
pub(crate) type Pair = [(&'static str, &'static str); 2];

pub(crate) fn pair(kind: Kind) -> Option<Pair> {
    match kind {
        Kind::Money | Kind::Price => Some([("", "amount"), ("_currency", "currency")]),
        Kind::Geo => Some([("_latitude", "latitude"), ("_longitude", "longitude")]),
        _ => None,
    }
}

/// A cell that a spreadsheet would take for a formula begins with one of these. In texts an
/// apostrophe stands in front of such a character wherever some program could begin a cell, and in
/// front of an apostrophe there, which is what makes reading exact.
const FORMULA: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n', '\''];

/// Behind these a program that takes another separator than ours, or knows no quotes, begins a cell.
const BREAKS: &[char] = &[',', ';', '\t', '\r', '\n', '"', '|'];

/// Kinds whose alphabet lets a caller begin with a formula's first character. Numbers and telephone
/// numbers are left alone: they are no formulas, and a marker would spoil them.
fn is_guarded(kind: Kind) -> bool {
    matches!(kind, Kind::Text { .. } | Kind::Email | Kind::Url)
}

/// Where a cell could begin: at the start, behind a break, and behind spaces there.
fn begins(begun: bool, c: char) -> bool {
    BREAKS.contains(&c) || begun && c == ' '
}

/// The cells of one value, given as the engine encodes it; `null` is one null cell a column.
pub(crate) fn write(kind: Kind, encoded: &[u8], out: &mut Vec<Cell>) -> Result<()> {
    let broken = |cause: serde_json::Error| Error::internal(format!("broken JSON: {cause}"));
    if encoded == b"null" || encoded.is_empty() {
        let columns = if pair(kind).is_some() { 2 } else { 1 };
        out.extend(std::iter::repeat_n(Cell::null(), columns));
        return Ok(());
    }
    if let Some(parts) = pair(kind) {
        let value: Value = serde_json::from_slice(encoded).map_err(broken)?;
        let part = |(_, member): (&str, &'static str)| value.get(member).and_then(Value::as_str);
        out.extend(parts.map(|one| part(one).map_or_else(Cell::null, Cell::text)));
        return Ok(());
    }
    // JSON keeps its quotes: a JSON string and the text of a number are two things.
    let text = if kind == Kind::Json || encoded.first() != Some(&b'"') {
        String::from_utf8_lossy(encoded).into_owned()
    } else {
        serde_json::from_slice(encoded).map_err(broken)?
    };
    out.push(match kind {
        // Some programs see through quotes: where texts may begin with anything there are some.
        _ if is_guarded(kind) => Cell { text: guard(&text), quoted: true },
        Kind::Json | Kind::TextList { .. } => Cell::text(guard_json(&text)),
        _ => Cell::text(text),
    });
    Ok(())
}

/// The value in one cell, both parts of a pair with a space between.
pub(crate) fn write_one(kind: Kind, encoded: &[u8]) -> Result<Cell> {
    let mut cells = Vec::with_capacity(2);
    write(kind, encoded, &mut cells)?;
    Ok(match cells.as_slice() {
        [first, second] if !first.is_null() => {
            Cell::text(format!("{} {}", first.text, second.text))
        }
        _ => cells.into_iter().next().unwrap_or_default(),
    })
}

fn guard(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut begun = true;
    for c in text.chars() {
        if begun && FORMULA.contains(&c) {
            out.push('\'');
        }
        out.push(c);
        begun = begins(begun, c);
    }
    out
}

fn unguard(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begun = true;
    let mut rest = text.chars().peekable();
    while let Some(mut c) = rest.next() {
        let guarded = begun && c == '\'';
        if guarded && let Some(next) = rest.next_if(|next| FORMULA.contains(next)) {
            c = next;
        }
        out.push(c);
        begun = begins(begun, c);
    }
    out
}

/// In JSON the same characters are written as escapes (RFC 8259, 7) inside strings, and read as any
/// JSON. A number's sign stays: behind it stand digits only.
fn guard_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 8);
    let (mut begun, mut inside, mut escaped) = (false, false, false);
    for c in json.chars() {
        if inside && begun && !escaped && matches!(c, '=' | '+' | '-' | '@') {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
            begun = false;
            continue;
        }
        out.push(c);
        inside ^= c == '"' && !escaped;
        escaped = inside && c == '\\' && !escaped;
        begun = begins(begun, c);
    }
    out
}

/// The value of a cell, as a body would say it; what the kind demands is checked behind this.
pub(crate) fn read(kind: Kind, cell: &Cell) -> std::result::Result<Value, Refusal> {
    if cell.is_null() {
        return Ok(Value::Null);
    }
    if let Kind::Text { .. } = kind {
        return Ok(Value::String(unguard(&cell.text)));
    }
    let text = cell.text.trim();
    // Only a text can be empty; programs that quote every cell write null like this.
    if text.is_empty() {
        return Ok(Value::Null);
    }
    match kind {
        Kind::Bool => boolean(text),
        Kind::Integer { .. } => match text.parse::<i64>() {
            Ok(number) => Ok(json!(number)),
            Err(_) => refuse(Code::WrongType, "must be a whole number"),
        },
        Kind::Json => serde_json::from_str(text)
            .map_or_else(|_| refuse(Code::InvalidFormat, "must be JSON"), Ok),
        Kind::TextList { .. } => list(text),
        _ if pair(kind).is_some() => both(kind, text),
        _ if is_guarded(kind) => Ok(json!(unguard(text))),
        _ => Ok(json!(text)),
    }
}

/// The value of two cells.
pub(crate) fn read_pair(
    kind: Kind,
    first: &Cell,
    second: &Cell,
) -> std::result::Result<Value, Refusal> {
    let (first, second) = (first.text.trim(), second.text.trim());
    let Some([(_, one), (_, two)]) = pair(kind) else {
        return refuse(Code::WrongType, "is no pair");
    };
    match (first.is_empty(), second.is_empty()) {
        (true, true) => Ok(Value::Null),
        (false, false) => Ok(json!({one: first, two: second})),
        // An amount alone may carry its currency: `12.50 EUR`.
        (false, true) if first.contains(' ') => both(kind, first),
        (false, true) => refuse(Code::Required, format!("has no {two}")),
        (true, false) => refuse(Code::Required, format!("has no {one}")),
    }
}

/// Both parts in one cell: `12.50 EUR` or `EUR 12.50`, `52.52 13.40`.
fn both(kind: Kind, text: &str) -> std::result::Result<Value, Refusal> {
    let Some([(_, one), (_, two)]) = pair(kind) else {
        return refuse(Code::WrongType, "is no pair");
    };
    let mut parts = text.split_whitespace();
    let (Some(first), Some(second), None) = (parts.next(), parts.next(), parts.next()) else {
        return refuse(Code::InvalidFormat, format!("must be {one} and {two}, like 12.50 EUR"));
    };
    let letters = first.bytes().all(|byte| byte.is_ascii_alphabetic());
    let (first, second) = if letters { (second, first) } else { (first, second) };
    Ok(json!({one: first, two: second}))
}

fn boolean(text: &str) -> std::result::Result<Value, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(json!(true)),
        "false" | "no" | "0" => Ok(json!(false)),
        _ => refuse(Code::WrongType, "must be true or false"),
    }
}

/// A JSON array, which every list can be written as, or items by semicolon.
fn list(text: &str) -> std::result::Result<Value, Refusal> {
    if text.starts_with('[') {
        return serde_json::from_str(text).map_or_else(
            |_| refuse(Code::InvalidFormat, "must be a JSON list or items by semicolon"),
            Ok,
        );
    }
    let items = text.split(';').map(str::trim).filter(|item| !item.is_empty());
    Ok(items.map(str::to_owned).collect())
}

fn refuse<T>(code: Code, message: impl Into<String>) -> std::result::Result<T, Refusal> {
    Err(Refusal { code, message: message.into(), below: String::new() })
}
