//! The private half: makes credentials of one event. Must not know where keys are kept.

use std::fmt;

use ed25519_dalek::Signer;
use zeroize::Zeroizing;

use crate::claims::{Claims, Kid, TICKET_NUMBER_MAX};
use crate::credential::{Credential, message};
use crate::{NoRandomness, random};

/// Signs for its own event only. Overwritten in memory when dropped.
pub struct SigningKey {
    event: u32,
    kid: Kid,
    key: ed25519_dalek::SigningKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("event: the key signs for {key}, the claims are of {claims}")]
    ForeignEvent { key: u32, claims: u32 },
    #[error("kid: the key's is {key}, the claims name {claims}")]
    ForeignKid { key: Kid, claims: Kid },
    #[error("ticket: {0} exceeds {TICKET_NUMBER_MAX}, the largest number of 48 bits")]
    TicketNumber(u64),
}

impl SigningKey {
    pub fn generate(event: u32) -> Result<SigningKey, NoRandomness> {
        Ok(SigningKey::from_seed(event, &Zeroizing::new(random()?)))
    }

    /// The 32-byte private key of RFC 8032 §5.1.5.
    pub fn from_seed(event: u32, seed: &[u8; 32]) -> SigningKey {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let kid = Kid::of(&key.verifying_key().to_bytes());
        SigningKey { event, kid, key }
    }

    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    pub fn event(&self) -> u32 {
        self.event
    }

    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The bytes of the public key.
    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// The claims must name this key and its event: nothing is filled in silently.
    pub fn sign(&self, claims: &Claims) -> Result<Credential, SignError> {
        if claims.event != self.event {
            return Err(SignError::ForeignEvent { key: self.event, claims: claims.event });
        }
        if claims.kid != self.kid {
            return Err(SignError::ForeignKid { key: self.kid, claims: claims.kid });
        }
        if claims.ticket > TICKET_NUMBER_MAX {
            return Err(SignError::TicketNumber(claims.ticket));
        }
        Ok(Credential::new(*claims, self.key.sign(&message(claims)).to_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(event {} kid {})", self.event, self.kid)
    }
}

#[cfg(test)]
mod tests;
