//! One event's files: segments, vault, snapshot. Blocking; called from threads that may block. Knows
//! order and durability of writes; must not know tasks or time-outs.
//!
//! What a failed write left behind is cut before anything else is written; until the cut succeeds the
//! event is unavailable. So what readers see is always a prefix of what the disk will have.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;
use uuid::Uuid;

use super::Lock;
use super::disk::{Disk, create_directory, create_file, refused, sync_directory, unavailable};
use super::index::{Index, Segment};
use super::read::read_frames;
use super::segment::{self, Fault, HEADER_BYTES, Preamble};
use super::snapshot;
use super::vault::{Keys, Vault};
use crate::entry::{Entry, Head};
use crate::log::{Appended, DataKey, ENTRIES_PER_READ_MAX, LogError, Result, Snapshot};
use crate::store::{Encoded, Verdict, judge};

/// What readers need, at any time.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) event: Uuid,
    pub(crate) index: RwLock<Index>,
    pub(crate) keys: RwLock<Keys>,
    /// Seq of the durable end, for those who wait for more.
    pub(crate) end: watch::Sender<u64>,
}

/// What the one who writes owns.
#[derive(Debug)]
pub(crate) struct Writer {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    /// A segment that reached this many bytes is followed by a new one.
    segment_bytes: u64,
    shared: Arc<Shared>,
    active: Option<File>,
    /// Whether the active segment may be longer than the index says.
    torn: bool,
    vault: Vault,
    /// Head of the stored snapshot.
    snapshot: Option<Head>,
    /// Keeps the directory this process's until the last write has ended.
    _lock: Arc<Lock>,
}

