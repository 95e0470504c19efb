//! Logs in memory, for tests only: clones share them as nodes share a store, and faults are scripted.
//! Every call has a synchronous twin, so that a test can drive nodes without a runtime.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use crate::entry::{Entry, Hash, Head};
use crate::log::{
    Appended, Batch, BoxFuture, DataKey, ENTRIES_PER_READ_MAX, Log, LogError, Result, SharedLog,
    Snapshot,
};
use crate::store::{Encoded, Verdict, check_document_name, judge};

/// Logs that clones share.
#[derive(Clone, Debug)]
pub struct MemoryLog(Arc<Shared>);

/// What happens to one coming append, of whichever event; scripted faults are used up in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing goes wrong.
    Pass,
    /// `Refused`, nothing written.
    Refuse,
    /// `Unavailable`, though the append took place.
    UnknownApplied,
    /// `Unavailable`, and the append did not take place.
    UnknownLost,
    /// A fail-over first: the event's log loses its last n entries (never those under the
    /// snapshot); then the append takes place.
    LoseTail(usize),
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    /// Counts what readers may be waiting for.
    changed: watch::Sender<u64>,
    /// Asynchronous appends wait while this is true.
    paused: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct World {
    logs: BTreeMap<Uuid, Stored>,
    documents: BTreeMap<String, Vec<u8>>,
    script: VecDeque<Fault>,
    down: Option<String>,
    waiting: usize,
}

#[derive(Debug)]
struct Stored {
    /// Head before the first kept entry.
    base: Head,
    entries: Vec<(Entry, Hash)>,
    /// None = erased.
    keys: BTreeMap<Uuid, Option<DataKey>>,
    snapshot: Option<Snapshot>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLog {
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            world: Mutex::default(),
            changed: watch::Sender::new(0),
            paused: watch::Sender::new(false),
        }))
    }

    /// This log as the trait object that nodes take.
    pub fn shared(&self) -> SharedLog {
        Arc::new(self.clone())
    }

    /// Adds to what will happen to the next appends.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.world().script.extend(faults);
    }

    /// Forgets faults that were not used up.
    pub fn clear_script(&self) {
        self.world().script.clear();
    }

    /// A fail-over now: the event's log loses its last `entries`, never those under its snapshot.
    pub fn lose_tail(&self, event: Uuid, entries: usize) {
        self.world().log(event).lose_tail(entries);
        self.moved();
    }

    /// A fail-over to a store that never heard of the event.
    pub fn lose_event(&self, event: Uuid) {
        self.world().logs.remove(&event);
        self.moved();
    }

    /// Every call answers `Unavailable` until `come_back`.
    pub fn go_down(&self, reason: &str) {
        self.world().down = Some(reason.to_owned());
        self.moved();
    }

    pub fn come_back(&self) {
        self.world().down = None;
        self.moved();
    }

    /// Asynchronous appends wait, before they do anything, until `resume`.
    pub fn pause(&self) {
        self.0.paused.send_replace(true);
    }

    pub fn resume(&self) {
        self.0.paused.send_replace(false);
    }

    /// Returns once at least `appends` are waiting for `resume`.
    pub async fn paused(&self, appends: usize) {
        let mut changed = self.0.changed.subscribe();
        while self.world().waiting < appends {
            // The sender lives in `self`.
            let _ = changed.changed().await;
        }
    }

    pub fn append_now(&self, event: Uuid, expected: Head, batch: &Batch) -> Result<Appended> {
        let mut world = self.world();
        world.up()?;
        let fault = world.script.pop_front().unwrap_or(Fault::Pass);
        let log = world.log(event);
        let outcome = match fault {
            Fault::Refuse => return Err(LogError::Refused("scripted refusal".to_owned())),
            Fault::UnknownLost => {
                return Err(LogError::Unavailable("scripted loss of the request".to_owned()));
            }
            Fault::UnknownApplied => {
                log.append(event, expected, batch)?;
                Err(LogError::Unavailable("scripted loss of the answer".to_owned()))
            }
            Fault::LoseTail(entries) => {
                log.lose_tail(entries);
                log.append(event, expected, batch)
            }
            Fault::Pass => log.append(event, expected, batch),
        };
        drop(world);
        self.moved();
        outcome
    }

    pub fn read_now(&self, event: Uuid, after: u64, limit: usize) -> Result<Vec<Entry>> {
        let mut world = self.world();
        world.up()?;
        Ok(world.logs.get(&event).map(|log| log.read(after, limit)).unwrap_or_default())
    }

    pub fn head_now(&self, event: Uuid) -> Result<Head> {
        let mut world = self.world();
        world.up()?;
        Ok(world.logs.get(&event).map_or_else(|| Head::genesis(event), Stored::head))
    }

    pub fn save_snapshot_now(&self, event: Uuid, snapshot: &Snapshot) -> Result<()> {
        let mut world = self.world();
        world.up()?;
        world.log(event).save_snapshot(snapshot)
    }

    pub fn load_snapshot_now(&self, event: Uuid) -> Result<Option<Snapshot>> {
        let mut world = self.world();
        world.up()?;
        Ok(world.logs.get(&event).and_then(|log| log.snapshot.clone()))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self) {
        self.0.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    async fn wait_for_resume(&self) {
        let mut paused = self.0.paused.subscribe();
        if !*paused.borrow() {
            return;
        }
        let waiting = Waiting::enter(self);
        // The sender lives in `self`.
        let _ = paused.wait_for(|paused| !paused).await;
        drop(waiting);
    }
}

