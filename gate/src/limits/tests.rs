use std::net::{IpAddr, Ipv4Addr};

use super::RateLimits;
use crate::problem::{Code, Problem};
use crate::settings::Limits;

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

#[test]
fn one_caller_is_limited_alone() {
    let limits = RateLimits::new(&Limits { shop_per_min: 3, ..Limits::default() });
    let left: Vec<u32> =
        (0..3).map(|_| limits.shop(address(1)).expect("allowed").expect("on").remaining).collect();
    assert_eq!(left, [2, 1, 0]);
    let refused = limits.shop(address(1)).expect_err("over the limit");
    assert_eq!((refused.allowance.quota, refused.allowance.remaining), (3, 0));
    assert!((1..=21).contains(&refused.wait_s));
    assert_eq!(Problem::from(refused).code, Code::RateLimited);
    assert!(limits.shop(address(2)).is_ok());
}

#[test]
fn a_host_is_limited_whatever_address_of_its_network_it_takes() {
    let limits = RateLimits::new(&Limits { shop_per_min: 1, ..Limits::default() });
    let allowed = |text: &str| limits.shop(text.parse::<IpAddr>().expect("an address")).is_ok();
    assert!(allowed("2001:db8:0:1::1"));
    assert!(!allowed("2001:db8:0:1:ffff::2"));
    assert!(allowed("2001:db8:0:2::1"));
    assert!(allowed("10.0.0.9"));
    assert!(!allowed("::ffff:10.0.0.9"));
}

#[test]
fn zero_is_off() {
    let limits = RateLimits::new(&Limits { shop_per_min: 0, ..Limits::default() });
    for _ in 0..10 {
        assert_eq!(limits.shop(address(1)).expect("allowed"), None);
    }
}
