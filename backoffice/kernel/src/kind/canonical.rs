//! A value in the one way in which it is kept where no column has its type: decoded and written anew,
//! so that what reads it later never meets a spelling that only the decoder knows.

use serde_json::{Value, json};

use super::{Decoded, bytes_json, decode, decode_pair, duration_text, refuse};
use crate::entity::Kind;
use crate::error::Code;
use crate::money;
use crate::param::Param;

/// The value as its kind writes it; null stays null. Decimals are as short as they are exact, instants
/// are in UTC.
pub(crate) fn canonical(kind: Kind, value: &Value) -> Decoded<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    match kind {
        Kind::Money | Kind::Price => match decode_pair(kind, value)? {
            [Param::Decimal(amount), Param::Text(currency)] => {
                Ok(json!({"amount": money::show(amount, &currency), "currency": currency}))
            }
            _ => refuse(Code::WrongType, "must be an amount with a currency"),
        },
        Kind::Geo => {
            let [latitude, longitude] = decode_pair(kind, value)?;
            Ok(json!({"latitude": plain(latitude), "longitude": plain(longitude)}))
        }
        Kind::Duration => match decode(kind, value)? {
            Param::Int(seconds) => Ok(Value::String(duration_text(seconds))),
            other => Ok(plain(other)),
        },
        _ => decode(kind, value).map(plain),
    }
}

fn plain(value: Param) -> Value {
    match value {
        Param::Null => Value::Null,
        Param::Text(text) => Value::String(text),
        Param::Bool(yes) => Value::Bool(yes),
        Param::Int(number) => Value::from(number),
        Param::Decimal(number) => Value::String(number.normalize().to_string()),
        Param::Date(date) => Value::String(date.to_string()),
        Param::Instant(at) => Value::String(at.to_string()),
        Param::Uuid(id) => Value::String(id.to_string()),
        Param::Json(value) => value,
        Param::Bytes(bytes) => bytes_json(&bytes),
        Param::List(items) => Value::Array(items.into_iter().map(plain).collect()),
    }
}

#[cfg(test)]
mod tests;