/// Counts one append that waits, also when its future is dropped.
struct Waiting<'a>(&'a MemoryLog);

impl<'a> Waiting<'a> {
    fn enter(log: &'a MemoryLog) -> Self {
        {
            let mut world = log.world();
            world.waiting = world.waiting.saturating_add(1);
        }
        log.moved();
        Self(log)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut world = self.0.world();
        world.waiting = world.waiting.saturating_sub(1);
    }
}

impl World {
    fn up(&mut self) -> Result<()> {
        match &self.down {
            Some(reason) => Err(LogError::Unavailable(reason.clone())),
            None => Ok(()),
        }
    }

    fn log(&mut self, event: Uuid) -> &mut Stored {
        self.logs.entry(event).or_insert_with(|| Stored {
            base: Head::genesis(event),
            entries: Vec::new(),
            keys: BTreeMap::new(),
            snapshot: None,
        })
    }
}

impl Stored {
    fn head(&self) -> Head {
        match self.entries.last() {
            Some((entry, hash)) => Head { seq: entry.seq, hash: *hash },
            None => self.base,
        }
    }

    fn hash_at(&self, seq: u64) -> Option<Hash> {
        let distance = seq.checked_sub(self.base.seq)?;
        let Some(before) = distance.checked_sub(1) else {
            return Some(self.base.hash);
        };
        self.entries.get(usize::try_from(before).ok()?).map(|(_, hash)| *hash)
    }

    fn append(&mut self, event: Uuid, expected: Head, batch: &Batch) -> Result<Appended> {
        let hashes = Encoded::new(event, expected, &batch.entries)?.hashes;
        let head = self.head();
        match judge(head, expected, &hashes, |seq| Ok(self.hash_at(seq)))? {
            Verdict::Write { skip } => {
                for (order, key) in &batch.keys {
                    self.keys
                        .entry(*order)
                        .and_modify(|kept| *kept = kept.as_ref().and(Some(key.clone())))
                        .or_insert_with(|| Some(key.clone()));
                }
                self.entries.extend(batch.entries.iter().cloned().zip(hashes).skip(skip));
                Ok(Appended::Done)
            }
            Verdict::Done => Ok(Appended::Done),
            Verdict::Lost => {
                Ok(Appended::Lost { missing: self.read(expected.seq, ENTRIES_PER_READ_MAX) })
            }
            Verdict::Behind => Ok(Appended::Behind { head }),
            Verdict::Forked => Ok(Appended::Forked { head }),
        }
    }

    fn read(&self, after: u64, limit: usize) -> Vec<Entry> {
        let skip = usize::try_from(after.saturating_sub(self.base.seq)).unwrap_or(usize::MAX);
        self.entries
            .iter()
            .skip(skip)
            .take(limit.min(ENTRIES_PER_READ_MAX))
            .map(|(entry, _)| entry.clone())
            .collect()
    }

