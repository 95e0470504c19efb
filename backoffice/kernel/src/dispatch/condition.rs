//! Conditions on a write (RFC 9110, 13.1): `If-Match` and `If-None-Match`. Each one is either held to
//! or refused; none is passed over.

use super::Call;
use crate::engine::upsert::Demand;
use crate::error::{Code, Error, Result};

const IF_MATCH: &str = "If-Match";
const IF_NONE_MATCH: &str = "If-None-Match";

/// What the tags of `If-Match` ask for.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    Version(i64),
}

/// On a row: the version that it must still have. `*` asks for a row, without which there is 404.
pub(super) fn on_row(call: &Call) -> Result<Option<i64>> {
    Ok(match tags(call.if_match.as_deref())? {
        None | Some(Tags::Any) => None,
        Some(Tags::Version(version)) => Some(version),
    })
}

/// On a collection, whose state has no version: no tag is its own.
pub(super) fn on_collection(call: &Call) -> Result<()> {
    match tags(call.if_match.as_deref())? {
        None | Some(Tags::Any) => Ok(()),
        Some(Tags::Version(_)) => {
            let text = "only rows have versions, and the path names none";
            Err(Error::field(Code::VersionMismatch, IF_MATCH, text))
        }
    }
}

/// On a row by its natural key, which may be there or not.
pub(super) fn on_key(call: &Call) -> Result<Demand> {
    let there = tags(call.if_match.as_deref())?;
    let new = match call.if_none_match.as_deref().map(str::trim) {
        None => false,
        Some("*") => true,
        Some(_) => {
            let text = "takes * alone here: make the row, change none";
            return Err(Error::field(Code::InvalidRequest, IF_NONE_MATCH, text));
        }
    };
    match (there, new) {
        (None, false) => Ok(Demand::Nothing),
        (None, true) => Ok(Demand::New),
        (Some(Tags::Any), false) => Ok(Demand::There(None)),
        (Some(Tags::Version(version)), false) => Ok(Demand::There(Some(version))),
        (Some(_), true) => {
            let text = "a row cannot be there and not be there";
            Err(Error::field(Code::InvalidRequest, IF_NONE_MATCH, text))
        }
    }
}

/// Tags are compared strongly (RFC 9110, 8.8.3.2): a weak one is no version's. Of several that may be
/// meant, none is guessed.
fn tags(text: Option<&str>) -> Result<Option<Tags>> {
    let Some(text) = text.map(str::trim) else { return Ok(None) };
    if text == "*" {
        return Ok(Some(Tags::Any));
    }
    let version = |tag: &str| {
        let inner = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
        inner.parse::<i64>().ok()
    };
    let mut versions: Vec<i64> = text.split(',').filter_map(version).collect();
    versions.dedup();
    match versions.as_slice() {
        [] => Err(Error::new(Code::VersionMismatch, "If-Match names no version of this row")),
        [version] => Ok(Some(Tags::Version(*version))),
        _ => Err(Error::field(Code::InvalidRequest, IF_MATCH, "name one version")),
    }
}
