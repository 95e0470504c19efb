//! Argon2id, off the async threads and bounded: hashing is meant to be costly, for us too.

use std::sync::Arc;
use std::time::Duration;

use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::settings::Secret;

/// Hashes at once: each takes 19 MiB and a core (OWASP's parameters, the library's default).
const HASHES_MAX: usize = 2;
/// Waiting for a turn; then the caller hears `overloaded`.
const TURN_WAIT: Duration = Duration::from_secs(5);
const PASSWORD_CHARS_MIN: usize = 10;
const PASSWORD_BYTES_MAX: usize = 1_024;

pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// Compared when nobody has the address, so that the answer takes as long.
    nobody: String,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self> {
        let nobody = hash_now(b"nobody has this password")?;
        Ok(Self { turns: Arc::new(Semaphore::new(HASHES_MAX)), nobody })
    }

    /// PHC string of a new password.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<String> {
        check(password)?;
        let bytes = Zeroizing::new(password.expose().as_bytes().to_vec());
        self.turn(move || hash_now(&bytes)).await?
    }

    /// Whether the password is the account's; without an account the work is the same.
    pub(crate) async fn verify(&self, password: &Secret, hash: Option<&str>) -> Result<bool> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.nobody).to_owned();
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let bytes = Zeroizing::new(password.expose().as_bytes().to_vec());
        let matches = self
            .turn(move || Argon2::default().verify_password(&bytes, hash.as_str()).is_ok())
            .await?;
        Ok(matches && known)
    }

    async fn turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let turn = tokio::time::timeout(TURN_WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(permit)) = turn else {
            return Err(Error::new(Code::Overloaded, "too many sign-ins at once").retry_after(5));
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|cause| Error::internal(format!("hashing ended early: {cause}")))
    }
}

fn hash_now(password: &[u8]) -> Result<String> {
    let hash: PasswordHash = Argon2::default()
        .hash_password(password)
        .map_err(|cause| Error::internal(format!("a password cannot be hashed: {cause}")))?;
    Ok(hash.to_string())
}

/// Length alone is judged: rules about digits and signs make passwords worse (NIST SP 800-63B).
fn check(password: &Secret) -> Result<()> {
    let text = password.expose();
    if text.chars().count() < PASSWORD_CHARS_MIN {
        let text = format!("has at least {PASSWORD_CHARS_MIN} characters");
        return Err(Error::field(Code::InvalidValue, "password", text));
    }
    if text.len() > PASSWORD_BYTES_MAX {
        let text = format!("has at most {PASSWORD_BYTES_MAX} bytes");
        return Err(Error::field(Code::TooLong, "password", text));
    }
    Ok(())
}
