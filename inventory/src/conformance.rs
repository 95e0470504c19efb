//! The suite that every store of logs passes, ours and any to come. Knows the contract of `log`; must
//! not know how a store keeps it. A broken promise panics with the promise's name.

mod appends;
mod beside;
mod reading;

use std::future::Future;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::entry::{Entry, Head, VERSION};
use crate::log::{Appended, Batch, Log, Result, SharedLog};
use crate::time::Millis;

/// Checks every promise. `open` opens the same store; it is called again after what it gave before
/// was dropped. The suite uses events of its own, so the store may hold others.
pub async fn run<F: Future<Output = Result<SharedLog>>>(open: impl Fn() -> F) -> Result<()> {
    let log = open().await?;
    appends::check(&*log).await?;
    reading::check(&*log).await?;
    beside::check(&*log).await?;
    concurrent(&log).await?;
    let kept = Kept::write(&*log).await?;
    drop(log);
    let log = open().await?;
    kept.check(&*log).await?;
    drop(log);
    kept.check(&*open().await?).await
}

/// `count` entries that follow `head`. Another label gives other entries.
pub fn entries_after(head: Head, count: u64, label: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut head = head;
    for _ in 0..count {
        let entry = entry_after(head, &format!(r#"{{"n":{},"label":"{label}"}}"#, head.seq));
        head = entry.head();
        entries.push(entry);
    }
    entries
}

/// An entry with this text as data, which must be JSON; else with `null`.
pub fn entry_after(head: Head, data: &str) -> Entry {
    let data = RawValue::from_string(data.to_owned()).unwrap_or_default();
    let seq = head.seq.saturating_add(1);
    let at = Millis(1_800_000_000_000_i64.saturating_add_unsigned(seq));
    Entry { seq, prev_hash: head.hash, at, v: VERSION, kind: "scan.decided".to_owned(), data }
}

/// Head after these entries, or `head` when there are none.
pub fn head_after(head: Head, entries: &[Entry]) -> Head {
    entries.last().map_or(head, Entry::head)
}

pub fn batch(entries: &[Entry]) -> Batch {
    Batch { entries: entries.to_vec(), keys: Vec::new() }
}

/// Panics unless both are the same entries, to the byte of their data.
#[track_caller]
pub fn assert_entries(promise: &str, got: &[Entry], want: &[Entry]) {
    let heads = |entries: &[Entry]| entries.iter().map(Entry::head).collect::<Vec<_>>();
    assert_eq!(heads(got), heads(want), "{promise}: seq and hash");
    for (got, want) in got.iter().zip(want) {
        assert_eq!(got.data.get(), want.data.get(), "{promise}: exact text of data");
    }
}

#[track_caller]
fn assert_done(promise: &str, appended: &Appended) {
    assert!(matches!(appended, Appended::Done), "{promise}: {appended:?}");
}

/// Two and more writers at the same head: exactly one is first, the others learn what it wrote.
async fn concurrent(log: &SharedLog) -> Result<()> {
    const ROUNDS: u64 = 20;
    const WRITERS: u64 = 4;
    let event = Uuid::new_v4();
    let mut head = Head::genesis(event);
    let mut journal = Vec::new();
    for round in 0..ROUNDS {
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            // Not all of one length, so that no end is mistaken for another.
            let count = writer.saturating_add(1);
            let entries = entries_after(head, count, &format!("round {round}, writer {writer}"));
            let (log, batch) = (log.clone(), batch(&entries));
            let append = async move { log.append(event, head, &batch).await };
            writers.push((entries, tokio::spawn(append)));
        }
        let mut first = None;
        let mut losers = Vec::new();
        for (entries, writer) in writers {
            let appended = writer.await.map_err(|error| {
                crate::log::LogError::Unavailable(format!("a writer died: {error}"))
            })?;
            match appended? {
                Appended::Done if first.is_none() => first = Some(entries),
                Appended::Lost { missing } => losers.push(missing),
                other => panic!("one of several writers wins, once: {other:?}"),
            }
        }
        let Some(first) = first else { panic!("one of several writers wins: none did") };
        for missing in losers {
            assert_entries("a loser learns what the winner wrote", &missing, &first);
        }
        head = head_after(head, &first);
        journal.extend(first);
    }
    let stored = log.read(event, 0, journal.len()).await?;
    assert_entries("the log holds the winners' entries alone", &stored, &journal);
    Ok(())
}

/// What must be found again after the store was closed and opened.
struct Kept {
    event: Uuid,
    entries: Vec<Entry>,
    snapshot: crate::log::Snapshot,
    order: Uuid,
    erased: Uuid,
    key: crate::log::DataKey,
    document: String,
}

impl Kept {
    async fn write(log: &dyn Log) -> Result<Self> {
        let event = Uuid::new_v4();
        let genesis = Head::genesis(event);
        let entries = entries_after(genesis, 30, "kept");
        let (front, back) = entries.split_at(20);
        let kept = Self {
            event,
            snapshot: crate::log::Snapshot { head: head_after(genesis, front), bytes: vec![7; 99] },
            order: Uuid::new_v4(),
            erased: Uuid::new_v4(),
            key: crate::log::DataKey([3; 32]),
            document: format!("kept-{event}"),
            entries: entries.clone(),
        };
        let mut first = batch(front);
        first.keys = vec![(kept.order, kept.key.clone()), (kept.erased, kept.key.clone())];
        assert_done("append", &log.append(event, genesis, &first).await?);
        assert_done("append", &log.append(event, kept.snapshot.head, &batch(back)).await?);
        log.save_snapshot(event, &kept.snapshot).await?;
        log.erase_key(event, kept.erased).await?;
        log.put(&kept.document, b"stays").await?;
        kept.check(log).await?;
        Ok(kept)
    }

    async fn check(&self, log: &dyn Log) -> Result<()> {
        let stored = log.read(self.event, 0, self.entries.len()).await?;
        assert_entries("entries survive reopening", &stored, &self.entries);
        let head = head_after(self.snapshot.head, &self.entries);
        assert_eq!(log.head(self.event).await?, head, "the head survives reopening");
        assert!(log.events().await?.contains(&self.event), "the event survives reopening");
        let snapshot = log.load_snapshot(self.event).await?;
        let snapshot = snapshot.map(|snapshot| (snapshot.head, snapshot.bytes));
        let want = Some((self.snapshot.head, self.snapshot.bytes.clone()));
        assert_eq!(snapshot, want, "the snapshot survives reopening");
        let keys = log.data_keys(self.event, &[self.erased, self.order]).await?;
        assert_eq!(keys, [(self.order, self.key.clone())], "keys survive, erased ones stay erased");
        let document = log.get(&self.document).await?;
        assert_eq!(document.as_deref(), Some(&b"stays"[..]), "documents survive reopening");
        let last = batch(self.entries.get(20..).unwrap_or_default());
        let again = log.append(self.event, self.snapshot.head, &last).await?;
        assert_done("a repeated append is known after reopening", &again);
        Ok(())
    }
}
