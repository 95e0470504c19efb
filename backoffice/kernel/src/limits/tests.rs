use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::ManualClock;

const HUNDRED: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

fn at_noon() -> (Arc<ManualClock>, RateLimits) {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    (clock.clone(), RateLimits::new(clock, HUNDRED))
}

/// Requests that are let through out of `tries`.
fn passed(tries: u32, mut one: impl FnMut(&Charges) -> Result<()>) -> u32 {
    let charges = Charges::default();
    (0..tries).map(|_| u32::from(one(&charges).is_ok())).sum()
}

/// The limits as callers are told them: group, of an organization, of a credential.
fn told() -> Vec<(Group, u32, u32)> {
    let page = include_str!("../../../../docs/api.md");
    let (_, table) = page.split_once("### Rate limits\n").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, whole, own] = cells.as_slice() else { panic!("{line}") };
        let group = Group::ALL.iter().find(|group| group.name() == *name).expect("a group");
        (*group, whole.parse().unwrap(), own.parse().unwrap())
    };
    rows.take_while(|line| line.starts_with('|')).map(row).collect()
}

#[test]
fn the_limits_are_those_that_callers_are_told() {
    let plan = told();
    let named: Vec<&str> = plan.iter().map(|(group, ..)| group.name()).collect();
    let all: Vec<&str> = Group::ALL.iter().map(|group| group.name()).collect();
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    assert_eq!(sorted(named), sorted(all), "each group once");
    for (group, whole, own) in plan {
        let (_, limits) = at_noon();
        let org = Uuid::from_u128(1);
        let one = |charges: &Charges| limits.charge(charges, "a", Some(org), group);
        assert_eq!(passed(2_000, one), own, "{group:?}: one credential");
        // Twelve credentials of one organization: its own limit holds.
        let mut turn = 0;
        let many = |charges: &Charges| {
            turn += 1;
            limits.charge(charges, &format!("b{}", turn % 12), Some(org), group)
        };
        assert_eq!(passed(3_000, many), whole - own, "{group:?}: the organization");
        let other = Uuid::from_u128(2);
        let one = |charges: &Charges| limits.charge(charges, "c", Some(other), group);
        assert_eq!(passed(1, one), 1, "{group:?}: another organization is not charged");
    }
}

#[test]
fn a_refusal_says_when_and_time_brings_the_quota_back() {
    let (clock, limits) = at_noon();
    let org = Some(Uuid::from_u128(1));
    let charges = Charges::default();
    for _ in 0..20 {
        limits.charge(&charges, "a", org, Group::Workflows).unwrap();
    }
    charges.take();
    let refused = limits.charge(&charges, "a", org, Group::Workflows).unwrap_err();
    assert_eq!(refused.code(), Code::TooManyRequests);
    // 20 a minute: one every three seconds.
    assert_eq!(refused.retry_after_s(), Some(3));
    let told = charges.take();
    assert_eq!(told, [Standing { policy: "credential", quota: 20, remaining: 0, reset_s: 60 }]);
    clock.advance(Duration::from_millis(2_900));
    limits.charge(&charges, "a", org, Group::Workflows).unwrap_err();
    clock.advance(Duration::from_millis(100));
    limits.charge(&charges, "a", org, Group::Workflows).unwrap();
    let organization = charges.take().pop().unwrap();
    assert_eq!((organization.policy, organization.quota), ("organization", 200));
    // The refused ones took nothing from the organization; 21 were let through.
    assert!((179..=189).contains(&organization.remaining), "{organization:?}");
}

#[test]
fn the_percentage_scales_every_limit() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    for (percent, expected) in [(50, 150), (1, 3), (200, 600)] {
        let limits = RateLimits::new(clock.clone(), NonZeroU32::new(percent).unwrap());
        let address = "192.0.2.1".parse().unwrap();
        let one = |charges: &Charges| limits.charge_address(charges, address);
        assert_eq!(passed(1_000, one), expected, "{percent} %");
    }
}

#[test]
fn addresses_are_counted_by_subscriber() {
    let (_, limits) = at_noon();
    let mut turn: u128 = 0;
    let hopping = |charges: &Charges| {
        turn += 1;
        let address = u128::from("2001:db8::".parse::<Ipv6Addr>().unwrap()) + turn;
        limits.charge_address(charges, IpAddr::V6(address.into()))
    };
    assert_eq!(passed(1_000, hopping), ADDRESS_PER_MINUTE, "one network of 64 bits");
    let charges = Charges::default();
    limits.charge_address(&charges, "2001:db8:0:1::1".parse().unwrap()).unwrap();
    limits.charge_address(&charges, "192.0.2.1".parse().unwrap()).unwrap();
    limits.charge_address(&charges, "::ffff:192.0.2.1".parse().unwrap()).unwrap();
    let last = charges.take().pop().unwrap();
    assert_eq!(last.remaining, ADDRESS_PER_MINUTE - 2, "mapped and plain are one address");
}

#[test]
fn memory_is_bounded_and_old_callers_are_forgotten() {
    let (clock, limits) = at_noon();
    let charges = Charges::default();
    let hop = |number: u32| {
        let address = IpAddr::V4(std::net::Ipv4Addr::from(number));
        drop(limits.charge_address(&charges, address));
        charges.take();
    };
    let most = u32::try_from(CALLERS_MAX).unwrap() + LOOK_EVERY;
    (0..most * 2).for_each(hop);
    let kept = limits.addresses.keyed.len();
    assert!(kept <= CALLERS_MAX + LOOK_EVERY as usize, "{kept} callers are kept");
    // Newcomers share one quota while it is so.
    let refused = (0..ADDRESS_PER_MINUTE + 1)
        .any(|n| limits.charge_address(&charges, IpAddr::V4((most * 3 + n).into())).is_err());
    assert!(refused);
    clock.advance(Duration::from_secs(61));
    (0..LOOK_EVERY * 2).for_each(hop);
    assert!(limits.addresses.keyed.len() <= 2 * LOOK_EVERY as usize);
}

proptest! {
    /// In any window of a minute at most twice the quota passes (a full burst, then the flow), and
    /// whoever keeps to the pace is never refused.
    #[test]
    fn no_pattern_gets_more_than_burst_and_flow(pauses in prop::collection::vec(0_u64..500, 1..400)) {
        let (clock, limits) = at_noon();
        let charges = Charges::default();
        let org = Some(Uuid::from_u128(1));
        let (mut elapsed_ms, mut through) = (0_u64, 0_u64);
        for pause in pauses {
            clock.advance(Duration::from_millis(pause));
            elapsed_ms += pause;
            through += u64::from(limits.charge(&charges, "a", org, Group::Workflows).is_ok());
            prop_assert!(through <= 20 + elapsed_ms * 20 / 60_000);
        }
    }

    #[test]
    fn the_steady_pace_is_never_refused(count in 1_usize..200) {
        let (clock, limits) = at_noon();
        let charges = Charges::default();
        for _ in 0..count {
            prop_assert!(limits.charge(&charges, "a", None, Group::Workflows).is_ok());
            clock.advance(Duration::from_secs(3));
        }
    }
}
