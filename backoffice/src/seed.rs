//! `backoffice seed`: the demonstration organization, and the file that keeps what is shown once.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use kernel::service::Service;
use serde_json::Value;

use crate::{Failure, print};

/// Owner may read and write: the file holds tokens and a password.
const FILE_MODE: u32 = 0o600;

pub(crate) async fn seed(service: &Service, out: Option<&Path>) -> Result<(), Failure> {
    let before = match out {
        Some(path) => read(path)?,
        None => None,
    };
    let seeded = seeds::run(service, before.as_ref()).await?;
    let text = format!("{seeded:#}\n");
    match out {
        Some(path) => write(path, &text),
        None => print(&text),
    }
}

/// What an earlier run wrote; nothing when there is no such file.
fn read(path: &Path) -> Result<Option<Value>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Failure::new(format!("{}: {cause}", path.display()))),
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|cause| Failure::new(format!("{} is not JSON: {cause}", path.display())))
}

/// Written beside and renamed, so that a killed process leaves the old file or the new one.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    let failed = |cause| Failure::new(format!("{}: {cause}", beside.display()));
    // One that a killed process left could be open to others: the mode counts on making only.
    match std::fs::remove_file(beside) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(failed(cause)),
        _ => {}
    }
    let mut file = options.open(beside).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(beside, path)?;
    Ok(())
}
