//! A signing key at rest: its public half with life time, its private half under the master key.
//! Must not know where it is stored.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::UnixSeconds;
use crate::claims::Kid;
use crate::key::{KeyError, PublicKey, PublicKeyJson};
use crate::sealed::{MasterKey, OVERHEAD_BYTES, OpenError, SealError};
use crate::signing::SigningKey;

const SEALED_SEED_BYTES: usize = 32 + OVERHEAD_BYTES;

/// JSON: the fields of [`PublicKey`] and `"sealed_private":"<base64>"`, the 32-byte private key
/// sealed by [`crate::sealed`] with associated data event (4 bytes) ‖ kid (3 bytes), big-endian.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "SealedKeyJson", into = "SealedKeyJson")]
pub struct SealedKey {
    pub public: PublicKey,
    sealed_private: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnlockError {
    #[error("key {kid} of event {event}: {cause}")]
    Open { event: u32, kid: Kid, cause: OpenError },
    #[error("key {kid} of event {event}: the private half does not fit the public half")]
    OtherKey { event: u32, kid: Kid },
}

impl SealedKey {
    /// Seals a key that lives from `not_before` on, without an end.
    pub fn seal(
        key: &SigningKey,
        master: &MasterKey,
        not_before: UnixSeconds,
    ) -> Result<SealedKey, SealKeyError> {
        let public = PublicKey::new(key.event(), &key.public(), not_before)?;
        let sealed_private = master.seal(&aad(&public), key.seed().as_slice())?;
        Ok(SealedKey { public, sealed_private })
    }

    /// The signing key; only processes that issue tickets call this.
    pub fn open(&self, master: &MasterKey) -> Result<SigningKey, UnlockError> {
        let (event, kid) = (self.public.event(), self.public.kid());
        let seed = master
            .open(&aad(&self.public), &self.sealed_private)
            .map_err(|cause| UnlockError::Open { event, kid, cause })?;
        let seed = <[u8; 32]>::try_from(seed.as_slice()).map(Zeroizing::new);
        let seed = seed.map_err(|_| UnlockError::OtherKey { event, kid })?;
        let key = SigningKey::from_seed(event, &seed);
        if key.kid() != kid || key.public() != self.public.to_bytes() {
            return Err(UnlockError::OtherKey { event, kid });
        }
        Ok(key)
    }

    /// Rotation: a successor signs from now on, this one is believed until `not_after`, which must
    /// lie behind the last day its tickets are good for. A nearer end stays.
    pub fn retire(&mut self, not_after: UnixSeconds) {
        let end = self.public.not_after.map_or(not_after, |end| end.min(not_after));
        self.public.not_after = Some(end);
    }

    /// Revocation: from `at` on nothing it signed passes. An earlier revocation stays.
    pub fn revoke(&mut self, at: UnixSeconds) {
        self.public.revoked_at = Some(self.public.revoked_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// The key to sign with: the youngest live one of the event for which neither revocation nor an end
/// is announced, else (all are on their way out) the youngest live one without revocation.
pub fn current<'k>(
    keys: impl IntoIterator<Item = &'k SealedKey>,
    event: u32,
    now: UnixSeconds,
) -> Option<&'k SealedKey> {
    keys.into_iter()
        .filter(|key| key.public.event() == event && key.public.is_live(now))
        .filter(|key| key.public.revoked_at.is_none())
        .max_by_key(|key| {
            let public = &key.public;
            (public.not_after.is_none(), public.not_before, public.kid())
        })
}

#[derive(Debug, thiserror::Error)]
pub enum SealKeyError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

fn aad(public: &PublicKey) -> [u8; 7] {
    let [e0, e1, e2, e3] = public.event().to_be_bytes();
    let Kid([k0, k1, k2]) = public.kid();
    [e0, e1, e2, e3, k0, k1, k2]
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedKeyJson {
    event: u32,
    kid: Kid,
    public: String,
    sealed_private: String,
    not_before: UnixSeconds,
    #[serde(default)]
    not_after: Option<UnixSeconds>,
    #[serde(default)]
    revoked_at: Option<UnixSeconds>,
}

impl TryFrom<SealedKeyJson> for SealedKey {
    type Error = KeyError;
    fn try_from(json: SealedKeyJson) -> Result<SealedKey, KeyError> {
        let SealedKeyJson { event, kid, public, not_before, not_after, revoked_at, .. } = json;
        let public = PublicKeyJson { event, kid, public, not_before, not_after, revoked_at };
        let sealed_private = BASE64.decode(json.sealed_private.as_bytes());
        let sealed_private = sealed_private.map_err(|_| KeyError::SealedPrivate)?;
        if sealed_private.len() != SEALED_SEED_BYTES {
            return Err(KeyError::SealedPrivate);
        }
        Ok(SealedKey { public: public.try_into()?, sealed_private })
    }
}

impl From<SealedKey> for SealedKeyJson {
    fn from(key: SealedKey) -> SealedKeyJson {
        let PublicKeyJson { event, kid, public, not_before, not_after, revoked_at } =
            key.public.into();
        let sealed_private = BASE64.encode(&key.sealed_private);
        SealedKeyJson { event, kid, public, sealed_private, not_before, not_after, revoked_at }
    }
}

#[cfg(test)]
mod tests;