    fn lose_tail(&mut self, entries: usize) {
        let floor = self.snapshot.as_ref().map_or(self.base.seq, |kept| kept.head.seq);
        let kept = usize::try_from(floor.saturating_sub(self.base.seq)).unwrap_or(usize::MAX);
        let length = self.entries.len();
        self.entries.truncate(length.saturating_sub(entries).max(kept.min(length)));
    }

    fn save_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        let head = snapshot.head;
        if head.seq <= self.snapshot.as_ref().map_or(0, |kept| kept.head.seq) {
            return Ok(());
        }
        if self.hash_at(head.seq) != Some(head.hash) {
            return Err(LogError::Refused(format!("snapshot at {} is not on the log", head.seq)));
        }
        self.snapshot = Some(snapshot.clone());
        Ok(())
    }

    fn trim(&mut self, through: u64) {
        let through = through.min(self.snapshot.as_ref().map_or(0, |kept| kept.head.seq));
        let Some(count) = through.checked_sub(self.base.seq) else { return };
        let Some(hash) = self.hash_at(through) else { return };
        self.entries.drain(..usize::try_from(count).unwrap_or(0).min(self.entries.len()));
        self.base = Head { seq: through, hash };
    }
}

impl Log for MemoryLog {
    fn append<'a>(
        &'a self,
        event: Uuid,
        expected: Head,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Appended>> {
        Box::pin(async move {
            self.wait_for_resume().await;
            self.append_now(event, expected, batch)
        })
    }

    fn read(&self, event: Uuid, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(async move { self.read_now(event, after, limit) })
    }

    fn follow(
        &self,
        event: Uuid,
        after: u64,
        limit: usize,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(async move {
            let mut changed = self.0.changed.subscribe();
            let wait = tokio::time::sleep(wait);
            tokio::pin!(wait);
            loop {
                let entries = self.read_now(event, after, limit)?;
                if !entries.is_empty() {
                    return Ok(entries);
                }
                tokio::select! {
                    _ = changed.changed() => {}
                    () = &mut wait => return Ok(Vec::new()),
                }
            }
        })
    }

    fn head(&self, event: Uuid) -> BoxFuture<'_, Result<Head>> {
        Box::pin(async move { self.head_now(event) })
    }

    fn events(&self) -> BoxFuture<'_, Result<Vec<Uuid>>> {
        Box::pin(async move {
            let mut world = self.world();
            world.up()?;
            let logs = world.logs.iter().filter(|(_, log)| log.head().seq > 0);
            Ok(logs.map(|(event, _)| *event).collect())
        })
    }

    fn save_snapshot<'a>(
        &'a self,
        event: Uuid,
        snapshot: &'a Snapshot,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.save_snapshot_now(event, snapshot) })
    }

    fn load_snapshot(&self, event: Uuid) -> BoxFuture<'_, Result<Option<Snapshot>>> {
        Box::pin(async move { self.load_snapshot_now(event) })
    }

    fn trim(&self, event: Uuid, through: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut world = self.world();
            world.up()?;
            world.log(event).trim(through);
            Ok(())
        })
    }

    fn data_keys<'a>(
        &'a self,
        event: Uuid,
        orders: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<(Uuid, DataKey)>>> {
        Box::pin(async move {
            let mut world = self.world();
            world.up()?;
            let Some(log) = world.logs.get(&event) else { return Ok(Vec::new()) };
            let found = orders.iter().filter_map(|order| {
                let key = log.keys.get(order)?.clone()?;
                Some((*order, key))
            });
            Ok(found.collect())
        })
    }

    fn erase_key(&self, event: Uuid, order: Uuid) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut world = self.world();
            world.up()?;
            world.log(event).keys.insert(order, None);
            Ok(())
        })
    }

    fn put<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            check_document_name(name)?;
            let mut world = self.world();
            world.up()?;
            world.documents.insert(name.to_owned(), bytes.to_vec());
            Ok(())
        })
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            check_document_name(name)?;
            let mut world = self.world();
            world.up()?;
            Ok(world.documents.get(name).cloned())
        })
    }
}
