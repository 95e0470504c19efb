//! All public keys a verifier holds, and the one judgement over a credential. Must not know who
//! asks, at which lane, or what the inventory thinks of the ticket.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::UnixSeconds;
use crate::claims::{Claims, Kid};
use crate::credential::Credential;
use crate::key::PublicKey;

/// An immutable set of keys: build another one to change it.
#[derive(Clone, Debug, Default)]
pub struct KeyRing(HashMap<(u32, Kid), PublicKey>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    #[error("event {event} has two keys with the id {kid}")]
    DuplicateKid { event: u32, kid: Kid },
}

/// Claims that a live key of their own event signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verified(Claims);

/// Why a credential was not believed, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("no key of this event has this id")]
    UnknownKey,
    #[error("the signature does not fit")]
    Invalid,
    #[error("the key that signed is revoked")]
    Revoked,
    #[error("the key that signed is not valid yet")]
    NotYet,
    #[error("the key that signed has expired")]
    Expired,
    #[error("a genuine credential of another event")]
    WrongEvent,
}

/// Whether the verifier can ask the inventory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    Online,
    Offline,
}

impl KeyRing {
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Result<KeyRing, RingError> {
        let mut ring = HashMap::new();
        for key in keys {
            match ring.entry((key.event(), key.kid())) {
                Entry::Vacant(free) => {
                    free.insert(key);
                }
                Entry::Occupied(_) => {
                    return Err(RingError::DuplicateKid { event: key.event(), kid: key.kid() });
                }
            }
        }
        Ok(KeyRing(ring))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, event: u32, kid: Kid) -> Option<&PublicKey> {
        self.0.get(&(event, kid))
    }

    /// For a verifier that asks the inventory afterwards. A genuine credential of any event of the
    /// ring is accepted: which events the lane admits is the caller's to compare.
    pub fn verify(&self, credential: &Credential, now: UnixSeconds) -> Result<Verified, Refused> {
        self.judge(credential, now, Reach::Online)
    }

    /// The same, and refuses what belongs to none of these events.
    pub fn verify_for(
        &self,
        credential: &Credential,
        events: &[u32],
        now: UnixSeconds,
    ) -> Result<Verified, Refused> {
        let verified = self.verify(credential, now)?;
        if events.contains(&verified.0.event) { Ok(verified) } else { Err(Refused::WrongEvent) }
    }

    /// For a verifier that decides alone: a key whose revocation is only announced is refused too,
    /// because a forged ticket could not be told from a sold one.
    pub fn verify_offline(
        &self,
        credential: &Credential,
        now: UnixSeconds,
    ) -> Result<Verified, Refused> {
        self.judge(credential, now, Reach::Offline)
    }

    /// The signature comes before the key's life, so that a forgery never learns about keys.
    fn judge(
        &self,
        credential: &Credential,
        now: UnixSeconds,
        reach: Reach,
    ) -> Result<Verified, Refused> {
        let claims = credential.claims();
        let key = self.get(claims.event, claims.kid).ok_or(Refused::UnknownKey)?;
        if !key.signed(claims, credential.signature()) {
            return Err(Refused::Invalid);
        }
        if reach == Reach::Offline && key.revoked_at.is_some() {
            return Err(Refused::Revoked);
        }
        key.state(now)?;
        Ok(Verified(*claims))
    }
}

impl Verified {
    pub fn claims(&self) -> &Claims {
        &self.0
    }
}

#[cfg(test)]
mod tests;
