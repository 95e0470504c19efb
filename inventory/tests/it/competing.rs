//! Random histories through three nodes that compete for one log, whose store refuses, loses answers
//! and loses tails.

use inventory::command::{Command, PaymentMethod, Reply, Verdict};
use inventory::entry::Entry;
use inventory::log::LogError;
use inventory::node::{Node, Proposal, Settled};
use inventory::state::State;
use inventory::store::memory::{Fault, MemoryLog};
use inventory::time::Millis;
use proptest::prelude::*;
use uuid::Uuid;

use crate::harness::{EVENT, MINUTE, START, config};
use crate::histories::{Auditor, Memory};
use crate::steps::{Names, Scan, Step, What, jump, scan_request, step};

/// One round: some nodes propose at the same time, each what it thinks right, then append in turn.
#[derive(Clone, Debug)]
struct Round {
    jump: i64,
    /// Node, commands, clock of the node against the others.
    parts: Vec<(usize, Vec<Step>, i64)>,
    faults: Vec<Fault>,
    /// A node that reads the log before.
    reader: Option<usize>,
}

fn round(lossy: bool) -> impl Strategy<Value = Round> {
    let part = (0..3_usize, proptest::collection::vec(step(), 1..5), -MINUTE..MINUTE);
    let lost = if lossy { 1..4_usize } else { 0..1_usize };
    let fault = prop_oneof![
        12 => Just(Fault::Pass),
        1 => Just(Fault::Refuse),
        2 => Just(Fault::UnknownApplied),
        2 => Just(Fault::UnknownLost),
        1 => lost.prop_map(Fault::LoseTail),
    ];
    let faults = proptest::collection::vec(fault, 0..4);
    let parts = proptest::collection::vec(part, 1..4);
    (jump(), parts, faults, proptest::option::of(0..3_usize))
        .prop_map(|(jump, parts, faults, reader)| Round { jump, parts, faults, reader })
}

/// What a driver of nodes does with a proposal, without a task: repeats, repairs, decides again.
struct Cluster {
    log: MemoryLog,
    nodes: Vec<Node>,
    forks: usize,
    repairs: usize,
    races: usize,
}

/// Appends of one batch with an unknown outcome before it is given up.
const ATTEMPTS_MAX: usize = 2;

impl Cluster {
    fn new() -> Self {
        let nodes = (0..3).map(|_| Node::new(State::new(EVENT))).collect();
        Self { log: MemoryLog::new(), nodes, forks: 0, repairs: 0, races: 0 }
    }

    /// None when the store refused or nobody knows; the replies otherwise.
    fn carry(
        &mut self,
        n: usize,
        now: Millis,
        commands: &[Command],
        mut proposal: Proposal,
    ) -> Option<Vec<Reply>> {
        for _ in 0..1_000 {
            match self.append(n, &proposal)? {
                Settled::Durable => return Some(proposal.replies),
                Settled::Again => self.races += 1,
                Settled::Rebuild => self.rebuild(n),
                Settled::Repair { .. } => unreachable!("append repairs"),
                Settled::Short { head } => panic!("nobody can give back what follows {}", head.seq),
            }
            proposal = self.nodes[n].propose(now, commands).unwrap();
        }
        panic!("no end of races");
    }

    fn append(&mut self, n: usize, proposal: &Proposal) -> Option<Settled> {
        let mut attempts = 0;
        loop {
            let failed = match self.log.append_now(EVENT, proposal.expected, &proposal.batch) {
                Ok(appended) => match self.nodes[n].settle(proposal, appended) {
                    Settled::Repair { expected, batch } => {
                        self.repairs += 1;
                        self.log.append_now(EVENT, expected, &batch).err()
                    }
                    settled => return Some(settled),
                },
                Err(error) => Some(error),
            };
            attempts += usize::from(failed.is_some());
            let refused = matches!(failed, Some(LogError::Refused(_)));
            if refused || ATTEMPTS_MAX < attempts {
                self.nodes[n].abandon();
                return None;
            }
        }
    }

