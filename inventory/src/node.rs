//! A node's part in an event: it decides commands ahead of the log, and follows the log when that
//! has another opinion. No I/O, no clock, no waiting: whoever drives it appends what it proposes
//! and tells it what came of that, so that any number of nodes can be tried in one test.

use std::collections::{BTreeMap, VecDeque};

use uuid::Uuid;

use crate::command::{Command, OfflineScan, Reply, ScanRequest};
use crate::decide::{Alone, decide, decide_alone};
use crate::entry::{Entry, Head};
use crate::fact::Fact;
use crate::log::{Appended, Batch, DataKey, ENTRY_BYTES_MAX};
use crate::state::{ApplyError, Mark, State};
use crate::time::Millis;

/// Entries that a node keeps to give a store back what it lost. What is older is covered by the
/// store's own copies.
pub const RING_ENTRIES_MAX: usize = 4_096;
/// And their bytes, of `data`.
pub const RING_BYTES_MAX: usize = 16 << 20;
/// Entries and bytes of one proposal: commands past these wait for the next.
pub const PROPOSAL_ENTRIES_MAX: usize = 1_000;
pub const PROPOSAL_BYTES_MAX: usize = 4 << 20;
/// Entries that return overdue holds in one proposal.
pub const EXPIRIES_PER_PROPOSAL_MAX: usize = 8;
/// Entries that one command writes at most.
const ENTRIES_PER_COMMAND_MAX: usize = crate::decide::UPLOAD_SCANS_MAX;
/// Bytes of one entry's `data`; beside it an entry has some 200 bytes. A larger one no store takes,
/// and it must not take the commands beside it along.
const DATA_BYTES_MAX: usize = ENTRY_BYTES_MAX - 1_024;

#[derive(Debug)]
pub struct Node {
    /// Runs ahead of the log while a proposal is out.
    state: State,
    /// The log's end as far as this node knows.
    durable: Head,
    /// Where the state was when the proposal was made.
    proposed: Option<Mark>,
    /// Where it was before the first scan that this node decided alone. Until those are taken back
    /// nothing is proposed and nothing followed.
    alone: Option<Mark>,
    ring: Ring,
}

/// Commands decided, and what has to be appended before their replies may go out.
#[derive(Debug)]
pub struct Proposal {
    pub expected: Head,
    pub batch: Batch,
    /// One a command, in order; fewer than commands when the proposal was full.
    pub replies: Vec<Reply>,
}

/// What an append's outcome means for the proposal.
#[derive(Debug)]
pub enum Settled {
    /// It is durable: let the replies out.
    Durable,
    /// Others were first; their entries are applied, the commands have to be decided again.
    Again,
    /// The store lost a tail that this node has: append this first, then the same proposal again.
    Repair { expected: Head, batch: Batch },
    /// This node's tail is not the log's: build the state again from snapshot and log.
    Rebuild,
    /// The log ends at `head`, before what this node knows to be durable, and this node cannot give
    /// all of that back. Nothing may be decided on a log that forgot what was promised: another node
    /// may still have it.
    Short { head: Head },
}

impl Node {
    pub fn new(state: State) -> Self {
        let durable = state.head();
        Self { state, durable, proposed: None, alone: None, ring: Ring::default() }
    }

    /// The durable state; while a proposal is out, the state after it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// End of the log as far as this node knows.
    pub fn durable(&self) -> Head {
        self.durable
    }

    /// Decides commands one after the other, each on the state after those before it. Overdue
    /// holds are returned first. The node then waits for `settle` or `abandon`.
    ///
    /// An error means that a decision contradicts the state it was made from: nothing is proposed.
    pub fn propose(&mut self, clock: Millis, commands: &[Command]) -> Result<Proposal, ApplyError> {
        self.abandon();
        let mark = self.state.mark();
        self.proposed = Some(mark);
        let made = self.try_propose(clock, commands);
        if made.is_err() {
            self.abandon();
        }
        made
    }

