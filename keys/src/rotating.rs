//! Codes that change every 15 seconds (RFC 6238 over a key per ticket). Must not know credentials'
//! bytes or the clock.
//!
//! Only who holds the event's secret can make or check them: gate nodes, never handhelds.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::claims::TICKET_NUMBER_MAX;
use crate::sealed::{MasterKey, OpenError, SealError};
use crate::{NoRandomness, UnixSeconds, random};

/// Digits of a live code.
pub const CODE_DIGITS: usize = 8;
/// How long a code is the newest, seconds.
pub const STEP_S: i64 = 15;
/// How many steps before and after the present one are accepted.
pub const WINDOW_STEPS: i64 = 2;
/// Length of an event's secret, bytes.
pub const SECRET_BYTES: usize = 32;
/// Length of a ticket's key, bytes: the block that HMAC-SHA-1 and wallets expect.
pub const TICKET_KEY_BYTES: usize = 20;

const SALT: &[u8] = b"ATLVS-ROTATE-v1";

/// The eight digits the present step shows. Moments before 1970 count as its first step.
pub fn code(
    secret: &EventSecret,
    event: u32,
    ticket: u64,
    revision: u16,
    unix_s: UnixSeconds,
) -> LiveCode {
    hotp(&ticket_key(secret, event, ticket, revision), step(unix_s))
}

/// Whether the code is that of the present step or of one at most [`WINDOW_STEPS`] away, in time
/// that does not depend on where it differs.
pub fn verify(
    secret: &EventSecret,
    event: u32,
    ticket: u64,
    revision: u16,
    unix_s: UnixSeconds,
    presented: &LiveCode,
) -> bool {
    let key = ticket_key(secret, event, ticket, revision);
    let present = step(unix_s);
    let mut matched = Choice::from(0);
    for offset in -WINDOW_STEPS..=WINDOW_STEPS {
        // At the very start of time there is no step before; the check of the others goes on.
        if let Some(step) = present.checked_add_signed(offset) {
            matched |= hotp(&key, step).0.ct_eq(&presented.0);
        }
    }
    matched.into()
}

/// The RFC 6238 key of one ticket in one revision, as a wallet wants it: HKDF-SHA256 (RFC 5869),
/// info event ‖ ticket ‖ revision, big-endian, 4 + 6 + 2 bytes.
pub fn ticket_key(
    secret: &EventSecret,
    event: u32,
    ticket: u64,
    revision: u16,
) -> Zeroizing<[u8; TICKET_KEY_BYTES]> {
    let [e0, e1, e2, e3] = event.to_be_bytes();
    // Beyond 48 bits there are no tickets: signing refuses them.
    let [_, _, t0, t1, t2, t3, t4, t5] = (ticket & TICKET_NUMBER_MAX).to_be_bytes();
    let [r0, r1] = revision.to_be_bytes();
    let info = [e0, e1, e2, e3, t0, t1, t2, t3, t4, t5, r0, r1];
    let mut key = Zeroizing::new([0; TICKET_KEY_BYTES]);
    let hkdf = Hkdf::<Sha256>::new(Some(SALT), secret.0.as_slice());
    #[expect(clippy::expect_used, reason = "the length is a constant below RFC 5869's 255 blocks")]
    hkdf.expand(&info, &mut *key).expect("HKDF-SHA256 gives up to 8160 bytes");
    key
}

fn step(unix_s: UnixSeconds) -> u64 {
    u64::try_from(unix_s.div_euclid(STEP_S)).unwrap_or(0)
}

/// RFC 4226 §5.3 with eight digits.
fn hotp(key: &[u8; TICKET_KEY_BYTES], counter: u64) -> LiveCode {
    // HMAC pads a short key with zeros to the block of 64 bytes (RFC 2104 §2); given so, it cannot
    // fail.
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha1>::new((&*block).into());
    mac.update(&counter.to_be_bytes());
    let digest = <[u8; 20]>::from(mac.finalize().into_bytes());
    let [.., last] = digest;
    let chosen = digest.iter().skip(usize::from(last & 0x0f)).take(4);
    let mut rest = chosen.fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    let mut digits = [b'0'; CODE_DIGITS];
    for digit in digits.iter_mut().rev() {
        // The codes of the ten digits end in the digit's value.
        *digit |= (rest % 10) as u8;
        rest /= 10;
    }
    LiveCode(digits)
}

/// Eight ASCII digits. Shown as nothing: it opens doors for a while.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LiveCode([u8; CODE_DIGITS]);

impl LiveCode {
    /// None unless exactly eight ASCII digits.
    pub fn from_ascii(digits: &[u8]) -> Option<LiveCode> {
        let digits = <[u8; CODE_DIGITS]>::try_from(digits).ok()?;
        digits.iter().all(u8::is_ascii_digit).then_some(LiveCode(digits))
    }

    pub fn digits(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for LiveCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveCode(hidden)")
    }
}

/// The secret from which all live codes of an event follow. Overwritten in memory when dropped,
/// printed as nothing.
#[derive(Clone)]
pub struct EventSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl EventSecret {
    pub fn from_bytes(bytes: [u8; SECRET_BYTES]) -> EventSecret {
        EventSecret(Zeroizing::new(bytes))
    }

    pub fn generate() -> Result<EventSecret, NoRandomness> {
        Ok(EventSecret::from_bytes(random()?))
    }

    pub fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// Sealed under the master key, bound to the event's number.
    pub fn seal(&self, master: &MasterKey, event: u32) -> Result<Vec<u8>, SealError> {
        master.seal(&secret_aad(event), self.0.as_slice())
    }

    pub fn open(sealed: &[u8], master: &MasterKey, event: u32) -> Result<EventSecret, OpenError> {
        let bytes = master.open(&secret_aad(event), sealed)?;
        let bytes = <[u8; SECRET_BYTES]>::try_from(bytes.as_slice());
        bytes.map(EventSecret::from_bytes).map_err(|_| OpenError)
    }
}

impl fmt::Debug for EventSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSecret(hidden)")
    }
}

/// Event number (4 bytes, big-endian) ‖ `secret`.
fn secret_aad(event: u32) -> [u8; 10] {
    let [e0, e1, e2, e3] = event.to_be_bytes();
    [e0, e1, e2, e3, b's', b'e', b'c', b'r', b'e', b't']
}

#[cfg(test)]
mod tests;
