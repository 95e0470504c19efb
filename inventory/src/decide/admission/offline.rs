//! Scans that were decided without the store. They open no door: they are facts, and a ticket's
//! standing is the fold of all of them. Which two admissions contradict each other follows from the
//! facts alone, so the report is the same whatever order they were sent in.

use std::collections::{HashMap, HashSet};

use super::history::History;
use super::nonce_digest;
use crate::command::{Conflict, Digest16, OfflineScan, Reason, Uploaded, Verdict};
use crate::decide::{Decision, Outcome};
use crate::fact::{Fact, ScanRecorded};
use crate::state::{Flags, NONCE_KEPT_MS, Scan, State, Ticket, number_at};
use crate::time::Millis;

/// Scans of one command; whoever has more sends several.
pub const UPLOAD_SCANS_MAX: usize = 64;
/// How far ahead of the event's clock a device's may be; what is within counts as now.
const AHEAD_MS_MAX: i64 = 2 * 60_000;

/// What became of an uploaded scan, to be told once its facts are applied.
#[derive(Debug)]
pub enum Item {
    Known(Uploaded),
    /// Recorded for this ticket, by number, with this nonce.
    Recorded(u64, Digest16),
}

pub(in crate::decide) fn upload(state: &State, now: Millis, scans: &[OfflineScan]) -> Decision {
    let mut facts = Vec::new();
    let mut items = Vec::with_capacity(scans.len());
    // The facts of this command are not in the state yet.
    let mut seen: HashMap<Digest16, (Digest16, bool)> = HashMap::new();
    let mut annulled: HashSet<u64> = HashSet::new();
    for scan in scans {
        let nonce = nonce_digest(scan.device, &scan.nonce);
        let known = state.scan_by_nonce(&nonce, now);
        let before = seen
            .insert(nonce, (scan.request, scan.admitted))
            .or(known.map(|known| (known.request, let_through(state, known))));
        items.push(match before {
            Some((request, _)) if request != scan.request => {
                Item::Known(Uploaded::Rejected(Reason::NonceReused))
            }
            Some((_, admitted)) if admitted == scan.admitted => Item::Known(Uploaded::Duplicate),
            // Let in by the store, but the answer never came and the device refused. Once: a device
            // that then says otherwise has used its nonce for two things.
            Some((_, true)) => {
                let passage = known.and_then(|k| passage_by_nonce(state, k.ticket.get(), nonce));
                match passage.filter(|passage| annulled.insert(passage.seq)) {
                    Some(passage) => {
                        facts.push(Fact::ScanAnnulled { scan: passage.seq, device: scan.device });
                        Item::Known(Uploaded::Recorded)
                    }
                    None => Item::Known(Uploaded::Rejected(Reason::NonceReused)),
                }
            }
            _ => match record(state, now, scan, nonce) {
                Ok(fact) => {
                    facts.push(Fact::ScanRecorded(Box::new(fact)));
                    Item::Recorded(scan.ticket, nonce)
                }
                Err(reason) => Item::Known(Uploaded::Rejected(reason)),
            },
        });
    }
    Decision::facts(facts, Outcome::Uploaded { items })
}

/// Whether someone went through on this nonce, by the store's decision or the device's own.
fn let_through(state: &State, known: &Scan) -> bool {
    known.is_passage() || passage_by_nonce(state, known.ticket.get(), known.nonce).is_some()
}

fn passage_by_nonce(state: &State, ticket: Option<u32>, nonce: Digest16) -> Option<&Scan> {
    state.passages(state.ticket_at(ticket?)?).find(|scan| scan.nonce == nonce)
}

fn record(
    state: &State,
    now: Millis,
    scan: &OfflineScan,
    nonce: Digest16,
) -> Result<ScanRecorded, Reason> {
    if state.ticket(scan.ticket).is_none() {
        return Err(Reason::UnknownTicket);
    }
    if state.tables.zone(&scan.zone).is_none() {
        return Err(Reason::WrongZone);
    }
    if now.plus_ms(AHEAD_MS_MAX) < scan.at {
        return Err(Reason::Clock);
    }
    // Nonces of that time are forgotten: it could not be told from one that was sent before.
    let closes_at = state.config.closes_at;
    if closes_at.is_some_and(|at| at.max(scan.at).plus_ms(NONCE_KEPT_MS) <= now) {
        return Err(Reason::TooLate);
    }
    Ok(ScanRecorded {
        device: scan.device,
        lane: scan.lane.clone(),
        zone: scan.zone.clone(),
        direction: scan.direction,
        nonce,
        request: scan.request,
        ticket: scan.ticket,
        happened_at: scan.at.min(now),
        verdict: if scan.admitted { Verdict::Admit } else { Verdict::Deny },
        reason: scan.reason,
        forced: scan.forced,
        mode: scan.mode,
        bundle: scan.bundle,
    })
}

impl Item {
    pub(in crate::decide) fn told(self, state: &State) -> Uploaded {
        let (ticket, nonce) = match self {
            Self::Known(uploaded) => return uploaded,
            Self::Recorded(ticket, nonce) => (ticket, nonce),
        };
        let Some((index, ticket)) = state.ticket(ticket) else { return Uploaded::Recorded };
        let Some(scan) = passage_by_nonce(state, Some(index), nonce) else {
            return Uploaded::Recorded;
        };
        let mut conflicts = of_ticket(state, ticket).into_iter();
        let ours = conflicts.find(|conflict| conflict.scans.contains(&scan.seq));
        ours.map_or(Uploaded::Recorded, Uploaded::Conflict)
    }
}

impl State {
    /// Every two admissions of which the rules allow one, of tickets that were decided without the
    /// store: by ticket, then in the order they happened.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let tickets = self.recorded.iter().filter_map(|index| self.ticket_at(*index));
        tickets.flat_map(|ticket| of_ticket(self, ticket)).collect()
    }
}

/// Goes through a ticket's passages as they happened and asks of each whether the policy would have
/// let it in after those before. What was forced was meant.
fn of_ticket(state: &State, ticket: &Ticket) -> Vec<Conflict> {
    let mut passages: Vec<&Scan> = state.passages(ticket).collect();
    passages.reverse();
    let mut zones: HashMap<u8, (History<'_>, Option<&Scan>)> = HashMap::new();
    let mut conflicts = Vec::new();
    for scan in passages {
        let Some((row, zone)) = scan.zone.get().and_then(|row| Some((row, state.zone_at(row)?)))
        else {
            continue;
        };
        let (history, before) =
            zones.entry(row).or_insert_with(|| (History::blank(&state.config, zone.policy), None));
        if scan.is_exit() {
            history.set_inside(false);
            continue;
        }
        let refused = history.refuse(scan.at).filter(|_| !scan.flags.has(Flags::FORCED));
        if let Some((reason, earlier)) = refused.zip(*before) {
            let lane = |scan: &Scan| lane_name(state, scan.lane);
            conflicts.push(Conflict {
                ticket: scan.ticket.get().map_or(0, number_at),
                zone: zone.key.clone(),
                scans: [earlier.seq, scan.seq],
                lanes: [lane(earlier), lane(scan)],
                at: [earlier.at, scan.at],
                reason,
            });
        }
        history.enter(scan.at);
        *before = Some(scan);
    }
    conflicts
}

fn lane_name(state: &State, index: u32) -> String {
    let lane = usize::try_from(index).ok().and_then(|index| state.lanes.get(index));
    lane.map(ToString::to_string).unwrap_or_default()
}
