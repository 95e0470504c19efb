//! Callers as this process last proved them, so that a read need not build them anew. Nobody is
//! believed by this alone: a read takes the digest of what the secret gives now in its own
//! transaction, and only where it is the one that stands here was it the caller's. So what ends or
//! changes a right holds for the very next read, whichever process it was told to. Holds hashes of
//! secrets, no secret.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use super::authenticate::Caller;

/// SHA-256 of a secret, as the database keeps it.
pub(crate) type Hash = [u8; 32];

/// Callers of one generation. At the bound the generation before is forgotten, so that a process
/// remembers the last ones, at most twice as many.
pub(crate) const CALLERS_MAX: usize = 2_048;

/// What a secret gave.
#[derive(Debug)]
pub(crate) struct Proved {
    pub(crate) caller: Caller,
    /// `account_digest` of then.
    pub(crate) digest: String,
}

#[derive(Default)]
pub(crate) struct Known(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Hash, Arc<Proved>>,
    old: HashMap<Hash, Arc<Proved>>,
}

impl Known {
    pub(crate) fn find(&self, hash: &Hash) -> Option<Arc<Proved>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(proved) = all.young.get(hash) {
            return Some(Arc::clone(proved));
        }
        let proved = all.old.remove(hash)?;
        all.put(*hash, Arc::clone(&proved));
        Some(proved)
    }

    pub(crate) fn keep(&self, hash: Hash, proved: Arc<Proved>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.old.remove(&hash);
        all.put(hash, proved);
    }

    pub(crate) fn forget(&self, hash: &Hash) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.young.remove(hash);
        all.old.remove(hash);
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Generations::default();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.young.len() + all.old.len()
    }
}

impl Generations {
    fn put(&mut self, hash: Hash, proved: Arc<Proved>) {
        if CALLERS_MAX <= self.young.len() && !self.young.contains_key(&hash) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(hash, proved);
    }
}

#[cfg(test)]
mod tests;
