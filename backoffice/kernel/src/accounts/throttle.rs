//! Slows down guessing: failed sign-ins are counted per address and account, and per address. Held
//! in memory and bounded; each process counts for itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use crate::error::{Code, Error, Result};

/// Failures in a window before the door closes until the window ends.
const FAILURES_PER_ACCOUNT_MAX: u32 = 10;
const FAILURES_PER_ADDRESS_MAX: u32 = 100;
const WINDOW: SignedDuration = SignedDuration::from_mins(15);
/// Counters kept.
const COUNTERS_MAX: usize = 20_000;

#[derive(Default)]
pub(crate) struct Throttle(Mutex<HashMap<Key, Counter>>);

type Key = (IpAddr, Option<String>);

#[derive(Clone, Copy)]
struct Counter {
    failures: u32,
    until: Timestamp,
}

impl Throttle {
    /// Refuses when this address, or this address with this account, failed too often.
    pub(crate) fn check(&self, address: IpAddr, email: &str, now: Timestamp) -> Result<()> {
        for (key, most) in keys(address, email) {
            let counter = self.lock().get(&key).copied();
            let Some(counter) = counter.filter(|counter| counter.until > now) else { continue };
            if counter.failures >= most {
                let wait = counter.until.duration_since(now).as_secs().max(1);
                let seconds = u32::try_from(wait).unwrap_or(u32::MAX);
                return Err(Error::new(Code::TooManyRequests, "too many failed sign-ins; wait")
                    .retry_after(seconds));
            }
        }
        Ok(())
    }

    pub(crate) fn failed(&self, address: IpAddr, email: &str, now: Timestamp) {
        let mut counters = self.lock();
        for (key, _) in keys(address, email) {
            if counters.len() >= COUNTERS_MAX && !counters.contains_key(&key) {
                make_room(&mut counters, now);
            }
            let until = now.checked_add(WINDOW).unwrap_or(Timestamp::MAX);
            let counter = counters.entry(key).or_insert(Counter { failures: 0, until });
            if counter.until <= now {
                *counter = Counter { failures: 0, until };
            }
            counter.failures = counter.failures.saturating_add(1);
        }
    }

    /// A right password clears the account's counter, not the address's.
    pub(crate) fn succeeded(&self, address: IpAddr, email: &str) {
        self.lock().remove(&(address, Some(email.to_lowercase())));
    }

    #[cfg(test)]
    pub(crate) fn counters(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Counter>> {
        // A panic while counting leaves plain numbers behind, which stay usable.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn keys(address: IpAddr, email: &str) -> [(Key, u32); 2] {
    [
        ((address, Some(email.to_lowercase())), FAILURES_PER_ACCOUNT_MAX),
        ((address, None), FAILURES_PER_ADDRESS_MAX),
    ]
}

/// Counters that ended go. When none did, all go: whoever fills this many has as many addresses,
/// and is not slowed by counting per address.
fn make_room(counters: &mut HashMap<Key, Counter>, now: Timestamp) {
    counters.retain(|_, counter| counter.until > now);
    if counters.len() >= COUNTERS_MAX {
        tracing::warn!("the counters of failed sign-ins are full and begin anew");
        counters.clear();
    }
}
