//! What becomes of a scan that was let through: a turnstile reports, a lease runs out, a device takes
//! its admission back.

use uuid::Uuid;

use super::nonce_digest;
use crate::command::{RefusalCode, ScanVerdict, Settlement};
use crate::decide::{Decided, Decision, Outcome, refused_for};
use crate::fact::Fact;
use crate::state::{Scan, State};
use crate::time::Millis;

/// How long a device may take its admission back.
pub const ANNUL_WITHIN_MS: i64 = 15 * 60_000;

/// A report that was made before, with the same content, is answered again.
pub(in crate::decide) fn settle(state: &State, device: Uuid, seq: u64, passed: bool) -> Decided {
    let Some(index) = state.scan_by_seq(seq) else {
        return refused_for(RefusalCode::UnknownScan, "scan", seq);
    };
    let told = state.scan_at(index).and_then(Scan::settlement);
    let wanted = if passed { Settlement::Passed } else { Settlement::NotPassed };
    let facts = match state.leases.get(&index) {
        Some(lease) if lease.device != device => {
            return refused_for(RefusalCode::UnknownScan, "scan", seq);
        }
        Some(_) => vec![Fact::ScanSettled { scan: seq, passed, device: Some(device) }],
        None if told == Some(wanted) => vec![],
        None => return refused_for(RefusalCode::AlreadySettled, "scan", seq),
    };
    Ok(Decision::facts(facts, Outcome::Settled { scan: seq }))
}

/// Takes back what the device's nonce was admitted by; a second time is answered like the first.
pub(in crate::decide) fn annul(state: &State, now: Millis, device: Uuid, nonce: &str) -> Decided {
    let Some(scan) = state.scan_by_nonce(&nonce_digest(device, nonce), now) else {
        return refused_for(RefusalCode::UnknownScan, "nonce", nonce);
    };
    let facts = if scan.settlement() == Some(Settlement::Annulled) {
        vec![]
    } else if !scan.is_passage() || scan.at.plus_ms(ANNUL_WITHIN_MS) < now {
        return refused_for(RefusalCode::NotAnnullable, "scan", scan.seq);
    } else {
        vec![Fact::ScanAnnulled { scan: scan.seq, device }]
    };
    Ok(Decision::facts(facts, Outcome::Annulled { scan: scan.seq }))
}

/// The scan as it is now.
pub(in crate::decide) fn settled_view(state: &State, seq: u64) -> Option<ScanVerdict> {
    state.scan_at(state.scan_by_seq(seq)?).map(|scan| state.verdict_view(scan))
}
