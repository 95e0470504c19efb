//! The newest documents of the catalogue, as they are kept beside the journals. Knows kinds only
//! to leave instructions out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::client::{Change, Page};

/// Kind that is delivered and never kept.
pub(super) const INSTRUCTION: &str = "instruction";

type Key = (String, Uuid);

#[derive(Default)]
pub(super) struct Documents {
    pub(super) cursor: u64,
    /// As the back office named the count that `cursor` belongs to.
    pub(super) epoch: Option<Uuid>,
    /// Added to the back office's cursors before they reach a journal: a back office restored from
    /// a backup counts from below, and journals only take what is newer.
    pub(super) offset: u64,
    newest: BTreeMap<Key, Change>,
    /// After a restart of the feed: documents that the new snapshot has not named yet.
    unconfirmed: BTreeSet<Key>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    v: u16,
    cursor: u64,
    offset: u64,
    #[serde(default)]
    epoch: Option<Uuid>,
    documents: Vec<Change>,
}

/// Version of the kept form.
const VERSION: u16 = 1;

impl Documents {
    pub(super) fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Change> {
        self.newest.values()
    }

    /// Whether a page counts on from here. A back office that was restored from a backup counts anew,
    /// under another epoch; by then its cursors may be beyond ours again.
    pub(super) fn goes_on(&self, page: &Page) -> bool {
        let same = match (self.epoch, page.epoch) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        same && self.cursor <= page.cursor
    }

    /// Takes one change over.
    pub(super) fn take(&mut self, change: Change) {
        let key = (change.kind.clone(), change.id);
        self.unconfirmed.remove(&key);
        if change.body.is_none() || change.kind == INSTRUCTION {
            self.newest.remove(&key);
        } else {
            self.newest.insert(key, change);
        }
    }

    /// Begins again with a snapshot of a back office whose cursors start lower.
    pub(super) fn restart(&mut self) {
        self.offset = self.offset.saturating_add(self.cursor);
        self.cursor = 0;
        self.unconfirmed = self.newest.keys().cloned().collect();
    }

    /// The snapshot is complete: what it did not name is gone.
    pub(super) fn settle(&mut self) -> Vec<Change> {
        let mut gone = Vec::new();
        for key in std::mem::take(&mut self.unconfirmed) {
            if let Some(change) = self.newest.remove(&key) {
                gone.push(Change { body: None, ..change });
            }
        }
        gone
    }

    /// The documents, to be read on from `cursor`; from the beginning while a snapshot is not
    /// complete, because only its end tells what is gone.
    pub(super) fn encode(&self, cursor: u64) -> Vec<u8> {
        let cursor = if self.unconfirmed.is_empty() { cursor } else { 0 };
        let documents = self.newest.values().cloned().collect();
        let (offset, epoch) = (self.offset, self.epoch);
        let kept = Kept { v: VERSION, cursor, offset, epoch, documents };
        serde_json::to_vec(&kept).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let kept: Kept = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if kept.v != VERSION {
            return Err(format!("version {} is not known here", kept.v));
        }
        let Kept { cursor, offset, epoch, documents, .. } = kept;
        let newest: BTreeMap<Key, Change> =
            documents.into_iter().map(|c| ((c.kind.clone(), c.id), c)).collect();
        // From the beginning comes a snapshot, which does not tell what is gone.
        let unconfirmed = match cursor {
            0 => newest.keys().cloned().collect(),
            _ => BTreeSet::new(),
        };
        Ok(Self { cursor, epoch, offset, newest, unconfirmed })
    }
}

#[cfg(test)]
mod tests;
