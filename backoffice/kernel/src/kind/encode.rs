//! Writes a row's columns as JSON into one buffer, kind by kind, without a tree in between.

use std::io::Write;

use data_encoding::BASE64;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

use super::span;
use crate::entity::Kind;
use crate::error::{Error, Result};
use crate::money;

/// Text of a jsonb value, as the server stores it: one version byte, then the text.
struct RawJson<'a>(&'a [u8]);

impl<'a> FromSql<'a> for RawJson<'a> {
    fn from_sql(
        _: &Type,
        raw: &'a [u8],
    ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        match raw.split_first() {
            Some((1, text)) => Ok(Self(text)),
            _ => Err("unknown version of jsonb".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }
}

/// Writes the value at `index`; returns how many columns it took (two for pairs).
pub(crate) fn encode(row: &Row, index: usize, kind: Kind, out: &mut Vec<u8>) -> Result<usize> {
    match kind {
        Kind::Bool => put(out, cell::<bool>(row, index)?, |out, yes| write!(out, "{yes}"))?,
        Kind::Integer { .. } => {
            put(out, cell::<i64>(row, index)?, |out, number| write!(out, "{number}"))?;
        }
        Kind::Duration => put(out, cell::<i64>(row, index)?, |out, seconds| {
            write!(out, "\"{}\"", span::text(seconds))
        })?,
        Kind::Money | Kind::Price => {
            money_object(row, index, out)?;
            return Ok(2);
        }
        Kind::Geo => {
            place_object(row, index, out)?;
            return Ok(2);
        }
        // As short as they are exact: a rate's ten digits would mostly be zeros.
        Kind::Percent { .. } | Kind::Rate | Kind::Quantity { .. } => {
            put(out, cell::<Decimal>(row, index)?, |out, number| {
                write!(out, "\"{}\"", number.normalize())
            })?;
        }
        Kind::Decimal { .. } => {
            put(out, cell::<Decimal>(row, index)?, |out, number| write!(out, "\"{number}\""))?;
        }
        Kind::Date => put(out, cell::<Date>(row, index)?, |out, date| write!(out, "\"{date}\""))?,
        Kind::Instant => {
            put(out, cell::<Timestamp>(row, index)?, |out, at| write!(out, "\"{at}\""))?;
        }
        Kind::Link { .. } | Kind::Id | Kind::File => {
            put(out, cell::<Uuid>(row, index)?, |out, id| write!(out, "\"{id}\""))?;
        }
        Kind::Json => {
            put(out, cell::<RawJson<'_>>(row, index)?, |out, json| out.write_all(json.0))?;
        }
        Kind::Bytes { .. } => put(out, cell::<&[u8]>(row, index)?, |out, bytes| {
            write!(out, "\"{}\"", BASE64.encode(bytes))
        })?,
        Kind::TextList { .. } => {
            put(out, cell::<Vec<&str>>(row, index)?, |out, texts| {
                serde_json::to_writer(out, &texts).map_err(std::io::Error::from)
            })?;
        }
        _ => put(out, cell::<&str>(row, index)?, |out, text| {
            serde_json::to_writer(out, text).map_err(std::io::Error::from)
        })?,
    }
    Ok(1)
}

/// A JSON string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) -> Result<()> {
    serde_json::to_writer(out, text).map_err(|cause| Error::internal(cause.to_string()))
}

fn cell<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<Option<T>> {
    row.try_get(index).map_err(|cause| {
        Error::internal(format!("column {index} does not have its kind's type: {cause}"))
    })
}

fn put<T>(
    out: &mut Vec<u8>,
    value: Option<T>,
    write: impl FnOnce(&mut Vec<u8>, T) -> std::io::Result<()>,
) -> Result<()> {
    let written = match value {
        Some(value) => write(out, value),
        None => out.write_all(b"null"),
    };
    written.map_err(|cause| Error::internal(format!("a value cannot be written: {cause}")))
}

fn money_object(row: &Row, index: usize, out: &mut Vec<u8>) -> Result<()> {
    let amount: Option<Decimal> = cell(row, index)?;
    let currency: Option<&str> = cell(row, index.saturating_add(1))?;
    put(out, amount.zip(currency), |out, (amount, currency)| {
        let shown = money::show(amount, currency);
        write!(out, "{{\"amount\":\"{shown}\",\"currency\":\"{currency}\"}}")
    })
}

fn place_object(row: &Row, index: usize, out: &mut Vec<u8>) -> Result<()> {
    let latitude: Option<Decimal> = cell(row, index)?;
    let longitude: Option<Decimal> = cell(row, index.saturating_add(1))?;
    put(out, latitude.zip(longitude), |out, (latitude, longitude)| {
        let (latitude, longitude) = (latitude.normalize(), longitude.normalize());
        write!(out, "{{\"latitude\":\"{latitude}\",\"longitude\":\"{longitude}\"}}")
    })
}
