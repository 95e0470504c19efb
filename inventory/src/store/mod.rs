//! Where logs are kept: a directory (one node), Redis (many nodes), memory (tests). What all of them
//! share stands here: which batch is well formed, and what an append means for a given head.
//! Stores know the chain of entries; they must not know rules of sale or admission.

pub mod file;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod redis;

use uuid::Uuid;

use crate::entry::{Entry, Hash, Head};
use crate::log::{
    BATCH_BYTES_MAX, DOCUMENT_NAME_BYTES_MAX, ENTRIES_PER_APPEND_MAX, ENTRY_BYTES_MAX, LogError,
    Result,
};

/// What an append has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Write the batch without its first `skip` entries, which the log has.
    Write {
        skip: usize,
    },
    Done,
    Lost,
    Behind,
    Forked,
}

/// A well-formed batch as stores write it.
pub(crate) struct Encoded {
    /// Hash of each entry.
    pub(crate) hashes: Vec<Hash>,
    /// The entries' JSON, one directly after the other.
    json: Vec<u8>,
    /// Where in `json` each entry ends.
    ends: Vec<usize>,
}

impl Encoded {
    /// `Refused` when the entries do not chain onto `expected` or are too many or too large.
    pub(crate) fn new(event: Uuid, expected: Head, entries: &[Entry]) -> Result<Self> {
        let hashes = check_chain(event, expected, entries)?;
        let mut json = Vec::new();
        let mut ends = Vec::with_capacity(entries.len());
        for entry in entries {
            let start = json.len();
            serde_json::to_writer(&mut json, entry)
                .map_err(|error| LogError::Refused(format!("entry {}: {error}", entry.seq)))?;
            if json.len().saturating_sub(start) > ENTRY_BYTES_MAX {
                return Err(LogError::Refused(format!(
                    "entry {} has more than {ENTRY_BYTES_MAX} bytes",
                    entry.seq
                )));
            }
            ends.push(json.len());
        }
        if json.len() > BATCH_BYTES_MAX {
            return Err(LogError::Refused(format!(
                "batch of {} bytes, at most {BATCH_BYTES_MAX} are allowed",
                json.len()
            )));
        }
        Ok(Self { hashes, json, ends })
    }

    /// JSON of the entries from the one at `index` on.
    pub(crate) fn json_from(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        self.json.get(start.unwrap_or(0)..).unwrap_or_default()
    }

    /// Hash and JSON of each entry.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Hash, &[u8])> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let json = starts.zip(&self.ends).filter_map(|(start, end)| self.json.get(*start..*end));
        self.hashes.iter().zip(json)
    }
}

/// Hashes of the entries, or `Refused` when they do not chain onto `expected`.
fn check_chain(event: Uuid, expected: Head, entries: &[Entry]) -> Result<Vec<Hash>> {
    if entries.len() > ENTRIES_PER_APPEND_MAX {
        return Err(LogError::Refused(format!(
            "batch of {} entries, at most {ENTRIES_PER_APPEND_MAX} are allowed",
            entries.len()
        )));
    }
    if expected.seq == 0 && expected != Head::genesis(event) {
        return Err(LogError::Refused("expected head 0 is not this event's genesis".to_owned()));
    }
    let mut head = expected;
    let mut hashes = Vec::with_capacity(entries.len());
    for entry in entries {
        if !entry.follows(head) {
            return Err(LogError::Refused(format!(
                "batch does not chain: entry {} after head {}",
                entry.seq, head.seq
            )));
        }
        head = entry.head();
        hashes.push(head.hash);
    }
    Ok(hashes)
}

/// Compares a batch (its expected head and its hashes) with a log that ends at `head`. `hash_at`
/// gives the stored hash of a number before `head.seq`; none when it is trimmed.
pub(crate) fn judge(
    head: Head,
    expected: Head,
    hashes: &[Hash],
    mut hash_at: impl FnMut(u64) -> Result<Option<Hash>>,
) -> Result<Verdict> {
    if head == expected {
        return Ok(if hashes.is_empty() { Verdict::Done } else { Verdict::Write { skip: 0 } });
    }
    let Some(ahead) = head.seq.checked_sub(expected.seq) else {
        return Ok(Verdict::Behind);
    };
    let Some(before) = ahead.checked_sub(1) else {
        return Ok(Verdict::Forked);
    };
    // The log is ahead of the expected head. Is that this very batch, whole or in part?
    let ours = usize::try_from(before).ok().and_then(|index| hashes.get(index));
    if ours == Some(&head.hash) {
        let skip = usize::try_from(ahead).unwrap_or(hashes.len());
        return Ok(if skip == hashes.len() { Verdict::Done } else { Verdict::Write { skip } });
    }
    if let (None, Some(last)) = (ours, hashes.last()) {
        let last_seq = expected.seq.saturating_add(hashes.len() as u64);
        if hash_at(last_seq)?.as_ref() == Some(last) {
            return Ok(Verdict::Done);
        }
    }
    let stored = hash_at(expected.seq)?;
    Ok(if stored == Some(expected.hash) { Verdict::Lost } else { Verdict::Forked })
}

/// `Refused` unless the name is 1 to `DOCUMENT_NAME_BYTES_MAX` of `[A-Za-z0-9._-]`, not beginning
/// with a dot.
pub(crate) fn check_document_name(name: &str) -> Result<()> {
    let good = !name.is_empty()
        && name.len() <= DOCUMENT_NAME_BYTES_MAX
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if good {
        return Ok(());
    }
    Err(LogError::Refused(format!(
        "document name {name:?} is not 1 to {DOCUMENT_NAME_BYTES_MAX} of [A-Za-z0-9._-]"
    )))
}

#[cfg(test)]
mod tests;
