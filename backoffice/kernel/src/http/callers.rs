//! How much of something one address holds at a time: connections, requests being worked on. One
//! caller cannot take all places. Knows neither listeners nor routes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::subscriber;
use crate::settings::Network;

pub(super) struct Callers {
    held: Mutex<HashMap<IpAddr, usize>>,
    /// Of one subscriber.
    most: usize,
    /// Addresses that many callers share.
    uncounted: Vec<Network>,
}

/// One place; free again when it is dropped.
pub(super) struct Place {
    callers: Arc<Callers>,
    address: IpAddr,
}

impl Callers {
    pub(super) fn new(most: usize, uncounted: Vec<Network>) -> Arc<Self> {
        Arc::new(Self { held: Mutex::default(), most, uncounted })
    }

    /// `None` when the address has all that it may.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let free = self.uncounted.iter().any(|network| network.contains(address));
        let address = subscriber(address);
        let mut held = self.lock();
        let count = held.get(&address).copied().unwrap_or(0);
        if self.most <= count && !free {
            return None;
        }
        held.insert(address, count.saturating_add(1));
        Some(Place { callers: Arc::clone(self), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Counts stay usable whoever panicked.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.callers.lock();
        if let Some(count) = held.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests;