impl Writer {
    /// Reads and checks an event's files; a directory that is not there is an event without entries.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        event: Uuid,
        segment_bytes: u64,
        lock: Arc<Lock>,
    ) -> Result<Self> {
        let (vault, keys) = Vault::open(&*disk, &directory)?;
        let snapshot = snapshot::head(&directory)?;
        let shared = Shared {
            event,
            index: RwLock::new(Index::new(Head::genesis(event))),
            keys: RwLock::new(keys),
            end: watch::Sender::new(0),
        };
        let shared = Arc::new(shared);
        let mut writer = Self {
            directory,
            disk,
            segment_bytes,
            shared,
            active: None,
            torn: false,
            vault,
            snapshot,
            _lock: lock,
        };
        let paths = segment_paths(&writer.directory)?;
        let last = paths.len().saturating_sub(1);
        for (position, path) in paths.into_iter().enumerate() {
            writer.recover(path, position == last)?;
        }
        writer.check_ends()?;
        writer.shared.end.send_replace(writer.shared.head().seq);
        Ok(writer)
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    pub(crate) fn append(
        &mut self,
        expected: Head,
        batch: &Encoded,
        keys: &[(Uuid, DataKey)],
    ) -> Result<Appended> {
        self.heal()?;
        let head = self.shared.head();
        let verdict = judge(head, expected, &batch.hashes, |seq| self.shared.hash_at(seq))?;
        match verdict {
            Verdict::Write { skip } => {
                create_directory(&self.directory)
                    .map_err(|error| refused("creating", &self.directory, &error))?;
                self.keep_keys(keys)?;
                self.write(head, batch, skip)?;
                Ok(Appended::Done)
            }
            Verdict::Done => Ok(Appended::Done),
            Verdict::Lost => {
                let missing = self.shared.read(expected.seq, ENTRIES_PER_READ_MAX)?;
                Ok(Appended::Lost { missing })
            }
            Verdict::Behind => Ok(Appended::Behind { head }),
            Verdict::Forked => Ok(Appended::Forked { head }),
        }
    }

    pub(crate) fn save_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        let head = snapshot.head;
        if head.seq <= self.snapshot.map_or(0, |kept| kept.seq) {
            return Ok(());
        }
        if self.shared.hash_at(head.seq)? != Some(head.hash) {
            return Err(LogError::Refused(format!("snapshot at {} is not on the log", head.seq)));
        }
        snapshot::save(&*self.disk, &self.directory, snapshot)?;
        self.snapshot = Some(head);
        Ok(())
    }

    pub(crate) fn trim(&mut self, through: u64) -> Result<()> {
        let through = through.min(self.snapshot.map_or(0, |kept| kept.seq));
        // Readers find new places first; one that holds an old place asks again.
        let paths = self.shared.write_index(|index| index.trim(through));
        if paths.is_empty() {
            return Ok(());
        }
        // Oldest first, so that a crash in between leaves a log without a gap.
        for path in &paths {
            fs::remove_file(path).map_err(|error| unavailable("removing", path, &error))?;
        }
        sync_directory(&self.directory)
            .map_err(|error| unavailable("removing from", &self.directory, &error))
    }

    pub(crate) fn erase_key(&mut self, order: Uuid) -> Result<()> {
        let mut keys = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        if keys.get(&order).is_none_or(Option::is_none) {
            return Ok(());
        }
        self.vault.erase(&*self.disk, &keys, order)?;
        keys.insert(order, None);
        *self.shared.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Keys durable first: a key without entries does no harm, sealed data without its key is lost.
    fn keep_keys(&mut self, keys: &[(Uuid, DataKey)]) -> Result<()> {
        let known = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner);
        let new = keys.iter().filter(|(order, key)| match known.get(order) {
            None => true,
            Some(None) => false,
            Some(Some(kept)) => kept != key,
        });
        let new: Vec<_> = new.cloned().collect();
        drop(known);
        if new.is_empty() {
            return Ok(());
        }
        self.vault.add(&*self.disk, &new)?;
        let mut known = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(new.into_iter().map(|(order, key)| (order, Some(key))));
        Ok(())
    }

    /// Writes the batch without its first `skip` entries as one frame after `before`.
    fn write(&mut self, before: Head, batch: &Encoded, skip: usize) -> Result<()> {
        let count = batch.hashes.len().saturating_sub(skip) as u64;
        let hash = batch.hashes.last().copied().unwrap_or(before.hash);
        let after = Head { seq: before.seq.saturating_add(count), hash };
        let frame = segment::frame(Preamble { before, after }, batch.json_from(skip))
            .ok_or_else(|| LogError::Refused("batch does not fit a frame".to_owned()))?;
        self.roll_if_full(before)?;
        let (path, offset) = self.active_end();
        let Some(file) = &self.active else {
            return Err(LogError::Unavailable("no segment is open".to_owned()));
        };
        let written = self.disk.write_at(file, &frame, offset).and_then(|()| self.disk.sync(file));
        if let Err(error) = written {
            self.torn = true;
            self.heal()?;
            return Err(refused("writing", &path, &error));
        }
        let first = before.seq.saturating_add(1);
        self.shared.write_index(|index| index.push(first, after, frame.len() as u64));
        self.shared.end.send_replace(after.seq);
        Ok(())
    }

    /// Cuts what a failed write left at the end of the active segment.
    fn heal(&mut self) -> Result<()> {
        if !self.torn {
            return Ok(());
        }
        let (path, end) = self.active_end();
        let Some(file) = &self.active else { return Ok(()) };
        self.disk
            .set_len(file, end)
            .and_then(|()| self.disk.sync(file))
            .map_err(|error| unavailable("cutting", &path, &error))?;
        self.torn = false;
        Ok(())
    }

    fn active_end(&self) -> (PathBuf, u64) {
        let index = self.shared.index.read().unwrap_or_else(PoisonError::into_inner);
        index.active().map(|active| (active.path.clone(), active.length)).unwrap_or_default()
    }

    /// Opens a new segment when there is none or the last one is full. One that a former attempt
    /// left behind holds nothing and is written over.
    fn roll_if_full(&mut self, head: Head) -> Result<()> {
        if self.active.is_some() && self.active_end().1 < self.segment_bytes {
            return Ok(());
        }
        let path = segment_path(&self.directory, head.seq.saturating_add(1));
        let header = segment::header(self.shared.event, head);
        let created = create_file(&path).and_then(|file| {
            self.disk.write_at(&file, &header, 0)?;
            self.disk.sync(&file)?;
            sync_directory(&self.directory)?;
            Ok(file)
        });
        match created {
            Ok(file) => self.active = Some(file),
            Err(error) => {
                // An empty segment is also what opening copes with; the error to tell is the first.
                let _ = fs::remove_file(&path);
                return Err(refused("creating", &path, &error));
            }
        }
        let segment = Segment::new(path, head, HEADER_BYTES as u64);
        self.shared.write_index(|index| index.roll(segment));
        Ok(())
    }

    /// Takes in one segment on opening; `last` may have a torn tail, which is cut.
    fn recover(&mut self, path: PathBuf, last: bool) -> Result<()> {
        let bytes = fs::read(&path).map_err(|error| unavailable("reading", &path, &error))?;
        let scan = match segment::scan(self.shared.event, &bytes) {
            Ok(scan) => scan,
            Err(Fault::NeverBegun) if last => {
                return fs::remove_file(&path)
                    .map_err(|error| unavailable("removing", &path, &error));
            }
            Err(Fault::NeverBegun) => return Err(damaged(&path, 0, "the segment is empty")),
            Err(Fault::Damaged(offset, reason)) => return Err(damaged(&path, offset, reason)),
        };
        if scan.end < bytes.len() && !last {
            return Err(damaged(&path, scan.end, "a frame is bad and another segment follows"));
        }
        let first = self.active.is_none();
        let head = self.shared.head();
        if scan.base != head && (!first || scan.base.seq == 0) {
            return Err(damaged(&path, 0, "the segment does not follow the one before"));
        }
        let mut segment = Segment::new(path.clone(), scan.base, HEADER_BYTES as u64);
        let mut head = scan.base;
        for frame in &scan.frames {
            let bytes = frame.end.saturating_sub(frame.offset) as u64;
            segment.push(frame.preamble.before.seq.saturating_add(1), bytes);
            head = frame.preamble.after;
        }
        self.shared.write_index(|index| index.resume(segment, head));
        let file = OpenOptions::new().read(true).write(true).open(&path);
        self.active = Some(file.map_err(|error| unavailable("opening", &path, &error))?);
        if scan.end < bytes.len() {
            tracing::warn!(
                event = %self.shared.event,
                path = %path.display(),
                end_bytes = scan.end,
                cut_bytes = bytes.len().saturating_sub(scan.end),
                "torn tail of an unacknowledged append is cut"
            );
            self.torn = true;
            self.heal()?;
        }
        Ok(())
    }

    /// Compares the log's two ends with the snapshot.
    fn check_ends(&self) -> Result<()> {
        let snapshot = self.snapshot.map_or(0, |kept| kept.seq);
        let (base, head) = {
            let index = self.shared.index.read().unwrap_or_else(PoisonError::into_inner);
            (index.base().seq, index.head().seq)
        };
        let complaint = if head < snapshot {
            format!("the log ends at {head}, before its snapshot at {snapshot}")
        } else if base > snapshot {
            format!("the log begins after {base}, its snapshot is at {snapshot}")
        } else {
            return Ok(());
        };
        Err(LogError::Damaged(format!("{}: {complaint}", self.directory.display())))
    }
}

