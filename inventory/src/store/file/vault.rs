//! The file of an event's data keys, beside the journal and never in it. Knows orders and their keys;
//! must not know what they seal.
//!
//! Header: magic[8]. Record: order id[16] ‖ key[32] ‖ CRC-32C u32 of both. The last record of an
//! order counts; a key of zeros says that it was erased, for good.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::disk::{Disk, refused, replace, take, unavailable};
use crate::log::{DataKey, LogError, Result};

#[cfg(test)]
mod tests;

const MAGIC: [u8; 8] = *b"ATLVSVT1";
const NAME: &str = "vault";
const RECORD_BYTES: usize = 52;
const ERASED: DataKey = DataKey([0; 32]);

/// Keys by order; none = erased.
pub(crate) type Keys = HashMap<Uuid, Option<DataKey>>;

/// The open file.
#[derive(Debug)]
pub(crate) struct Vault {
    directory: PathBuf,
    /// None when there is none yet, or when it could not be opened again.
    file: Option<File>,
    /// Bytes that are good, 0 when there is no file; beyond them a failed write may have left some.
    length: u64,
    /// Whether the file may be longer than `length`.
    torn: bool,
}

impl Vault {
    /// Reads the file, cuts a torn tail.
    pub(crate) fn open(disk: &dyn Disk, directory: &Path) -> Result<(Self, Keys)> {
        let path = directory.join(NAME);
        let mut vault =
            Self { directory: directory.to_owned(), file: None, length: 0, torn: false };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((vault, Keys::new()));
            }
            Err(error) => return Err(unavailable("reading", &path, &error)),
        };
        let (keys, length) = parse(&bytes).ok_or_else(|| {
            LogError::Damaged(format!("{}: a bad record before good ones", path.display()))
        })?;
        let file = OpenOptions::new().read(true).write(true).open(&path);
        vault.file = Some(file.map_err(|error| unavailable("opening", &path, &error))?);
        vault.length = length;
        vault.torn = length < bytes.len() as u64;
        vault.heal(disk)?;
        Ok((vault, keys))
    }

    /// Returns once these keys are durable. On an error none of them counts.
    pub(crate) fn add(&mut self, disk: &dyn Disk, keys: &[(Uuid, DataKey)]) -> Result<()> {
        self.heal(disk)?;
        let path = self.directory.join(NAME);
        let records: Vec<u8> = keys.iter().flat_map(|(order, key)| record(*order, key)).collect();
        let Some(file) = &self.file else {
            replace(disk, &self.directory, NAME, &[&MAGIC, &records])?;
            self.length = MAGIC.len().saturating_add(records.len()) as u64;
            return self.reopen(&path);
        };
        let written = disk.write_at(file, &records, self.length).and_then(|()| disk.sync(file));
        if let Err(error) = written {
            self.torn = true;
            self.heal(disk)?;
            return Err(refused("writing", &path, &error));
        }
        self.length = self.length.saturating_add(records.len() as u64);
        Ok(())
    }

    /// Erases an order's key: a new file without it takes the old one's place, then the old one's
    /// bytes are overwritten, so that freed blocks do not hold it either.
    pub(crate) fn erase(&mut self, disk: &dyn Disk, keys: &Keys, order: Uuid) -> Result<()> {
        self.heal(disk)?;
        let path = self.directory.join(NAME);
        let kept = keys.iter().filter(|(kept, _)| **kept != order);
        let mut bytes = MAGIC.to_vec();
        for (kept, key) in kept {
            bytes.extend(record(*kept, key.as_ref().unwrap_or(&ERASED)));
        }
        bytes.extend(record(order, &ERASED));
        let old = self.file.take();
        let old_length = self.length;
        let replaced = replace(disk, &self.directory, NAME, &[&bytes]);
        self.reopen(&path)?;
        replaced?;
        if let Some(old) = old {
            let zeros = vec![0; usize::try_from(old_length).unwrap_or(0)];
            disk.write_at(&old, &zeros, 0)
                .and_then(|()| disk.sync(&old))
                .map_err(|error| unavailable("overwriting", &path, &error))?;
        }
        Ok(())
    }

    fn reopen(&mut self, path: &Path) -> Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let opened = file.and_then(|file| Ok((file.metadata()?.len(), file)));
        let (length, file) = opened.map_err(|error| unavailable("opening", path, &error))?;
        self.file = Some(file);
        self.length = length;
        self.torn = false;
        Ok(())
    }

    /// Brings the file back to what is good. One that is there is never taken for none: a new one
    /// in its place would lose all keys.
    fn heal(&mut self, disk: &dyn Disk) -> Result<()> {
        if self.file.is_none() && self.length != 0 {
            return self.reopen(&self.directory.join(NAME));
        }
        if !self.torn {
            return Ok(());
        }
        let Some(file) = &self.file else { return Ok(()) };
        disk.set_len(file, self.length)
            .and_then(|()| disk.sync(file))
            .map_err(|error| unavailable("cutting", &self.directory.join(NAME), &error))?;
        self.torn = false;
        Ok(())
    }
}

fn record(order: Uuid, key: &DataKey) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(RECORD_BYTES);
    bytes.extend_from_slice(order.as_bytes());
    bytes.extend_from_slice(&key.0);
    let check = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&check.to_be_bytes());
    bytes
}

/// Keys and the length of the good part; none when a bad record stands before a good one.
fn parse(bytes: &[u8]) -> Option<(Keys, u64)> {
    let records = bytes.strip_prefix(&MAGIC)?;
    let mut keys = Keys::new();
    let mut good = MAGIC.len();
    let mut torn = false;
    for chunk in records.chunks(RECORD_BYTES) {
        match parse_record(chunk) {
            Some(_) if torn => return None,
            Some((order, key)) => {
                keys.insert(order, (key != ERASED).then_some(key));
                good = good.saturating_add(RECORD_BYTES);
            }
            None => torn = true,
        }
    }
    Some((keys, good as u64))
}

fn parse_record(mut bytes: &[u8]) -> Option<(Uuid, DataKey)> {
    let expected = crc32c::crc32c(bytes.get(..RECORD_BYTES - 4)?);
    let order = Uuid::from_bytes(take(&mut bytes)?);
    let key = DataKey(take(&mut bytes)?);
    (u32::from_be_bytes(take(&mut bytes)?) == expected).then_some((order, key))
}
