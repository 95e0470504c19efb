//! The task around a node: bounded queue, durable answers, trouble with the store, other nodes.

use std::sync::Arc;
use std::time::Duration;

use inventory::command::{Command, Reply, ScanVerdict, Verdict};
use inventory::config::EventConfig;
use inventory::entry::Head;
use inventory::log::{Batch, ENTRY_BYTES_MAX, Log, LogError, SharedLog, Snapshot};
use inventory::state::State;
use inventory::store::memory::{Fault, MemoryLog};
use inventory::task::{self, AskError, EventHandle, Query, QueryReply, TaskOptions};
use inventory::time::ManualClock;
use inventory::view::EventView;
use uuid::Uuid;

use crate::harness::{EVENT, FREE, House, MINUTE, SEATS, STANDARD, START, config, scan_of};

/// Waits end here, far past what anything takes.
const LONG: Duration = Duration::from_secs(20);

async fn open(log: &MemoryLog, clock: &Arc<ManualClock>, options: TaskOptions) -> EventHandle {
    let log: SharedLog = log.shared();
    task::open(log, EVENT, clock.clone(), options).await.unwrap()
}

async fn configured(log: &MemoryLog, clock: &Arc<ManualClock>) -> EventHandle {
    let handle = open(log, clock, TaskOptions::default()).await;
    let command = Command::Configure { cursor: 1, config: Box::new(config()) };
    handle.ask(command).await.unwrap();
    handle
}

async fn verdict(handle: &EventHandle, ticket: u64, nonce: &str) -> ScanVerdict {
    let answer = handle.ask(Command::Scan(scan_of(ticket, nonce))).await.unwrap();
    let Reply::Scanned(verdict) = answer.reply else { panic!("{answer:?}") };
    verdict
}

/// One free ticket; returns the order's id.
async fn buy(handle: &EventHandle, house: &mut House, ticket_type: Uuid) -> Uuid {
    let request = house.hold_request(&[(ticket_type, 1)]);
    let hold = request.id;
    let held = handle.ask(Command::Hold(request)).await.unwrap();
    assert!(matches!(held.reply, Reply::Held(_)), "{held:?}");
    let request = house.order_request(hold);
    let order = request.id;
    let ordered = handle.ask(Command::Order(request)).await.unwrap();
    assert!(matches!(ordered.reply, Reply::Ordered(_)), "{ordered:?}");
    order
}

async fn shown(handle: &EventHandle, what: impl Fn(&EventView) -> bool) -> Arc<EventView> {
    let mut views = handle.watch();
    let shown = tokio::time::timeout(LONG, views.wait_for(|view| what(view))).await;
    shown.expect("never shown").unwrap().clone()
}

#[tokio::test]
async fn an_event_survives_its_task() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let (handle, mut house) = (configured(&log, &clock).await, House::open());
    let order = buy(&handle, &mut house, FREE).await;
    let first = verdict(&handle, 1, "nonce-001").await;
    assert_eq!(first.verdict, Verdict::Admit);
    handle.close().await;
    assert_eq!(handle.ask(Command::Tick).await, Err(AskError::Stopped));
    // Stopping leaves a snapshot of everything.
    let snapshot = log.load_snapshot_now(EVENT).unwrap().unwrap();
    assert_eq!(snapshot.head, log.head_now(EVENT).unwrap());

    let handle = open(&log, &clock, TaskOptions::default()).await;
    assert!(verdict(&handle, 1, "nonce-001").await.replay);
    let QueryReply::Order(view) = handle.query(Query::Order(order)).await.unwrap() else {
        panic!()
    };
    assert_eq!(view.tickets[0].number, 1);
    assert!(matches!(handle.query(Query::Ticket(1)).await, Ok(QueryReply::Ticket(_))));
    assert_eq!(handle.query(Query::Ticket(2)).await, Ok(QueryReply::Unknown));
    let hold = Query::Hold(Uuid::from_u128(1));
    assert_eq!(handle.query(hold).await, Ok(QueryReply::Unknown));
}

#[tokio::test]
async fn an_event_without_entries_opens() {
    let handle = open(&MemoryLog::new(), &ManualClock::at(START), TaskOptions::default()).await;
    let view = handle.view();
    assert_eq!((view.head.seq, view.catalogue_cursor, view.balanced), (0, 0, true));
}

#[tokio::test]
async fn figures_follow_at_once_when_idle() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let (handle, mut house) = (configured(&log, &clock).await, House::open());
    buy(&handle, &mut house, STANDARD).await;
    let view = shown(&handle, |view| view.quotas.iter().any(|quota| quota.sold == 1)).await;
    assert!(view.fresh && view.balanced);
    assert_eq!(view.quotas.iter().find(|q| q.id == SEATS).unwrap().free, Some(9));
    assert_eq!(view.head, log.head_now(EVENT).unwrap());
}

