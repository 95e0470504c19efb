//! When a failed job is tried again: exponential, with a jitter that depends on the job alone, so
//! that jobs which failed together come back apart and a test can say when.

use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Before the second attempt, without jitter.
const FIRST: SignedDuration = SignedDuration::from_secs(2);
/// No pause is longer, without jitter.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);
/// The jitter reaches this share of the pause to either side, in percent.
const JITTER_PERCENT: i64 = 25;

/// Pause after the given attempt (from 1).
pub(crate) fn pause(seed: Uuid, attempt: u32) -> SignedDuration {
    between(FIRST, LONGEST, seed, attempt)
}

/// The same between other bounds, which hold before the jitter.
pub(crate) fn between(
    first: SignedDuration,
    longest: SignedDuration,
    seed: Uuid,
    attempt: u32,
) -> SignedDuration {
    let doublings = attempt.saturating_sub(1).min(30);
    let plain = first.saturating_mul(1_i32 << doublings).min(longest);
    let plain_ms = i64::try_from(plain.as_millis()).unwrap_or(i64::MAX);
    let span_ms = plain_ms.saturating_mul(JITTER_PERCENT) / 100;
    let width_ms = span_ms.saturating_mul(2).saturating_add(1);
    let offset_ms = i64::try_from(hash(seed, attempt) % u64::try_from(width_ms).unwrap_or(1));
    SignedDuration::from_millis(plain_ms - span_ms + offset_ms.unwrap_or(0))
}

/// Uniform enough over all jobs.
fn hash(seed: Uuid, attempt: u32) -> u64 {
    let digest = Sha256::new().chain_update(seed).chain_update(attempt.to_be_bytes()).finalize();
    let mut first = [0_u8; 8];
    first.copy_from_slice(digest.get(..8).unwrap_or(&[0; 8]));
    u64::from_be_bytes(first)
}
