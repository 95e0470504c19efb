//! Reads entries out of segment files, checking every frame again. Knows places and frames; takes
//! the index only for as long as it needs to find a place, so that reading never delays an append.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{PoisonError, RwLock};

use super::disk::unavailable;
use super::index::{Index, Place};
use super::segment::{self, FRAME_HEADER_BYTES};
use crate::entry::Entry;
use crate::log::{LogError, Result};

/// Durable entries after `after`, at most `limit`.
pub(crate) fn read_frames(index: &RwLock<Index>, after: u64, limit: usize) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut after = after;
    let mut vanished = None;
    while found.len() < limit {
        let place = index.read().unwrap_or_else(PoisonError::into_inner).place(after);
        let Some(place) = place else { break };
        let file = match File::open(&place.path) {
            Ok(file) => file,
            // Trimmed since: the index has another place by now, or the file is really gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if vanished.as_ref() == Some(&place.path) {
                    return Err(bad(&place, place.offset, "the segment is gone"));
                }
                vanished = Some(place.path);
                continue;
            }
            Err(error) => return Err(unavailable("opening", &place.path, &error)),
        };
        let before = after;
        read_segment(&file, &place, &mut after, limit, &mut found)?;
        if after == before {
            return Err(bad(&place, place.offset, "the entries are not where the index says"));
        }
    }
    Ok(found)
}

/// Adds the entries of one segment from a place on; moves `after` to the last one seen.
fn read_segment(
    file: &File,
    place: &Place,
    after: &mut u64,
    limit: usize,
    found: &mut Vec<Entry>,
) -> Result<()> {
    let mut offset = place.offset;
    while offset < place.end && found.len() < limit {
        let header = read_at(file, place, offset, FRAME_HEADER_BYTES)?;
        let (length, check) = segment::frame_header(&header)
            .ok_or_else(|| bad(place, offset, "a frame's header is bad"))?;
        let start = offset.saturating_add(FRAME_HEADER_BYTES as u64);
        let end = start.saturating_add(length as u64);
        if end > place.end {
            return Err(bad(place, offset, "a frame is longer than its segment"));
        }
        let bytes = read_at(file, place, start, length)?;
        let (preamble, json) = segment::payload(&bytes, check)
            .ok_or_else(|| bad(place, offset, "a frame's payload is bad"))?;
        if preamble.after.seq > *after {
            let entries = segment::entries(preamble, json)
                .ok_or_else(|| bad(place, offset, "a frame's entries are bad"))?;
            let wanted = entries.into_iter().filter(|entry| entry.seq > *after);
            let room = limit.saturating_sub(found.len());
            found.extend(wanted.take(room));
            *after = found.last().map_or(*after, |entry| entry.seq);
        }
        offset = end;
    }
    Ok(())
}

fn read_at(file: &File, place: &Place, offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(bad(place, offset, "the segment is shorter than it was"))
        }
        Err(error) => Err(unavailable("reading", &place.path, &error)),
    }
}

fn bad(place: &Place, offset: u64, reason: &str) -> LogError {
    LogError::Damaged(format!("{} at byte {offset}: {reason}", place.path.display()))
}