#[tokio::test]
async fn overdue_holds_are_returned_without_a_command() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let (handle, mut house) = (configured(&log, &clock).await, House::open());
    let request = house.hold_request(&[(STANDARD, 4)]);
    handle.ask(Command::Hold(request)).await.unwrap();
    shown(&handle, |view| view.quotas.iter().any(|quota| quota.held == 4)).await;
    clock.advance_ms(10 * MINUTE);
    shown(&handle, |view| view.quotas.iter().all(|quota| quota.held == 0)).await;
    let entries = log.read_now(EVENT, 0, 10).unwrap();
    assert_eq!(entries.last().unwrap().kind, "hold.expired");
}

#[tokio::test]
async fn a_full_queue_sheds_at_once_and_answers_what_it_took() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let options = TaskOptions { queue_commands_max: 2, ..TaskOptions::default() };
    let handle = open(&log, &clock, options).await;
    let command = Command::Configure { cursor: 1, config: Box::new(config()) };
    handle.ask(command).await.unwrap();
    log.pause();
    let ask = |nonce: &str| {
        let (handle, request) = (handle.clone(), scan_of(1, nonce));
        tokio::spawn(async move { handle.ask(Command::Scan(request)).await })
    };
    let mut waiting = vec![ask("nonce-001")];
    log.paused(1).await;
    // The task waits for the store with one command in hand; two more fit into the queue.
    waiting.push(ask("nonce-002"));
    waiting.push(ask("nonce-003"));
    // One thread: the others run until they wait.
    tokio::task::yield_now().await;
    assert_eq!(handle.stats().queued, 2);
    let shed = handle.ask(Command::Scan(scan_of(1, "nonce-004"))).await;
    assert_eq!(shed, Err(AskError::Overloaded));
    log.resume();
    for answer in waiting {
        let answer = answer.await.unwrap().unwrap();
        assert!(matches!(answer.reply, Reply::Scanned(_)));
    }
    // They went together.
    assert_eq!(log.head_now(EVENT).unwrap().seq, 4);
    assert_eq!(handle.stats().batches, 3);
}

/// What no store would take is refused alone; who came at the same time is served.
#[tokio::test]
async fn an_entry_that_is_too_large_harms_no_one_else() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let handle = configured(&log, &clock).await;
    log.pause();
    let ask = |command: Command| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.ask(command).await })
    };
    let first = ask(Command::Scan(scan_of(1, "nonce-001")));
    log.paused(1).await;
    let large = EventConfig { name: "n".repeat(ENTRY_BYTES_MAX), ..config() };
    let large = ask(Command::Configure { cursor: 2, config: Box::new(large) });
    let second = ask(Command::Scan(scan_of(1, "nonce-002")));
    // One thread: the others run until they wait.
    tokio::task::yield_now().await;
    assert_eq!(handle.stats().queued, 2);
    log.resume();
    let refused = large.await.unwrap();
    assert!(matches!(&refused, Err(AskError::Unavailable(why)) if why.contains("bytes")));
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    assert_eq!((log.head_now(EVENT).unwrap().seq, handle.view().fresh), (3, true));
}

#[tokio::test]
async fn closing_answers_what_was_accepted() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let handle = configured(&log, &clock).await;
    log.pause();
    let ask = |nonce: &str| {
        let (handle, request) = (handle.clone(), scan_of(1, nonce));
        tokio::spawn(async move { handle.ask(Command::Scan(request)).await })
    };
    let first = ask("nonce-001");
    log.paused(1).await;
    let second = ask("nonce-002");
    tokio::task::yield_now().await;
    assert_eq!(handle.stats().queued, 1);
    let closing = tokio::spawn({
        let handle = handle.clone();
        async move { handle.close().await }
    });
    // One thread: the other future runs until it waits.
    tokio::task::yield_now().await;
    assert_eq!(handle.ask(Command::Tick).await, Err(AskError::Stopped));
    log.resume();
    closing.await.unwrap();
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    assert_eq!(log.head_now(EVENT).unwrap().seq, 3);
}

#[tokio::test]
async fn the_last_handle_stops_the_task() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let handle = configured(&log, &clock).await;
    let mut views = handle.watch();
    drop(handle);
    // The sender of views lives in the task.
    while views.changed().await.is_ok() {}
    assert!(log.load_snapshot_now(EVENT).unwrap().is_some());
}