    fn try_propose(&mut self, clock: Millis, commands: &[Command]) -> Result<Proposal, ApplyError> {
        let now = clock.min(Millis::MAX).max(self.state.now());
        let expected = self.durable;
        let mut proposal = Proposal { expected, batch: Batch::default(), replies: Vec::new() };
        let mut bytes = 0_usize;
        for _ in 0..EXPIRIES_PER_PROPOSAL_MAX {
            if self.state.next_due().is_none_or(|due| now < due) {
                break;
            }
            self.run(now, &Command::Tick, &mut proposal.batch, &mut bytes)?;
        }
        for command in commands {
            let entries = proposal.batch.entries.len().saturating_add(ENTRIES_PER_COMMAND_MAX);
            if PROPOSAL_ENTRIES_MAX < entries || PROPOSAL_BYTES_MAX <= bytes {
                break;
            }
            let reply = self.run(now, command, &mut proposal.batch, &mut bytes)?;
            proposal.replies.push(reply);
        }
        Ok(proposal)
    }

    fn run(
        &mut self,
        now: Millis,
        command: &Command,
        batch: &mut Batch,
        bytes: &mut usize,
    ) -> Result<Reply, ApplyError> {
        let decision = decide(&self.state, now, command);
        for fact in &decision.facts {
            let entry = self.state.entry_for(now, fact)?;
            if DATA_BYTES_MAX < entry.data.get().len() {
                let what = format!("{} of more than {DATA_BYTES_MAX} bytes", entry.kind);
                return Err(ApplyError::contradiction(what));
            }
            self.state.apply_fact(&entry, fact)?;
            *bytes = bytes.saturating_add(entry.data.get().len());
            batch.entries.push(entry);
        }
        batch.keys.extend(decision.keys);
        Ok(decision.outcome.reply(&self.state))
    }

    /// Takes what the append of a proposal's batch came to.
    pub fn settle(&mut self, proposal: &Proposal, appended: Appended) -> Settled {
        match appended {
            Appended::Done => {
                self.proposed = None;
                self.state.commit();
                self.durable = self.state.head();
                self.ring.extend(&proposal.batch);
                Settled::Durable
            }
            Appended::Lost { missing } => {
                self.abandon();
                match self.catch_up(&missing) {
                    Ok(_) if !missing.is_empty() => Settled::Again,
                    _ => Settled::Rebuild,
                }
            }
            Appended::Behind { head } => match self.ring.after(head, self.durable) {
                Some(batch) => Settled::Repair { expected: head, batch },
                None => {
                    self.abandon();
                    let forked = self.ring.has_successor(head.seq);
                    if forked { Settled::Rebuild } else { Settled::Short { head } }
                }
            },
            Appended::Forked { .. } => {
                self.abandon();
                Settled::Rebuild
            }
        }
    }

    /// Takes back the proposal that is out, exactly: its outcome is not known or not wanted.
    pub fn abandon(&mut self) {
        if let Some(mark) = self.proposed.take() {
            self.state.rollback(mark);
        }
    }

    /// Applies entries that the log has; those that this node has too are skipped. Returns how many
    /// were new. An error means that the log is not the one this node knows: rebuild.
    pub fn catch_up(&mut self, entries: &[Entry]) -> Result<usize, ApplyError> {
        self.abandon();
        let mut applied = 0_usize;
        for entry in entries {
            if entry.seq <= self.durable.seq {
                continue;
            }
            let fact = Fact::from_entry(entry).map_err(ApplyError::Unreadable)?;
            self.state.apply_fact(entry, &fact)?;
            self.state.commit();
            self.durable = self.state.head();
            self.ring.push(entry.clone());
            if let Fact::OrderConfirmed(order) = fact
                && !order.personal.0.is_empty()
            {
                self.ring.keyless.insert(order.order, entry.seq);
            }
            applied = applied.saturating_add(1);
        }
        Ok(applied)
    }

    // === without the log ===

    /// Decides a scan by what this node knows, on the scans that it decided alone before. None where
    /// the lane refuses without the store. The state goes on from there, the log does not.
    pub fn decide_alone(
        &mut self,
        clock: Millis,
        request: &ScanRequest,
    ) -> Result<Option<Alone>, ApplyError> {
        self.abandon();
        let now = clock.min(Millis::MAX).max(self.state.now());
        let Some(mut alone) = decide_alone(&self.state, now, self.durable.seq, request) else {
            return Ok(None);
        };
        self.add_alone(clock, alone.scan.as_slice())?;
        alone.verdict.occupancy = self.state.occupancy_of(&request.zone);
        Ok(Some(alone))
    }

