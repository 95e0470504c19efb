//! What a node decides while its store does not answer: the same rules on what it knows, at lanes that
//! may. What it decides becomes a fact when the store answers again, like an uploaded scan.

use super::judge::{Passage, judge};
use super::{nonce_digest, unwritten};
use crate::command::{
    Digest16, Direction, OfflineMode, OfflineScan, Reason, ScanRequest, ScanVerdict, Verdict,
};
use crate::config::{LaneConfig, LaneMode};
use crate::state::{Scan, State};
use crate::time::Millis;

/// A verdict and, where the ticket is known, the fact that it will be.
#[derive(Debug)]
pub struct Alone {
    pub verdict: ScanVerdict,
    pub scan: Option<OfflineScan>,
}

/// None where the lane refuses without the store, or nothing is known of the event. The journal ends
/// at `durable`: what has a higher number stands only here.
pub fn decide_alone(
    state: &State,
    now: Millis,
    durable: u64,
    request: &ScanRequest,
) -> Option<Alone> {
    if !state.configured() {
        return None;
    }
    let mode = match state.tables.lane(&request.lane).map_or(LaneMode::default(), mode_of) {
        LaneMode::Secure => return None,
        LaneMode::Local => OfflineMode::Local,
        LaneMode::Open => OfflineMode::Open,
    };
    let nonce = nonce_digest(request.device, &request.nonce);
    if let Some(known) = state.scan_by_nonce(&nonce, now) {
        let verdict = repeated(state, now, durable, request.request, known, mode);
        return Some(Alone { verdict, scan: None });
    }
    let passage = Passage {
        lane: &request.lane,
        zone: &request.zone,
        direction: request.direction,
        subject: request.subject,
        force: request.force,
        // Answers could not be sealed: nothing is asked.
        answered: &state.tables.questions.iter().map(|question| question.id).collect::<Vec<_>>(),
    };
    let judged = judge(state, now, &passage);
    let open = mode == OfflineMode::Open && !judged.verdict.lets_through();
    let fleeing = state.totals.evacuated && request.direction == Direction::Exit;
    // A reservation could not be settled: the person goes through.
    let admitted = judged.verdict.lets_through() || open || fleeing;
    let verdict = if admitted { Verdict::Admit } else { Verdict::Deny };
    let ticket = judged.ticket.and_then(|number| state.ticket_view(number));
    let verdict = ScanVerdict {
        first_scan: judged.first_scan,
        forced: judged.forced,
        ticket,
        alone: Some(mode),
        ..unwritten(verdict, judged.reason, now)
    };
    let recorded = judged.ticket.filter(|_| state.tables.zone(&request.zone).is_some());
    let scan = recorded.map(|ticket| OfflineScan {
        device: request.device,
        lane: request.lane.clone(),
        zone: request.zone.clone(),
        direction: request.direction,
        nonce: request.nonce.clone(),
        request: request.request,
        ticket,
        at: now,
        admitted,
        reason: judged.reason,
        forced: judged.forced,
        mode,
        bundle: state.catalogue_cursor(),
    });
    Some(Alone { verdict, scan })
}

fn mode_of(lane: &LaneConfig) -> LaneMode {
    lane.mode
}

fn repeated(
    state: &State,
    now: Millis,
    durable: u64,
    request: Digest16,
    known: &Scan,
    mode: OfflineMode,
) -> ScanVerdict {
    if known.request != request {
        let reused = unwritten(Verdict::Deny, Some(Reason::NonceReused), now);
        return ScanVerdict { alone: Some(mode), ..reused };
    }
    let view = ScanVerdict { replay: true, ..state.verdict_view(known) };
    match durable < known.seq {
        true => ScanVerdict { scan: 0, alone: Some(mode), ..view },
        false => view,
    }
}
