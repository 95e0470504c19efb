//! Answers of Redis as values of a log. Anything of another form is `Damaged`.

use redis::Value;

use super::error::unexpected;
use super::keys;
use crate::entry::{Entry, Hash, Head};
use crate::log::{Appended, LogError, Result, Snapshot};

/// `['done']`, `['lost', entries]`, `['behind' | 'forked', seq, hash]`.
pub(crate) fn appended(reply: Value) -> Result<Appended> {
    let Value::Array(parts) = reply else { return Err(unexpected("an append's answer")) };
    let mut parts = parts.into_iter();
    let word = parts.next().ok_or_else(|| unexpected("an append's answer"))?;
    match (text(&word), parts.next(), parts.next()) {
        (Some("done"), None, None) => Ok(Appended::Done),
        (Some("lost"), Some(missing), None) => Ok(Appended::Lost { missing: entries(missing)? }),
        (Some(word @ ("behind" | "forked")), Some(Value::Int(seq)), Some(hash)) => {
            let seq = u64::try_from(seq).map_err(|_| unexpected("a head's number"))?;
            let head = Head { seq, hash: hash_of(hash)? };
            Ok(match word {
                "behind" => Appended::Behind { head },
                _ => Appended::Forked { head },
            })
        }
        _ => Err(unexpected("an append's answer")),
    }
}

/// `[[id, ['h', hash, 'e', JSON]] …]`.
pub(crate) fn entries(reply: Value) -> Result<Vec<Entry>> {
    let Value::Array(items) = reply else { return Err(unexpected("a range of entries")) };
    items.into_iter().map(entry).collect()
}

fn entry(item: Value) -> Result<Entry> {
    let Value::Array(item) = item else { return Err(unexpected("an entry")) };
    let [id, Value::Array(fields)] = item.as_slice() else { return Err(unexpected("an entry")) };
    let seq = keys::seq(id).ok_or_else(|| unexpected("an entry's id"))?;
    let [_, _, _, Value::BulkString(json)] = fields.as_slice() else {
        return Err(unexpected("an entry's fields"));
    };
    let entry: Entry = serde_json::from_slice(json)
        .map_err(|error| LogError::Damaged(format!("entry {seq} in Redis: {error}")))?;
    if entry.seq == seq {
        return Ok(entry);
    }
    Err(LogError::Damaged(format!("entry {seq} in Redis says that it is {}", entry.seq)))
}

/// `[seq, hash]`; none when both are nil.
pub(crate) fn head(reply: Value) -> Result<Option<Head>> {
    let Value::Array(parts) = reply else { return Err(unexpected("a head")) };
    match <[Value; 2]>::try_from(parts) {
        Ok([Value::Nil, Value::Nil]) => Ok(None),
        Ok([seq, hash]) => {
            let seq = text(&seq).and_then(|seq| seq.parse().ok());
            let seq = seq.ok_or_else(|| unexpected("a head's number"))?;
            Ok(Some(Head { seq, hash: hash_of(hash)? }))
        }
        Err(_) => Err(unexpected("a head")),
    }
}

/// `[seq, hash, bytes]`; none when all are nil.
pub(crate) fn snapshot(reply: Value) -> Result<Option<Snapshot>> {
    let Value::Array(mut parts) = reply else { return Err(unexpected("a snapshot")) };
    match (parts.pop(), head(Value::Array(parts))?) {
        (Some(Value::BulkString(bytes)), Some(head)) => Ok(Some(Snapshot { head, bytes })),
        (Some(Value::Nil), None) => Ok(None),
        _ => Err(unexpected("a snapshot")),
    }
}

/// A string, of whichever of the protocol's kinds.
pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn hash_of(value: Value) -> Result<Hash> {
    let Value::BulkString(bytes) = value else { return Err(unexpected("a hash")) };
    bytes.try_into().map(Hash).map_err(|_| unexpected("a hash"))
}
