//! Promo codes as people write them. The journal and every node know a code by its digest only.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::command::Digest16;

/// Longest code, in characters.
pub const CODE_CHARS_MAX: usize = 64;

/// First 16 bytes of SHA-256 over `ATLVS-PROMO-v1`, a zero byte, the event's id and the code without
/// white space at its ends, in lower case (Unicode): `Early ` and `EARLY` are one code.
pub fn digest(event: Uuid, code: &str) -> Digest16 {
    let mut hasher = Sha256::new();
    hasher.update(b"ATLVS-PROMO-v1\0");
    hasher.update(event.as_bytes());
    hasher.update(code.trim().to_lowercase().as_bytes());
    let full: [u8; 32] = hasher.finalize().into();
    let mut half = [0; 16];
    half.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    Digest16(half)
}

#[cfg(test)]
mod tests;
