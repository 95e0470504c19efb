//! The log under an event: conditional append, reading, snapshots. The journal is the truth; a
//! store only keeps it. Knows entries and their chain; must not know what an entry means.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::entry::{Entry, Head};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
pub type Result<T> = std::result::Result<T, LogError>;

/// Most entries in one answer of `append` or `read`.
pub const ENTRIES_PER_READ_MAX: usize = 1_000;
/// Most entries in one batch; a larger one is refused.
pub const ENTRIES_PER_APPEND_MAX: usize = 4_096;
/// Most bytes of one batch's entries as JSON; a larger one is refused.
pub const BATCH_BYTES_MAX: usize = 64 << 20;
/// Most bytes of one entry as JSON; a larger one is refused.
pub const ENTRY_BYTES_MAX: usize = 16 << 20;
/// Longest name of a document, in bytes of `[A-Za-z0-9._-]`; another is refused.
pub const DOCUMENT_NAME_BYTES_MAX: usize = 120;

/// What one append carries: the entries, all or none, and the data keys that the entries' sealed
/// personal data needs, durable before the entries are.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub entries: Vec<Entry>,
    pub keys: Vec<(Uuid, DataKey)>,
}

/// Key of one order's personal data (AES-256). Lives beside the journal, never in it, so that
/// erasing a person is deleting a key. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey(pub [u8; 32]);

#[derive(Debug)]
pub enum Appended {
    /// The batch is durable: it was appended, or the part of it that the log did not have yet, or
    /// the log had all of it (a repeated append, also when others have appended since).
    Done,
    /// Another writer was first: the log's entries after `expected`, oldest first, at most
    /// `ENTRIES_PER_READ_MAX`; read the rest with `read`.
    Lost { missing: Vec<Entry> },
    /// The log ends at `head`, before `expected` (a fail-over lost a tail). A caller that has what
    /// comes after `head` appends it again, then this batch; one that has another entry there is
    /// forked; one that has none must not go on until somebody else gave the tail back.
    Behind { head: Head },
    /// The log's entry at `expected.seq` has another hash or is trimmed: the caller's tail is not
    /// the log's, its state must be built again from snapshot and log.
    Forked { head: Head },
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing was written, or nobody knows: repeat the same append.
    #[error("the store did not answer: {0}")]
    Unavailable(String),
    /// The store refused before writing anything (full disk, memory limit, read-only replica).
    #[error("the store refused: {0}")]
    Refused(String),
    /// What is stored contradicts itself; a person has to look.
    #[error("the stored log is damaged: {0}")]
    Damaged(String),
}

/// A state at a head, as bytes of the writer's codec.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub head: Head,
    pub bytes: Vec<u8>,
}

/// A store of logs, one an event. Every call is bounded by the store's own time-out. Dropping a
/// call's future leaves its outcome open, nothing worse.
pub trait Log: Send + Sync {
    /// Appends the batch if the log ends at `expected`. The batch must follow `expected` without
    /// gap, else it is `Refused`. An empty batch only compares heads. All of a batch is durable, or
    /// none; its data keys before its entries. A key that was erased stays erased.
    fn append<'a>(
        &'a self,
        event: Uuid,
        expected: Head,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Appended>>;

    /// Durable entries with seq > `after`, oldest first, at most `limit` (capped at
    /// `ENTRIES_PER_READ_MAX`). When those directly after `after` are trimmed, the first entry's
    /// seq shows the gap: start from the snapshot.
    fn read(&self, event: Uuid, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>>>;

    /// Like `read`, but waits up to `wait` for the first entry; empty when none came.
    fn follow(
        &self,
        event: Uuid,
        after: u64,
        limit: usize,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<Entry>>>;

    /// The durable end of the log; genesis when there is none.
    fn head(&self, event: Uuid) -> BoxFuture<'_, Result<Head>>;

    /// Events that have a log, in no order.
    fn events(&self) -> BoxFuture<'_, Result<Vec<Uuid>>>;

    /// Keeps a snapshot in place of an older one; one that is not newer changes nothing. `Refused`
    /// when its head is not on the log (past its end, or another hash).
    fn save_snapshot<'a>(
        &'a self,
        event: Uuid,
        snapshot: &'a Snapshot,
    ) -> BoxFuture<'a, Result<()>>;
    fn load_snapshot(&self, event: Uuid) -> BoxFuture<'_, Result<Option<Snapshot>>>;

    /// Permits forgetting entries up to and including `through`, never past the stored snapshot's
    /// head. A store forgets in its own units and may keep more.
    fn trim(&self, event: Uuid, through: u64) -> BoxFuture<'_, Result<()>>;

    /// Data keys of these orders; erased and unknown ones are left out.
    fn data_keys<'a>(
        &'a self,
        event: Uuid,
        orders: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<(Uuid, DataKey)>>>;
    /// Erases one order's key for good. Idempotent.
    fn erase_key(&self, event: Uuid, order: Uuid) -> BoxFuture<'_, Result<()>>;

    /// Small documents beside the logs (catalogue cursor and cache, consumers' acknowledgements).
    fn put<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
}

pub type SharedLog = Arc<dyn Log>;

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(…)")
    }
}
