//! The crate from outside: foreign vectors, another implementation, changes, garbage, the command.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what a test is for"
)]

mod backend;
mod change;
mod cli;
mod fuzz;
mod properties;
mod rfc;
mod stranger;
mod vectors;
mod wycheproof;

use keys::{Claims, Credential, KeyRing, Minutes, PublicKey, SigningKey};

/// 2026-11-21T19:05:00Z
const NOW: i64 = 1_795_287_900;

fn signing(event: u32, seed: u8) -> SigningKey {
    SigningKey::from_seed(event, &[seed; 32])
}

fn ring(keys: &[&SigningKey]) -> KeyRing {
    let public = keys.iter().map(|key| PublicKey::new(key.event(), &key.public(), 0).unwrap());
    KeyRing::new(public).unwrap()
}

fn claims(key: &SigningKey) -> Claims {
    Claims {
        kid: key.kid(),
        event: key.event(),
        ticket: 88_121,
        ticket_type: 3,
        from: Minutes(3_622_680),
        until: Minutes(3_623_400),
        zones: 5,
        revision: 2,
        rotating: true,
    }
}

fn credential(key: &SigningKey) -> Credential {
    key.sign(&claims(key)).unwrap()
}

/// SplitMix64: the same numbers every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}
