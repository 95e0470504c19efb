//! The cookie that says: this browser has signed in as this account before. It opens nothing; it
//! only keeps other people's failures from slowing its owner. Marked with the master key, so the
//! database needs no table for it.

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::error::Result;
use crate::seal;
use crate::service::Service;

/// The cookie lives this long after the last sign-in, seconds: 180 days.
pub(crate) const BROWSER_SECONDS: i64 = 180 * 24 * 3_600;
const PURPOSE: &str = "atlvs browser v1";
const ID_BYTES: usize = 16;
const MARK_BYTES: usize = 32;

/// A cookie for this account; `None` where there is no master key.
pub(crate) fn cookie(service: &Service, email: &str) -> Option<String> {
    let id = Uuid::new_v4();
    let mark = mark(service, id, email).ok()?;
    Some(BASE64URL_NOPAD.encode(&[id.as_bytes().as_slice(), &mark].concat()))
}

/// The browser behind a cookie, if it was given out for this account.
pub(crate) fn known(service: &Service, cookie: Option<&str>, email: &str) -> Option<Uuid> {
    let bytes = BASE64URL_NOPAD.decode(cookie?.as_bytes()).ok()?;
    let (id, given) = bytes.split_first_chunk::<ID_BYTES>()?;
    let id = Uuid::from_bytes(*id);
    let own = mark(service, id, email).ok()?;
    let same = given.len() == MARK_BYTES && bool::from(own.as_slice().ct_eq(given));
    same.then_some(id)
}

fn mark(service: &Service, id: Uuid, email: &str) -> Result<[u8; MARK_BYTES]> {
    let message = [id.as_bytes().as_slice(), email.to_lowercase().as_bytes()].concat();
    seal::mark(service, PURPOSE, &message)
}