    fn rebuild(&mut self, n: usize) {
        self.forks += 1;
        let state = match self.log.load_snapshot_now(EVENT).unwrap() {
            Some(snapshot) => State::from_bytes(EVENT, &snapshot.bytes).unwrap(),
            None => State::new(EVENT),
        };
        let tail = self.log.read_now(EVENT, state.head().seq, 1_000).unwrap();
        self.nodes[n] = Node::new(state);
        self.nodes[n].catch_up(&tail).unwrap();
    }

    fn read(&mut self, n: usize) {
        let after = self.nodes[n].durable().seq;
        let entries = self.log.read_now(EVENT, after, 1_000).unwrap();
        if self.nodes[n].catch_up(&entries).is_err() {
            self.rebuild(n);
        }
    }

    /// Learns the log's end for certain, giving back what the store lost.
    fn confirm(&mut self, n: usize) {
        self.log.clear_script();
        let proposal = self.nodes[n].propose(START, &[]).unwrap();
        self.carry(n, START, &[], proposal).unwrap();
    }
}

/// Node, its clock, what it was asked, what it proposes.
type Proposed<'a> = (usize, Millis, &'a [Step], Vec<Command>, Proposal);

/// Runs the rounds; returns the journal that the log ended with, and the cluster. `promised`: no
/// answer is ever taken back.
fn compete(rounds: &[Round], promised: bool) -> (Vec<Entry>, Cluster) {
    let mut cluster = Cluster::new();
    let (mut names, mut now) = (Names::configured(), START);
    let first = [Command::Configure { cursor: 1, config: Box::new(config()) }];
    let proposal = cluster.nodes[0].propose(now, &first).unwrap();
    cluster.carry(0, now, &first, proposal).unwrap();
    let mut memory = Memory::default();
    for round in rounds {
        now = now.plus_ms(round.jump);
        if let Some(n) = round.reader {
            cluster.read(n);
        }
        cluster.log.script(round.faults.iter().copied());
        let mut proposals: Vec<Proposed<'_>> = Vec::new();
        for (n, steps, skew) in &round.parts {
            let clock = now.plus_ms(*skew);
            let seq = cluster.nodes[*n].durable().seq;
            let command = |step| names.command(step, clock, seq);
            let commands: Vec<Command> = steps.iter().map(command).collect();
            if proposals.iter().all(|(taken, ..)| taken != n) {
                let proposal = cluster.nodes[*n].propose(clock, &commands).unwrap();
                proposals.push((*n, clock, steps, commands, proposal));
            }
        }
        for (n, clock, steps, commands, proposal) in proposals {
            let before = cluster.nodes[n].durable();
            let replies = cluster.carry(n, clock, &commands, proposal);
            cluster.nodes[n].state().check().unwrap();
            match replies {
                Some(replies) if promised => {
                    let pairs = steps.iter().zip(&replies);
                    pairs.for_each(|(step, reply)| memory.compare(step, reply));
                }
                Some(_) => {}
                None => {
                    memory = Memory::default();
                    memory.gaps = true;
                    let kept = cluster.nodes[n].durable();
                    assert!(before.seq <= kept.seq || !promised);
                    assert_eq!(cluster.nodes[n].state().head(), kept, "not taken back");
                }
            }
        }
        cluster.log.clear_script();
    }
    // The clocks may be behind the log; confirming decides nothing.
    for n in [0, 1, 2, 0, 1, 2] {
        cluster.confirm(n);
    }
    let journal = cluster.log.read_now(EVENT, 0, 1_000).unwrap();
    (journal, cluster)
}

