//! Nodes without their store: what lanes decide, what is kept of it, and how it is merged.

use std::sync::Arc;
use std::time::Duration;

use inventory::command::{Command, OfflineMode, Reason, Reply, ScanRequest, ScanVerdict, Verdict};
use inventory::config::{EventConfig, LaneConfig, LaneMode};
use inventory::fact::Fact;
use inventory::log::SharedLog;
use inventory::store::memory::{Fault, MemoryLog};
use inventory::task::{self, AskError, EventHandle, Query, QueryReply, TaskOptions};
use inventory::testing::TestDirectory;
use inventory::time::ManualClock;
use proptest::prelude::*;
use tokio::time::Instant;
use uuid::Uuid;

use crate::harness::{EVENT, FREE, House, START, config, scan_of};

const LONG: Duration = Duration::from_secs(20);

/// A store, a clock, and an event with tickets 1 to 8 that lets them into `main` once.
struct Venue {
    log: MemoryLog,
    clock: Arc<ManualClock>,
    directory: TestDirectory,
}

impl Venue {
    /// With a node that has a spool.
    async fn open() -> (Self, EventHandle) {
        let clock = ManualClock::at(START);
        let directory = TestDirectory::new().unwrap();
        let venue = Self { log: MemoryLog::new(), clock, directory };
        let handle = venue.node("one", |_| ()).await;
        let command = Command::Configure { cursor: 1, config: Box::new(doors()) };
        handle.ask(command).await.unwrap();
        let mut house = House::open();
        let request = house.hold_request(&[(FREE, 8)]);
        let order = house.order_request(request.id);
        handle.ask(Command::Hold(request)).await.unwrap();
        handle.ask(Command::Order(order)).await.unwrap();
        (venue, handle)
    }

    /// A node with a spool of this name.
    async fn node(&self, name: &str, change: impl FnOnce(&mut TaskOptions)) -> EventHandle {
        let mut options = TaskOptions {
            append_patience: Duration::from_millis(20),
            spool: Some(self.directory.path().join(name)),
            ..TaskOptions::default()
        };
        change(&mut options);
        let log: SharedLog = self.log.shared();
        task::open(log, EVENT, self.clock.clone(), options).await.unwrap()
    }

    fn go_down(&self) {
        self.log.go_down("unplugged");
    }

    async fn come_back(&self, nodes: &[&EventHandle]) {
        self.log.come_back();
        for node in nodes {
            let mut views = node.watch();
            let merged = views.wait_for(|view| view.fresh && view.unmerged == 0);
            tokio::time::timeout(LONG, merged).await.expect("never merged").unwrap();
        }
    }

    fn kinds(&self, after: u64) -> Vec<String> {
        let entries = self.log.read_now(EVENT, after, 1_000).unwrap();
        entries.into_iter().map(|entry| entry.kind).collect()
    }
}

fn doors() -> EventConfig {
    let lane = |key: &str, mode| LaneConfig {
        key: key.to_owned(),
        types: vec![],
        two_phase: key == "Turnstile",
        lease_s: 10,
        lease_end: Default::default(),
        mode,
        rotating_offline: Default::default(),
    };
    let lanes = vec![
        lane("Secure", LaneMode::Secure),
        lane("Open", LaneMode::Open),
        lane("Turnstile", LaneMode::Local),
    ];
    EventConfig { lanes, ..config() }
}

async fn ask(node: &EventHandle, request: ScanRequest) -> Result<ScanVerdict, AskError> {
    let answer = node.ask(Command::Scan(request)).await?;
    let Reply::Scanned(verdict) = answer.reply else { panic!("{answer:?}") };
    Ok(verdict)
}

async fn scan(node: &EventHandle, ticket: u64, nonce: &str) -> ScanVerdict {
    ask(node, scan_of(ticket, nonce)).await.unwrap()
}

fn at(lane: &str, ticket: u64, nonce: &str) -> ScanRequest {
    ScanRequest { lane: lane.to_owned(), ..scan_of(ticket, nonce) }
}

