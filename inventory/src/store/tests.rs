//! What an append means for a head, case by case.

use super::*;

/// Hashes of chain `name` for numbers 1..=last; chains share their entries up to `fork`.
fn hash(name: u8, fork: u64, seq: u64) -> Hash {
    let chain = if seq <= fork { 0 } else { name };
    let [.., low] = seq.to_be_bytes();
    let mut bytes = [chain; 32];
    bytes[31] = low;
    Hash(bytes)
}

/// The log holds (trimmed, stored] of chain 1; the caller is on chain 2, which parts after `fork`,
/// and appends `count` entries after `expected`.
#[track_caller]
fn check(stored: u64, trimmed: u64, fork: u64, expected: u64, count: u64, want: Verdict) {
    let head = Head { seq: stored, hash: hash(1, fork, stored) };
    let wanted = Head { seq: expected, hash: hash(2, fork, expected) };
    let hashes: Vec<_> =
        (1..=count).filter_map(|n| Some(hash(2, fork, expected.checked_add(n)?))).collect();
    let got = judge(head, wanted, &hashes, |seq| {
        assert!(seq < stored, "asked for the head or past it: {seq}");
        Ok((seq >= trimmed).then(|| hash(1, fork, seq)))
    });
    assert_eq!(got.ok(), Some(want));
}

#[test]
fn an_append_is_judged_by_heads_and_hashes() {
    // stored, trimmed, fork, expected, count
    check(0, 0, 9, 0, 1, Verdict::Write { skip: 0 });
    check(5, 0, 5, 5, 3, Verdict::Write { skip: 0 });
    check(5, 0, 5, 5, 0, Verdict::Done);
    // Repeated, whole and in part, with and without later entries of others.
    check(8, 0, 8, 5, 3, Verdict::Done);
    check(7, 0, 9, 5, 3, Verdict::Write { skip: 2 });
    check(9, 0, 8, 5, 3, Verdict::Done);
    check(20, 0, 8, 5, 3, Verdict::Done);
    // Another writer was first, with fewer, as many or more entries.
    check(6, 0, 5, 5, 3, Verdict::Lost);
    check(8, 0, 5, 5, 3, Verdict::Lost);
    check(20, 0, 5, 5, 3, Verdict::Lost);
    check(20, 0, 6, 5, 3, Verdict::Lost);
    check(6, 0, 5, 5, 0, Verdict::Lost);
    // A lost tail.
    check(4, 0, 5, 5, 3, Verdict::Behind);
    check(0, 0, 5, 5, 0, Verdict::Behind);
    // A tail of its own.
    check(5, 0, 4, 5, 3, Verdict::Forked);
    check(5, 0, 4, 5, 0, Verdict::Forked);
    check(9, 0, 4, 5, 3, Verdict::Forked);
    // What is trimmed cannot be joined, unless the batch's end is still there.
    check(20, 5, 5, 5, 3, Verdict::Lost);
    check(20, 6, 5, 5, 3, Verdict::Forked);
    check(20, 8, 8, 5, 3, Verdict::Done);
    check(20, 9, 8, 5, 3, Verdict::Forked);
}

#[test]
fn document_names_stay_inside_their_directory() {
    for good in ["catalogue", "ack.backoffice.0190-a", "A_b-9", &"x".repeat(120)] {
        assert!(check_document_name(good).is_ok(), "{good}");
    }
    for bad in ["", ".", "..", ".hidden", "a/b", "a b", "ä", "a\0", &"x".repeat(121)] {
        assert!(matches!(check_document_name(bad), Err(LogError::Refused(_))), "{bad}");
    }
}