    /// The same for scans that were decided before, after they were taken back.
    pub fn add_alone(&mut self, clock: Millis, scans: &[OfflineScan]) -> Result<(), ApplyError> {
        self.abandon();
        let mark = self.alone_mark();
        let now = clock.min(Millis::MAX).max(self.state.now());
        for piece in scans.chunks(crate::decide::UPLOAD_SCANS_MAX) {
            let command = Command::Upload { scans: piece.to_vec() };
            let applied = self.run(now, &command, &mut Batch::default(), &mut 0);
            if let Err(error) = applied {
                self.state.rollback(mark);
                return Err(error);
            }
        }
        Ok(())
    }

    /// A point to go back to with `rollback_alone`.
    pub fn alone_mark(&mut self) -> Mark {
        let mark = self.state.mark();
        self.alone.get_or_insert(mark);
        mark
    }

    pub fn rollback_alone(&mut self, mark: Mark) {
        self.state.rollback(mark);
    }

    /// Takes back everything that was decided alone: the state is the log's again.
    pub fn end_alone(&mut self) {
        if let Some(mark) = self.alone.take() {
            self.state.rollback(mark);
        }
    }

    /// Orders that others confirmed lately, whose data keys this node could not give back yet.
    pub fn keyless_orders(&self) -> Vec<Uuid> {
        self.ring.keyless.keys().copied().collect()
    }

    /// What the store answered for [`Self::keyless_orders`]: a key that it left out is erased.
    pub fn keep_keys(&mut self, keys: Vec<(Uuid, DataKey)>) {
        let mut wanted = std::mem::take(&mut self.ring.keyless);
        for (order, key) in keys {
            if let Some(seq) = wanted.remove(&order) {
                self.ring.keys.insert((seq, order), key);
            }
        }
    }
}

/// The newest durable entries, with the data keys of their orders.
#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Entry>,
    /// By the number of their entry, or of the last of their batch.
    keys: BTreeMap<(u64, Uuid), DataKey>,
    /// Orders of other nodes whose keys are not known here, with the number of their entry.
    keyless: BTreeMap<Uuid, u64>,
    bytes: usize,
}

impl Ring {
    fn extend(&mut self, batch: &Batch) {
        let last = batch.entries.last().map_or(0, |entry| entry.seq);
        for entry in &batch.entries {
            self.push(entry.clone());
        }
        for (order, key) in &batch.keys {
            self.keys.insert((last, *order), key.clone());
        }
    }

    fn push(&mut self, entry: Entry) {
        self.bytes = self.bytes.saturating_add(entry.data.get().len());
        self.entries.push_back(entry);
        while RING_ENTRIES_MAX < self.entries.len() || RING_BYTES_MAX < self.bytes {
            let Some(entry) = self.entries.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(entry.data.get().len());
        }
        let first = self.entries.front().map_or(u64::MAX, |entry| entry.seq);
        while self.keys.first_key_value().is_some_and(|((seq, _), _)| *seq < first) {
            self.keys.pop_first();
        }
        if RING_ENTRIES_MAX < self.keyless.len() {
            self.keyless.retain(|_, seq| first <= *seq);
        }
    }

    /// Whether the entry after `seq` is here, whatever it follows.
    fn has_successor(&self, seq: u64) -> bool {
        self.entries.iter().any(|entry| entry.seq.checked_sub(1) == Some(seq))
    }

    /// The entries after `head` up to `durable`, a bounded piece of them; none when the ring does
    /// not reach back to `head` or has another entry there.
    fn after(&self, head: Head, durable: Head) -> Option<Batch> {
        let start = self.entries.iter().position(|entry| entry.follows(head))?;
        let all = self.entries.iter().skip(start).take_while(|entry| entry.seq <= durable.seq);
        let mut bytes = 0_usize;
        let piece = all.take(PROPOSAL_ENTRIES_MAX).take_while(|entry| {
            let before = bytes;
            bytes = bytes.saturating_add(entry.data.get().len());
            before < PROPOSAL_BYTES_MAX
        });
        let entries: Vec<Entry> = piece.cloned().collect();
        let keys = self.keys.iter().filter(|((seq, _), _)| head.seq < *seq);
        let keys = keys.map(|((_, order), key)| (*order, key.clone())).collect();
        Some(Batch { entries, keys })
    }
}
