//! What the master key does in the kernel: secrets that wait in the database are sealed (AES-256-GCM,
//! NIST SP 800-38D), small values that browsers keep are marked (HMAC-SHA256, RFC 2104). Each purpose
//! has a key of its own; knows no table.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::service::Service;

const NONCE_BYTES: usize = 12;

/// Nonce ‖ ciphertext ‖ tag, bound to `aad`; 503 without a master key.
pub(crate) fn seal(service: &Service, purpose: &str, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    seal_with(&*key(service, purpose)?, aad, plain)
}

/// The same with a key that the caller has: what it opens is nobody else's.
pub(crate) fn seal_with(key: &[u8; 32], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let mut nonce = [0_u8; NONCE_BYTES];
    getrandom::fill(&mut nonce)
        .map_err(|cause| Error::internal(format!("no randomness for a nonce: {cause}")))?;
    let sealed = Aes256Gcm::new(key.into())
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad })
        .map_err(|_| Error::internal("a secret was not sealed"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

pub(crate) fn open(
    service: &Service,
    purpose: &str,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    open_with(&*key(service, purpose)?, aad, sealed)
}

pub(crate) fn open_with(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let broken = || Error::internal("a sealed secret belongs to another row or another key");
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(broken)?;
    Aes256Gcm::new(key.into())
        .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad })
        .map(Zeroizing::new)
        .map_err(|_| broken())
}

/// A mark that only holders of the master key make.
pub(crate) fn mark(service: &Service, purpose: &str, message: &[u8]) -> Result<[u8; 32]> {
    let key = key(service, purpose)?;
    Ok(hmac(&key, message))
}

fn key(service: &Service, purpose: &str) -> Result<Zeroizing<[u8; 32]>> {
    let master = service.settings().master_key.as_ref().ok_or_else(|| {
        Error::new(Code::Unavailable, "secrets cannot be kept here")
            .with_context("ATLVS_MASTER_KEY is not set")
    })?;
    Ok(Zeroizing::new(hmac(&master.0, purpose.as_bytes())))
}

fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new((&hmac_block(key)).into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// A key shorter than SHA-256's block is padded with zeros (RFC 2104, section 2).
fn hmac_block(key: &[u8; 32]) -> [u8; 64] {
    let mut block = [0_u8; 64];
    block[..32].copy_from_slice(key);
    block
}

#[cfg(test)]
mod tests;
