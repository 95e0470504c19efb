//! Scans that a node decided while its store did not answer, on its own disk until the journal has
//! them. Knows records and their order; must not know why or what was decided.
//!
//! `<dir>/<event>.spool`: records, length u32 ‖ CRC-32C u32 of the payload ‖ payload, integers
//! big-endian, the payload an `OfflineScan` as JSON. A torn tail is cut: nobody was told of it.
//! `<dir>/<event>.refused` holds, in the same form, what the journal would not take.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::command::OfflineScan;

#[cfg(test)]
mod tests;

/// Scans of one event that wait to be merged; lanes then refuse.
pub const SPOOL_SCANS_MAX: usize = 100_000;
/// Longest wait for the disk; nothing is kept on it any more after that.
const DISK_TIMEOUT: Duration = Duration::from_secs(2);
/// Length and checksum before each payload.
const HEADER_BYTES: usize = 8;

#[derive(Debug)]
pub(super) struct Spool {
    directory: PathBuf,
    event: Uuid,
    file: Arc<File>,
    /// Bytes that are good; beyond them a failed write may have left some.
    length: u64,
    scans: Vec<OfflineScan>,
    scans_max: usize,
    /// The disk did not answer in time: nobody knows what the file holds beyond `length`.
    hung: bool,
}

impl Spool {
    /// Reads what an earlier process left, cuts a torn tail. Blocks.
    pub(super) fn open(directory: &Path, event: Uuid, scans_max: usize) -> io::Result<Self> {
        let path = directory.join(format!("{event}.spool"));
        let file = options().open(&path)?;
        File::open(directory)?.sync_all()?;
        let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, 0)?;
        let (scans, length) = parse(&bytes);
        if length < bytes.len() {
            tracing::warn!(%event, bytes = bytes.len(), length, "a torn tail of the spool is cut");
            file.set_len(length as u64)?;
            file.sync_data()?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            event,
            file: Arc::new(file),
            length: length as u64,
            scans,
            scans_max,
            hung: false,
        })
    }

    /// Scans that wait, oldest first.
    pub(super) fn scans(&self) -> &[OfflineScan] {
        &self.scans
    }

    /// How many more it takes.
    pub(super) fn room(&self) -> usize {
        if self.hung { 0 } else { self.scans_max.saturating_sub(self.scans.len()) }
    }

    /// Returns once they are durable; after an error none of them is kept.
    pub(super) async fn add(&mut self, scans: Vec<OfflineScan>) -> Result<(), String> {
        let bytes = encode(&scans)?;
        let (file, at) = (Arc::clone(&self.file), self.length);
        let added = bytes.len() as u64;
        self.on_disk(move || {
            // What a failed write left must not be read as if it had been told.
            file.set_len(at)?;
            file.write_all_at(&bytes, at)?;
            file.sync_data()
        })
        .await?;
        self.length = self.length.saturating_add(added);
        self.scans.extend(scans);
        Ok(())
    }

    /// The journal has all of it, but for `refused`, which are put aside.
    pub(super) async fn clear(&mut self, refused: Vec<OfflineScan>) -> Result<(), String> {
        let aside = encode(&refused)?;
        let path = self.directory.join(format!("{}.refused", self.event));
        let file = Arc::clone(&self.file);
        self.on_disk(move || {
            if !aside.is_empty() {
                let kept = options().open(&path)?;
                kept.write_all_at(&aside, kept.metadata()?.len())?;
                kept.sync_all()?;
            }
            file.set_len(0)?;
            file.sync_data()
        })
        .await?;
        self.length = 0;
        self.scans.clear();
        Ok(())
    }

    async fn on_disk(
        &mut self,
        work: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Result<(), String> {
        if self.hung {
            return Err("the disk of the spool hangs".to_owned());
        }
        let done = tokio::time::timeout(DISK_TIMEOUT, tokio::task::spawn_blocking(work)).await;
        match done {
            Ok(Ok(done)) => done.map_err(|error| format!("the spool: {error}")),
            Ok(Err(error)) => Err(format!("the spool: {error}")),
            Err(_) => {
                self.hung = true;
                Err("the disk of the spool did not answer in time".to_owned())
            }
        }
    }
}

/// For nobody else to read.
fn options() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn encode(scans: &[OfflineScan]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for scan in scans {
        let payload = serde_json::to_vec(scan).map_err(|error| error.to_string())?;
        let length = u32::try_from(payload.len()).map_err(|error| error.to_string())?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&payload).to_be_bytes());
        bytes.extend_from_slice(&payload);
    }
    Ok(bytes)
}

/// The records up to the first that is not whole, and the bytes that they take.
fn parse(bytes: &[u8]) -> (Vec<OfflineScan>, usize) {
    let (mut scans, mut length) = (Vec::new(), 0_usize);
    while let Some((scan, taken)) = bytes.get(length..).and_then(record) {
        scans.push(scan);
        length = length.saturating_add(taken);
    }
    (scans, length)
}

fn record(bytes: &[u8]) -> Option<(OfflineScan, usize)> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let (check, rest) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
    let payload = rest.get(..size)?;
    if crc32c::crc32c(payload) != u32::from_be_bytes(*check) {
        return None;
    }
    Some((serde_json::from_slice(payload).ok()?, size.checked_add(HEADER_BYTES)?))
}
