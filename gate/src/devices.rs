//! The scanners that may ask, by the hash of their token: what each is assigned to. Knows neither
//! HTTP nor tickets.

use std::sync::Arc;

use dashmap::DashMap;
use inventory::command::Direction;
use inventory::time::Millis;
use serde::Deserialize;
use uuid::Uuid;

use crate::secret;

/// Longest token that is looked at, in characters.
pub const TOKEN_CHARS_MAX: usize = 256;

/// A device as the catalogue sends it. Absent lists mean: no restriction.
#[derive(Clone, Debug, Deserialize)]
pub struct Device {
    #[serde(skip)]
    pub id: Uuid,
    pub organization: Uuid,
    pub token_hash: TokenHash,
    pub expires_at: Option<Millis>,
    #[serde(default)]
    pub revoked: bool,
    #[serde(default)]
    pub may_force: bool,
    pub events: Option<Vec<Uuid>>,
    pub lanes: Option<Vec<String>>,
    pub zones: Option<Vec<String>>,
    pub directions: Vec<Direction>,
}

/// SHA-256 of a device token; hex in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TokenHash(pub [u8; 32]);

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("token_hash must be 64 hex digits"))
    }
}

impl Device {
    pub fn may_serve(&self, event: Uuid, organization: Uuid) -> bool {
        self.organization == organization
            && self.events.as_ref().is_none_or(|events| events.contains(&event))
    }

    pub fn has_lane(&self, lane: &str) -> bool {
        self.lanes.as_ref().is_none_or(|lanes| lanes.iter().any(|l| l == lane))
    }

    pub fn has_zone(&self, zone: &str) -> bool {
        self.zones.as_ref().is_none_or(|zones| zones.iter().any(|z| z == zone))
    }
}

#[derive(Default)]
pub struct Devices {
    by_token: DashMap<[u8; 32], Arc<Device>>,
    tokens: DashMap<Uuid, [u8; 32]>,
}

impl Devices {
    /// Takes over a device; a former token of it is forgotten.
    pub fn put(&self, device: Device) {
        let (id, token) = (device.id, device.token_hash.0);
        let former = self.tokens.insert(id, token);
        if let Some(former) = former.filter(|former| *former != token) {
            self.by_token.remove_if(&former, |_, device| device.id == id);
        }
        self.by_token.insert(token, Arc::new(device));
    }

    pub fn remove(&self, id: Uuid) {
        if let Some((_, token)) = self.tokens.remove(&id) {
            self.by_token.remove_if(&token, |_, device| device.id == id);
        }
    }

    /// The device whose live token this is. The look-up sees only the token's hash, which tells
    /// nothing about the token, and the hashes are compared in constant time.
    pub fn authenticate(&self, token: &str, now: Millis) -> Option<Arc<Device>> {
        if TOKEN_CHARS_MAX < token.len() {
            return None;
        }
        let hash = secret::hash(token.as_bytes());
        let device = self.by_token.get(&hash).map(|device| Arc::clone(&device))?;
        let live = secret::same(&device.token_hash.0, &hash)
            && !device.revoked
            && device.expires_at.is_none_or(|end| now < end);
        live.then_some(device)
    }
}

#[cfg(test)]
mod tests;
