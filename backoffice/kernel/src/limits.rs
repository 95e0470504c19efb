//! Rate limits: requests a minute by organization and group, a tenth of it by credential, and by
//! address for whoever shows no good credential, tighter where mail is sent (GCRA, a whole minute's quota at once). Each
//! process counts for itself. Knows neither HTTP nor rights.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::SharedClock;
use crate::entity::Group;
use crate::error::{Code, Error, Result};

/// The window that limits are stated in, in seconds.
pub const WINDOW_S: u32 = 60;
/// Requests a minute of one IPv4 address or IPv6 network of 64 bits without a good credential.
pub const ADDRESS_PER_MINUTE: u32 = 300;
/// Requests a minute of the same where mail is sent or a mailed secret is tried: each can cost
/// somebody a letter, the house a slow hash, or be a guess.
pub const BY_MAIL_PER_MINUTE: u32 = 20;
/// A credential has this part of what its organization has.
const CREDENTIAL_PART: u32 = 10;
/// Callers that one limit remembers. At the bound those whose quota is full again are forgotten;
/// when none is, newcomers share one quota.
const CALLERS_MAX: usize = 100_000;
/// Requests between two looks at how many callers are remembered.
const LOOK_EVERY: u32 = 1_024;
/// The first 64 bits of an IPv6 address: what one subscriber gets.
const SUBSCRIBER_MASK: u128 = !0 << 64;

/// Requests a minute that an organization has in a group.
pub const fn per_minute(group: Group) -> u32 {
    match group {
        Group::Organizations | Group::Assets | Group::Crm => 1_000,
        Group::Projects | Group::Events | Group::Finance => 500,
        Group::Workflows => 200,
    }
}

/// What is left of a quota after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Name of the policy: `organization`, `credential`, `address`, `by-mail`.
    pub(crate) policy: &'static str,
    /// Requests a window.
    pub(crate) quota: u32,
    pub(crate) remaining: u32,
    /// Seconds until the quota is whole again.
    pub(crate) reset_s: u32,
}

/// Where a request's standings are kept between who charges it and who writes the headers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Charges(Arc<Mutex<Vec<Standing>>>);

impl Charges {
    pub(crate) fn take(&self) -> Vec<Standing> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn push(&self, standing: Standing) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(standing);
    }
}

pub(crate) struct RateLimits {
    clock: Ticks,
    groups: Vec<(Group, Limit<Uuid>, Limit<Credential>)>,
    addresses: Limit<IpAddr>,
    by_mail: Limit<IpAddr>,
}

/// The first half of the secret's digest: the same for one credential, nothing to steal.
type Credential = [u8; 16];

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, Ticks, StateInformationMiddleware>;

struct Limit<K: std::hash::Hash + Eq + Clone> {
    policy: &'static str,
    quota: NonZeroU32,
    keyed: Keyed<K>,
    /// Shared by newcomers while too many callers are remembered.
    crowd: Keyed<()>,
    requests: AtomicU32,
    crowded: std::sync::atomic::AtomicBool,
}

