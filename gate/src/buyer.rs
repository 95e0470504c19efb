//! Identity of a buyer for per-customer limits: a normalized e-mail address, digested. Spelling
//! variants of one mailbox are one buyer: case, a `+alias`, dots where the provider ignores them.

use inventory::command::Digest16;
use sha2::{Digest, Sha256};

/// Providers that ignore dots in the local part.
const DOTLESS: &[&str] = &["gmail.com", "googlemail.com"];

/// First 16 bytes of SHA-256 over `ATLVS-BUYER-v1`, a zero byte and the normalized address.
pub fn digest(email: &str) -> Digest16 {
    digest16(&[b"ATLVS-BUYER-v1\0", normalize(email).as_bytes()])
}

/// First 16 bytes of SHA-256 over the parts, one after the other.
pub fn digest16(parts: &[&[u8]]) -> Digest16 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let full: [u8; 32] = hasher.finalize().into();
    let mut half = [0; 16];
    half.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    Digest16(half)
}

fn normalize(email: &str) -> String {
    let email = email.trim().to_lowercase();
    let Some((local, domain)) = email.rsplit_once('@') else { return email };
    let local = local.split_once('+').map_or(local, |(before, _)| before);
    if DOTLESS.contains(&domain) {
        format!("{}@{domain}", local.replace('.', ""))
    } else {
        format!("{local}@{domain}")
    }
}

#[cfg(test)]
mod tests;
