//! Sealed keys as files, one a key, named EVENT-KID.json. Must not know the master key.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keys::SealedKey;

use super::Error;

/// A key's file has some 350 bytes.
const FILE_BYTES_MAX: u64 = 4096;
/// More files than this in one directory are refused, not read.
const FILES_MAX: usize = 100_000;

pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn at(path: &Path) -> Directory {
        Directory(path.to_owned())
    }

    /// All keys, or those of one event, by event and start of life. A directory that is not there
    /// holds none.
    pub(super) fn read(&self, event: Option<u32>) -> Result<Vec<SealedKey>, Error> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(&self.0, e)),
        };
        let mut keys = Vec::new();
        for (count, entry) in entries.enumerate() {
            if count >= FILES_MAX {
                return Err(failed(&self.0, format!("more than {FILES_MAX} files")));
            }
            let path = entry.map_err(|e| failed(&self.0, e))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // A broken-off writing leaves a file with another ending behind.
            if !name.ends_with(".json") {
                continue;
            }
            let key = read_key(&path)?;
            if name != file_name(&key) {
                let expected = file_name(&key);
                return Err(failed(&path, format!("holds the key that belongs in {expected}")));
            }
            if event.is_none_or(|event| event == key.public.event()) {
                keys.push(key);
            }
        }
        keys.sort_by_key(|SealedKey { public, .. }| {
            (public.event(), public.not_before, public.kid())
        });
        Ok(keys)
    }

    /// A new key; one with the same event and id is not replaced but refused.
    pub(super) fn create(&self, key: &SealedKey) -> Result<(), Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(|e| failed(&self.0, e))?;
        let target = self.0.join(file_name(key));
        let written = self.write(key)?;
        // Unlike a rename, a link fails where the name is taken.
        let linked = fs::hard_link(&written, &target).map_err(|e| failed(&target, e));
        fs::remove_file(&written).map_err(|e| failed(&written, e))?;
        linked?;
        self.sync()
    }

    /// New dates for a known key: the old file or the new one is there, never half of one.
    pub(super) fn replace(&self, key: &SealedKey) -> Result<(), Error> {
        let target = self.0.join(file_name(key));
        let written = self.write(key)?;
        fs::rename(&written, &target).map_err(|e| failed(&target, e))?;
        self.sync()
    }

    fn write(&self, key: &SealedKey) -> Result<PathBuf, Error> {
        let path = self.0.join(format!(".{}.{}", file_name(key), std::process::id()));
        let json = serde_json::to_string_pretty(key).map_err(|e| failed(&path, e))?;
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(json.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        };
        write().map_err(|e| failed(&path, e))?;
        Ok(path)
    }

    fn sync(&self) -> Result<(), Error> {
        File::open(&self.0).and_then(|dir| dir.sync_all()).map_err(|e| failed(&self.0, e))
    }
}

fn read_key(path: &Path) -> Result<SealedKey, Error> {
    let mut text = String::new();
    let file = File::open(path).map_err(|e| failed(path, e))?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|e| failed(path, e))?;
    serde_json::from_str(&text).map_err(|e| failed(path, e))
}

fn file_name(key: &SealedKey) -> String {
    format!("{}-{}.json", key.public.event(), key.public.kid())
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Failed(format!("{}: {reason}", path.display()))
}

#[cfg(test)]
mod tests;
