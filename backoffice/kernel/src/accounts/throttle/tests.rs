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
        throttle.check(here, NOW).unwrap();
        throttle.failed(Attempt { email: "A@example.org", ..here }, NOW);
    }
    refused(throttle.check(here, NOW), 900);
    throttle.check(Attempt { email: "b@example.org", ..here }, NOW).unwrap();
    throttle.check(from("10.0.0.1"), NOW).unwrap();
    throttle.check(here, later(901)).unwrap();
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
            throttle.check(attempt, NOW).unwrap();
            throttle.failed(attempt, NOW);
            throttle.succeeded(attempt);
        }
        for address in addresses {
            let attempt = Attempt { email: &email[100], ..from(address) };
            refused(throttle.check(attempt, NOW), 900);
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
        throttle.failed(Attempt { address, ..known_not(known) }, NOW);
        throttle.check(known, NOW).unwrap();
    }
    // The owner's own address is spoilt, too.
    for _ in 0..20 {
        throttle.failed(from("198.51.100.1"), NOW);
    }
    throttle.check(known, NOW).unwrap();
    let new = from("203.0.113.5");
    throttle.check(new, NOW).unwrap();
    refused(throttle.check(new, NOW), 5);
    refused(throttle.check(from("203.0.113.6"), later(4)), 1);
    throttle.check(new, later(5)).unwrap();
    throttle.check(new, later(901)).unwrap();
    throttle.check(new, later(901)).unwrap();
}

fn known_not(known: Attempt<'_>) -> Attempt<'_> {
    Attempt { browser: None, ..known }
}

#[test]
fn a_known_browser_is_slowed_by_its_own_failures_only() {
    let throttle = Throttle::default();
    let known = Attempt { browser: Some(Uuid::from_u128(7)), ..from("198.51.100.1") };
    for _ in 0..10 {
        throttle.check(known, NOW).unwrap();
        throttle.failed(known, NOW);
    }
    refused(throttle.check(known, NOW), 900);
    throttle.check(Attempt { browser: Some(Uuid::from_u128(8)), ..known }, NOW).unwrap();
    throttle.check(known_not(known), NOW).unwrap();
    throttle.succeeded(known);
    throttle.check(known, NOW).unwrap();
}

#[test]
fn a_right_password_does_not_wash_an_attack_away() {
    let throttle = Throttle::default();
    for n in 0..60_u32 {
        let address = IpAddr::V4(Ipv4Addr::from(n));
        throttle.failed(Attempt { address, ..from("127.0.0.1") }, NOW);
    }
    throttle.succeeded(from("127.0.0.1"));
    throttle.check(from("203.0.113.5"), NOW).unwrap();
    refused(throttle.check(from("203.0.113.5"), NOW), 5);
}

#[test]
fn whoever_holds_a_session_cannot_guess_the_password_without_end() {
    let throttle = Throttle::default();
    let user = Uuid::from_u128(1);
    for _ in 0..10 {
        throttle.check_person(user, NOW).unwrap();
        throttle.failed_person(user, NOW);
    }
    refused(throttle.check_person(user, NOW), 900);
    throttle.check_person(Uuid::from_u128(2), NOW).unwrap();
    throttle.check_person(user, later(901)).unwrap();
}

#[test]
fn counters_are_bounded() {
    let throttle = Throttle::default();
    for n in 0..20_100_u32 {
        let address = IpAddr::V4(Ipv4Addr::from(n));
        throttle.failed(Attempt { address, ..from("127.0.0.1") }, NOW);
    }
    assert!(throttle.counters() <= 20_000);
}
