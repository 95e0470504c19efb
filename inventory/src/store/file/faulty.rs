//! A disk that fails when told, for tests only.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{Disk, SystemDisk};

/// Clones share the faults.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk(Arc<Mutex<Faults>>);

#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Bytes that can still be written; a write beyond stores what fits and fails. None = no limit.
    pub room: Option<usize>,
    pub refuse_sync: bool,
    pub refuse_set_len: bool,
}

impl FaultyDisk {
    /// From now on these faults and no others.
    pub fn set(&self, faults: Faults) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }
}

impl Disk for FaultyDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fits = {
            let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = faults.room.map_or(bytes.len(), |room| room.min(bytes.len()));
            faults.room = faults.room.map(|room| room.saturating_sub(fits));
            fits
        };
        SystemDisk.write_at(file, bytes.get(..fits).unwrap_or_default(), offset)?;
        if fits < bytes.len() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no room on the test's disk"));
        }
        Ok(())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).refuse_sync {
            return Err(io::Error::other("the test's disk does not sync"));
        }
        SystemDisk.sync(file)
    }

    fn set_len(&self, file: &File, length: u64) -> io::Result<()> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).refuse_set_len {
            return Err(io::Error::other("the test's disk does not cut"));
        }
        SystemDisk.set_len(file, length)
    }
}
