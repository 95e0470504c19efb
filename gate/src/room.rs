//! Entries and passes of the waiting room, and the lot that orders who came early. All of it follows
//! from the event's secret, so that any node reads what any other gave out, and none keeps a list.
//! Knows no HTTP and asks nobody.
//!
//! The seed is HKDF-SHA256 (RFC 5869) of the event's secret with salt `ATLVS-ROOM-v1` and info `seed`
//! ‖ event ‖ opening time in milliseconds, big-endian. Its SHA-256 is told from the beginning, itself
//! from the opening on: whoever has an entry's id can then draw its lot again, as the first eight
//! bytes of HMAC-SHA256(seed, id), big-endian, halved.

use data_encoding::BASE64URL_NOPAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use inventory::command::Digest16;
use inventory::config::RoomConfig;
use inventory::state::Rank;
use inventory::time::Millis;
use keys::EventSecret;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Length of an entry or a pass, in characters.
pub const TOKEN_CHARS: usize = 55;
/// Signature of a token, in bytes: HMAC-SHA-256-128 (RFC 4868).
const TAG_BYTES: usize = 16;
/// Kind, time and id of a token, in bytes.
const BODY_BYTES: usize = 1 + 8 + 16;
const ENTRY: u8 = 1;
const PASS: u8 = 2;

pub struct RoomKeys {
    token: [u8; 32],
    seed: [u8; 32],
    config: RoomConfig,
}

/// A place in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The same for every entry of one buyer.
    pub id: Digest16,
    pub joined_at: Millis,
}

/// Whose pass it is; whether it is still good the event knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    pub id: Digest16,
    pub until: Millis,
}

impl RoomKeys {
    /// None where the key cannot be derived, which RFC 5869 rules out for 32 bytes.
    pub fn derive(secret: &EventSecret, event: Uuid, config: RoomConfig) -> Option<Self> {
        let derived = Hkdf::<Sha256>::new(Some(b"ATLVS-ROOM-v1"), secret.as_bytes());
        let (mut token, mut seed) = ([0; 32], [0; 32]);
        derived.expand_multi_info(&[b"token", event.as_bytes()], &mut token).ok()?;
        let opens_at = config.opens_at.0.to_be_bytes();
        derived.expand_multi_info(&[b"seed", event.as_bytes(), &opens_at], &mut seed).ok()?;
        Some(Self { token, seed, config })
    }

    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    pub fn seed_hash(&self) -> [u8; 32] {
        Sha256::digest(self.seed).into()
    }

    /// The buyer's place, joining now.
    pub fn entry(&self, buyer: Digest16, joined_at: Millis) -> Entry {
        let mut id = Digest16([0; 16]);
        let full = mac(&self.token, &[b"who\0", &buyer.0]);
        id.0.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        Entry { id, joined_at }
    }

    pub fn rank(&self, entry: &Entry) -> Rank {
        if self.config.opens_at <= entry.joined_at {
            return Rank::by_time(entry.joined_at);
        }
        let drawn = mac(&self.seed, &[&entry.id.0]);
        let first = drawn.first_chunk::<8>().copied().unwrap_or_default();
        Rank::by_lot(u64::from_be_bytes(first))
    }

    pub fn write_entry(&self, entry: &Entry) -> String {
        self.write(ENTRY, entry.joined_at, entry.id)
    }

    /// None for anything that was not written for this event.
    pub fn read_entry(&self, text: &str) -> Option<Entry> {
        let (joined_at, id) = self.read(ENTRY, text)?;
        Some(Entry { id, joined_at })
    }

    pub fn write_pass(&self, pass: &Pass) -> String {
        self.write(PASS, pass.until, pass.id)
    }

    pub fn read_pass(&self, text: &str) -> Option<Pass> {
        let (until, id) = self.read(PASS, text)?;
        Some(Pass { id, until })
    }

    fn write(&self, kind: u8, at: Millis, id: Digest16) -> String {
        let mut bytes = Vec::with_capacity(BODY_BYTES.saturating_add(TAG_BYTES));
        bytes.push(kind);
        bytes.extend(at.0.to_be_bytes());
        bytes.extend(id.0);
        let tag = mac(&self.token, &[&bytes]);
        bytes.extend(tag.iter().take(TAG_BYTES));
        BASE64URL_NOPAD.encode(&bytes)
    }

    fn read(&self, kind: u8, text: &str) -> Option<(Millis, Digest16)> {
        if text.len() != TOKEN_CHARS {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (body, tag) = bytes.split_at_checked(BODY_BYTES)?;
        let mut signature = Hmac::<Sha256>::new_from_slice(&self.token).ok()?;
        signature.update(body);
        // Compares in constant time.
        signature.verify_truncated_left(tag).ok().filter(|()| tag.len() == TAG_BYTES)?;
        let (of, rest) = body.split_first()?;
        let (at, id) = rest.split_first_chunk::<8>()?;
        let id = id.first_chunk::<16>()?;
        (*of == kind).then(|| (Millis(i64::from_be_bytes(*at)), Digest16(*id)))
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