#[tokio::test]
async fn what_is_decided_alone_is_merged_before_the_node_decides_online_again() {
    let (venue, node) = Venue::open().await;
    let before = node.view().head.seq;
    scan(&node, 1, "online-01").await;
    venue.go_down();
    let used = scan(&node, 1, "alone-001").await;
    assert_eq!((used.verdict, used.reason), (Verdict::Deny, Some(Reason::AlreadyUsed)));
    assert_eq!((used.alone, used.scan), (Some(OfflineMode::Local), 0), "in no journal yet");
    let admitted = scan(&node, 2, "alone-002").await;
    assert_eq!((admitted.verdict, admitted.alone), (Verdict::Admit, Some(OfflineMode::Local)));
    assert_eq!(admitted.occupancy.as_ref().unwrap().inside, 2);
    let twice = scan(&node, 2, "alone-003").await;
    assert_eq!((twice.verdict, twice.reason), (Verdict::Deny, Some(Reason::AlreadyUsed)));
    let again = scan(&node, 2, "alone-002").await;
    assert_eq!((again.verdict, again.replay, again.scan), (Verdict::Admit, true, 0));
    let reused =
        ask(&node, ScanRequest { request: crate::harness::digest(9), ..scan_of(2, "alone-002") });
    assert_eq!(reused.await.unwrap().reason, Some(Reason::NonceReused));
    let unknown = scan(&node, 99, "alone-004").await;
    assert_eq!((unknown.verdict, unknown.reason), (Verdict::Deny, Some(Reason::UnknownTicket)));
    // Sales never degrade.
    let mut house = House::open();
    let hold = node.ask(Command::Hold(house.hold_request(&[(FREE, 1)]))).await;
    assert!(matches!(hold, Err(AskError::Unavailable(_))), "{hold:?}");
    let view = node.view();
    assert!(!view.fresh && view.unmerged == 3, "{} wait", view.unmerged);
    assert_eq!(view.head.seq, before + 1, "the journal's end is the journal's");

    venue.come_back(&[&node]).await;
    assert_eq!(
        venue.kinds(before + 1),
        ["scan.recorded", "scan.recorded", "scan.recorded"],
        "before anything else"
    );
    let online = scan(&node, 2, "online-02").await;
    assert_eq!((online.reason, online.alone), (Some(Reason::AlreadyUsed), None));
    // What was told stays told, from the journal now.
    for (ticket, nonce, told) in [(1, "alone-001", used), (2, "alone-002", admitted)] {
        let replay = scan(&node, ticket, nonce).await;
        assert!(replay.replay && replay.scan != 0 && replay.alone.is_none());
        assert_eq!(
            (replay.verdict, replay.reason, replay.at, replay.first_scan),
            (told.verdict, told.reason, told.at, told.first_scan)
        );
    }
}

#[tokio::test]
async fn what_was_decided_alone_survives_the_process() {
    let (venue, node) = Venue::open().await;
    venue.go_down();
    scan(&node, 1, "alone-001").await;
    // The process ends without its store; the store is there again when the next one begins.
    node.close().await;
    venue.log.come_back();
    let before = venue.log.head_now(EVENT).unwrap().seq;
    let next = venue.node("one", |_| ()).await;
    venue.come_back(&[&next]).await;
    let second = scan(&next, 1, "online-01").await;
    assert_eq!(second.reason, Some(Reason::AlreadyUsed));
    assert_eq!(venue.kinds(before), ["scan.recorded", "scan.decided"]);
    // Merged once: another start has nothing to merge.
    next.close().await;
    let third = venue.node("one", |_| ()).await;
    assert_eq!(third.view().unmerged, 0);
    assert_eq!(scan(&third, 2, "online-02").await.verdict, Verdict::Admit);
}

