//! Promises of `append`.

use uuid::Uuid;

use super::{assert_done, assert_entries, batch, entries_after, entry_after, head_after};
use crate::entry::{Entry, Hash, Head};
use crate::log::{
    Appended, Batch, DataKey, ENTRIES_PER_APPEND_MAX, ENTRIES_PER_READ_MAX, ENTRY_BYTES_MAX, Log,
    LogError, Result,
};

pub(super) async fn check(log: &dyn Log) -> Result<()> {
    conditional(log).await?;
    repeated(log).await?;
    behind_and_forked(log).await?;
    empty(log).await?;
    malformed(log).await?;
    exact(log).await?;
    big(log).await?;
    keys(log).await
}

async fn conditional(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let first = entries_after(genesis, 3, "first");
    assert_done("append at genesis", &log.append(event, genesis, &batch(&first)).await?);
    let head = head_after(genesis, &first);
    assert_eq!(log.head(event).await?, head, "the head is the last entry's");

    let late = entries_after(genesis, 5, "late");
    match log.append(event, genesis, &batch(&late)).await? {
        Appended::Lost { missing } => assert_entries("a lost race gives them", &missing, &first),
        other => panic!("an append at an old head is lost: {other:?}"),
    }
    let stored = log.read(event, 0, 10).await?;
    assert_entries("a lost append wrote nothing", &stored, &first);

    let inner = head_after(genesis, first.get(..1).unwrap_or_default());
    match log.append(event, inner, &batch(&entries_after(inner, 1, "late"))).await? {
        Appended::Lost { missing } => {
            let want = first.get(1..).unwrap_or_default();
            assert_entries("only what comes after the expected head is missing", &missing, want);
        }
        other => panic!("an append at an inner head is lost: {other:?}"),
    }
    let second = entries_after(head, 2, "second");
    assert_done("append at the head", &log.append(event, head, &batch(&second)).await?);
    Ok(())
}

async fn repeated(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let first = entries_after(genesis, 4, "first");
    let head = head_after(genesis, &first);
    for promise in ["append", "a repeated append is done", "however often"] {
        assert_done(promise, &log.append(event, genesis, &batch(&first)).await?);
    }
    let second = entries_after(head, 4, "second");
    assert_done("append", &log.append(event, head, &batch(&second)).await?);
    let promise = "a repeated append is done, also after later ones";
    assert_done(promise, &log.append(event, genesis, &batch(&first)).await?);

    // After a lost tail several nodes append again what they know, cut into batches as they like.
    let all: Vec<Entry> = first.iter().chain(&second).cloned().collect();
    let third = entries_after(head_after(head, &second), 2, "third");
    let more: Vec<Entry> = all.iter().chain(&third).cloned().collect();
    let promise = "a batch that begins with what the log ends with is completed";
    assert_done(promise, &log.append(event, genesis, &batch(&more)).await?);
    assert_done("also a part of it again", &log.append(event, genesis, &batch(&all)).await?);
    let stored = log.read(event, 0, 20).await?;
    assert_entries("nothing is stored twice", &stored, &more);
    Ok(())
}

async fn behind_and_forked(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let ours = entries_after(genesis, 6, "ours");
    let theirs = entries_after(genesis, 6, "theirs");
    let (lost, next) = (head_after(genesis, &ours), batch(&[]));
    let part = ours.get(..4).unwrap_or_default();
    match log.append(event, lost, &next).await? {
        Appended::Behind { head } => assert_eq!(head, genesis, "behind from the beginning"),
        other => panic!("an empty log is behind: {other:?}"),
    }
    assert_done("append", &log.append(event, genesis, &batch(part)).await?);
    let head = head_after(genesis, part);
    match log.append(event, lost, &batch(&entries_after(lost, 1, "next"))).await? {
        Appended::Behind { head: at } => assert_eq!(at, head, "behind says where the log ends"),
        other => panic!("a shorter log is behind: {other:?}"),
    }
    for length in 1..=4 {
        let other = head_after(genesis, theirs.get(..length).unwrap_or_default());
        let next = entries_after(other, 2, "next");
        match log.append(event, other, &batch(&next)).await? {
            Appended::Forked { head: at } => assert_eq!(at, head, "forked says the log's end"),
            other => panic!("another hash at {length} is a fork: {other:?}"),
        }
    }
    assert_entries("a fork wrote nothing", &log.read(event, 0, 10).await?, part);
    Ok(())
}

async fn empty(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let nothing = Batch::default();
    assert_done("nothing at genesis", &log.append(event, genesis, &nothing).await?);
    assert_eq!(log.head(event).await?, genesis, "an empty batch makes no entry");
    assert!(!log.events().await?.contains(&event), "an empty batch makes no log");
    let first = entries_after(genesis, 2, "first");
    assert_done("append", &log.append(event, genesis, &batch(&first)).await?);
    let head = head_after(genesis, &first);
    assert_done("nothing at the head", &log.append(event, head, &nothing).await?);
    match log.append(event, genesis, &nothing).await? {
        Appended::Lost { missing } => assert_entries("an old head is lost", &missing, &first),
        other => panic!("an empty batch at an old head is lost: {other:?}"),
    }
    Ok(())
}

