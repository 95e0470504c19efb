//! What a log asks of a disk, so that tests can let it fail at any byte. Knows files and bytes; must
//! not know what they mean.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use crate::log::{LogError, Result};

/// Writing, making durable and cutting one file. Every file of a log is changed through this.
pub trait Disk: Debug + Send + Sync {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns once content and length are durable.
    fn sync(&self, file: &File) -> io::Result<()>;
    fn set_len(&self, file: &File, length: u64) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Debug)]
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        // fdatasync: the length counts as data when it changed.
        file.sync_data()
    }

    fn set_len(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }
}

/// Makes `directory/name` hold exactly these parts, at once and durably, or leaves it as it was:
/// a temporary file, made durable, takes its name.
pub(crate) fn replace(
    disk: &dyn Disk,
    directory: &Path,
    name: &str,
    parts: &[&[u8]],
) -> Result<()> {
    let temporary = directory.join(format!(".{name}.tmp"));
    let path = directory.join(name);
    let written = write_new(disk, &temporary, parts).and_then(|()| fs::rename(&temporary, &path));
    if let Err(error) = written {
        // What is left of it is overwritten by the next attempt; the error to tell is the first.
        let _ = fs::remove_file(&temporary);
        return Err(refused("writing", &path, &error));
    }
    sync_directory(directory).map_err(|error| unavailable("writing", &path, &error))
}

fn write_new(disk: &dyn Disk, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let file = create_file(path)?;
    let mut offset = 0;
    for part in parts {
        disk.write_at(&file, part, offset)?;
        offset = u64::saturating_add(offset, part.len() as u64);
    }
    disk.sync(&file)
}

/// Creates a file, or empties it, readable by nobody else: some hold data keys.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Creates a directory, for nobody else, and makes its name durable; one that is there already is
/// fine.
pub(crate) fn create_directory(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => directory.parent().map_or(Ok(()), sync_directory),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Nothing was written.
pub(crate) fn refused(doing: &str, path: &Path, error: &io::Error) -> LogError {
    LogError::Refused(format!("{doing} {}: {error}", path.display()))
}

/// Nobody knows what was written, or nothing could be read.
pub(crate) fn unavailable(doing: &str, path: &Path, error: &io::Error) -> LogError {
    LogError::Unavailable(format!("{doing} {}: {error}", path.display()))
}

/// The first N bytes, taken off the front.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (front, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*front)
}
