//! Promises of `read`, `follow`, `head` and `events`.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::{assert_done, assert_entries, batch, entries_after, head_after};
use crate::entry::{Entry, Head};
use crate::log::{ENTRIES_PER_READ_MAX, Log, Result};

/// Longer than anything here takes: a wait of this length that ends has been woken.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(20);

pub(super) async fn check(log: &dyn Log) -> Result<()> {
    nothing(log).await?;
    pages(log).await?;
    follow(log).await?;
    events(log).await
}

async fn nothing(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    assert_eq!(log.head(event).await?, Head::genesis(event), "no log ends at genesis");
    assert_entries("no log has no entries", &log.read(event, 0, 10).await?, &[]);
    assert_entries("nor after a number", &log.read(event, 7, 10).await?, &[]);
    assert_entries("nor to follow", &log.follow(event, 0, 10, SHORT).await?, &[]);
    assert!(log.load_snapshot(event).await?.is_none(), "no log has no snapshot");
    log.trim(event, 5).await?;
    assert!(!log.events().await?.contains(&event), "asking makes no log");
    Ok(())
}

async fn pages(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let mut head = Head::genesis(event);
    let mut written = Vec::new();
    // Many batches of several sizes, more than a page in all.
    for count in (1..=37).chain(1..=23) {
        let entries = entries_after(head, count, "page");
        assert_done("append", &log.append(event, head, &batch(&entries)).await?);
        head = head_after(head, &entries);
        written.extend(entries);
    }
    for size in [1, 7, 100, ENTRIES_PER_READ_MAX, usize::MAX] {
        let mut read: Vec<Entry> = Vec::new();
        // One entry a page is checked for the first few pages.
        while read.len() < written.len().min(size.saturating_mul(40)) {
            let after = read.last().map_or(0, |entry| entry.seq);
            let page = log.read(event, after, size).await?;
            let left = written.len().saturating_sub(read.len());
            let want = size.min(ENTRIES_PER_READ_MAX).min(left);
            assert_eq!(page.len(), want, "a page of {size} after {after} is full");
            read.extend(page);
        }
        let want = written.get(..read.len()).unwrap_or_default();
        assert_entries("pages join without gap", &read, want);
    }
    for after in [head.seq, head.seq.saturating_add(1), u64::MAX] {
        assert_entries("nothing after the end", &log.read(event, after, 10).await?, &[]);
    }
    assert_entries("no room, no entries", &log.read(event, 0, 0).await?, &[]);
    Ok(())
}

async fn follow(log: &dyn Log) -> Result<()> {
    let event = Uuid::new_v4();
    let begun = Instant::now();
    let genesis = Head::genesis(event);
    let first = entries_after(genesis, 3, "first");
    let head = head_after(genesis, &first);
    let (woken, appended) = tokio::join!(
        log.follow(event, 0, 2, LONG),
        append_once_waited_for(log, event, genesis, &first),
    );
    appended?;
    let want = first.get(..2).unwrap_or_default();
    assert_entries("following wakes with the first entries of a log", &woken?, want);
    let there = log.follow(event, 1, 10, LONG).await?;
    assert_entries("what is there is not waited for", &there, first.get(1..).unwrap_or_default());
    let none = log.follow(event, head.seq, 10, SHORT).await?;
    assert_entries("a wait ends empty", &none, &[]);
    let none = log.follow(event, head.seq, 10, Duration::ZERO).await?;
    assert_entries("no wait at all", &none, &[]);

    // Others wait too, for later numbers and other events; some have stopped.
    let second = entries_after(head, 2, "second");
    drop(log.follow(event, head.seq, 10, LONG));
    let gone = tokio::time::timeout(SHORT, log.follow(event, head.seq, 10, LONG)).await;
    assert!(gone.is_err(), "nothing came, nothing was told");
    let (one, two, later, other, appended) = tokio::join!(
        log.follow(event, head.seq, 10, LONG),
        log.follow(event, head.seq, 1, LONG),
        log.follow(event, head.seq.saturating_add(1), 10, LONG),
        log.follow(Uuid::new_v4(), 0, 10, SHORT),
        append_once_waited_for(log, event, head, &second),
    );
    appended?;
    assert_entries("each who waits is woken", &one?, &second);
    assert_entries("each by its limit", &two?, second.get(..1).unwrap_or_default());
    assert_entries("each by its number", &later?, second.get(1..).unwrap_or_default());
    assert_entries("others are not", &other?, &[]);
    assert!(begun.elapsed() < LONG, "no wait went on to its end: all were woken");
    Ok(())
}

/// Appends after those polled before have had their turn, so that they do wait.
async fn append_once_waited_for(
    log: &dyn Log,
    event: Uuid,
    head: Head,
    entries: &[Entry],
) -> Result<()> {
    log.follow(Uuid::new_v4(), 0, 1, SHORT).await?;
    assert_done("append", &log.append(event, head, &batch(entries)).await?);
    Ok(())
}

async fn events(log: &dyn Log) -> Result<()> {
    let events: [Uuid; 3] = std::array::from_fn(|_| Uuid::new_v4());
    for (count, event) in (1..).zip(events) {
        let genesis = Head::genesis(event);
        let entries = entries_after(genesis, count, "event");
        assert_done("append", &log.append(event, genesis, &batch(&entries)).await?);
        assert_eq!(log.head(event).await?, head_after(genesis, &entries), "each has its own head");
    }
    let listed = log.events().await?;
    for event in events {
        let times = listed.iter().filter(|listed| **listed == event).count();
        assert_eq!(times, 1, "each log is listed once");
    }
    Ok(())
}
