//! Order codes for people: short, unique by construction, not guessable from the last one. They
//! give no access. Frozen: a code is printed on paper, so the same number always gives the same
//! code.

use sha2::{Digest, Sha256};
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// Crockford's Base32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const ROUNDS: u8 = 4;

/// Six characters for the first 2^30 orders of an event, two more for what comes after: a Feistel
/// network over the number's bits, keyed by the event id, so a bijection within each length.
pub fn order_code(event: Uuid, number: u64) -> String {
    let mut characters = 6_u32;
    while characters < 12
        && bits(characters) < number.checked_ilog2().map_or(0, |log| log.saturating_add(1))
    {
        characters = characters.saturating_add(2);
    }
    let scrambled = feistel(event, number, bits(characters) / 2);
    (0..characters)
        .rev()
        .filter_map(|place| {
            let digit = (scrambled >> bits(place)) & 31;
            ALPHABET.get(usize::try_from(digit).ok()?).copied().map(char::from)
        })
        .collect()
}

/// Five bits a character.
fn bits(characters: u32) -> u32 {
    characters.saturating_mul(5)
}

fn feistel(event: Uuid, number: u64, half_bits: u32) -> u64 {
    let mask = (1_u64 << half_bits).saturating_sub(1);
    let (mut left, mut right) = ((number >> half_bits) & mask, number & mask);
    for round in 0..ROUNDS {
        let mut hasher = Sha256::new();
        hasher.update(b"ATLVS-CODE-v1\0");
        hasher.update(event.as_bytes());
        hasher.update([round]);
        hasher.update(half_bits.to_be_bytes());
        hasher.update(right.to_be_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let word = digest.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        (left, right) = (right, left ^ (word & mask));
    }
    (left << half_bits) | right
}
