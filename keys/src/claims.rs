//! What a credential says, and its 31 bytes. Must not know signatures, text or keys' life times.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::UnixSeconds;
use crate::credential::Malformed;

/// Length of the claims, bytes.
pub const CLAIMS_BYTES: usize = 31;
/// Ticket numbers take 48 bits.
pub const TICKET_NUMBER_MAX: u64 = (1 << 48) - 1;

const VERSION: u8 = 1;
const FLAG_ROTATING: u8 = 1;

/// The signed statement. The codec does not judge it: windows, zones and revision are the
/// inventory's business.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Claims {
    pub kid: Kid,
    /// Event number.
    pub event: u32,
    /// Ticket number within the event, at most [`TICKET_NUMBER_MAX`].
    pub ticket: u64,
    /// Ticket type number within the event.
    pub ticket_type: u16,
    /// Start of the window of validity, inclusive.
    pub from: Minutes,
    /// End of the window of validity, exclusive.
    pub until: Minutes,
    /// Bit set of admitted zones.
    pub zones: u32,
    /// Raised when re-issued or transferred; only the newest is good.
    pub revision: u16,
    /// A live code must accompany the credential.
    pub rotating: bool,
}

impl Claims {
    /// Big-endian, in the order of the specification. The upper 16 bits of `ticket` are not
    /// representable; signing refuses them before this is called.
    pub(crate) fn to_bytes(self) -> [u8; CLAIMS_BYTES] {
        let Kid([k0, k1, k2]) = self.kid;
        let [e0, e1, e2, e3] = self.event.to_be_bytes();
        let [_, _, t0, t1, t2, t3, t4, t5] = self.ticket.to_be_bytes();
        let [y0, y1] = self.ticket_type.to_be_bytes();
        let [f0, f1, f2, f3] = self.from.0.to_be_bytes();
        let [u0, u1, u2, u3] = self.until.0.to_be_bytes();
        let [z0, z1, z2, z3] = self.zones.to_be_bytes();
        let [r0, r1] = self.revision.to_be_bytes();
        let flags = if self.rotating { FLAG_ROTATING } else { 0 };
        [
            VERSION, k0, k1, k2, e0, e1, e2, e3, t0, t1, t2, t3, t4, t5, y0, y1, f0, f1, f2, f3,
            u0, u1, u2, u3, z0, z1, z2, z3, r0, r1, flags,
        ]
    }

    pub(crate) fn from_bytes(bytes: [u8; CLAIMS_BYTES]) -> Result<Claims, Malformed> {
        #[rustfmt::skip] // One name a line would hide the record's shape.
        let [
            version, k0, k1, k2, e0, e1, e2, e3, t0, t1, t2, t3, t4, t5, y0, y1, f0, f1, f2, f3,
            u0, u1, u2, u3, z0, z1, z2, z3, r0, r1, flags,
        ] = bytes;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        if flags & !FLAG_ROTATING != 0 {
            return Err(Malformed::ReservedFlags(flags));
        }
        Ok(Claims {
            kid: Kid([k0, k1, k2]),
            event: u32::from_be_bytes([e0, e1, e2, e3]),
            ticket: u64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5]),
            ticket_type: u16::from_be_bytes([y0, y1]),
            from: Minutes(u32::from_be_bytes([f0, f1, f2, f3])),
            until: Minutes(u32::from_be_bytes([u0, u1, u2, u3])),
            zones: u32::from_be_bytes([z0, z1, z2, z3]),
            revision: u16::from_be_bytes([r0, r1]),
            rotating: flags == FLAG_ROTATING,
        })
    }
}

/// Key id: the first three bytes of SHA-256 of the public key; unique within an event.
/// As text: six hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kid(pub [u8; 3]);

impl Kid {
    pub fn of(public: &[u8; 32]) -> Kid {
        let [a, b, c, ..] = <[u8; 32]>::from(Sha256::digest(public));
        Kid([a, b, c])
    }
}

/// A key id is six hexadecimal digits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id is six hexadecimal digits")]
pub struct KidError;

impl std::str::FromStr for Kid {
    type Err = KidError;
    fn from_str(text: &str) -> Result<Kid, KidError> {
        let mut bytes = [0; 3];
        // `decode_mut` demands an output of exactly the decoded length.
        if text.len() != 6 {
            return Err(KidError);
        }
        HEXLOWER_PERMISSIVE.decode_mut(text.as_bytes(), &mut bytes).map_err(|_| KidError)?;
        Ok(Kid(bytes))
    }
}

impl TryFrom<String> for Kid {
    type Error = KidError;
    fn try_from(text: String) -> Result<Kid, KidError> {
        text.parse()
    }
}

impl From<Kid> for String {
    fn from(kid: Kid) -> String {
        kid.to_string()
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "{a:02x}{b:02x}{c:02x}")
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kid({self})")
    }
}

/// Minutes since 2020-01-01T00:00Z; zero says that this side of the window is unbounded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Minutes(pub u32);

impl Minutes {
    pub const UNBOUNDED: Minutes = Minutes(0);
    /// 2020-01-01T00:00Z in Unix seconds.
    pub const EPOCH_UNIX_S: UnixSeconds = 1_577_836_800;

    /// The last whole minute at or before the moment: the start of a window. None where the
    /// format has no value for it (before 2020-01-01T00:01Z, after the year 10000).
    pub fn floor(unix_s: UnixSeconds) -> Option<Minutes> {
        Minutes::bounded(unix_s.checked_sub(Minutes::EPOCH_UNIX_S)?.div_euclid(60))
    }

    /// The first whole minute at or after the moment: the end of a window. None as for `floor`.
    pub fn ceil(unix_s: UnixSeconds) -> Option<Minutes> {
        let since = unix_s.checked_sub(Minutes::EPOCH_UNIX_S)?.checked_add(59)?;
        Minutes::bounded(since.div_euclid(60))
    }

    fn bounded(minutes: i64) -> Option<Minutes> {
        u32::try_from(minutes).ok().filter(|minutes| *minutes > 0).map(Minutes)
    }

    /// None = unbounded.
    pub fn unix_s(self) -> Option<UnixSeconds> {
        match i64::from(self.0) {
            0 => None,
            minutes => Some(minutes.saturating_mul(60).saturating_add(Minutes::EPOCH_UNIX_S)),
        }
    }
}

#[cfg(test)]
mod tests;
