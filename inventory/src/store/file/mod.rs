//! Logs in a directory, for one node. Every acknowledged batch survives the death of the process and
//! of the machine. Knows tasks and time-outs; bytes, files and their order are the rooms below.
//!
//! `<dir>/lock` one process at a time · `<dir>/events/<event>/` segments `<first seq>.log`, `vault`,
//! `snapshot` · `<dir>/documents/<name>`.
//!
//! File work runs on the runtime's blocking threads, not on a thread per event: a hand-over costs
//! microseconds either way, against a disk's hundreds, and a node may hold many quiet events. Of one
//! event at most one append is at work (who waits, waits in the task, not in a thread); reads pass
//! beside it; different events do not wait for each other.

pub mod disk;
mod event;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;
mod index;
mod read;
mod segment;
mod snapshot;
mod vault;

use std::collections::HashMap;
use std::fs::{self, DirBuilder, DirEntry, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use uuid::Uuid;

use self::disk::{Disk, SystemDisk, create_directory, refused, replace, unavailable};
use self::event::{Shared, Writer};
use self::segment::HEADER_BYTES;
use crate::entry::{Entry, Head};
use crate::log::{Appended, Batch, BoxFuture, DataKey, Log, LogError, Result, Snapshot};
use crate::store::{Encoded, check_document_name};

/// Longest wait for the disk in one call; then it is `Unavailable` and its outcome unknown.
const DISK_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for an event's files to be read and checked, which is all that is not trimmed.
const OPEN_TIMEOUT: Duration = Duration::from_secs(300);
/// A segment that reached this many bytes is followed by a new one.
const SEGMENT_BYTES: u64 = 64 << 20;

/// The logs in one directory. Clones share them.
#[derive(Clone, Debug)]
pub struct FileLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    events: Mutex<HashMap<Uuid, Arc<Slot>>>,
    /// Held by the one who replaces a document.
    documents: Arc<tokio::sync::Mutex<()>>,
    /// Holds the directory for this process as long as it is open anywhere.
    lock: Arc<Lock>,
}

/// A directory held for this process. Given back explicitly: a process that is just being started by
/// this one shares the open file until it runs its own program.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it gives it back too.
        let _ = self.0.unlock();
    }
}

/// An event, read from disk when it is first needed.
#[derive(Debug, Default)]
struct Slot(OnceCell<Open>);

#[derive(Clone, Debug)]
struct Open {
    shared: Arc<Shared>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
}

impl FileLog {
    /// Opens the directory, which is created if it is not there. `Refused` when another process has
    /// it open.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Self::open_on(directory.as_ref(), Arc::new(SystemDisk), SEGMENT_BYTES)
    }

    /// The same with a disk and a segment size of the caller's choice.
    pub fn open_on(directory: &Path, disk: Arc<dyn Disk>, segment_bytes: u64) -> Result<Self> {
        let mut builder = DirBuilder::new();
        let created = builder.recursive(true).mode(0o700).create(directory);
        created.map_err(|error| refused("creating", directory, &error))?;
        let lock = lock(directory)?;
        for name in ["events", "documents"] {
            let path = directory.join(name);
            create_directory(&path).map_err(|error| refused("creating", &path, &error))?;
        }
        Ok(Self(Arc::new(Inner {
            root: directory.to_owned(),
            disk,
            segment_bytes,
            events: Mutex::default(),
            documents: Arc::default(),
            lock: Arc::new(lock),
        })))
    }

    fn event_directory(&self, event: Uuid) -> PathBuf {
        self.0.root.join("events").join(event.to_string())
    }

    /// The event's files, opened if need be.
    async fn event(&self, event: Uuid) -> Result<Open> {
        let slot = {
            let mut events = self.0.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.entry(event).or_default().clone()
        };
        if let Some(open) = slot.0.get() {
            return Ok(open.clone());
        }
        let directory = self.event_directory(event);
        let (disk, segment_bytes) = (self.0.disk.clone(), self.0.segment_bytes);
        let lock = self.0.lock.clone();
        // In a task of its own: a caller may keep its future without polling it, and must not keep
        // the others from the event that way.
        let opening = tokio::spawn(async move {
            let open = slot.0.get_or_try_init(|| async {
                let open = move || Writer::open(disk, directory, event, segment_bytes, lock);
                let writer = blocking_for(OPEN_TIMEOUT, open).await?;
                let shared = writer.shared();
                Ok(Open { shared, writer: Arc::new(tokio::sync::Mutex::new(writer)) })
            });
            open.await.cloned()
        });
        let ended = |error| LogError::Unavailable(format!("opening ended early: {error}"));
        opening.await.map_err(ended)?
    }

    /// The same, but none for an event that nobody has written or waits for, so that asking for
    /// unknown events leaves nothing behind.
    async fn known_event(&self, event: Uuid) -> Result<Option<Open>> {
        let held = {
            let events = self.0.events.lock().unwrap_or_else(PoisonError::into_inner);
            events.contains_key(&event)
        };
        if !held && !self.event_directory(event).is_dir() {
            return Ok(None);
        }
        self.event(event).await.map(Some)
    }

    /// Runs the writer's work when its turn has come. The work goes on to its end when the caller
    /// stops waiting.
    async fn write<T: Send + 'static>(
        &self,
        event: Uuid,
        work: impl FnOnce(&mut Writer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let open = self.event(event).await?;
        let turn = tokio::time::timeout(DISK_TIMEOUT, open.writer.lock_owned());
        let mut writer = turn.await.map_err(|_| late(DISK_TIMEOUT))?;
        blocking(move || work(&mut writer)).await
    }

    async fn read_now(&self, event: Uuid, after: u64, limit: usize) -> Result<Vec<Entry>> {
        let Some(open) = self.known_event(event).await? else { return Ok(Vec::new()) };
        if after >= open.shared.head().seq {
            return Ok(Vec::new());
        }
        blocking(move || open.shared.read(after, limit)).await
    }

    async fn follow_now(
        &self,
        event: Uuid,
        after: u64,
        limit: usize,
        wait: Duration,
    ) -> Result<Vec<Entry>> {
        let open = self.event(event).await?;
        let mut end = open.shared.end.subscribe();
        // Both outcomes are fine: the end moved, or the wait is over.
        let _ = tokio::time::timeout(wait, end.wait_for(|end| *end > after)).await;
        drop(end);
        self.read_now(event, after, limit).await
    }
}