#[tokio::test]
async fn lanes_obey_their_modes() {
    let (venue, node) = Venue::open().await;
    scan(&node, 1, "online-01").await;
    venue.go_down();
    let secure = ask(&node, at("Secure", 2, "alone-001")).await;
    assert!(matches!(secure, Err(AskError::Unavailable(_))), "{secure:?}");
    let open = ask(&node, at("Open", 1, "alone-002")).await.unwrap();
    assert_eq!(
        (open.verdict, open.reason, open.alone),
        (Verdict::Admit, Some(Reason::AlreadyUsed), Some(OfflineMode::Open))
    );
    let stranger = ask(&node, at("Open", 99, "alone-003")).await.unwrap();
    assert_eq!(stranger.verdict, Verdict::Admit, "nobody knows who it was");
    let turnstile = ask(&node, at("Turnstile", 3, "alone-004")).await.unwrap();
    assert_eq!(turnstile.verdict, Verdict::Admit, "nothing is reserved that nobody can settle");
    let before = node.view().head.seq;
    venue.come_back(&[&node]).await;
    assert_eq!(venue.kinds(before), ["scan.recorded", "scan.recorded"]);
    let entries = venue.log.read_now(EVENT, before, 2).unwrap();
    let Fact::ScanRecorded(opened) = Fact::from_entry(&entries[0]).unwrap() else { panic!() };
    assert_eq!((opened.mode, opened.ticket), (OfflineMode::Open, 1));
    let QueryReply::Conflicts(conflicts) = node.query(Query::Conflicts).await.unwrap() else {
        panic!()
    };
    assert_eq!(conflicts.len(), 1, "the open lane let a used ticket in, and that is told");
}

#[tokio::test]
async fn a_node_that_can_keep_nothing_decides_nothing() {
    let (venue, one) = Venue::open().await;
    let without = venue.node("none", |options| options.spool = None).await;
    let file = venue.directory.path().join("a file");
    std::fs::write(&file, b"").unwrap();
    let broken = venue.node("broken", |options| options.spool = Some(file.join("spool"))).await;
    let small = venue.node("small", |options| options.spool_scans_max = 2).await;
    venue.go_down();
    for node in [&without, &broken] {
        let refused = ask(node, scan_of(1, "alone-001")).await;
        assert!(matches!(refused, Err(AskError::Unavailable(_))), "{refused:?}");
    }
    for ticket in 1..=2 {
        assert_eq!(
            scan(&small, ticket, &format!("alone-{ticket}00")).await.verdict,
            Verdict::Admit
        );
    }
    let full = ask(&small, scan_of(3, "alone-300")).await;
    assert!(matches!(full, Err(AskError::Unavailable(_))), "{full:?}");
    venue.come_back(&[&one, &without, &broken, &small]).await;
    assert_eq!(scan(&one, 1, "online-01").await.reason, Some(Reason::AlreadyUsed));
    assert_eq!(
        scan(&one, 3, "online-02").await.verdict,
        Verdict::Admit,
        "nobody was told otherwise"
    );
}

/// The store took it and the answer was lost: the node decides the same nonce once more.
#[tokio::test]
async fn an_answer_that_was_lost_and_a_decision_alone_are_one() {
    let (venue, node) = Venue::open().await;
    let before = node.view().head.seq;
    venue.log.script([Fault::UnknownApplied]);
    let lost = vec![Fault::UnknownLost; 1_000];
    venue.log.script(lost);
    let told = scan(&node, 1, "either-01").await;
    assert_eq!((told.verdict, told.alone), (Verdict::Admit, Some(OfflineMode::Local)));
    venue.log.clear_script();
    venue.come_back(&[&node]).await;
    assert_eq!(venue.kinds(before), ["scan.decided"], "one admission");
    let replay = scan(&node, 1, "either-01").await;
    assert_eq!((replay.verdict, replay.replay, replay.scan), (Verdict::Admit, true, before + 1));
    assert_eq!(node.view().admitted, 1);
}

#[tokio::test]
async fn nodes_that_admit_one_ticket_alone_are_told_so_once_they_meet() {
    let (venue, one) = Venue::open().await;
    let two = venue.node("two", |_| ()).await;
    scan(&two, 8, "online-01").await;
    venue.go_down();
    assert_eq!(ask(&one, at("North", 1, "alone-001")).await.unwrap().verdict, Verdict::Admit);
    venue.clock.advance_ms(7_000);
    assert_eq!(ask(&two, at("South", 1, "alone-002")).await.unwrap().verdict, Verdict::Admit);
    venue.come_back(&[&one, &two]).await;
    for node in [&one, &two] {
        let QueryReply::Conflicts(conflicts) = node.query(Query::Conflicts).await.unwrap() else {
            panic!()
        };
        let [conflict] = conflicts.as_slice() else { panic!("{conflicts:?}") };
        assert_eq!((conflict.ticket, conflict.seconds_apart()), (1, 7));
        assert_eq!(conflict.lanes, ["North".to_owned(), "South".to_owned()]);
    }
    assert_eq!(one.view().head, two.view().head);
}

