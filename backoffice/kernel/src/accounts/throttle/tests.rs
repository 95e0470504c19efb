use std::net::{IpAddr, Ipv4Addr};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Attempt, Throttle};
use crate::error::{Code, Result};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const EMAIL: &str = "a@example.org";

fn from(address: &str) -> Attempt<'static> {
    Attempt { address: address.parse().unwrap(), email: EMAIL, browser: None }
}

fn later(seconds: i64) -> Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

#[track_caller]
fn refused(outcome: Result<()>, seconds: u32) {
    let error = outcome.unwrap_err();
    assert_eq!((error.code(), error.retry_after_s()), (Code::TooManyRequests, Some(seconds)));
}

#[test]
fn guessing_is_slowed_for_the_account_at_the_address() {
    let throttle = Throttle::default();
    let here = from("127.0.0.1");
    for _ in 0..10 {
        throttle.enter(Attempt { email: "A@example.org", ..here }, NOW).unwrap();
    }
    refused(throttle.enter(here, NOW), 900);
    throttle.enter(Attempt { email: "b@example.org", ..here }, NOW).unwrap();
    throttle.enter(from("10.0.0.1"), NOW).unwrap();
    throttle.enter(here, later(901)).unwrap();
}

#[test]
fn one_network_cannot_try_many_accounts() {
    for addresses in [
        ["127.0.0.1", "127.0.0.1", "::ffff:127.0.0.1"],
        ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:9::"],
    ] {
        let throttle = Throttle::default();
        let email: Vec<String> = (0..101).map(|n| format!("{n}@example.org")).collect();
        for (n, email) in email.iter().enumerate().take(100) {
            let attempt = Attempt { email, ..from(addresses[n % 3]) };
            throttle.enter(attempt, NOW).unwrap();
        }
        for address in addresses {
            let attempt = Attempt { email: &email[100], ..from(address) };
            refused(throttle.enter(attempt, NOW), 900);
        }
    }
}

/// An attack from everywhere slows new browsers to turns and known ones not at all.
#[test]
fn an_attack_from_everywhere_shuts_nobody_out() {
    let throttle = Throttle::default();
    let known = Attempt { browser: Some(Uuid::from_u128(7)), ..from("198.51.100.1") };
    for n in 0..1_000_u32 {
        let address = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n));
        // Beyond the account's bound they come in turns, which does not end the attack.
        drop(throttle.enter(Attempt { address, ..known_not(known) }, NOW));
        throttle.enter(known, NOW).unwrap();
        throttle.succeeded(known);
    }
    // The owner's own address is spoilt, too.
    for _ in 0..20 {
        drop(throttle.enter(from("198.51.100.1"), NOW));
    }
    throttle.enter(known, NOW).unwrap();
    // The attackers took the turn of now; whoever is there at the next one has it.
    let new = from("203.0.113.5");
    refused(throttle.enter(new, NOW), 5);
    refused(throttle.enter(from("203.0.113.6"), later(4)), 1);
    throttle.enter(new, later(5)).unwrap();
    refused(throttle.enter(new, later(5)), 5);
    throttle.enter(new, later(901)).unwrap();
    throttle.enter(new, later(901)).unwrap();
}

fn known_not(known: Attempt<'_>) -> Attempt<'_> {
    Attempt { browser: None, ..known }
}

#[test]
fn a_known_browser_is_slowed_by_its_own_failures_only() {
    let throttle = Throttle::default();
    let known = Attempt { browser: Some(Uuid::from_u128(7)), ..from("198.51.100.1") };
    for _ in 0..10 {
        throttle.enter(known, NOW).unwrap();
    }
    refused(throttle.enter(known, NOW), 900);
    throttle.enter(Attempt { browser: Some(Uuid::from_u128(8)), ..known }, NOW).unwrap();
    throttle.enter(known_not(known), NOW).unwrap();
    throttle.succeeded(known);
    throttle.enter(known, NOW).unwrap();
}

#[test]
fn a_right_password_does_not_wash_an_attack_away() {
    let throttle = Throttle::default();
    for n in 0..50_u32 {
        let address = IpAddr::V4(Ipv4Addr::from(n));
        throttle.enter(Attempt { address, ..from("127.0.0.1") }, NOW).unwrap();
    }
    // The owner comes in at a turn and is out of the count again; the others' failures are not.
    let owner = from("203.0.113.4");
    throttle.enter(owner, NOW).unwrap();
    throttle.succeeded(owner);
    refused(throttle.enter(from("203.0.113.5"), NOW), 5);
    // Nor does one's own account at the same address make room for guesses at others'.
    let network = Throttle::default();
    let emails: Vec<String> = (0..100).map(|n| format!("{n}@example.org")).collect();
    for email in &emails {
        network.enter(Attempt { email, ..from("127.0.0.1") }, NOW).unwrap();
    }
    refused(network.enter(Attempt { email: "own@example.org", ..from("127.0.0.1") }, NOW), 900);
}

#[test]
fn whoever_holds_a_session_cannot_guess_the_password_without_end() {
    let throttle = Throttle::default();
    let user = Uuid::from_u128(1);
    for _ in 0..10 {
        throttle.enter_person(user, NOW).unwrap();
    }
    refused(throttle.enter_person(user, NOW), 900);
    throttle.enter_person(Uuid::from_u128(2), NOW).unwrap();
    throttle.enter_person(user, later(901)).unwrap();
}

#[test]
fn counters_are_bounded() {
    let throttle = Throttle::default();
    for n in 0..20_100_u32 {
        let address = IpAddr::V4(Ipv4Addr::from(n));
        drop(throttle.enter(Attempt { address, ..from("127.0.0.1") }, NOW));
    }
    assert!(throttle.counters() <= 20_000);
}

/// Tries whose outcome is not known yet are as many as failures may be, from as many threads as like.
#[test]
fn tries_at_the_same_moment_do_not_all_pass() {
    let throttle = Throttle::default();
    let passed = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    if throttle.enter(from("127.0.0.1"), NOW).is_ok() {
                        passed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 10);
}

proptest::proptest! {
    /// Whatever comes in whatever order: of one address and account at most ten tries are open or
    /// failed in a window, and a try that came to nothing, or to a right password, costs nobody.
    #[test]
    fn what_is_taken_back_was_never_counted(
        outcomes in proptest::collection::vec(0_u8..3, 1..60),
    ) {
        let throttle = Throttle::default();
        let here = from("127.0.0.1");
        let mut failed = 0;
        for outcome in outcomes {
            let entered = throttle.enter(here, NOW).is_ok();
            proptest::prop_assert_eq!(entered, failed < 10);
            match outcome {
                _ if !entered => {}
                0 => failed += 1,
                1 => throttle.undecided(here),
                _ => {
                    throttle.succeeded(here);
                    failed = 0;
                }
            }
        }
        // Another account at the same address is closed to nobody by that.
        let other = Attempt { email: "b@example.org", ..here };
        throttle.enter(other, NOW).unwrap();
    }
}
