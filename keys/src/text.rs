//! Reading a credential as scanners, links and people deliver it. Must not know keys; never
//! repeats what was presented in an error.

use data_encoding::BASE32_NOPAD;

use crate::credential::{
    BASE32_CHARACTERS, CREDENTIAL_BYTES, Credential, Malformed, TEXT_CHARACTERS,
};
use crate::rotating::{CODE_DIGITS, LiveCode};

/// Longest input that is looked at, bytes: a credential behind a long link. Longer is refused
/// unread.
pub const INPUT_BYTES_MAX: usize = 2048;

/// `]` and two characters (AIM symbology identifier), `\` and six digits (ECI).
const PREFIX_BYTES_MAX: usize = 3 + 7;
const CODE_BYTES: usize = 1 + CODE_DIGITS;
/// All that may remain after the link and white space are gone; the size of the only buffer.
const REST_BYTES_MAX: usize = PREFIX_BYTES_MAX + TEXT_CHARACTERS + CODE_BYTES;

/// What was presented at a door. `Copy`, as [`ParseError`] is: reading cannot leave anything on the
/// heap, whatever the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    pub credential: Credential,
    /// The eight digits of a rotating ticket, not judged yet.
    pub live_code: Option<LiveCode>,
}

/// Every one of these is the verdict `invalid`. Positions count from 0 behind `TK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("credential: {0} bytes of input, at most {INPUT_BYTES_MAX} are read")]
    TooLong(usize),
    #[error("credential: does not begin with `TK`")]
    Prefix,
    #[error("credential: not exactly {BASE32_CHARACTERS} characters behind `TK`")]
    Length,
    #[error("credential: the character at position {0} is not of the Base32 alphabet")]
    Character(usize),
    #[error("credential: the live code is not `.` and eight digits")]
    LiveCode,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Reads the text form: whatever precedes the last `/`, white space, one AIM symbology identifier
/// and one ECI are skipped; case is ignored. Works in a buffer of fixed size, in time linear in at
/// most [`INPUT_BYTES_MAX`].
pub fn parse(text: &str) -> Result<Presented, ParseError> {
    if text.len() > INPUT_BYTES_MAX {
        return Err(ParseError::TooLong(text.len()));
    }
    let last_segment = text.rsplit('/').next().unwrap_or(text);
    let mut buffer = [0; REST_BYTES_MAX];
    let rest = strip_prefixes(without_white_space(last_segment, &mut buffer)?);
    let body = rest.strip_prefix(b"TK").ok_or(ParseError::Prefix)?;
    let Some((symbols, tail)) = body.split_first_chunk::<BASE32_CHARACTERS>() else {
        return Err(ParseError::Length);
    };
    let live_code = match tail {
        [] => None,
        [b'.', digits @ ..] => Some(LiveCode::from_ascii(digits).ok_or(ParseError::LiveCode)?),
        _ => return Err(ParseError::Length),
    };
    let mut bytes = [0; CREDENTIAL_BYTES];
    BASE32_NOPAD
        .decode_mut(symbols, &mut bytes)
        .map_err(|partial| ParseError::Character(partial.error.position))?;
    Ok(Presented { credential: Credential::from_bytes(&bytes)?, live_code })
}

/// Copies upper-cased bytes other than the six ASCII white-space characters. ASCII only: a dotless
/// i or a Kelvin sign must not become a letter.
fn without_white_space<'b>(
    text: &str,
    buffer: &'b mut [u8; REST_BYTES_MAX],
) -> Result<&'b [u8], ParseError> {
    let mut bytes = text.bytes().filter(|byte| !matches!(byte, b'\t'..=b'\r' | b' '));
    let mut length: usize = 0;
    for (to, from) in buffer.iter_mut().zip(bytes.by_ref()) {
        *to = from.to_ascii_uppercase();
        length = length.saturating_add(1);
    }
    match bytes.next() {
        Some(_) => Err(ParseError::Length),
        None => Ok(buffer.get(..length).unwrap_or_default()),
    }
}

/// Drops `]Q1` (any AIM symbology identifier: a letter and a modifier) and `\000026` (any ECI).
fn strip_prefixes(text: &[u8]) -> &[u8] {
    let text = match text {
        [b']', b'A'..=b'Z', b'0'..=b'9' | b'A'..=b'Z', rest @ ..] => rest,
        _ => text,
    };
    match text {
        [b'\\', a, b, c, d, e, f, rest @ ..]
            if [a, b, c, d, e, f].into_iter().all(u8::is_ascii_digit) =>
        {
            rest
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests;
