//! Writes a row's columns as JSON into one buffer, kind by kind, without a tree in between. Numbers,
//! days and ids come straight from the server's bytes (`wire`).

use std::io::Write;

use data_encoding::BASE64;
use jiff::Timestamp;
use jiff::civil::Date;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::span;
use super::wire::{self, Digits, Wire};
use crate::entity::Kind;
use crate::error::{Error, Result};
use crate::money;

/// Writes the value at `index`; returns how many columns it took (two for pairs).
pub(crate) fn encode(row: &Row, index: usize, kind: Kind, out: &mut Vec<u8>) -> Result<usize> {
    match kind {
        Kind::Bool => put(out, cell::<Wire<'_, { wire::BOOL }>>(row, index)?, |out, raw| {
            wire::boolean(raw.0, out)
        })?,
        Kind::Integer { .. } => {
            put(out, cell::<Wire<'_, { wire::INT8 }>>(row, index)?, |out, raw| {
                wire::integer(raw.0, out)
            })?;
        }
        Kind::Duration => put(out, cell::<i64>(row, index)?, |out, seconds| {
            Ok(write!(out, "\"{}\"", span::text(seconds))?)
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
            number(row, index, Digits::AtLeast(0), out)?;
        }
        Kind::Decimal { .. } => number(row, index, Digits::Stored, out)?,
        Kind::Date => day(row, index, out)?,
        Kind::Instant => instant(row, index, out)?,
        Kind::Link { .. } | Kind::Id | Kind::File => {
            put(out, cell::<Wire<'_, { wire::UUID }>>(row, index)?, |out, raw| {
                wire::uuid(raw.0, out)
            })?;
        }
        Kind::Json => put(out, cell::<Wire<'_, { wire::JSONB }>>(row, index)?, |out, raw| {
            out.extend_from_slice(wire::json(raw.0)?);
            Ok(())
        })?,
        Kind::Bytes { .. } => put(out, cell::<&[u8]>(row, index)?, |out, bytes| {
            Ok(write!(out, "\"{}\"", BASE64.encode(bytes))?)
        })?,
        Kind::TextList { .. } => put(out, cell::<Vec<&str>>(row, index)?, |out, texts| {
            Ok(serde_json::to_writer(out, &texts)?)
        })?,
        _ => put(out, cell::<&str>(row, index)?, json_text)?,
    }
    Ok(1)
}

/// A JSON string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) -> Result<()> {
    json_text(out, text).map_err(|cause| Error::internal(cause.to_string()))
}

type Written = std::result::Result<(), Box<dyn std::error::Error + Sync + Send>>;

/// Most texts hold nothing that RFC 8259 wants escaped. All bytes are looked at, so that many are
/// looked at once.
fn json_text(out: &mut Vec<u8>, text: &str) -> Written {
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |found, byte| found | special(byte)) {
        return Ok(serde_json::to_writer(out, text)?);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

fn cell<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<Option<T>> {
    row.try_get(index).map_err(|cause| {
        Error::internal(format!("column {index} does not have its kind's type: {cause}"))
    })
}

fn put<T>(
    out: &mut Vec<u8>,
    value: Option<T>,
    write: impl FnOnce(&mut Vec<u8>, T) -> Written,
) -> Result<()> {
    let Some(value) = value else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    write(out, value)
        .map_err(|cause| Error::internal(format!("a value cannot be written: {cause}")))
}

fn decimal(row: &Row, index: usize) -> Result<Option<Wire<'_, { wire::NUMERIC }>>> {
    cell(row, index)
}

/// A number in quotes.
fn quoted(out: &mut Vec<u8>, raw: &Wire<'_, { wire::NUMERIC }>, digits: Digits) -> Written {
    out.push(b'"');
    wire::numeric(raw.0, digits, out)?;
    out.push(b'"');
    Ok(())
}

fn number(row: &Row, index: usize, digits: Digits, out: &mut Vec<u8>) -> Result<()> {
    put(out, decimal(row, index)?, |out, raw| quoted(out, &raw, digits))
}

fn day(row: &Row, index: usize, out: &mut Vec<u8>) -> Result<()> {
    let Some(raw) = cell::<Wire<'_, { wire::DATE }>>(row, index)? else {
        return put(out, None::<()>, |_, ()| Ok(()));
    };
    let mut known = None;
    put(out, Some(raw), |out, raw| wire::date(raw.0, out).map(|written| known = written))?;
    match known {
        Some(()) => Ok(()),
        None => put(out, cell::<Date>(row, index)?, |out, date| Ok(write!(out, "\"{date}\"")?)),
    }
}

fn instant(row: &Row, index: usize, out: &mut Vec<u8>) -> Result<()> {
    let Some(raw) = cell::<Wire<'_, { wire::TIMESTAMPTZ }>>(row, index)? else {
        return put(out, None::<()>, |_, ()| Ok(()));
    };
    let mut known = None;
    put(out, Some(raw), |out, raw| wire::instant(raw.0, out).map(|written| known = written))?;
    match known {
        Some(()) => Ok(()),
        None => put(out, cell::<Timestamp>(row, index)?, |out, at| Ok(write!(out, "\"{at}\"")?)),
    }
}

fn money_object(row: &Row, index: usize, out: &mut Vec<u8>) -> Result<()> {
    let currency: Option<&str> = cell(row, index.saturating_add(1))?;
    put(out, decimal(row, index)?.zip(currency), |out, (amount, currency)| {
        let digits = usize::try_from(money::exponent(currency))?;
        out.extend_from_slice(b"{\"amount\":");
        quoted(out, &amount, Digits::AtLeast(digits))?;
        out.extend_from_slice(b",\"currency\":");
        json_text(out, currency)?;
        out.push(b'}');
        Ok(())
    })
}

fn place_object(row: &Row, index: usize, out: &mut Vec<u8>) -> Result<()> {
    let longitude = decimal(row, index.saturating_add(1))?;
    put(out, decimal(row, index)?.zip(longitude), |out, (latitude, longitude)| {
        out.extend_from_slice(b"{\"latitude\":");
        quoted(out, &latitude, Digits::AtLeast(0))?;
        out.extend_from_slice(b",\"longitude\":");
        quoted(out, &longitude, Digits::AtLeast(0))?;
        out.push(b'}');
        Ok(())
    })
}
