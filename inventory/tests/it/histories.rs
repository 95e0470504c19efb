//! Random histories through one node: after every entry every invariant holds, what is taken back
//! leaves no trace, and the journal replays to the same state from its start and from a snapshot.

use std::collections::{HashMap, HashSet};

use inventory::command::{
    Command, Direction, HoldView, LineView, OrderView, Reason, Reply, ScanVerdict, Verdict,
};
use inventory::entry::{Entry, Head};
use inventory::fact::Fact;
use inventory::log::Appended;
use inventory::node::{Node, Settled};
use inventory::state::State;
use inventory::time::Millis;
use proptest::prelude::*;
use uuid::Uuid;

use crate::harness::{EVENT, LOUNGE, SEATS, STANDARD, START, VIP, config};
use crate::steps::{Names, Step, jump, scan_request, step};

/// What no history may break, whoever wrote it: counted over the journal alone.
#[derive(Default)]
pub(crate) struct Auditor {
    /// Tickets and zones of single entry, with the journal number of their admission.
    admitted: HashMap<(u64, String), u64>,
    instructions: HashMap<Uuid, usize>,
}

impl Auditor {
    /// `after` is the state with the entry applied.
    pub(crate) fn audit(&mut self, entry: &Entry, after: &State) {
        after.check().unwrap();
        match Fact::from_entry(entry).unwrap() {
            Fact::ScanDecided(scan) => {
                let let_through = scan.verdict.lets_through();
                let once = scan.zone == "main" && scan.direction == Direction::Entry;
                if let_through && once && !scan.forced {
                    let key = (scan.ticket.unwrap(), scan.zone);
                    let before = self.admitted.insert(key, entry.seq);
                    assert_eq!(before, None, "a second admission at {}", entry.seq);
                }
            }
            // Nobody went through: the ticket may be admitted once more.
            Fact::ScanAnnulled { scan, .. } | Fact::ScanSettled { scan, passed: false, .. } => {
                self.admitted.retain(|_, seq| *seq != scan);
            }
            Fact::InstructionDone { id, .. } => {
                let times = self.instructions.entry(id).or_default();
                *times += 1;
                assert_eq!(*times, 1, "an instruction twice at {}", entry.seq);
            }
            // Only these take stock; a quota that staff made smaller must not be among theirs.
            Fact::HoldCreated { lines, promo, .. } => no_oversale(&lines, promo.is_some(), after),
            Fact::OrderConfirmed(order) if order.hold.is_none() => {
                no_oversale(&order.lines, order.promo.is_some(), after);
            }
            _ => {}
        }
    }
}

/// Who has a code may also take what is kept back for it.
fn no_oversale(lines: &[LineView], coded: bool, after: &State) {
    let view = after.view();
    for line in lines {
        let quotas: &[Uuid] = match line.ticket_type {
            STANDARD => &[SEATS],
            VIP => &[SEATS, LOUNGE],
            _ => &[],
        };
        for id in quotas {
            let quota = view.quotas.iter().find(|quota| quota.id == *id).unwrap();
            let kept = if coded { i64::try_from(quota.blocked).unwrap() } else { 0 };
            assert!(0 <= quota.free.unwrap() + kept, "sold more than there is: {quota:?}");
        }
    }
}

/// Repeated keys and nonces are answered like the first time, as long as they are kept.
#[derive(Default)]
pub(crate) struct Memory {
    /// Some answers never came: a first one may be missing here.
    pub(crate) gaps: bool,
    scans: HashMap<(Uuid, String), ScanVerdict>,
    /// Nonces that devices decided alone: the first answer was theirs.
    uploaded: HashSet<(Uuid, String)>,
    holds: HashMap<u8, HoldView>,
    orders: HashMap<u8, OrderView>,
}

impl Memory {
    pub(crate) fn compare(&mut self, step: &Step, reply: &Reply) {
        match (step, reply) {
            // Says nothing about the nonce's own answer.
            (Step::Scan(_), Reply::Scanned(verdict))
                if verdict.reason == Some(Reason::NonceReused) => {}
            (Step::Scan(scan), Reply::Scanned(verdict)) => {
                let request = scan_request(scan);
                let nonce = (request.device, request.nonce);
                // Forgotten, and then sent as decided alone: another decision.
                let alone = self.uploaded.contains(&nonce);
                let ours = |first: &&ScanVerdict| !alone || first.scan == verdict.scan;
                let first = self.scans.get(&nonce).filter(|_| verdict.replay);
                if let Some(first) = first.filter(ours) {
                    let kept = |v: &ScanVerdict| {
                        (v.verdict, v.reason, v.scan, v.at, v.first_scan.clone(), v.forced)
                    };
                    assert_eq!(kept(verdict), kept(first));
                } else {
                    assert!(!verdict.replay || alone || self.gaps, "a replay of nothing");
                    // Asked first, nothing is decided.
                    if verdict.verdict != Verdict::Ask {
                        self.scans.insert(nonce, verdict.clone());
                    }
                }
            }
            (Step::Upload { scans }, _) => {
                let requests = scans.iter().map(|(scan, ..)| scan_request(scan));
                self.uploaded.extend(requests.map(|request| (request.device, request.nonce)));
            }
            (Step::Hold { key: Some((scope, _)), .. }, Reply::Held(view)) => {
                if let Some(first) = self.holds.get(scope).filter(|_| view.replayed) {
                    assert_eq!((view.id, &view.lines), (first.id, &first.lines));
                } else {
                    assert!(!view.replayed || self.gaps, "a replay of nothing");
                    self.holds.insert(*scope, view.clone());
                }
            }
            (Step::Order { key: Some((scope, _)), .. }, Reply::Ordered(view)) => {
                if let Some(first) = self.orders.get(scope).filter(|_| view.replayed) {
                    let kept = |v: &OrderView| {
                        let tickets: Vec<u64> = v.tickets.iter().map(|t| t.number).collect();
                        (v.id, v.number, v.code.clone(), v.lines.clone(), v.total, tickets)
                    };
                    assert_eq!(kept(view), kept(first));
                } else {
                    assert!(!view.replayed || self.gaps, "a replay of nothing");
                    self.orders.insert(*scope, view.clone());
                }
            }
            _ => {}
        }
    }
}

