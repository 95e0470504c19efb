use std::net::{IpAddr, Ipv4Addr};

use jiff::{SignedDuration, Timestamp};

use super::throttle::Throttle;
use super::tokens::{TOKEN_PREFIX, draw, hash};
use crate::error::Code;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

#[test]
fn guessing_is_slowed_for_the_account_at_the_address() {
    let throttle = Throttle::default();
    let now = Timestamp::UNIX_EPOCH;
    for _ in 0..10 {
        throttle.check(HERE, "a@example.org", now).unwrap();
        throttle.failed(HERE, "A@example.org", now);
    }
    let error = throttle.check(HERE, "a@example.org", now).unwrap_err();
    assert_eq!(error.code(), Code::TooManyRequests);
    assert_eq!(error.retry_after_s(), Some(900));
    throttle.check(HERE, "b@example.org", now).unwrap();
    throttle.check(THERE, "a@example.org", now).unwrap();
    throttle.check(HERE, "a@example.org", now + SignedDuration::from_mins(16)).unwrap();
}

#[test]
fn one_address_cannot_try_many_accounts() {
    let throttle = Throttle::default();
    let now = Timestamp::UNIX_EPOCH;
    for n in 0..100 {
        let email = format!("{n}@example.org");
        throttle.check(HERE, &email, now).unwrap();
        throttle.failed(HERE, &email, now);
        throttle.succeeded(HERE, &email);
    }
    assert!(throttle.check(HERE, "new@example.org", now).is_err());
}

#[test]
fn counters_are_bounded() {
    let throttle = Throttle::default();
    let now = Timestamp::UNIX_EPOCH;
    for n in 0..20_100_u32 {
        throttle.failed(IpAddr::V4(Ipv4Addr::from(n)), "a@example.org", now);
    }
    assert!(throttle.counters() <= 20_000);
}

#[test]
fn tokens_differ_and_only_their_hash_is_kept() {
    let (one, stored) = draw(TOKEN_PREFIX).unwrap();
    let (other, _) = draw(TOKEN_PREFIX).unwrap();
    assert_ne!(one.expose(), other.expose());
    assert_eq!(one.expose().len(), TOKEN_PREFIX.len() + 43);
    assert_eq!(hash(one.expose()), stored);
    assert_eq!(format!("{one:?}"), "[secret]");
}
