//! Secrets at rest: AES-256-GCM (NIST SP 800-38D) under a key from outside. Must not know what the
//! secrets are.
//!
//! A sealed value is nonce (12 random bytes) ‖ ciphertext ‖ tag (16). The associated data says what
//! the value belongs to, so that it cannot be moved elsewhere.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::{NoRandomness, random};

/// Length of an AES-256 key, bytes.
pub const KEY_BYTES: usize = 32;
/// What sealing adds to the plain text, bytes.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// A master key file holds 44 characters and a line end; more is not read.
const KEY_FILE_BYTES_MAX: u64 = 1024;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error("the plain text is longer than AES-GCM allows")]
    TooLong,
}

/// Key, associated data or bytes are not those of the sealing; which, cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot be opened: another key, other associated data, or changed bytes")]
pub struct OpenError;

/// Encrypts `plaintext` and binds it to `aad`. The random nonce is good for 2^32 values under one
/// key (SP 800-38D §8.3).
pub fn seal(key: &[u8; KEY_BYTES], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    let nonce: [u8; NONCE_BYTES] = random()?;
    let ciphertext = Aes256Gcm::new(key.into())
        .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad })
        .map_err(|_| SealError::TooLong)?;
    let mut sealed = Vec::with_capacity(OVERHEAD_BYTES.saturating_add(plaintext.len()));
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Decrypts what [`seal`] made with the same key and `aad`.
pub fn open(
    key: &[u8; KEY_BYTES],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError)?;
    Aes256Gcm::new(key.into())
        .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad })
        .map(Zeroizing::new)
        .map_err(|_| OpenError)
}

/// The installation's key: seals event keys, event secrets and the like. Overwritten in memory when
/// dropped, printed as nothing.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("master key: not set; give ATLVS_MASTER_KEY or ATLVS_MASTER_KEY_FILE")]
    Missing,
    #[error("master key: set twice; give either ATLVS_MASTER_KEY or ATLVS_MASTER_KEY_FILE")]
    Twice,
    #[error("master key: not base64 of {KEY_BYTES} bytes")]
    Encoding,
    #[error("master key: cannot read {path}: {cause}")]
    File { path: PathBuf, cause: std::io::Error },
}

impl MasterKey {
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> MasterKey {
        MasterKey(Zeroizing::new(bytes))
    }

    pub fn generate() -> Result<MasterKey, NoRandomness> {
        Ok(MasterKey::from_bytes(random()?))
    }

    /// Base64 (RFC 4648 §4) of 32 bytes; white space around it is ignored.
    pub fn from_base64(text: &str) -> Result<MasterKey, MasterKeyError> {
        let bytes = BASE64.decode(text.trim().as_bytes()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| MasterKeyError::Encoding)?;
        let bytes = <[u8; KEY_BYTES]>::try_from(bytes.as_slice());
        bytes.map(MasterKey::from_bytes).map_err(|_| MasterKeyError::Encoding)
    }

    /// The same text in a file.
    pub fn from_file(path: &Path) -> Result<MasterKey, MasterKeyError> {
        let failed = |cause| MasterKeyError::File { path: path.to_owned(), cause };
        let mut text = Zeroizing::new(String::new());
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        MasterKey::from_base64(&text)
    }

    /// From the two settings `ATLVS_MASTER_KEY` and `ATLVS_MASTER_KEY_FILE`: exactly one is given.
    /// An empty value counts as absent.
    pub fn from_settings(
        value: Option<&str>,
        file: Option<&Path>,
    ) -> Result<MasterKey, MasterKeyError> {
        let value = value.filter(|value| !value.is_empty());
        let file = file.filter(|file| !file.as_os_str().is_empty());
        match (value, file) {
            (Some(value), None) => MasterKey::from_base64(value),
            (None, Some(file)) => MasterKey::from_file(file),
            (None, None) => Err(MasterKeyError::Missing),
            (Some(_), Some(_)) => Err(MasterKeyError::Twice),
        }
    }

    pub fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        seal(&self.0, aad, plaintext)
    }

    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        open(&self.0, aad, sealed)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(hidden)")
    }
}

#[cfg(test)]
mod tests;
