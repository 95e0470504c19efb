//! Kinds of two columns: money and prices (amount and currency), places (latitude and longitude).
//! Both columns are null or neither is.

use rust_decimal::Decimal;
use serde_json::{Map, Value};
use tokio_postgres::types::Type;

use super::{Decoded, Refusal, below, decimal, form, plain_decimal, refuse};
use crate::entity::Kind;
use crate::error::Code;
use crate::kind_sql::GEO_SCALE;
use crate::money;
use crate::param::Param;

const LATITUDE_MAX: u32 = 90;
const LONGITUDE_MAX: u32 = 180;

/// Type of the second column.
pub(crate) fn second_type(kind: Kind) -> Type {
    if kind == Kind::Geo { Type::NUMERIC } else { Type::TEXT }
}

/// Both values of a kind of two columns, none of them null.
pub(crate) fn decode_pair(kind: Kind, value: &Value) -> Decoded<[Param; 2]> {
    match kind {
        Kind::Geo => place(value),
        _ => sum(kind, value),
    }
}

/// `{"amount": "42.50", "currency": "EUR"}`; money is never finer than the currency's minor unit.
fn sum(kind: Kind, value: &Value) -> Decoded<[Param; 2]> {
    let parts = object(value, ["amount", "currency"])?;
    let currency = part(parts, "currency").and_then(form::currency).map_err(at(".currency"))?;
    let number = part(parts, "amount").and_then(amount).map_err(at(".amount"))?;
    let digits = money::exponent(&currency);
    if kind == Kind::Money && digits < number.normalize().scale() {
        let words = format!("{currency} has {digits} digits after the point");
        return refuse(Code::InvalidFormat, words).map_err(at(".amount"));
    }
    Ok([Param::Decimal(number), Param::Text(currency)])
}

/// An amount as `numeric(19,4)` holds it.
pub(super) fn amount(text: &str) -> Decoded<Decimal> {
    let number = plain_decimal(text)?;
    if !money::fits(number) {
        return refuse(
            Code::OutOfRange,
            format!("must have at most 15 digits before and {} after the point", money::SCALE_MAX),
        );
    }
    Ok(number)
}

/// `{"latitude": "52.5200066", "longitude": "13.404954"}`, degrees of WGS 84.
fn place(value: &Value) -> Decoded<[Param; 2]> {
    let parts = object(value, ["latitude", "longitude"])?;
    let degrees = |name: &'static str, path: &'static str, most: u32| {
        let number = part(parts, name).and_then(|text| decimal(text, GEO_SCALE));
        let number = number.and_then(|number| {
            if Decimal::from(most) < number.abs() {
                return refuse(Code::OutOfRange, format!("must be between -{most} and {most}"));
            }
            Ok(Param::Decimal(number))
        });
        number.map_err(at(path))
    };
    Ok([
        degrees("latitude", ".latitude", LATITUDE_MAX)?,
        degrees("longitude", ".longitude", LONGITUDE_MAX)?,
    ])
}

fn object<'a>(value: &'a Value, members: [&str; 2]) -> Decoded<&'a Map<String, Value>> {
    let [one, other] = members;
    let Value::Object(parts) = value else {
        return refuse(Code::WrongType, format!("must be an object with {one} and {other}"));
    };
    if let Some(stranger) = parts.keys().find(|key| !members.contains(&key.as_str())) {
        // The name is the caller's own text: it is cut, so that an answer cannot be made to grow.
        let shown: String = stranger.chars().take(100).collect();
        let fault = refuse(Code::UnknownField, format!("there are {one} and {other} alone"));
        return fault.map_err(|refusal| below(refusal, &format!(".{shown}")));
    }
    Ok(parts)
}

fn part<'a>(parts: &'a Map<String, Value>, name: &str) -> Decoded<&'a str> {
    match parts.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(Value::Null) | None => refuse(Code::Required, "a value is required"),
        Some(_) => refuse(Code::WrongType, "must be a string"),
    }
}

fn at(path: &'static str) -> impl Fn(Refusal) -> Refusal {
    move |refusal| below(refusal, path)
}
