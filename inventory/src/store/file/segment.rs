//! Bytes of one segment file: a header, then frames, one a batch. Knows how to write and to check
//! them; must not know what entries mean nor how files are named.
//!
//! Integers are big-endian, checks are CRC-32C.
//! Header: magic[8] ‖ event id[16] ‖ first seq u64 ‖ hash before it[32] ‖ check u32 of all this.
//! Frame: payload length u32 ‖ check u32 of the payload ‖ check u32 of these 8 bytes ‖ payload.
//! Payload: first seq u64 ‖ count u32 ‖ hash before[32] ‖ hash of the last[32] ‖ the entries' JSON,
//! one directly after the other.

use serde_json::Deserializer;
use uuid::Uuid;

use super::disk::take;
use crate::entry::{Entry, Hash, Head};

const MAGIC: [u8; 8] = *b"ATLVSLG1";
pub(crate) const HEADER_BYTES: usize = 68;
pub(crate) const FRAME_HEADER_BYTES: usize = 12;
const PREAMBLE_BYTES: usize = 76;

/// What a frame says about its entries without reading them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Preamble {
    /// Head before the frame.
    pub(crate) before: Head,
    /// Head after it.
    pub(crate) after: Head,
}

/// A frame inside a segment's bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) offset: usize,
    /// Where the next one begins.
    pub(crate) end: usize,
    pub(crate) preamble: Preamble,
}

/// What a segment's bytes hold.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) base: Head,
    pub(crate) frames: Vec<Frame>,
    /// End of the last good frame; bytes beyond are a torn tail.
    pub(crate) end: usize,
}

/// Why a segment cannot be read.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The header was never written whole, and no frame follows: a segment whose creation was cut.
    NeverBegun,
    /// Offset and reason.
    Damaged(usize, &'static str),
}

/// A segment's header; `base` is the head before its first entry.
pub(crate) fn header(event: Uuid, base: Head) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(event.as_bytes());
    bytes.extend_from_slice(&base.seq.saturating_add(1).to_be_bytes());
    bytes.extend_from_slice(&base.hash.0);
    let check = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&check.to_be_bytes());
    bytes
}

/// A frame of entries given as JSON. None when it is longer than its length field can say.
pub(crate) fn frame(preamble: Preamble, json: &[u8]) -> Option<Vec<u8>> {
    let length = PREAMBLE_BYTES.checked_add(json.len())?;
    let count = u32::try_from(preamble.after.seq.checked_sub(preamble.before.seq)?).ok()?;
    let mut payload = Vec::with_capacity(PREAMBLE_BYTES);
    payload.extend_from_slice(&preamble.before.seq.checked_add(1)?.to_be_bytes());
    payload.extend_from_slice(&count.to_be_bytes());
    payload.extend_from_slice(&preamble.before.hash.0);
    payload.extend_from_slice(&preamble.after.hash.0);
    let check = crc32c::crc32c_append(crc32c::crc32c(&payload), json);
    let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES.checked_add(length)?);
    bytes.extend_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
    bytes.extend_from_slice(&check.to_be_bytes());
    let header_check = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&header_check.to_be_bytes());
    bytes.extend_from_slice(&payload);
    bytes.extend_from_slice(json);
    Some(bytes)
}

/// Payload length and check that a frame's header promises; none when the header is not good.
pub(crate) fn frame_header(mut bytes: &[u8]) -> Option<(usize, u32)> {
    let expected = crc32c::crc32c(bytes.get(..8)?);
    let length = u32::from_be_bytes(take(&mut bytes)?);
    let check = u32::from_be_bytes(take(&mut bytes)?);
    let good = u32::from_be_bytes(take(&mut bytes)?) == expected;
    good.then_some((usize::try_from(length).ok()?, check))
}

/// Preamble and JSON of a payload, after its check.
pub(crate) fn payload(mut bytes: &[u8], check: u32) -> Option<(Preamble, &[u8])> {
    if crc32c::crc32c(bytes) != check {
        return None;
    }
    let first = u64::from_be_bytes(take(&mut bytes)?);
    let count = u32::from_be_bytes(take(&mut bytes)?);
    let before = Head { seq: first.checked_sub(1)?, hash: Hash(take(&mut bytes)?) };
    let seq = before.seq.checked_add(u64::from(count))?;
    let after = Head { seq, hash: Hash(take(&mut bytes)?) };
    Some((Preamble { before, after }, bytes))
}

/// The entries of a payload's JSON. None when they are not what the preamble says.
pub(crate) fn entries(preamble: Preamble, json: &[u8]) -> Option<Vec<Entry>> {
    let mut seq = preamble.before.seq;
    let mut entries = Vec::new();
    for entry in Deserializer::from_slice(json).into_iter::<Entry>() {
        let entry = entry.ok()?;
        seq = seq.checked_add(1)?;
        if entry.seq != seq {
            return None;
        }
        entries.push(entry);
    }
    (seq == preamble.after.seq).then_some(entries)
}

/// Checks a whole segment of `event`. A bad frame with no good one behind it is a torn tail, which
/// a crash leaves and which was never acknowledged; a bad frame with a good one behind it is damage,
/// because frames are made durable one after the other.
pub(crate) fn scan(event: Uuid, bytes: &[u8]) -> Result<Scan, Fault> {
    let Some(base) = read_header(event, bytes) else {
        return Err(match next_good(bytes, 0) {
            None if bytes.len() <= HEADER_BYTES || bytes.iter().all(|byte| *byte == 0) => {
                Fault::NeverBegun
            }
            _ => Fault::Damaged(0, "the segment's header is not this event's or is not whole"),
        });
    };
    let mut scan = Scan { base, frames: Vec::new(), end: HEADER_BYTES };
    let mut head = base;
    while scan.end < bytes.len() {
        let Some(frame) = frame_at(bytes, scan.end) else {
            return match next_good(bytes, scan.end.saturating_add(1)) {
                None => Ok(scan),
                Some(_) => Err(Fault::Damaged(scan.end, "a frame is bad and good ones follow")),
            };
        };
        if frame.preamble.before != head {
            return Err(Fault::Damaged(scan.end, "a frame does not follow the one before"));
        }
        head = frame.preamble.after;
        scan.end = frame.end;
        scan.frames.push(frame);
    }
    Ok(scan)
}

fn read_header(event: Uuid, bytes: &[u8]) -> Option<Head> {
    let (checked, mut check) = bytes.get(..HEADER_BYTES)?.split_at_checked(HEADER_BYTES - 4)?;
    if u32::from_be_bytes(take(&mut check)?) != crc32c::crc32c(checked) {
        return None;
    }
    let mut rest = checked;
    if take(&mut rest)? != MAGIC || take(&mut rest)? != *event.as_bytes() {
        return None;
    }
    let first = u64::from_be_bytes(take(&mut rest)?);
    Some(Head { seq: first.checked_sub(1)?, hash: Hash(take(&mut rest)?) })
}

fn frame_at(bytes: &[u8], offset: usize) -> Option<Frame> {
    let rest = bytes.get(offset..)?;
    let (length, check) = frame_header(rest)?;
    let start = offset.checked_add(FRAME_HEADER_BYTES)?;
    let end = start.checked_add(length)?;
    let (preamble, _) = payload(bytes.get(start..end)?, check)?;
    Some(Frame { offset, end, preamble })
}

/// Offset of the first good frame at or after `from`. Cheap where there is none: the 12 bytes of a
/// frame's header carry their own check.
fn next_good(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find(|offset| frame_at(bytes, *offset).is_some())
}

#[cfg(test)]
mod tests;
