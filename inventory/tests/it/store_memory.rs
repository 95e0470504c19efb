//! The store in memory keeps the promises that the others keep, so that tests over it prove something.

use std::future::ready;

use inventory::conformance::{self, batch, entries_after, head_after};
use inventory::entry::Head;
use inventory::log::{Appended, Log, LogError};
use inventory::store::memory::{Fault, MemoryLog};
use uuid::Uuid;

#[tokio::test]
async fn keeps_every_promise() {
    let log = MemoryLog::new();
    conformance::run(|| ready(Ok(log.shared()))).await.unwrap();
}

#[test]
fn faults_happen_in_order_and_once() {
    let log = MemoryLog::new();
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    let first = batch(&entries_after(genesis, 3, "first"));
    let head = head_after(genesis, &first.entries);
    log.script([Fault::Refuse, Fault::UnknownLost, Fault::UnknownApplied]);
    let append = || log.append_now(event, genesis, &first);
    assert!(matches!(append(), Err(LogError::Refused(_))));
    assert_eq!(log.head_now(event).unwrap(), genesis);
    assert!(matches!(append(), Err(LogError::Unavailable(_))));
    assert_eq!(log.head_now(event).unwrap(), genesis);
    assert!(matches!(append(), Err(LogError::Unavailable(_))));
    assert_eq!(log.head_now(event).unwrap(), head);
    assert!(matches!(append(), Ok(Appended::Done)));

    let next = batch(&entries_after(head, 1, "next"));
    log.script([Fault::LoseTail(2)]);
    let behind = log.append_now(event, head, &next).unwrap();
    let inner = head_after(genesis, &first.entries[..1]);
    assert!(matches!(behind, Appended::Behind { head } if head == inner), "{behind:?}");
    log.go_down("test");
    assert!(matches!(append(), Err(LogError::Unavailable(_))));
    log.come_back();
    assert!(matches!(append(), Ok(Appended::Done)));
    log.lose_tail(event, 9);
    assert_eq!(log.head_now(event).unwrap(), genesis);
}

#[tokio::test]
async fn a_paused_append_goes_on_when_resumed() {
    let log = MemoryLog::new();
    let event = Uuid::new_v4();
    let genesis = Head::genesis(event);
    log.pause();
    let append = tokio::spawn({
        let log = log.clone();
        let first = batch(&entries_after(genesis, 1, "first"));
        async move { log.append(event, genesis, &first).await }
    });
    log.paused(1).await;
    assert_eq!(log.head_now(event).unwrap(), genesis);
    log.resume();
    assert!(matches!(append.await.unwrap(), Ok(Appended::Done)));
}