#[tokio::test]
async fn an_unknown_outcome_is_repeated_and_a_refusal_is_told() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let handle = configured(&log, &clock).await;
    log.script([Fault::UnknownApplied, Fault::UnknownLost]);
    assert_eq!(verdict(&handle, 1, "nonce-001").await.scan, 2);
    log.script([Fault::UnknownLost, Fault::UnknownApplied]);
    assert_eq!(verdict(&handle, 1, "nonce-002").await.scan, 3);
    log.script([Fault::Refuse]);
    let refused = handle.ask(Command::Scan(scan_of(1, "nonce-003"))).await;
    assert!(matches!(refused, Err(AskError::Unavailable(_))), "{refused:?}");
    // Nothing happened, and the next command finds the store as it was.
    let after = verdict(&handle, 1, "nonce-003").await;
    assert_eq!((after.scan, after.replay), (4, false));
    assert!(handle.view().fresh);
}

#[tokio::test]
async fn without_its_store_an_event_refuses_and_comes_back() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let options =
        TaskOptions { append_patience: Duration::from_millis(50), ..TaskOptions::default() };
    let handle = open(&log, &clock, options).await;
    let command = Command::Configure { cursor: 1, config: Box::new(config()) };
    handle.ask(command).await.unwrap();
    log.go_down("unplugged");
    let refused = handle.ask(Command::Scan(scan_of(1, "nonce-001"))).await;
    assert!(matches!(refused, Err(AskError::Unavailable(_))), "{refused:?}");
    let view = shown(&handle, |view| !view.fresh).await;
    assert_eq!(view.head.seq, 1, "the last known figures stay");
    let refused = handle.query(Query::Ticket(1)).await;
    assert!(matches!(refused, Err(AskError::Unavailable(_))), "{refused:?}");
    log.come_back();
    shown(&handle, |view| view.fresh).await;
    assert_eq!(verdict(&handle, 1, "nonce-001").await.scan, 2);
}

#[tokio::test]
async fn two_nodes_see_each_other() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let (one, mut house) = (configured(&log, &clock).await, House::open());
    let two = open(&log, &clock, TaskOptions::default()).await;
    let order = buy(&one, &mut house, FREE).await;
    // At once, by asking the log's end; and by following, without being asked.
    assert!(matches!(two.query(Query::Order(order)).await, Ok(QueryReply::Order(_))));
    assert_eq!(verdict(&two, 1, "nonce-001").await.verdict, Verdict::Admit);
    let second = verdict(&one, 1, "nonce-002").await;
    assert_eq!(second.verdict, Verdict::Deny);
    assert_eq!(second.first_scan.unwrap().at, START);
    shown(&one, |view| view.denied == 1).await;
    shown(&two, |view| view.denied == 1).await;
    assert_eq!(one.view().head, two.view().head);
}

#[tokio::test]
async fn two_nodes_admit_one_ticket_once() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let (one, mut house) = (configured(&log, &clock).await, House::open());
    let two = open(&log, &clock, TaskOptions::default()).await;
    for ticket in 1..=20 {
        buy(&one, &mut house, FREE).await;
        shown(&two, |view| view.types.iter().any(|kind| kind.sold == ticket)).await;
        let (left, right) = (format!("left-{ticket:04}"), format!("right-{ticket:03}"));
        let both = tokio::join!(verdict(&one, ticket, &left), verdict(&two, ticket, &right));
        let admitted = [both.0.verdict, both.1.verdict];
        let admitted = admitted.iter().filter(|verdict| **verdict == Verdict::Admit);
        assert_eq!(admitted.count(), 1, "ticket {ticket}");
    }
    assert!(0 < one.stats().races + two.stats().races, "they never met");
}

#[tokio::test]
async fn a_store_that_lost_its_tail_gets_it_back() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let (handle, mut house) = (configured(&log, &clock).await, House::open());
    let order = buy(&handle, &mut house, FREE).await;
    let before = log.read_now(EVENT, 0, 10).unwrap();
    let key = log.data_keys(EVENT, &[order]).await.unwrap();
    log.lose_tail(EVENT, 2);
    assert_eq!(verdict(&handle, 1, "nonce-001").await.verdict, Verdict::Admit);
    assert_eq!(handle.stats().repairs, 1);
    let after = log.read_now(EVENT, 0, 10).unwrap();
    assert_eq!(after.len(), before.len() + 1);
    assert!(before.iter().zip(&after).all(|(before, after)| before.hash() == after.hash()));
    assert_eq!(log.data_keys(EVENT, &[order]).await.unwrap(), key);
}