#[tokio::test]
async fn a_store_that_refuses_is_as_good_as_gone() {
    let (venue, node) = Venue::open().await;
    let before = node.view().head.seq;
    venue.log.script(vec![Fault::Refuse; 3]);
    let told = scan(&node, 1, "alone-001").await;
    assert_eq!((told.verdict, told.alone), (Verdict::Admit, Some(OfflineMode::Local)));
    venue.come_back(&[&node]).await;
    assert_eq!(venue.kinds(before), ["scan.recorded"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_and_goes_is_believed_later_each_time() {
    let (venue, node) = Venue::open().await;
    let mut waited = Vec::new();
    for ticket in 1..=4 {
        venue.go_down();
        scan(&node, ticket, &format!("alone-{ticket}00")).await;
        let came_back = Instant::now();
        venue.come_back(&[&node]).await;
        waited.push(came_back.elapsed());
    }
    assert!(waited[0] < Duration::from_millis(500), "{waited:?}");
    for (flaps, waited) in (0..).zip(&waited[1..]) {
        let least = Duration::from_millis(500 << flaps);
        assert!(least <= *waited && *waited < least * 2, "{flaps}: {waited:?}");
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    venue.go_down();
    scan(&node, 5, "alone-500").await;
    let came_back = Instant::now();
    venue.come_back(&[&node]).await;
    assert!(came_back.elapsed() < Duration::from_millis(500), "it was steady for long enough");
}

/// Whatever was told is told again to the same nonce when all is over, and every admission of a
/// ticket beyond its first is in the report.
async fn through(steps: &[(u8, u8, u8)]) {
    let (venue, one) = Venue::open().await;
    let two = venue.node("two", |_| ()).await;
    let nodes = [&one, &two];
    // Both have seen the orders.
    for node in nodes {
        scan(node, 8, "online-00").await;
    }
    let mut told: Vec<(u64, String, ScanVerdict)> = Vec::new();
    let mut up = true;
    for (index, (what, ticket, node)) in steps.iter().enumerate() {
        match what {
            0 if up => {
                venue.go_down();
                up = false;
            }
            1 if !up => {
                venue.come_back(&nodes).await;
                up = true;
            }
            _ => {
                venue.clock.advance_ms(1_000);
                let (ticket, nonce) = (u64::from(*ticket), format!("nonce-{index:04}"));
                let verdict = scan(nodes[usize::from(*node)], ticket, &nonce).await;
                told.push((ticket, nonce, verdict));
            }
        }
    }
    venue.come_back(&nodes).await;
    let mut admitted = vec![0_usize; 9];
    for (ticket, nonce, before) in &told {
        let after = scan(&one, *ticket, nonce).await;
        assert!(after.replay, "{nonce} was forgotten");
        assert_eq!((after.verdict, after.reason), (before.verdict, before.reason), "{nonce}");
        admitted[usize::try_from(*ticket).unwrap()] += usize::from(before.verdict.lets_through());
    }
    let QueryReply::Conflicts(conflicts) = one.query(Query::Conflicts).await.unwrap() else {
        panic!()
    };
    let beyond: usize = admitted.iter().map(|times| times.saturating_sub(1)).sum();
    assert_eq!(conflicts.len(), beyond, "{admitted:?} {conflicts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_was_told_is_lost(
        steps in proptest::collection::vec((0..8_u8, 1..5_u8, 0..2_u8), 1..30)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(through(&steps));
    }
}

/// Devices and nonces of an event that this node does not know are nobody's.
#[tokio::test]
async fn an_event_without_a_catalogue_is_not_decided_alone() {
    let (venue, _node) = Venue::open().await;
    let log: SharedLog = venue.log.shared();
    let options = TaskOptions {
        append_patience: Duration::from_millis(20),
        spool: Some(venue.directory.path().join("other")),
        ..TaskOptions::default()
    };
    let other = Uuid::from_u128(0xEE);
    let unknown = task::open(log.clone(), other, venue.clock.clone(), options).await.unwrap();
    venue.go_down();
    let refused = ask(&unknown, scan_of(1, "alone-001")).await;
    assert!(matches!(refused, Err(AskError::Unavailable(_))), "{refused:?}");
    assert!(log.head(EVENT).await.is_err());
}
