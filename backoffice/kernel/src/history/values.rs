//! Values of the change log in the form that the API gives them. The log keeps rows as the database
//! prints them in JSON; numbers come here as text, so that none loses digits.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::entity::{Field, Kind};
use crate::kind;
use crate::kind_sql::second_column;
use crate::money;

/// One side of an entry: column → text, or null.
pub(super) type Side = Map<String, Value>;

/// Whether the entry says something of the field.
pub(super) fn is_told(field: &Field, side: &Side) -> bool {
    let second = second_column(field.kind, field.name);
    side.contains_key(field.name) || second.is_some_and(|name| side.contains_key(&name))
}

/// The field's value on one side. Of a kind of two columns an entry holds what changed: an amount
/// without a currency when only the amount did.
pub(super) fn value(field: &Field, side: &Side) -> Value {
    let text = |name: &str| side.get(name).and_then(Value::as_str);
    let Some(second) = second_column(field.kind, field.name) else {
        return text(field.name).map_or(Value::Null, |text| of_kind(field.kind, text));
    };
    let (first, second) = (text(field.name), text(&second));
    if first.is_none() && second.is_none() {
        return Value::Null;
    }
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<Decimal>().ok());
    let plain = |text| number(text).map(|number| json!(number.normalize().to_string()));
    let (names, first, second) = match (field.kind, number(first), second) {
        (Kind::Geo, _, _) => (["latitude", "longitude"], plain(first), plain(second)),
        (_, Some(amount), Some(currency)) => (
            ["amount", "currency"],
            Some(json!(money::show(amount, currency))),
            Some(json!(currency)),
        ),
        (_, _, currency) => {
            (["amount", "currency"], plain(first), currency.map(|text| json!(text)))
        }
    };
    let [one, other] = names;
    let parts = [(one, first), (other, second)].into_iter();
    Value::Object(parts.filter_map(|(name, part)| Some((name.to_owned(), part?))).collect())
}

fn of_kind(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Bool => json!(text == "true"),
        Kind::Integer { .. } => text.parse::<i64>().map_or(Value::Null, Value::from),
        Kind::Duration => {
            text.parse().map_or(Value::Null, |seconds| json!(kind::duration_text(seconds)))
        }
        Kind::Percent { .. } | Kind::Rate | Kind::Quantity { .. } => text
            .parse::<Decimal>()
            .map_or_else(|_| json!(text), |number| json!(number.normalize().to_string())),
        Kind::Instant => {
            // The trigger writes in UTC; older entries may not have.
            let at = text.replacen(' ', "T", 1).parse::<Timestamp>();
            at.map_or_else(|_| json!(text), |at| json!(at.to_string()))
        }
        Kind::Bytes { .. } => {
            let hex = text.strip_prefix("\\x").unwrap_or(text);
            let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes());
            bytes.map_or(Value::Null, |bytes| json!(BASE64.encode(&bytes)))
        }
        Kind::Json | Kind::TextList { .. } => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        _ => json!(text),
    }
}
