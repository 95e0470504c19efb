//! What each kind is in JSON and on the wire to the database: reading and checking a value, and
//! writing one into a buffer. What it is in SQL stands in `kind_sql`.

mod canonical;
mod encode;
mod form;
mod pair;
mod rrule;
mod span;
mod wire;

use data_encoding::BASE64;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::entity::Kind;
use crate::error::Code;
use crate::kind_sql::{self, JSON_BYTES_MAX, LIST_TEXT_CHARS_MAX, RATE_SCALE, Stored};
use crate::param::Param;

pub(crate) use canonical::canonical;
pub(crate) use encode::{encode, write_text};
pub(crate) use pair::{decode_pair, second_type};
pub(crate) use span::text as duration_text;

/// Why a value is not one of its kind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// Below the field: `.amount`, `[2]`, or empty.
    pub(crate) below: String,
}

type Decoded<T> = Result<T, Refusal>;

fn refuse<T>(code: Code, message: impl Into<String>) -> Decoded<T> {
    Err(Refusal { code, message: message.into(), below: String::new() })
}

fn below(mut refusal: Refusal, path: &str) -> Refusal {
    refusal.below = format!("{path}{}", refusal.below);
    refusal
}

/// Type of the kind's (first) column.
pub(crate) fn pg_type(kind: Kind) -> Type {
    match kind_sql::stored(kind) {
        Stored::Text => Type::TEXT,
        Stored::Bool => Type::BOOL,
        Stored::Whole => Type::INT8,
        Stored::Number { .. } => Type::NUMERIC,
        Stored::Date => Type::DATE,
        Stored::Instant => Type::TIMESTAMPTZ,
        Stored::Uuid => Type::UUID,
        Stored::Json => Type::JSONB,
        Stored::Bytes => Type::BYTEA,
        Stored::Texts => Type::TEXT_ARRAY,
    }
}

/// Type of an array of the kind, for `in` filters.
pub(crate) fn pg_array_type(kind: Kind) -> Type {
    array_type(&pg_type(kind))
}

/// Type of an array of values of a column's type. Lists have none: theirs is the one of texts.
pub(crate) fn array_type(one: &Type) -> Type {
    match *one {
        Type::BOOL => Type::BOOL_ARRAY,
        Type::INT8 => Type::INT8_ARRAY,
        Type::NUMERIC => Type::NUMERIC_ARRAY,
        Type::DATE => Type::DATE_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::UUID => Type::UUID_ARRAY,
        Type::JSONB => Type::JSONB_ARRAY,
        Type::BYTEA => Type::BYTEA_ARRAY,
        _ => Type::TEXT_ARRAY,
    }
}

/// A value that is not null. Kinds of two columns are read by `decode_pair`.
pub(crate) fn decode(kind: Kind, value: &Value) -> Decoded<Param> {
    match kind {
        Kind::Bool => match value {
            Value::Bool(yes) => Ok(Param::Bool(*yes)),
            _ => refuse(Code::WrongType, "must be true or false"),
        },
        Kind::Integer { min, max } => match value.as_i64() {
            Some(number) => integer(number, min, max),
            None if value.is_number() => refuse(Code::OutOfRange, "must be a whole 64-bit number"),
            None => refuse(Code::WrongType, "must be a whole number"),
        },
        Kind::Decimal { .. } | Kind::Percent { .. } | Kind::Rate | Kind::Quantity { .. } => {
            match value {
                Value::Number(number) if number.is_i64() => read(kind, &number.to_string()),
                Value::String(text) => read(kind, text),
                _ => refuse(Code::WrongType, "must be a decimal number as a string"),
            }
        }
        Kind::Json => json(value),
        Kind::TextList { max_items } => text_list(value, max_items),
        Kind::Money | Kind::Price => refuse(Code::WrongType, "must be an amount with a currency"),
        Kind::Geo => refuse(Code::WrongType, "must be a latitude with a longitude"),
        _ => match value {
            Value::String(text) => read(kind, text),
            _ => refuse(Code::WrongType, "must be a string"),
        },
    }
}

/// A value from its text, as filters and cursors give it.
pub(crate) fn read(kind: Kind, text: &str) -> Decoded<Param> {
    match kind {
        Kind::Text { max } => form::text(text, max).map(Param::Text),
        Kind::Slug => form::slug(text).map(Param::Text),
        Kind::Email => form::email(text).map(Param::Text),
        Kind::Phone => form::phone(text).map(Param::Text),
        Kind::Url => form::url(text).map(Param::Text),
        Kind::Currency => form::currency(text).map(Param::Text),
        Kind::Country => form::country(text).map(Param::Text),
        Kind::Language => form::language(text).map(Param::Text),
        Kind::TimeZone => form::time_zone(text).map(Param::Text),
        Kind::Choice(options) if options.contains(&text) => Ok(Param::Text(text.to_owned())),
        Kind::Choice(options) => {
            refuse(Code::NotAnOption, format!("must be one of: {}", options.join(", ")))
        }
        Kind::Bool => match text {
            "true" => Ok(Param::Bool(true)),
            "false" => Ok(Param::Bool(false)),
            _ => refuse(Code::WrongType, "must be true or false"),
        },
        Kind::Integer { min, max } => match text.parse() {
            Ok(number) => integer(number, min, max),
            Err(_) => refuse(Code::WrongType, "must be a whole number"),
        },
        Kind::Money | Kind::Price => pair::amount(text).map(Param::Decimal),
        Kind::Decimal { scale } | Kind::Quantity { scale } => {
            decimal(text, scale).map(Param::Decimal)
        }
        Kind::Rate => decimal(text, RATE_SCALE).map(Param::Decimal),
        Kind::Percent { scale } => percent(text, scale).map(Param::Decimal),
        Kind::Duration => span::seconds(text).map(Param::Int),
        Kind::Rrule => rrule::rule(text).map(Param::Text),
        Kind::Date => date(text).map(Param::Date),
        Kind::Instant => instant(text).map(Param::Instant),
        Kind::Link { .. } | Kind::Id | Kind::File => uuid(text).map(Param::Uuid),
        Kind::Bytes { max } => bytes(text, max).map(Param::Bytes),
        Kind::TextList { .. } => form::text(text, list_chars_max()).map(Param::Text),
        Kind::Json | Kind::Geo => refuse(Code::WrongType, "cannot be compared"),
    }
}