/// The node that is asked after the fail-over has the tail from the log only.
#[tokio::test]
async fn a_lost_tail_is_given_back_by_a_node_that_did_not_write_it() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let (one, mut house) = (configured(&log, &clock).await, House::open());
    let first = buy(&one, &mut house, FREE).await;
    assert_eq!(verdict(&one, 1, "nonce-001").await.verdict, Verdict::Admit);
    let two = open(&log, &clock, TaskOptions::default()).await;
    let second = buy(&one, &mut house, FREE).await;
    shown(&two, |view| view.types.iter().any(|kind| kind.sold == 2)).await;
    drop(one);
    let keys = log.data_keys(EVENT, &[first, second]).await.unwrap();
    assert_eq!(keys.len(), 2);
    // Waits for an answer that needs the log's end, so whatever the node does when idle is done.
    two.query(Query::Ticket(1)).await.unwrap();

    log.lose_event(EVENT);
    let again = verdict(&two, 1, "nonce-002").await;
    assert_eq!(
        (again.verdict, again.first_scan.map(|first| first.at)),
        (Verdict::Deny, Some(START))
    );
    assert_eq!((two.stats().repairs, two.stats().rebuilds), (1, 0));
    assert_eq!(log.data_keys(EVENT, &[first, second]).await.unwrap(), keys);
}

/// A node that knows more than the store, but cannot give it back, does not sell and admit as if
/// that had never been.
#[tokio::test]
async fn a_log_that_lost_more_than_can_be_given_back_closes_the_event() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let (handle, mut house) = (configured(&log, &clock).await, House::open());
    buy(&handle, &mut house, FREE).await;
    assert_eq!(verdict(&handle, 1, "nonce-001").await.verdict, Verdict::Admit);
    handle.close().await;
    // From the snapshot alone: there is no tail behind it.
    let handle = open(&log, &clock, TaskOptions::default()).await;
    let (entries, keys) = (log.read_now(EVENT, 0, 10).unwrap(), Vec::new());
    log.lose_event(EVENT);
    let refused = handle.ask(Command::Scan(scan_of(1, "nonce-002"))).await;
    let Err(AskError::Unavailable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("ends at entry 0"), "{why}");
    shown(&handle, |view| !view.fresh && view.head.seq == 4).await;
    assert_eq!((handle.stats().rebuilds, log.head_now(EVENT).unwrap().seq), (0, 0));

    // Another node, or a restored copy, brings it back.
    log.append_now(EVENT, Head::genesis(EVENT), &Batch { entries, keys }).unwrap();
    shown(&handle, |view| view.fresh).await;
    assert_eq!(verdict(&handle, 1, "nonce-002").await.verdict, Verdict::Deny);
}

#[tokio::test]
async fn a_fork_is_given_up_for_the_log() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let handle = configured(&log, &clock).await;
    let own = verdict(&handle, 1, "nonce-001").await;
    // The store forgets that scan, and another writer is first with a tail of its own.
    log.pause();
    log.lose_tail(EVENT, 1);
    let other = open(&log, &clock, TaskOptions::default()).await;
    log.resume();
    for nonce in ["nonce-101", "nonce-102", "nonce-103"] {
        verdict(&other, 2, nonce).await;
    }
    let again = verdict(&handle, 1, "nonce-001").await;
    assert_eq!((again.replay, own.scan, again.scan), (false, 2, 5));
    assert_eq!(handle.stats().rebuilds, 1);
    assert_eq!(handle.view().head, log.head_now(EVENT).unwrap());
}

#[tokio::test]
async fn a_snapshot_that_is_not_of_its_head_is_damage() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    drop(configured(&log, &clock).await);
    let head = log.head_now(EVENT).unwrap();
    let bytes = State::new(EVENT).to_bytes().unwrap();
    log.save_snapshot_now(EVENT, &Snapshot { head, bytes }).unwrap();
    let opened = task::open(log.shared(), EVENT, clock.clone(), TaskOptions::default()).await;
    assert!(matches!(opened.err(), Some(LogError::Damaged(_))));
}

#[tokio::test]
async fn snapshots_are_taken_while_it_runs() {
    let (log, clock) = (MemoryLog::new(), ManualClock::at(START));
    let options = TaskOptions { snapshot_entries: 10, ..TaskOptions::default() };
    let handle = open(&log, &clock, options).await;
    let command = Command::Configure { cursor: 1, config: Box::new(config()) };
    handle.ask(command).await.unwrap();
    for n in 0..12 {
        verdict(&handle, 1, &format!("nonce-{n:03}")).await;
    }
    let taken = async {
        while handle.stats().snapshots == 0 {
            handle.ask(Command::Tick).await.unwrap();
        }
    };
    tokio::time::timeout(LONG, taken).await.unwrap();
    let snapshot = log.load_snapshot_now(EVENT).unwrap().unwrap();
    assert!(10 <= snapshot.head.seq, "{:?}", snapshot.head);
    // A trimmed log still opens.
    log.trim(EVENT, snapshot.head.seq).await.unwrap();
    let other = open(&log, &clock, TaskOptions::default()).await;
    assert_eq!(other.view().head, log.head_now(EVENT).unwrap());
    assert!(verdict(&other, 1, "nonce-000").await.replay);
}
