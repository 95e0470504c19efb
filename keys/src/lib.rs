//! Credentials of tickets and the keys that sign them: codec, strict verification, key ring,
//! rotating codes, secrets at rest. The bytes are specified for strangers in `docs/credential.md`.
//!
//! Must not know: events, tickets or orders beyond their numbers, any store, any service, any clock
//! (every moment is an argument, in Unix seconds).
//!
//! The way of a scan through this crate:
//! text → [`parse`] → [`Presented`] → [`KeyRing::verify`] → [`Verified`] claims,
//! then [`rotating::verify`] where the claims say `rotating`.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "a test that is out of bounds fails, which is what a test is for"
    )
)]

pub mod backend;
mod claims;
mod credential;
mod key;
mod ring;
pub mod rotating;
pub mod sealed;
mod sealed_key;
mod signing;
mod text;

pub use claims::{CLAIMS_BYTES, Claims, Kid, KidError, Minutes, TICKET_NUMBER_MAX};
pub use credential::{
    CREDENTIAL_BYTES, Credential, Malformed, SIGNATURE_BYTES, TEXT_CHARACTERS, Unverified,
};
pub use key::{KeyError, PublicKey};
pub use ring::{KeyRing, Refused, RingError, Verified};
pub use rotating::{EventSecret, LiveCode};
pub use sealed::MasterKey;
pub use sealed_key::{SealKeyError, SealedKey, UnlockError, current};
pub use signing::{SignError, SigningKey};
pub use text::{INPUT_BYTES_MAX, ParseError, Presented, parse};

/// Seconds since 1970-01-01T00:00Z, as every moment in this crate.
pub type UnixSeconds = i64;

/// The operating system gave no random bytes; nothing secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoRandomness(String);

/// `N` bytes from the operating system's generator.
fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| NoRandomness(e.to_string()))?;
    Ok(bytes)
}
