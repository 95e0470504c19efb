//! Rate limits of this node, by address and by device (GCRA). Keyed state is forgotten when it
//! says nothing any more, so that it cannot grow with the number of callers ever seen.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use uuid::Uuid;

use crate::problem::{Code, Problem};
use crate::settings::Limits;

/// The window that limits are stated in.
pub const WINDOW_S: u32 = 60;
/// The first 64 bits of an IPv6 address.
const HOST_NETWORK_MASK: u128 = !0 << 64;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// What is left after a request, for the `RateLimit` headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    pub policy: &'static str,
    /// Requests a window.
    pub quota: u32,
    pub remaining: u32,
}

/// A request over the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exceeded {
    pub allowance: Allowance,
    /// Until the next one is allowed, in seconds.
    pub wait_s: u64,
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded { allowance: Allowance { quota, .. }, wait_s } = exceeded;
        let detail = format!("at most {quota} requests in {WINDOW_S} s; try again in {wait_s} s");
        Self::new(Code::RateLimited, detail).retry_after_s(wait_s)
    }
}

pub struct RateLimits {
    shop: Option<Limit<IpAddr>>,
    scan: Option<Limit<Uuid>>,
}

struct Limit<K: std::hash::Hash + Eq + Clone> {
    policy: &'static str,
    quota: u32,
    keyed: Keyed<K>,
}

impl RateLimits {
    pub fn new(settings: &Limits) -> Self {
        Self {
            shop: Limit::new("shop", settings.shop_per_min),
            scan: Limit::new("scan", settings.scan_per_min),
        }
    }

    /// One shop request of this address; none when the limit is off.
    pub fn shop(&self, address: IpAddr) -> Result<Option<Allowance>, Exceeded> {
        self.shop.as_ref().map(|limit| limit.check(&network(address))).transpose()
    }

    /// One scan of this device.
    pub fn scan(&self, device: Uuid) -> Result<Option<Allowance>, Exceeded> {
        self.scan.as_ref().map(|limit| limit.check(&device)).transpose()
    }

    /// Forgets callers whose allowance is full again.
    pub fn clean(&self) {
        if let Some(limit) = &self.shop {
            limit.keyed.retain_recent();
        }
        if let Some(limit) = &self.scan {
            limit.keyed.retain_recent();
        }
    }
}

impl<K: std::hash::Hash + Eq + Clone> Limit<K> {
    fn new(policy: &'static str, per_min: u32) -> Option<Self> {
        let quota = NonZeroU32::new(per_min)?;
        let keyed = RateLimiter::dashmap(Quota::per_minute(quota))
            .with_middleware::<StateInformationMiddleware>();
        Some(Self { policy, quota: per_min, keyed })
    }

    fn check(&self, key: &K) -> Result<Allowance, Exceeded> {
        let allowance = |remaining| Allowance { policy: self.policy, quota: self.quota, remaining };
        match self.keyed.check_key(key) {
            Ok(state) => Ok(allowance(state.remaining_burst_capacity())),
            Err(until) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                let wait_s = wait.as_secs().saturating_add(1);
                Err(Exceeded { allowance: allowance(0), wait_s })
            }
        }
    }
}

/// What one caller has: an address, with IPv6 the /64 that a single host is given (RFC 4291, 2.5.1).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & HOST_NETWORK_MASK)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests;
