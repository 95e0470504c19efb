//! Rules of admission. The nonce comes first: what was decided for it is repeated. Then the first
//! rule that refuses names the reason. Decisions are written, refusals included; replays and
//! reused nonces are not.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Decision, Outcome};
use crate::command::{
    Digest16, Direction, FirstScan, Reason, Reply, ScanRequest, ScanVerdict, Subject, TicketStatus,
    Verdict,
};
use crate::config::{ZoneConfig, ZonePolicy};
use crate::fact::{Fact, ScanDecided};
use crate::state::{State, Ticket, number_at, zone_bit};
use crate::time::Millis;

/// A nonce belongs to its device: what the journal keeps of it.
pub fn nonce_digest(device: Uuid, nonce: &str) -> Digest16 {
    digest(b"ATLVS-NONCE-v1\0", device, nonce.as_bytes())
}

pub(super) fn digest(purpose: &[u8], id: Uuid, rest: &[u8]) -> Digest16 {
    let mut hasher = Sha256::new();
    hasher.update(purpose);
    hasher.update(id.as_bytes());
    hasher.update(rest);
    let digest: [u8; 32] = hasher.finalize().into();
    Digest16(digest.first_chunk().copied().unwrap_or_default())
}

pub(super) fn scan(state: &State, now: Millis, request: &ScanRequest) -> Decision {
    let nonce = nonce_digest(request.device, &request.nonce);
    if let Some(scan) = state.scan_by_nonce(&nonce, now) {
        if scan.request == request.request {
            return Decision::facts(vec![], Outcome::Scanned { nonce, replay: true });
        }
        let view = state.verdict_view(scan);
        return Decision::reply(Reply::Scanned(ScanVerdict {
            verdict: Verdict::Deny,
            reason: Some(Reason::NonceReused),
            at: now,
            ticket: None,
            first_scan: None,
            occupancy: None,
            forced: false,
            ..view
        }));
    }
    let passage = Passage {
        zone: &request.zone,
        direction: request.direction,
        subject: request.subject,
        force: request.force,
    };
    let judged = judge(state, now, &passage);
    let fact = ScanDecided {
        device: request.device,
        lane: request.lane.clone(),
        zone: request.zone.clone(),
        direction: request.direction,
        nonce,
        request: request.request,
        ticket: judged.ticket,
        verdict: judged.verdict,
        reason: judged.reason,
        first_scan: judged.first_scan,
        forced: judged.forced,
        by: None,
    };
    let facts = vec![Fact::ScanDecided(Box::new(fact))];
    Decision::facts(facts, Outcome::Scanned { nonce, replay: false })
}

/// Someone wants through a door.
pub(super) struct Passage<'a> {
    pub(super) zone: &'a str,
    pub(super) direction: Direction,
    pub(super) subject: Subject,
    pub(super) force: bool,
}

pub(super) struct Judged {
    /// Number of the ticket, if there is one.
    pub(super) ticket: Option<u64>,
    pub(super) verdict: Verdict,
    pub(super) reason: Option<Reason>,
    pub(super) first_scan: Option<FirstScan>,
    pub(super) forced: bool,
}

/// Force overrules every rule but two: there must be a ticket and a zone to be admitted to.
pub(super) fn judge(state: &State, now: Millis, passage: &Passage<'_>) -> Judged {
    let number = match passage.subject {
        Subject::Credential { ticket, .. } | Subject::Ticket { ticket } => ticket,
    };
    let deny = |ticket, reason, first_scan| Judged {
        ticket,
        verdict: Verdict::Deny,
        reason: Some(reason),
        first_scan,
        forced: false,
    };
    let Some((index, ticket)) = state.ticket(number) else {
        return deny(None, Reason::UnknownTicket, None);
    };
    let ticket_number = Some(number_at(index));
    let Some((zone_row, zone)) = state.tables.zone(passage.zone) else {
        return deny(ticket_number, Reason::WrongZone, None);
    };
    let first_scan = state.first_scan(index, zone.number);
    let refused = match passage.direction {
        Direction::Exit => refuse_exit(ticket, zone),
        Direction::Entry => refuse_entry(state, now, passage.subject, ticket, zone)
            .or_else(|| refuse_full(state, zone_row, zone)),
    };
    match refused {
        Some(reason) if !passage.force => deny(ticket_number, reason, first_scan),
        reason => Judged {
            ticket: ticket_number,
            verdict: Verdict::Admit,
            reason,
            first_scan,
            forced: reason.is_some(),
        },
    }
}

/// Who is inside may leave, whatever became of the ticket meanwhile.
fn refuse_exit(ticket: &Ticket, zone: &ZoneConfig) -> Option<Reason> {
    (ticket.inside & zone_bit(zone.number) == 0).then_some(Reason::NotInside)
}

/// From what the ticket is, over where and when it is good, to how often it was used.
fn refuse_entry(
    state: &State,
    now: Millis,
    subject: Subject,
    ticket: &Ticket,
    zone: &ZoneConfig,
) -> Option<Reason> {
    let (revision, stale_code) = match subject {
        Subject::Credential { revision, stale_code, .. } => (revision, stale_code),
        Subject::Ticket { .. } => (ticket.revision, false),
    };
    if revision != ticket.revision {
        return Some(Reason::Superseded);
    }
    if state.canceled() || ticket.status == TicketStatus::Canceled {
        return Some(Reason::Canceled);
    }
    if ticket.status == TicketStatus::Blocked {
        return Some(Reason::Blocked);
    }
    if stale_code {
        return Some(Reason::StaleCode);
    }
    let bit = zone_bit(zone.number);
    if state.tables.zones_of(ticket.type_row) & bit == 0 {
        return Some(Reason::WrongZone);
    }
    let kind = state.tables.kind(ticket.type_row)?;
    if kind.valid_from.is_some_and(|from| now < from) {
        return Some(Reason::NotYetValid);
    }
    if kind.valid_until.is_some_and(|until| until <= now) {
        return Some(Reason::Expired);
    }
    match zone.policy {
        ZonePolicy::SingleEntry => (ticket.entered & bit != 0).then_some(Reason::AlreadyUsed),
    }
}

/// Asked of who may enter, and so is not inside.
fn refuse_full(state: &State, row: u8, zone: &ZoneConfig) -> Option<Reason> {
    let inside = state.zones.get(usize::from(row))?.inside;
    (zone.capacity? <= inside).then_some(Reason::ZoneFull)
}