impl Shared {
    pub(crate) fn head(&self) -> Head {
        self.index.read().unwrap_or_else(PoisonError::into_inner).head()
    }

    pub(crate) fn read(&self, after: u64, limit: usize) -> Result<Vec<Entry>> {
        read_frames(&self.index, after, limit.min(ENTRIES_PER_READ_MAX))
    }

    pub(crate) fn data_keys(&self, orders: &[Uuid]) -> Vec<(Uuid, DataKey)> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let found = orders.iter().filter_map(|order| Some((*order, keys.get(order)?.clone()?)));
        found.collect()
    }

    /// Hash of a kept entry, or of the one before the first kept.
    fn hash_at(&self, seq: u64) -> Result<Option<crate::entry::Hash>> {
        let known = {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            if seq < index.base().seq || seq > index.head().seq {
                return Ok(None);
            }
            index.hash_of(seq)
        };
        if known.is_some() {
            return Ok(known);
        }
        let entries = self.read(seq.saturating_sub(1), 1)?;
        Ok(entries.first().filter(|entry| entry.seq == seq).map(Entry::hash))
    }

    fn write_index<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        change(&mut self.index.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn damaged(path: &Path, offset: usize, reason: &str) -> LogError {
    LogError::Damaged(format!("{} at byte {offset}: {reason}", path.display()))
}

/// Named by the first seq, so that names sort as entries do.
fn segment_path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.log"))
}

/// Segments of a directory, oldest first; none where there is no directory.
fn segment_paths(directory: &Path) -> Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unavailable("listing", directory, &error)),
    };
    let mut paths = Vec::new();
    for item in listed {
        let path = item.map_err(|error| unavailable("listing", directory, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
