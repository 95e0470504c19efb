use std::net::{IpAddr, Ipv4Addr};

use super::RateLimits;
use crate::problem::Code;
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
    assert_eq!(refused.code, Code::RateLimited);
    assert!(refused.retry_after_s.is_some_and(|s| (1..=21).contains(&s)));
    assert!(limits.shop(address(2)).is_ok());
}

#[test]
fn zero_is_off() {
    let limits = RateLimits::new(&Limits { shop_per_min: 0, ..Limits::default() });
    for _ in 0..10 {
        assert_eq!(limits.shop(address(1)).expect("allowed"), None);
    }
}