fn list_chars_max() -> u32 {
    u32::try_from(LIST_TEXT_CHARS_MAX).unwrap_or(u32::MAX)
}

fn integer(number: i64, min: i64, max: i64) -> Decoded<Param> {
    if (min..=max).contains(&number) {
        return Ok(Param::Int(number));
    }
    refuse(Code::OutOfRange, format!("must be between {min} and {max}"))
}

fn percent(text: &str, scale: u8) -> Decoded<Decimal> {
    let number = decimal(text, scale)?;
    if number.is_sign_negative() || Decimal::ONE_HUNDRED < number {
        return refuse(Code::OutOfRange, "must be between 0 and 100");
    }
    Ok(number)
}

fn decimal(text: &str, scale: u8) -> Decoded<Decimal> {
    let number = plain_decimal(text)?;
    if number.scale() > u32::from(scale) {
        return refuse(Code::InvalidFormat, format!("has at most {scale} digits after the point"));
    }
    // numeric(28, scale): whole digits are what remains of 28.
    let whole = 28_u32.saturating_sub(u32::from(scale));
    let limit = 10_i128.checked_pow(whole).unwrap_or(i128::MAX);
    if number.trunc().mantissa().abs() >= limit {
        return refuse(Code::OutOfRange, format!("has at most {whole} digits before the point"));
    }
    Ok(number)
}

/// Digits, one point, an optional minus: no exponent, no separators, no spaces.
fn plain_decimal(text: &str) -> Decoded<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if all(whole) && all(part) && text.len() <= 40 {
        Decimal::from_str_exact(text).ok()
    } else {
        None
    };
    number.map_or_else(|| refuse(Code::InvalidFormat, "must be a number like 42.50"), Ok)
}

fn date(text: &str) -> Decoded<Date> {
    let date = if text.len() == 10 { text.parse::<Date>().ok() } else { None };
    match date.filter(|date| date.year() > 0) {
        Some(date) => Ok(date),
        None => refuse(Code::InvalidFormat, "must be a date like 2026-11-21"),
    }
}

fn instant(text: &str) -> Decoded<Timestamp> {
    let at = if text.len() <= 40 { text.parse::<Timestamp>().ok() } else { None };
    match at.filter(|at| at.subsec_nanosecond() % 1_000 == 0 && at.as_second() > -62_135_596_800) {
        Some(at) => Ok(at),
        None => refuse(
            Code::InvalidFormat,
            "must be an instant like 2026-11-21T19:05:00Z, to the microsecond at most",
        ),
    }
}

fn uuid(text: &str) -> Decoded<Uuid> {
    let id = if text.len() == 36 { Uuid::try_parse(text).ok() } else { None };
    id.map_or_else(|| refuse(Code::InvalidFormat, "must be a UUID"), Ok)
}

fn bytes(text: &str, max: u32) -> Decoded<Vec<u8>> {
    let Ok(bytes) = BASE64.decode(text.as_bytes()) else {
        return refuse(Code::InvalidFormat, "must be base64 (RFC 4648, with padding)");
    };
    if bytes.len() as u64 > u64::from(max) {
        return refuse(Code::TooLong, format!("has at most {max} bytes"));
    }
    Ok(bytes)
}

fn json(value: &Value) -> Decoded<Param> {
    // The database's own spacing makes its text longer than ours, so a part of the room is kept.
    let length = value.to_string().len();
    if length > JSON_BYTES_MAX / 2 {
        return refuse(Code::TooLong, format!("has at most {} bytes", JSON_BYTES_MAX / 2));
    }
    if has_nul(value) {
        return refuse(Code::InvalidFormat, "must not hold the character U+0000");
    }
    if has_endless(value) {
        return refuse(Code::OutOfRange, "holds a number beyond 1e300");
    }
    Ok(Param::Json(value.clone()))
}

/// Numbers come back from the database digit by digit; near the end of what a double can be, not every
/// reader takes them in again.
fn has_endless(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|number| 1e300 < number.abs()),
        Value::Array(items) => items.iter().any(has_endless),
        Value::Object(map) => map.values().any(has_endless),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, item)| key.contains('\0') || has_nul(item)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn text_list(value: &Value, max_items: u32) -> Decoded<Param> {
    let Value::Array(items) = value else {
        return refuse(Code::WrongType, "must be a list of strings");
    };
    if items.len() as u64 > u64::from(max_items) {
        return refuse(Code::TooLong, format!("has at most {max_items} items"));
    }
    let mut texts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let text = match item {
            Value::String(text) => form::text(text, list_chars_max()),
            _ => refuse(Code::WrongType, "must be a string"),
        };
        texts.push(Param::Text(text.map_err(|refusal| below(refusal, &format!("[{index}]")))?));
    }
    Ok(Param::List(texts))
}

/// Bytes as the API writes them.
pub(crate) fn bytes_json(bytes: &[u8]) -> Value {
    Value::String(data_encoding::BASE64.encode(bytes))
}

/// The members of an object; `None` for every other value.
pub(crate) fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
