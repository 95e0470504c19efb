//! Conditions on a write (RFC 9110, 13.1): `If-Match` and `If-None-Match`. Each one is either held to
//! or refused; none is passed over.

use uuid::Uuid;

use super::Call;
use crate::cx::Cx;
use crate::engine::standing;
use crate::engine::upsert::Demand;
use crate::entity::Entity;
use crate::error::{Code, Error, Result};

#[cfg(test)]
mod tests;

const IF_MATCH: &str = "If-Match";
const IF_NONE_MATCH: &str = "If-None-Match";
/// Stands in a tag between the row's version and the digest of what was shown of it.
pub(crate) const TAG_DOT: char = '.';
/// Tags of one `If-Match`; more are refused.
const TAGS_MAX: usize = 100;

/// What the tags of `If-Match` ask for.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    /// One of them, and there is at least one.
    Versions(Vec<i64>),
}

/// On a row: the version that it must still have, of several that would do the one that it has. `*`
/// asks for a row, without which there is 404.
pub(super) async fn on_row(
    cx: &Cx,
    call: &Call,
    entity: &'static Entity,
    id: Uuid,
) -> Result<Option<i64>> {
    match tags(call.if_match.as_deref())? {
        None | Some(Tags::Any) => Ok(None),
        Some(Tags::Versions(versions)) => standing::among(cx, entity, id, &versions).await,
    }
}

/// On a collection, whose state has no version: no tag is its own.
pub(super) fn on_collection(call: &Call) -> Result<()> {
    match tags(call.if_match.as_deref())? {
        None | Some(Tags::Any) => Ok(()),
        Some(Tags::Versions(_)) => {
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
        (Some(Tags::Any), false) => Ok(Demand::There(Vec::new())),
        (Some(Tags::Versions(versions)), false) => Ok(Demand::There(versions)),
        (Some(_), true) => {
            let text = "a row cannot be there and not be there";
            Err(Error::field(Code::InvalidRequest, IF_NONE_MATCH, text))
        }
    }
}

/// Tags are compared strongly (RFC 9110, 8.8.3.2): a weak one is no version's.
fn tags(text: Option<&str>) -> Result<Option<Tags>> {
    let Some(text) = text.map(str::trim) else { return Ok(None) };
    if text == "*" {
        return Ok(Some(Tags::Any));
    }
    match versions(text) {
        Some(versions) if TAGS_MAX < versions.len() => {
            let text = format!("takes at most {TAGS_MAX} tags");
            Err(Error::field(Code::InvalidRequest, IF_MATCH, text))
        }
        Some(versions) if !versions.is_empty() => Ok(Some(Tags::Versions(versions))),
        _ => {
            let text = "If-Match names no version of this row";
            Err(Error::field(Code::VersionMismatch, IF_MATCH, text))
        }
    }
}

/// The versions that the strong tags of a list name (RFC 9110, 5.6.1 and 8.8.3): a comma within
/// quotes is part of a tag, and between two commas there may be nothing. `None` of what is no list.
fn versions(text: &str) -> Option<Vec<i64>> {
    let mut versions: Vec<i64> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(versions);
        }
        let (tag, weak) = rest.strip_prefix("W/").map_or((rest, false), |tag| (tag, true));
        let (inner, behind) = tag.strip_prefix('"')?.split_once('"')?;
        rest = behind.trim_start_matches([' ', '\t']);
        if !(rest.is_empty() || rest.starts_with(',')) {
            return None;
        }
        // What a tag of a reader says beside the version, of what was shown, is no condition on a row.
        let inner = match inner.split_once(TAG_DOT) {
            Some((version, shown)) if is_digest(shown) => version,
            _ => inner,
        };
        // As the row's own tag is written: 1 has no tag "01".
        let version = inner.parse::<i64>().ok().filter(|version| version.to_string() == inner);
        if let Some(version) = version.filter(|new| !weak && !versions.contains(new)) {
            versions.push(version);
        }
    }
}

/// As `http` writes what was shown: 16 hexadecimal digits.
fn is_digest(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