impl RateLimits {
    /// `percent` of every limit is what this process grants.
    pub(crate) fn new(clock: SharedClock, percent: NonZeroU32) -> Self {
        let clock = Ticks(clock);
        let share = |per_minute: u32| {
            let share = u64::from(per_minute) * u64::from(percent.get()) / 100;
            NonZeroU32::new(u32::try_from(share).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
        };
        let groups = Group::ALL.iter().map(|&group| {
            let whole = per_minute(group);
            let organization = Limit::new("organization", share(whole), &clock);
            let credential = Limit::new("credential", share(whole / CREDENTIAL_PART), &clock);
            (group, organization, credential)
        });
        let groups = groups.collect();
        let addresses = Limit::new("address", share(ADDRESS_PER_MINUTE), &clock);
        let by_mail = Limit::new("by-mail", share(BY_MAIL_PER_MINUTE), &clock);
        Self { clock, groups, addresses, by_mail }
    }

    /// One request with a good credential; `organization` is absent where the request is about the
    /// caller alone. The credential is charged first: who is over that takes nothing from others.
    pub(crate) fn charge(
        &self,
        charges: &Charges,
        secret: &str,
        organization: Option<Uuid>,
        group: Group,
    ) -> Result<()> {
        let Some((_, organizations, credentials)) = self.groups.iter().find(|(g, ..)| *g == group)
        else {
            return Err(Error::internal(format!("no rate limit for {group:?}")));
        };
        let digest = Sha256::digest(secret);
        let credential = digest.first_chunk().copied().unwrap_or_default();
        self.one(charges, credentials, &credential)?;
        match organization {
            Some(organization) => self.one(charges, organizations, &organization),
            None => Ok(()),
        }
    }

    /// One request without a good credential.
    pub(crate) fn charge_address(&self, charges: &Charges, address: IpAddr) -> Result<()> {
        self.one(charges, &self.addresses, &subscriber(address))
    }

    /// One request that sends mail or tries what was mailed, beside what it is charged elsewhere.
    pub(crate) fn charge_by_mail(&self, charges: &Charges, address: IpAddr) -> Result<()> {
        self.one(charges, &self.by_mail, &subscriber(address))
    }

    fn one<K: std::hash::Hash + Eq + Clone>(
        &self,
        charges: &Charges,
        limit: &Limit<K>,
        key: &K,
    ) -> Result<()> {
        let (remaining, wait) = limit.take(key, &self.clock);
        let quota = limit.quota.get();
        // Every window the whole quota comes back, evenly.
        let missing = u64::from(quota.saturating_sub(remaining));
        let reset = (missing * u64::from(WINDOW_S)).div_ceil(u64::from(quota));
        let reset_s = u32::try_from(reset).unwrap_or(WINDOW_S);
        charges.push(Standing { policy: limit.policy, quota, remaining, reset_s });
        let Some(wait_s) = wait else { return Ok(()) };
        let text = format!(
            "at most {quota} requests in {WINDOW_S} s by the limit `{}`; try again in {wait_s} s",
            limit.policy
        );
        Err(Error::new(Code::TooManyRequests, text).retry_after(wait_s))
    }
}

impl<K: std::hash::Hash + Eq + Clone> Limit<K> {
    fn new(policy: &'static str, quota: NonZeroU32, clock: &Ticks) -> Self {
        let per_minute = Quota::per_minute(quota);
        Self {
            policy,
            quota,
            keyed: RateLimiter::dashmap_with_clock(per_minute, clock.clone()).with_middleware(),
            crowd: RateLimiter::dashmap_with_clock(per_minute, clock.clone()).with_middleware(),
            requests: AtomicU32::new(0),
            crowded: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Requests left, and the seconds to wait where none was.
    fn take(&self, key: &K, clock: &Ticks) -> (u32, Option<u32>) {
        if self.requests.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY) {
            self.look();
        }
        let outcome = if self.crowded.load(Ordering::Relaxed) {
            self.crowd.check_key(&())
        } else {
            self.keyed.check_key(key)
        };
        match outcome {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(until) => {
                let wait = until.wait_time_from(clock.now());
                let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
                (0, Some(seconds.max(1)))
            }
        }
    }

    fn look(&self) {
        if self.keyed.len() >= CALLERS_MAX {
            self.keyed.retain_recent();
            self.keyed.shrink_to_fit();
        }
        let crowded = self.keyed.len() >= CALLERS_MAX;
        if crowded && !self.crowded.load(Ordering::Relaxed) {
            tracing::warn!(policy = self.policy, "too many callers: they share one rate limit");
        }
        self.crowded.store(crowded, Ordering::Relaxed);
    }
}

/// What one subscriber has: an IPv4 address, or an IPv6 network of 64 bits.
pub(crate) fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(six) & SUBSCRIBER_MASK)),
        },
    }
}

/// The process's clock as the limiter reads it, so that tests set the time.
#[derive(Clone)]
struct Ticks(SharedClock);

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let micros = u64::try_from(self.0.now().as_microsecond()).unwrap_or(0);
        Nanos::new(micros.saturating_mul(1_000))
    }
}

#[cfg(test)]
mod tests;