fn image_of(state: &State) -> State {
    State::from_bytes(EVENT, &state.to_bytes().unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn one_node(
        steps in proptest::collection::vec((jump(), step()), 1..160),
        snapshot_at in 0..200_usize,
    ) {
        let mut node = Node::new(State::new(EVENT));
        // Only ever applies what was written, one entry at a time.
        let mut reader = State::new(EVENT);
        let (mut names, mut now) = (Names::configured(), START);
        let (mut auditor, mut memory) = (Auditor::default(), Memory::default());
        let mut journal: Vec<Entry> = Vec::new();
        let mut snapshot = State::new(EVENT);
        let first = Command::Configure { cursor: 1, config: Box::new(config()) };
        let commands = steps.iter().map(|(jump, step)| (*jump, Some(step)));
        for (jump, step) in std::iter::once((0, None)).chain(commands) {
            now = now.plus_ms(jump);
            let seq = node.durable().seq;
            let command =
                step.map_or_else(|| first.clone(), |step| names.command(step, now, seq));
            let before = node.state().hash().unwrap();
            let taken_back = node.propose(now, std::slice::from_ref(&command)).unwrap();
            node.abandon();
            prop_assert_eq!(node.state().hash().unwrap(), before, "rollback left a trace");
            node.state().check().unwrap();
            let proposal = node.propose(now, &[command]).unwrap();
            prop_assert_eq!(&proposal.replies, &taken_back.replies, "decided otherwise");
            prop_assert!(matches!(node.settle(&proposal, Appended::Done), Settled::Durable));
            for entry in proposal.batch.entries {
                reader.apply(&entry).unwrap();
                reader.commit();
                auditor.audit(&entry, &reader);
                journal.push(entry);
                if journal.len() == snapshot_at {
                    snapshot = image_of(&reader);
                }
            }
            prop_assert_eq!(node.state().hash().unwrap(), reader.hash().unwrap());
            if let Some(step) = step {
                memory.compare(step, &proposal.replies[0]);
            }
        }
        let hash = node.state().hash().unwrap();
        prop_assert_eq!(image_of(node.state()).hash().unwrap(), hash, "image");
        prop_assert_eq!(with_tail(snapshot, &journal).hash().unwrap(), hash, "snapshot and tail");
    }
}

/// A snapshot and the entries after it.
fn with_tail(mut state: State, journal: &[Entry]) -> State {
    for entry in journal.iter().skip(usize::try_from(state.head().seq).unwrap()) {
        state.apply(entry).unwrap();
        state.commit();
    }
    state.check().unwrap();
    state
}

/// A state that was built from a snapshot keeps on like the one that wrote it.
#[test]
fn a_snapshot_is_of_one_event_and_layout() {
    let mut node = Node::new(State::new(EVENT));
    let first = [Command::Configure { cursor: 1, config: Box::new(config()) }];
    let proposal = node.propose(START, &first).unwrap();
    node.settle(&proposal, Appended::Done);
    let bytes = node.state().to_bytes().unwrap();
    assert!(State::from_bytes(Uuid::from_u128(1), &bytes).is_err());
    assert!(State::from_bytes(EVENT, &bytes[..bytes.len() - 1]).is_err());
    assert!(State::from_bytes(EVENT, &[]).is_err());
    let mut other = bytes.clone();
    other[1] ^= 1;
    assert!(State::from_bytes(EVENT, &other).is_err());
    assert_eq!(State::from_bytes(EVENT, &bytes).unwrap().head(), node.durable());
}

/// Entries that do not belong at the journal's end are refused and leave no trace.
#[test]
fn foreign_entries_are_refused() {
    let mut node = Node::new(State::new(EVENT));
    let first = [Command::Configure { cursor: 1, config: Box::new(config()) }];
    let proposal = node.propose(START, &first).unwrap();
    node.settle(&proposal, Appended::Done);
    let mut state = image_of(node.state());
    let hash = state.hash().unwrap();
    let head = state.head();
    let at = state.now();
    let mut refuse = |fact: Fact, seq: u64, prev: Head, at: Millis, v: u16| {
        let mut entry = fact.entry(seq, prev.hash, at).unwrap();
        entry.v = v;
        let error = state.apply(&entry).unwrap_err().to_string();
        assert_eq!(state.hash().unwrap(), hash, "{error} left a trace");
        error
    };
    let blocked = || Fact::TicketBlocked { ticket: 1 };
    assert!(refuse(blocked(), 2, head, at, 1).contains("no such live ticket"));
    assert!(refuse(blocked(), 2, head, at, 2).contains("version 2"));
    assert!(refuse(blocked(), 3, head, at, 1).contains("does not follow"));
    assert!(refuse(blocked(), 2, Head::genesis(EVENT), at, 1).contains("does not follow"));
    let early = at.plus_ms(-1);
    assert!(refuse(Fact::EventCanceled {}, 2, head, early, 1).contains("time runs backward"));
    let holds = vec![Uuid::from_u128(1)];
    assert!(refuse(Fact::HoldsExpired { holds }, 2, head, at, 1).contains("hold is not live"));
    let again = Fact::CatalogueApplied { cursor: 1, config: Box::new(config()), exit_alls: vec![] };
    assert!(refuse(again, 2, head, at, 1).contains("catalogue runs backward"));
}
