//! Text that must not be shown: tokens and passwords of the settings. Prints as nothing, is wiped
//! when dropped, and is compared in constant time.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// For the one place that has to send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is this secret. Both are hashed first, so that neither length nor
    /// content shows in the time taken.
    pub fn matches(&self, presented: &str) -> bool {
        same(&hash(self.0.as_bytes()), &hash(presented.as_bytes()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 of a presented secret, as it is kept.
pub fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Equality in constant time.
pub fn same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.ct_eq(right).into()
}