/// The nodes agree with each other and with the journal, which breaks no rule.
fn judge(journal: &[Entry], cluster: &Cluster) {
    let (mut state, mut auditor) = (State::new(EVENT), Auditor::default());
    for entry in journal {
        state.apply(entry).unwrap();
        state.commit();
        auditor.audit(entry, &state);
    }
    let hash = state.hash().unwrap();
    for node in &cluster.nodes {
        assert_eq!(node.durable(), state.head());
        assert_eq!(node.state().hash().unwrap(), hash);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Races, refusals and unknown outcomes: what was answered stays true.
    #[test]
    fn three_nodes(rounds in proptest::collection::vec(round(false), 1..40)) {
        let (journal, cluster) = compete(&rounds, true);
        prop_assert_eq!(cluster.forks, 0, "nothing was lost, yet a node gave up its tail");
        judge(&journal, &cluster);
    }

    /// Fail-overs that lose a tail on top: nodes give it back or, where a node that had never seen
    /// it was first, give it up; the nodes agree all the same.
    #[test]
    fn three_nodes_and_lost_tails(rounds in proptest::collection::vec(round(true), 1..40)) {
        let (journal, cluster) = compete(&rounds, false);
        judge(&journal, &cluster);
    }
}

/// A lost tail that the next writer has is given back whole, data keys included.
#[test]
fn a_lost_tail_comes_back() {
    let mut cluster = Cluster::new();
    let mut names = Names::configured();
    let ask = |cluster: &mut Cluster, command: Command| {
        let commands = [command];
        let proposal = cluster.nodes[0].propose(START, &commands).unwrap();
        cluster.carry(0, START, &commands, proposal).unwrap().remove(0)
    };
    ask(&mut cluster, Command::Configure { cursor: 1, config: Box::new(config()) });
    let hold = Step::Hold { items: vec![(0, 2)], key: None, id: None, promo: None, buyer: None };
    ask(&mut cluster, names.command(&hold, START, 0));
    let order = Step::Order { hold: 0, payment: PaymentMethod::Invoice, key: None, buyer: None };
    ask(&mut cluster, names.command(&order, START, 0));
    let before = cluster.log.read_now(EVENT, 0, 10).unwrap();
    cluster.log.lose_tail(EVENT, 2);
    assert_eq!(cluster.log.head_now(EVENT).unwrap().seq, 1);
    let scan = Scan {
        device: 0,
        nonce: 0,
        ticket: 1,
        revision: 0,
        lounge: false,
        exit: false,
        force: false,
        look_up: false,
    };
    let reply = ask(&mut cluster, Command::Scan(scan_request(&scan)));
    assert!(matches!(reply, Reply::Scanned(verdict) if verdict.verdict == Verdict::Admit));
    assert_eq!((cluster.repairs, cluster.forks), (1, 0));
    let after = cluster.log.read_now(EVENT, 0, 10).unwrap();
    assert_eq!(after.len(), 4);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.hash(), after.hash());
    }
}

/// Two nodes, one ticket, the same moment: one is admitted.
#[test]
fn one_ticket_at_two_nodes_admits_once() {
    let mut cluster = Cluster::new();
    let mut names = Names::configured();
    let create = Step::Instruct { id: 1, what: What::Create(2, 1) };
    let setup = [
        Command::Configure { cursor: 1, config: Box::new(config()) },
        names.command(&create, START, 0),
    ];
    let proposal = cluster.nodes[0].propose(START, &setup).unwrap();
    cluster.carry(0, START, &setup, proposal).unwrap();
    (1..3).for_each(|n| cluster.read(n));
    let scans: Vec<Command> = (0..3)
        .map(|n| {
            let mut request = crate::harness::scan_of(1, "nonce-001");
            request.device = Uuid::from_u128(n);
            Command::Scan(request)
        })
        .collect();
    let proposals: Vec<Proposal> = (0..3)
        .map(|n| cluster.nodes[n].propose(START, std::slice::from_ref(&scans[n])).unwrap())
        .collect();
    let mut admitted = 0;
    for (n, proposal) in proposals.into_iter().enumerate() {
        // Each believes to admit before it appends.
        let promised = &proposal.replies[0];
        assert!(matches!(promised, Reply::Scanned(v) if v.verdict == Verdict::Admit));
        let replies = cluster.carry(n, START, std::slice::from_ref(&scans[n]), proposal).unwrap();
        admitted +=
            usize::from(matches!(&replies[0], Reply::Scanned(v) if v.verdict == Verdict::Admit));
    }
    assert_eq!((admitted, cluster.races), (1, 2));
}
