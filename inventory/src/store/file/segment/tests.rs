//! The bytes of segments, which later versions have to read.

use super::*;
use crate::conformance::{entries_after, head_after};

const EVENT: Uuid = Uuid::from_u128(7);

fn written(counts: &[u64]) -> (Vec<u8>, Vec<usize>) {
    let mut head = Head::genesis(EVENT);
    let mut bytes = header(EVENT, head);
    let mut ends = vec![bytes.len()];
    for count in counts {
        let entries = entries_after(head, *count, "x");
        let json: Vec<u8> = entries.iter().flat_map(|e| serde_json::to_vec(e).unwrap()).collect();
        let after = head_after(head, &entries);
        bytes.extend(frame(Preamble { before: head, after }, &json).unwrap());
        ends.push(bytes.len());
        head = after;
    }
    (bytes, ends)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Calculated by an implementation of its own, in Python, from the words of the module alone.
#[test]
fn header_and_frame_are_laid_out_as_written_down() {
    let head = Head { seq: 41, hash: Hash([0xAB; 32]) };
    let header = header(EVENT, head);
    assert_eq!(hex(&header), HEADER);
    let after = Head { seq: 43, hash: Hash([0xCD; 32]) };
    let frame = frame(Preamble { before: head, after }, b"{}{}").unwrap();
    assert_eq!(hex(&frame), FRAME);
}

#[test]
fn a_scan_finds_every_frame() {
    let (bytes, ends) = written(&[1, 3, 2]);
    let scan = scan(EVENT, &bytes).unwrap();
    assert_eq!(scan.base, Head::genesis(EVENT));
    assert_eq!(scan.end, bytes.len());
    let found: Vec<_> = scan.frames.iter().map(|frame| (frame.offset, frame.end)).collect();
    assert_eq!(found, [(ends[0], ends[1]), (ends[1], ends[2]), (ends[2], ends[3])]);
    let last: Vec<_> = scan.frames.iter().map(|frame| frame.preamble.after.seq).collect();
    assert_eq!(last, [1, 4, 6]);
}

#[test]
fn a_frame_that_does_not_follow_is_damage() {
    let (bytes, ends) = written(&[1, 1, 1]);
    let without_second = [&bytes[..ends[1]], &bytes[ends[2]..]].concat();
    let twice = [&bytes[..ends[2]], &bytes[ends[1]..]].concat();
    for (case, bytes) in [("one is missing", without_second), ("one is there twice", twice)] {
        let fault = scan(EVENT, &bytes).unwrap_err();
        assert!(matches!(fault, Fault::Damaged(_, reason) if reason.contains("follow")), "{case}");
    }
}

#[test]
fn garbage_is_never_a_log() {
    assert_eq!(scan(EVENT, b"").unwrap_err(), Fault::NeverBegun);
    assert_eq!(scan(EVENT, &[0; 5_000]).unwrap_err(), Fault::NeverBegun);
    for garbage in [[0xFF; 5_000], [b'a'; 5_000]] {
        assert!(matches!(scan(EVENT, &garbage), Err(Fault::Damaged(0, _))));
    }
    // A header that promises the longest payload of all, with nothing behind it: a torn tail.
    let (mut bytes, ends) = written(&[1]);
    let mut long = u32::MAX.to_be_bytes().to_vec();
    long.extend([0; 4]);
    long.extend(crc32c::crc32c(&long).to_be_bytes());
    bytes.extend(long);
    assert_eq!(scan(EVENT, &bytes).unwrap().end, ends[1]);
}

const HEADER: &str = "\
    41544c56534c473100000000000000000000000000000007000000000000002aabababababababababababab\
    abababababababababababababababababababab6d1e1e89";
const FRAME: &str = "\
    00000050efe78b700f624dba000000000000002a00000002abababababababababababababababababababab\
    ababababababababababababcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\
    7b7d7b7d";
