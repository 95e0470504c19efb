//! Rate limits of this node, by address and by device (GCRA). Keyed state is forgotten when it
//! says nothing any more, so that it cannot grow with the number of callers ever seen.

use std::net::IpAddr;
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

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// What is left after a request, for the `RateLimit` headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    pub policy: &'static str,
    /// Requests a window.
    pub quota: u32,
    pub remaining: u32,
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
    pub fn shop(&self, address: IpAddr) -> Result<Option<Allowance>, Problem> {
        self.shop.as_ref().map(|limit| limit.check(&address)).transpose()
    }

    /// One scan of this device.
    pub fn scan(&self, device: Uuid) -> Result<Option<Allowance>, Problem> {
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

    fn check(&self, key: &K) -> Result<Allowance, Problem> {
        match self.keyed.check_key(key) {
            Ok(state) => Ok(Allowance {
                policy: self.policy,
                quota: self.quota,
                remaining: state.remaining_burst_capacity(),
            }),
            Err(until) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                let wait_s = wait.as_secs().saturating_add(1);
                let detail = format!(
                    "at most {} requests in {WINDOW_S} s; try again in {wait_s} s",
                    self.quota
                );
                Err(Problem::new(Code::RateLimited, detail).retry_after_s(wait_s))
            }
        }
    }
}

#[cfg(test)]
mod tests;
