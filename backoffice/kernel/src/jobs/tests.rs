use jiff::SignedDuration;
use proptest::prelude::*;
use uuid::Uuid;

use super::backoff::pause;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

proptest! {
    #[test]
    fn a_pause_doubles_within_its_jitter_up_to_an_hour(seed: u128, attempt in 1_u32..200) {
        let plain = SignedDuration::from_secs(2_i64.saturating_pow(attempt.min(40))).min(HOUR);
        let pause = pause(Uuid::from_u128(seed), attempt);
        prop_assert!(pause >= plain * 3 / 4, "{pause} after attempt {attempt}");
        prop_assert!(pause <= plain * 5 / 4, "{pause} after attempt {attempt}");
    }
}

#[test]
fn jobs_that_failed_together_come_back_apart() {
    let pauses: std::collections::BTreeSet<i128> =
        (0..1_000).map(|seed| pause(Uuid::from_u128(seed), 8).as_millis()).collect();
    // 1,000 draws among some 128,000 milliseconds.
    assert!(pauses.len() > 900, "{} different pauses", pauses.len());
    let (first, last) = (pauses.first().unwrap(), pauses.last().unwrap());
    assert!(last - first > 120_000, "they spread over {} ms", last - first);
}

#[test]
fn a_pause_is_the_same_for_the_same_job() {
    assert_eq!(pause(Uuid::from_u128(7), 3), pause(Uuid::from_u128(7), 3));
    assert_ne!(pause(Uuid::from_u128(7), 3), pause(Uuid::from_u128(8), 3));
}
