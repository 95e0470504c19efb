//! A public key of an event with its life time. Must not know private keys or claims.

use data_encoding::BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::UnixSeconds;
use crate::claims::Kid;
use crate::credential::{SIGNATURE_BYTES, message};
use crate::{Claims, Refused};

/// Verifies credentials of one event. JSON:
/// `{"event":1042,"kid":"ae216c","public":"<base64, 32 bytes>","not_before":0,"not_after":null,
/// "revoked_at":null}`, moments in Unix seconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "PublicKeyJson", into = "PublicKeyJson")]
pub struct PublicKey {
    event: u32,
    kid: Kid,
    /// Kept decompressed: parsing costs a tenth of a verification.
    key: VerifyingKey,
    /// Start of its life, inclusive.
    pub not_before: UnixSeconds,
    /// End of its life, exclusive. An end before the start is a key that never lives.
    pub not_after: Option<UnixSeconds>,
    /// From this moment nothing it signed passes; whoever works offline refuses as soon as it is
    /// set, even if the moment is to come.
    pub revoked_at: Option<UnixSeconds>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("public: not base64 of 32 bytes")]
    Encoding,
    #[error("public: not a point of the curve in its one canonical encoding")]
    Point,
    #[error("public: a point of small order, for which anybody can sign")]
    Weak,
    #[error("kid: {stated} is stated, the key's is {actual}")]
    Kid { stated: Kid, actual: Kid },
    #[error("sealed_private: not base64 of a sealed 32-byte key")]
    SealedPrivate,
}

impl PublicKey {
    /// A key without an end. Refuses what strict verification would never accept.
    pub fn new(
        event: u32,
        public: &[u8; 32],
        not_before: UnixSeconds,
    ) -> Result<PublicKey, KeyError> {
        if !is_canonical(public) {
            return Err(KeyError::Point);
        }
        let key = VerifyingKey::from_bytes(public).map_err(|_| KeyError::Point)?;
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        let kid = Kid::of(public);
        Ok(PublicKey { event, kid, key, not_before, not_after: None, revoked_at: None })
    }

    pub fn event(&self) -> u32 {
        self.event
    }

    pub fn kid(&self) -> Kid {
        self.kid
    }

    pub fn to_bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// Neither revoked nor outside its life.
    pub fn is_live(&self, now: UnixSeconds) -> bool {
        self.state(now).is_ok()
    }

    /// Why it may not be relied on at this moment.
    pub(crate) fn state(&self, now: UnixSeconds) -> Result<(), Refused> {
        if self.revoked_at.is_some_and(|at| at <= now) {
            return Err(Refused::Revoked);
        }
        if now < self.not_before {
            return Err(Refused::NotYet);
        }
        if self.not_after.is_some_and(|at| at <= now) {
            return Err(Refused::Expired);
        }
        Ok(())
    }

    /// RFC 8032 §5.1.7 without the cofactor, and no point of small order.
    pub(crate) fn signed(&self, claims: &Claims, signature: &[u8; SIGNATURE_BYTES]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.key.verify_strict(&message(claims), &signature).is_ok()
    }
}

/// Whether y is below the field's prime 2^255 − 19 (the top bit is the sign of x).
fn is_canonical(public: &[u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = public;
    *lowest < 0xed || highest & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicKeyJson {
    pub(crate) event: u32,
    pub(crate) kid: Kid,
    pub(crate) public: String,
    pub(crate) not_before: UnixSeconds,
    #[serde(default)]
    pub(crate) not_after: Option<UnixSeconds>,
    #[serde(default)]
    pub(crate) revoked_at: Option<UnixSeconds>,
}

impl TryFrom<PublicKeyJson> for PublicKey {
    type Error = KeyError;
    fn try_from(json: PublicKeyJson) -> Result<PublicKey, KeyError> {
        let public = BASE64.decode(json.public.as_bytes()).map_err(|_| KeyError::Encoding)?;
        let public = <[u8; 32]>::try_from(public).map_err(|_| KeyError::Encoding)?;
        let mut key = PublicKey::new(json.event, &public, json.not_before)?;
        if key.kid != json.kid {
            return Err(KeyError::Kid { stated: json.kid, actual: key.kid });
        }
        key.not_after = json.not_after;
        key.revoked_at = json.revoked_at;
        Ok(key)
    }
}

impl From<PublicKey> for PublicKeyJson {
    fn from(key: PublicKey) -> PublicKeyJson {
        PublicKeyJson {
            event: key.event,
            kid: key.kid,
            public: BASE64.encode(&key.to_bytes()),
            not_before: key.not_before,
            not_after: key.not_after,
            revoked_at: key.revoked_at,
        }
    }
}

#[cfg(test)]
mod tests;
