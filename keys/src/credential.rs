//! The 95 bytes of a credential and their text form. Must not know keys.

use std::fmt;

use data_encoding::BASE32_NOPAD;

use crate::claims::{CLAIMS_BYTES, Claims};
use crate::rotating::LiveCode;

/// Length of a signature, bytes.
pub const SIGNATURE_BYTES: usize = 64;
/// Length of a credential, bytes.
pub const CREDENTIAL_BYTES: usize = CLAIMS_BYTES + SIGNATURE_BYTES;
/// Base32 characters of a credential: 95 bytes are 760 bits are 152 characters, with no bit spare,
/// so that every character sequence stands for other bytes.
pub(crate) const BASE32_CHARACTERS: usize = 152;
/// Characters of the printed form, `TK` included.
pub const TEXT_CHARACTERS: usize = 2 + BASE32_CHARACTERS;

const _: () = assert!(CREDENTIAL_BYTES == 95);
const _: () = assert!(CREDENTIAL_BYTES * 8 == BASE32_CHARACTERS * 5);

/// First bytes of the signed message: the domain, closed by one zero byte.
const DOMAIN: [u8; 16] = *b"ATLVS-TICKET-v1\0";
/// Length of the signed message, bytes.
const MESSAGE_BYTES: usize = 16 + CLAIMS_BYTES;

/// A well-formed credential: known version, no reserved flag. Nothing says yet who signed it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Credential {
    claims: Claims,
    signature: [u8; SIGNATURE_BYTES],
}

/// Claims that nobody vouched for: to show or to look up with, never to admit on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unverified(pub Claims);

/// Bytes that are no credential of a version this code knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("credential: version {0} is unknown, expected 1")]
    Version(u8),
    #[error("credential: flags {0:#04x} set reserved bits")]
    ReservedFlags(u8),
}

impl Credential {
    pub(crate) fn new(claims: Claims, signature: [u8; SIGNATURE_BYTES]) -> Credential {
        Credential { claims, signature }
    }

    pub fn from_bytes(bytes: &[u8; CREDENTIAL_BYTES]) -> Result<Credential, Malformed> {
        let (mut claims, mut signature) = ([0; CLAIMS_BYTES], [0; SIGNATURE_BYTES]);
        let target = claims.iter_mut().chain(signature.iter_mut());
        target.zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(Credential { claims: Claims::from_bytes(claims)?, signature })
    }

    pub fn to_bytes(&self) -> [u8; CREDENTIAL_BYTES] {
        join(&self.claims.to_bytes(), &self.signature)
    }

    /// `TK` and 152 upper-case Base32 characters: what is printed as a QR code.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(TEXT_CHARACTERS);
        text.push_str("TK");
        BASE32_NOPAD.encode_append(&self.to_bytes(), &mut text);
        text
    }

    /// The form of a rotating ticket: [`Credential::text`], `.`, eight digits.
    pub fn text_with(&self, code: &LiveCode) -> String {
        let mut text = self.text();
        text.push('.');
        text.push_str(code.digits());
        text
    }

    pub fn unverified(&self) -> Unverified {
        Unverified(self.claims)
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(crate) fn signature(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.signature
    }
}

/// A credential opens doors, so only what names the ticket is shown.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Claims { event, ticket, revision, .. } = self.claims;
        write!(f, "Credential({event}-{ticket} revision {revision})")
    }
}

/// What the key signs.
pub(crate) fn message(claims: &Claims) -> [u8; MESSAGE_BYTES] {
    join(&DOMAIN, &claims.to_bytes())
}

fn join<const A: usize, const B: usize, const N: usize>(a: &[u8; A], b: &[u8; B]) -> [u8; N] {
    const { assert!(A + B == N) };
    let mut joined = [0; N];
    joined.iter_mut().zip(a.iter().chain(b)).for_each(|(to, from)| *to = *from);
    joined
}

#[cfg(test)]
mod tests;
