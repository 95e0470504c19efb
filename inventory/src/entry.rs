//! The journal's entry: what is stored, sent and chained. Knows bytes and hashes, not rules.
//!
//! Hash of an entry = SHA-256 of
//! `"ATLVS-JOURNAL-v1" 0x00 ‖ prev_hash[32] ‖ seq u64 ‖ at i64 ‖ v u16 ‖ len(kind) u16 ‖ kind ‖
//! len(data) u32 ‖ data`, integers big-endian, `at` in milliseconds since the Unix epoch, `data`
//! the exact bytes of the JSON text as written. The first entry of an event has seq 1 and as
//! `prev_hash` the event's genesis: SHA-256 of `"ATLVS-GENESIS-v1" 0x00 ‖ event id[16]`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::time::Millis;

#[cfg(test)]
mod tests;

/// Version that this code writes. Readers accept it and the one before.
pub const VERSION: u16 = 1;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// End of an event's journal: number and hash of its last entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    pub seq: u64,
    pub hash: Hash,
}

/// One fact as stored: `{"seq":…,"prev_hash":"<hex>","at":"2026-11-21T19:05:00.123Z","v":1,
/// "kind":"scan.decided","data":{…}}`. `data` keeps its exact text, so that any reader can
/// recompute the hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub seq: u64,
    pub prev_hash: Hash,
    pub at: Millis,
    pub v: u16,
    pub kind: String,
    pub data: Box<RawValue>,
}

impl Head {
    /// Head of an event with no entries.
    pub fn genesis(event: Uuid) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"ATLVS-GENESIS-v1\0");
        hasher.update(event.as_bytes());
        Self { seq: 0, hash: Hash(hasher.finalize().into()) }
    }
}

impl Entry {
    pub fn hash(&self) -> Hash {
        let data = self.data.get().as_bytes();
        let mut hasher = Sha256::new();
        hasher.update(b"ATLVS-JOURNAL-v1\0");
        hasher.update(self.prev_hash.0);
        hasher.update(self.seq.to_be_bytes());
        hasher.update(self.at.0.to_be_bytes());
        hasher.update(self.v.to_be_bytes());
        hasher.update(u16::try_from(self.kind.len()).unwrap_or(u16::MAX).to_be_bytes());
        hasher.update(self.kind.as_bytes());
        hasher.update(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
        hasher.update(data);
        Hash(hasher.finalize().into())
    }

    /// Head of the journal once this entry is its last.
    pub fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash() }
    }

    /// Whether this entry comes directly after `head`.
    pub fn follows(&self, head: Head) -> bool {
        Some(self.seq) == head.seq.checked_add(1) && self.prev_hash == head.hash
    }
}