/// Runs file work on a thread that may block, for at most `DISK_TIMEOUT`.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    blocking_for(DISK_TIMEOUT, work).await
}

async fn blocking_for<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::time::timeout(limit, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(LogError::Unavailable(format!("file work ended early: {error}"))),
        Err(_) => Err(late(limit)),
    }
}

fn late(limit: Duration) -> LogError {
    LogError::Unavailable(format!("the disk did not answer within {} s", limit.as_secs()))
}

/// Takes the directory for this process.
fn lock(directory: &Path) -> Result<Lock> {
    let path = directory.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| refused("opening", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(LogError::Refused(format!(
            "the directory {} is in use by another process",
            directory.display()
        ))),
        Err(TryLockError::Error(error)) => Err(refused("locking", &path, &error)),
    }
}

/// Events whose directory has a segment with more than a header, or a snapshot: behind one, all
/// entries may have been trimmed.
fn list_events(root: &Path) -> Result<Vec<Uuid>> {
    let directory = root.join("events");
    let failed = |error: io::Error| unavailable("listing", &directory, &error);
    let mut events = Vec::new();
    for item in fs::read_dir(&directory).map_err(failed)? {
        let item = item.map_err(failed)?;
        let Some(event) = item.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        for file in fs::read_dir(item.path()).map_err(failed)? {
            if shows_a_log(&file.map_err(failed)?) {
                events.push(event);
                break;
            }
        }
    }
    Ok(events)
}

fn shows_a_log(file: &DirEntry) -> bool {
    let name = PathBuf::from(file.file_name());
    // A segment that was trimmed after being listed has a successor.
    let has_entries = || file.metadata().is_ok_and(|meta| meta.len() > HEADER_BYTES as u64);
    name == Path::new(snapshot::NAME)
        || name.extension().is_some_and(|e| e == "log") && has_entries()
}

impl Log for FileLog {
    fn append<'a>(
        &'a self,
        event: Uuid,
        expected: Head,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Appended>> {
        Box::pin(async move {
            let encoded = Encoded::new(event, expected, &batch.entries)?;
            let keys = batch.keys.clone();
            self.write(event, move |writer| writer.append(expected, &encoded, &keys)).await
        })
    }

    fn read(&self, event: Uuid, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(self.read_now(event, after, limit))
    }

    fn follow(
        &self,
        event: Uuid,
        after: u64,
        limit: usize,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(self.follow_now(event, after, limit, wait))
    }

    fn head(&self, event: Uuid) -> BoxFuture<'_, Result<Head>> {
        Box::pin(async move {
            let open = self.known_event(event).await?;
            Ok(open.map_or_else(|| Head::genesis(event), |open| open.shared.head()))
        })
    }

    fn events(&self) -> BoxFuture<'_, Result<Vec<Uuid>>> {
        let root = self.0.root.clone();
        Box::pin(blocking(move || list_events(&root)))
    }

    fn save_snapshot<'a>(
        &'a self,
        event: Uuid,
        snapshot: &'a Snapshot,
    ) -> BoxFuture<'a, Result<()>> {
        let snapshot = snapshot.clone();
        Box::pin(self.write(event, move |writer| writer.save_snapshot(&snapshot)))
    }

    fn load_snapshot(&self, event: Uuid) -> BoxFuture<'_, Result<Option<Snapshot>>> {
        let directory = self.event_directory(event);
        Box::pin(blocking(move || snapshot::load(&directory)))
    }

    fn trim(&self, event: Uuid, through: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if self.known_event(event).await?.is_none() {
                return Ok(());
            }
            self.write(event, move |writer| writer.trim(through)).await
        })
    }

    fn data_keys<'a>(
        &'a self,
        event: Uuid,
        orders: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<(Uuid, DataKey)>>> {
        Box::pin(async move {
            let open = self.known_event(event).await?;
            Ok(open.map(|open| open.shared.data_keys(orders)).unwrap_or_default())
        })
    }

    fn erase_key(&self, event: Uuid, order: Uuid) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            if self.known_event(event).await?.is_none() {
                return Ok(());
            }
            self.write(event, move |writer| writer.erase_key(order)).await
        })
    }

    fn put<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            check_document_name(name)?;
            let turn = tokio::time::timeout(DISK_TIMEOUT, self.0.documents.clone().lock_owned());
            let turn = turn.await.map_err(|_| late(DISK_TIMEOUT))?;
            let directory = self.0.root.join("documents");
            let (disk, name, bytes) = (self.0.disk.clone(), name.to_owned(), bytes.to_vec());
            let lock = self.0.lock.clone();
            blocking(move || {
                let _until_written = (turn, lock);
                replace(&*disk, &directory, &name, &[&bytes])
            })
            .await
        })
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            check_document_name(name)?;
            let path = self.0.root.join("documents").join(name);
            blocking(move || match fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(unavailable("reading", &path, &error)),
            })
            .await
        })
    }
}
