//! The file of an event's newest snapshot. Knows its frame; must not know what the bytes mean.
//!
//! magic[8] ‖ seq u64 ‖ hash[32] ‖ CRC-32C u32 of these 48 bytes and the state ‖ the state's bytes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::disk::{Disk, create_directory, refused, replace, take, unavailable};
use crate::entry::{Hash, Head};
use crate::log::{LogError, Result, Snapshot};

const MAGIC: [u8; 8] = *b"ATLVSSN1";
pub(crate) const NAME: &str = "snapshot";
const HEADER_BYTES: usize = 52;

pub(crate) fn save(disk: &dyn Disk, directory: &Path, snapshot: &Snapshot) -> Result<()> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&snapshot.head.seq.to_be_bytes());
    header.extend_from_slice(&snapshot.head.hash.0);
    let check = crc32c::crc32c_append(crc32c::crc32c(&header), &snapshot.bytes);
    header.extend_from_slice(&check.to_be_bytes());
    create_directory(directory).map_err(|error| refused("creating", directory, &error))?;
    replace(disk, directory, NAME, &[&header, &snapshot.bytes])
}

pub(crate) fn load(directory: &Path) -> Result<Option<Snapshot>> {
    let path = directory.join(NAME);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable("reading", &path, &error)),
    };
    let snapshot = parse(&bytes).ok_or_else(|| damaged(&path))?;
    Ok(Some(snapshot))
}

/// Head of the stored snapshot, without reading the state.
pub(crate) fn head(directory: &Path) -> Result<Option<Head>> {
    let path = directory.join(NAME);
    let mut bytes = [0; HEADER_BYTES];
    match File::open(&path).and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => parse_header(&bytes).map(|(head, ..)| Some(head)).ok_or_else(|| damaged(&path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged(&path)),
        Err(error) => Err(unavailable("reading", &path, &error)),
    }
}

fn parse(bytes: &[u8]) -> Option<Snapshot> {
    let (head, check, state) = parse_header(bytes)?;
    let checked = bytes.get(..HEADER_BYTES - 4)?;
    let good = crc32c::crc32c_append(crc32c::crc32c(checked), state) == check;
    good.then(|| Snapshot { head, bytes: state.to_vec() })
}

fn parse_header(mut bytes: &[u8]) -> Option<(Head, u32, &[u8])> {
    if take(&mut bytes)? != MAGIC {
        return None;
    }
    let seq = u64::from_be_bytes(take(&mut bytes)?);
    let hash = Hash(take(&mut bytes)?);
    Some((Head { seq, hash }, u32::from_be_bytes(take(&mut bytes)?), bytes))
}

fn damaged(path: &Path) -> LogError {
    LogError::Damaged(format!("{}: the snapshot is not whole", path.display()))
}