async fn malformed(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let good = entries_after(genesis, 3, "good");
    let pick = |numbers: &[usize]| -> Vec<Entry> {
        numbers.iter().filter_map(|number| good.get(*number).cloned()).collect()
    };
    let mut chained_elsewhere = good.clone();
    if let Some(last) = chained_elsewhere.last_mut() {
        last.prev_hash = Hash([9; 32]);
    }
    let too_large = format!("\"{}\"", "x".repeat(ENTRY_BYTES_MAX));
    let too_many =
        entries_after(genesis, (ENTRIES_PER_APPEND_MAX as u64).saturating_add(1), "many");
    let cases = [
        ("a gap inside", pick(&[0, 2])),
        ("a gap before", pick(&[1, 2])),
        ("an entry twice", pick(&[0, 0])),
        ("another hash inside", chained_elsewhere),
        ("too large an entry", vec![entry_after(genesis, &too_large)]),
        ("too many entries", too_many),
    ];
    for (case, entries) in cases {
        let refused = log.append(event, genesis, &batch(&entries)).await;
        assert!(matches!(refused, Err(LogError::Refused(_))), "{case} is refused: {refused:?}");
    }
    let stranger = Head { seq: 0, hash: Hash([1; 32]) };
    let refused = log.append(event, stranger, &batch(&entries_after(stranger, 1, "no"))).await;
    assert!(
        matches!(refused, Err(LogError::Refused(_))),
        "a false genesis is refused: {refused:?}"
    );
    assert_eq!(log.head(event).await?, genesis, "refused appends wrote nothing");
    Ok(())
}

/// The data's text is kept to the byte: hashes depend on it.
async fn exact(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let mut head = Head::genesis(event);
    let mut written = Vec::new();
    for data in [
        r#"{"b":1,"a":2,"a":3}"#,
        "{ \"spaces\" :\t[ 1 , 2 ] }",
        "{\"line\":\n\n\"breaks\"}",
        r#"{"escapes":"\u00e9\/\"\\","number":1.50e+3,"big":12345678901234567890123}"#,
        r#"{"text":"é 漢 🎟"}"#,
        "null",
        "[]",
    ] {
        let entry = entry_after(head, data);
        assert_eq!(entry.data.get(), data, "the case is JSON");
        assert_done(
            "append",
            &log.append(event, head, &batch(std::slice::from_ref(&entry))).await?,
        );
        head = entry.head();
        written.push(entry);
    }
    assert_entries("the text of data", &log.read(event, 0, 10).await?, &written);
    Ok(())
}

async fn big(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let many = entries_after(genesis, 1_000, "many");
    assert_done("1,000 entries", &log.append(event, genesis, &batch(&many)).await?);
    let head = head_after(genesis, &many);
    let large = entry_after(head, &format!("\"{}\"", "x".repeat(1 << 20)));
    assert_done("1 MiB", &log.append(event, head, &batch(std::slice::from_ref(&large))).await?);
    assert_entries("1,000 entries", &log.read(event, 0, 1_000).await?, &many);
    assert_entries("1 MiB", &log.read(event, 1_000, 10).await?, std::slice::from_ref(&large));
    match log.append(event, genesis, &batch(&entries_after(genesis, 1, "late"))).await? {
        Appended::Lost { missing } => {
            let want = many.get(..ENTRIES_PER_READ_MAX).unwrap_or_default();
            assert_entries("a lost race gives at most a page, the oldest", &missing, want);
        }
        other => panic!("an append at an old head is lost: {other:?}"),
    }
    Ok(())
}

async fn keys(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let [one, two, lost, unknown] = std::array::from_fn(|_| Uuid::new_v4());
    let key = |byte| DataKey([byte; 32]);
    assert_eq!(log.data_keys(event, &[one]).await?, [], "an event without a log has no keys");
    log.erase_key(event, unknown).await?;

    let entries = entries_after(genesis, 2, "sold");
    let mut sold = batch(&entries);
    sold.keys = vec![(one, key(1)), (two, key(2))];
    assert_done("append", &log.append(event, genesis, &sold).await?);
    let mut late = batch(&entries_after(genesis, 1, "late"));
    late.keys = vec![(lost, key(3))];
    let appended = log.append(event, genesis, &late).await?;
    assert!(matches!(appended, Appended::Lost { .. }), "lost: {appended:?}");

    let found = log.data_keys(event, &[two, unknown, lost, one]).await?;
    let want = [(two, key(2)), (one, key(1))];
    assert_eq!(found, want, "keys of appended batches, in the order asked for, no others");
    assert_eq!(log.data_keys(event, &[]).await?, [], "no orders, no keys");
    let other = log.data_keys(Uuid::new_v4(), &[one]).await?;
    assert_eq!(other, [], "a key belongs to its event");

    for _ in 0..2 {
        log.erase_key(event, one).await?;
        let found = log.data_keys(event, &[one, two]).await?;
        assert_eq!(found, [(two, key(2))], "an erased key is gone, the others stay");
    }
    assert_done("repeated", &log.append(event, genesis, &sold).await?);
    let head = head_after(genesis, &entries);
    let more = entries_after(head, 1, "more");
    let longer: Vec<Entry> = entries.iter().chain(&more).cloned().collect();
    let again = Batch { entries: longer, keys: sold.keys.clone() };
    assert_done("completed", &log.append(event, genesis, &again).await?);
    let found = log.data_keys(event, &[one, two]).await?;
    assert_eq!(found, [(two, key(2))], "no repetition brings an erased key back");
    Ok(())
}
