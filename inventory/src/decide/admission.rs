//! Scans. The nonce comes first: what was decided for it is repeated. Then the first rule that refuses
//! names the reason. Decisions are written, refusals included; replays, reused nonces and questions
//! are not.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Decision, Outcome};
use crate::command::{Digest16, Direction, Reason, Reply, ScanRequest, ScanVerdict, Verdict};
use crate::fact::{Answered, Base64, Fact, ScanDecided};
use crate::state::State;
use crate::time::Millis;

mod alone;
mod history;
mod judge;
mod offline;
mod settle;
mod zones;

pub use alone::{Alone, decide_alone};
pub use offline::{Item, UPLOAD_SCANS_MAX};
pub use settle::ANNUL_WITHIN_MS;

pub(super) use judge::{Passage, judge};
pub(super) use offline::upload;
pub(super) use settle::{annul, settle, settled_view};
pub(super) use zones::{correct, evacuate, exit_alls, next_exit};

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
    let fleeing = state.totals.evacuated && request.direction == Direction::Exit;
    if let Some(scan) = state.scan_by_nonce(&nonce, now) {
        let same = scan.request == request.request;
        if fleeing && !(same && scan.verdict.lets_through()) {
            return let_out(now, if same { scan.reason } else { Some(Reason::NonceReused) });
        }
        if same {
            return Decision::facts(vec![], Outcome::Scanned { nonce, replay: true });
        }
        let verdict = unwritten(Verdict::Deny, Some(Reason::NonceReused), now);
        return Decision::reply(Reply::Scanned(ScanVerdict { scan: scan.seq, ..verdict }));
    }
    let answered = request.answers.as_ref().map_or(&[][..], |answers| &answers.questions);
    let passage = Passage {
        lane: &request.lane,
        zone: &request.zone,
        direction: request.direction,
        subject: request.subject,
        force: request.force,
        answered,
    };
    let judged = judge(state, now, &passage);
    if judged.verdict == Verdict::Ask {
        let ticket = judged.ticket.and_then(|number| state.ticket_view(number));
        let verdict = unwritten(Verdict::Ask, None, now);
        let verdict = ScanVerdict { ticket, questions: judged.questions, ..verdict };
        return Decision::reply(Reply::Scanned(verdict));
    }
    if fleeing && judged.verdict == Verdict::Deny {
        return let_out(now, judged.reason);
    }
    let answers = request.answers.as_ref().filter(|answers| !answers.questions.is_empty());
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
        lease_until: judged.lease_s.map(|seconds| now.plus_s(seconds)),
        answers: answers.filter(|_| judged.verdict != Verdict::Deny).map(|answers| Answered {
            questions: answers.questions.clone(),
            sealed: Base64(answers.sealed.clone()),
        }),
    };
    let facts = vec![Fact::ScanDecided(Box::new(fact))];
    Decision::facts(facts, Outcome::Scanned { nonce, replay: false })
}

/// While the place is cleared nobody is kept inside, whatever they show. Who it was is not known, so
/// nothing is written.
fn let_out(now: Millis, told: Option<Reason>) -> Decision {
    Decision::reply(Reply::Scanned(unwritten(Verdict::Admit, told, now)))
}

/// A verdict that no entry holds.
fn unwritten(verdict: Verdict, reason: Option<Reason>, now: Millis) -> ScanVerdict {
    ScanVerdict {
        verdict,
        reason,
        scan: 0,
        at: now,
        ticket: None,
        first_scan: None,
        occupancy: None,
        forced: false,
        replay: false,
        settled: None,
        questions: Vec::new(),
        alone: None,
    }
}
