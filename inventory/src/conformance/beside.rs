//! Promises of snapshots, trimming and documents.

use uuid::Uuid;

use super::{assert_done, assert_entries, batch, entries_after, head_after};
use crate::entry::{Entry, Hash, Head};
use crate::log::{Appended, Log, LogError, Result, Snapshot};

pub(super) async fn check(log: &dyn Log) -> Result<()> {
    snapshots(log).await?;
    trimming(log).await?;
    documents(log).await
}

/// Entries 1..=30 in batches of ten; the heads after 0, 10, 20, 30.
async fn thirty(log: &dyn Log, event: Uuid) -> Result<(Vec<Entry>, [Head; 4])> {
    let mut heads = [Head::genesis(event); 4];
    let mut written = Vec::new();
    let mut head = Head::genesis(event);
    for slot in heads.iter_mut().skip(1) {
        let entries = entries_after(head, 10, "thirty");
        assert_done("append", &log.append(event, head, &batch(&entries)).await?);
        head = head_after(head, &entries);
        *slot = head;
        written.extend(entries);
    }
    Ok((written, heads))
}

#[track_caller]
fn assert_snapshot(promise: &str, got: Option<Snapshot>, head: Head, bytes: &[u8]) {
    let got = got.map(|snapshot| (snapshot.head, snapshot.bytes));
    assert_eq!(got, Some((head, bytes.to_vec())), "{promise}");
}

async fn snapshots(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let (_, [genesis, ten, twenty, thirty]) = thirty(log, event).await?;
    let snapshot = |head, bytes: &[u8]| Snapshot { head, bytes: bytes.to_vec() };
    log.save_snapshot(event, &snapshot(twenty, b"at 20")).await?;
    assert_snapshot("a snapshot is kept", log.load_snapshot(event).await?, twenty, b"at 20");
    for (head, bytes) in [(ten, &b"at 10"[..]), (twenty, b"again"), (genesis, b"none")] {
        log.save_snapshot(event, &snapshot(head, bytes)).await?;
        let kept = log.load_snapshot(event).await?;
        assert_snapshot("one that is not newer changes nothing", kept, twenty, b"at 20");
    }
    let past = Head { seq: 31, hash: thirty.hash };
    let astray = Head { seq: 25, hash: Hash([5; 32]) };
    let astray_at_end = Head { seq: 30, hash: Hash([5; 32]) };
    for head in [past, astray, astray_at_end] {
        let refused = log.save_snapshot(event, &snapshot(head, b"no")).await;
        let as_promised = matches!(refused, Err(LogError::Refused(_)));
        assert!(as_promised, "a snapshot off the log is refused: {refused:?}");
    }
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    log.save_snapshot(event, &snapshot(thirty, &large)).await?;
    assert_snapshot("a newer one replaces it", log.load_snapshot(event).await?, thirty, &large);
    let stranger = log.save_snapshot(Uuid::new_v4(), &snapshot(ten, b"no")).await;
    assert!(matches!(stranger, Err(LogError::Refused(_))), "no log, no snapshot: {stranger:?}");
    Ok(())
}

async fn trimming(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let (written, [genesis, ten, twenty, thirty]) = thirty(log, event).await?;
    let after = |seq: usize| written.get(seq..).unwrap_or_default();
    log.trim(event, 30).await?;
    let kept = log.read(event, 0, 100).await?;
    assert_entries("without a snapshot nothing is forgotten", &kept, &written);

    let nineteen = head_after(genesis, written.get(..19).unwrap_or_default());
    log.save_snapshot(event, &Snapshot { head: nineteen, bytes: b"at 19".to_vec() }).await?;
    log.trim(event, 30).await?;
    let kept = log.read(event, 19, 100).await?;
    assert_entries("never past it, by one entry neither", &kept, after(19));
    log.save_snapshot(event, &Snapshot { head: twenty, bytes: b"at 20".to_vec() }).await?;
    log.trim(event, 30).await?;
    log.trim(event, 30).await?;
    let kept = log.read(event, 20, 100).await?;
    assert_entries("never past the snapshot's head", &kept, after(20));
    let first = log.read(event, 0, 1).await?.first().map_or(0, |entry| entry.seq);
    assert!(
        (1..=21).contains(&first),
        "a reader from the start sees where the log begins: {first}"
    );
    assert_eq!(log.head(event).await?, thirty, "trimming does not move the head");

    match log.append(event, twenty, &batch(&entries_after(twenty, 1, "late"))).await? {
        Appended::Lost { missing } => {
            assert_entries("the snapshot's head can be joined", &missing, after(20));
        }
        other => panic!("an append at the snapshot's head is lost: {other:?}"),
    }
    for old in [genesis, ten] {
        match log.append(event, old, &batch(&entries_after(old, 1, "late"))).await? {
            Appended::Lost { missing } => {
                let seq = usize::try_from(old.seq).unwrap_or(usize::MAX);
                assert_entries("kept all the same: lost", &missing, after(seq));
            }
            Appended::Forked { head } => assert_eq!(head, thirty, "trimmed: cannot be joined"),
            other => panic!("an append at an old head does not succeed: {other:?}"),
        }
    }
    for (seq, entry) in (21_usize..).zip(after(20)) {
        log.save_snapshot(event, &Snapshot { head: entry.head(), bytes: vec![1] }).await?;
        log.trim(event, u64::MAX).await?;
        let kept = log.read(event, entry.seq, 100).await?;
        assert_entries("never past it, wherever it stands", &kept, after(seq));
    }
    let more = entries_after(thirty, 3, "more");
    assert_done("append after trimming", &log.append(event, thirty, &batch(&more)).await?);
    assert_entries("and read", &log.read(event, 30, 10).await?, &more);
    assert!(log.events().await?.contains(&event), "a trimmed log is a log");

    let end = head_after(thirty, &more);
    log.save_snapshot(event, &Snapshot { head: end, bytes: b"all".to_vec() }).await?;
    log.trim(event, u64::MAX).await?;
    assert_eq!(log.head(event).await?, end, "all trimmed, the head stays");
    assert_done("and can be joined", &log.append(event, end, &batch(&[])).await?);
    Ok(())
}

async fn documents(log: &dyn Log) -> Result<()> {
    let name = format!("conformance.{}", Uuid::new_v4());
    assert_eq!(log.get(&name).await?, None, "no document");
    let large = vec![0xA5; 2 << 20];
    for bytes in [&b"one"[..], b"", b"\0\xff\r\n", &large, b"last"] {
        log.put(&name, bytes).await?;
        assert_eq!(log.get(&name).await?.as_deref(), Some(bytes), "the newest document, whole");
    }
    for bad in ["", "../lock", "a/b", ".hidden", "a b"] {
        let (put, get) = (log.put(bad, b"x").await, log.get(bad).await);
        assert!(matches!(put, Err(LogError::Refused(_))), "put {bad:?} is refused: {put:?}");
        assert!(matches!(get, Err(LogError::Refused(_))), "get {bad:?} is refused: {get:?}");
    }
    Ok(())
}
