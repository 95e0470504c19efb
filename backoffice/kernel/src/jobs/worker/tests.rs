use super::*;

#[test]
fn a_lease_is_renewed_within_its_time_and_never_trusted_to_its_last_second() {
    let begun = Instant::now();
    let secs = Duration::from_secs;
    #[track_caller]
    fn check(begun: Instant, asked_s: u64, now_s: u64, expect: Lease) {
        let at = |s| begun + Duration::from_secs(s);
        assert_eq!(lease(begun, at(asked_s), Duration::from_secs(300), at(now_s)), expect);
    }
    check(begun, 0, 0, Lease::Renew);
    check(begun, 0, 49, Lease::Renew);
    check(begun, 0, 50, Lease::Over);
    check(begun, 290, 329, Lease::Renew);
    // Five minutes and the margin are over: a run that is stuck does not keep its job for ever.
    check(begun, 290, 330, Lease::Leave);
    check(begun, 329, 378, Lease::Leave);
    check(begun, 329, 379, Lease::Over);
    assert_eq!(lease(begun, begun, Duration::MAX, begun + secs(1)), Lease::Renew);
}
