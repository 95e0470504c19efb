//! What the gate makes out of an event's keys: ids that say which event they belong to, order
//! secrets, credentials. Knows no HTTP and asks nobody.

use data_encoding::BASE32_NOPAD;
use hkdf::Hkdf;
use inventory::command::TicketView;
use inventory::time::{Millis, SECOND_MS};
use keys::{Claims, Credential, EventSecret, Minutes};
use sha2::Sha256;
use uuid::{Builder, Uuid, Variant, Version};

use crate::events::EventKeys;

/// Length of an order's secret before it becomes text, in bytes (160 bits).
const ORDER_SECRET_BYTES: usize = 20;
/// Longest order secret that is looked at, in characters.
pub const ORDER_SECRET_CHARS: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("the operating system gave no random bytes: {0}")]
    NoRandomness(getrandom::Error),
    #[error("the event has no key that signs now")]
    NoKey,
    #[error(transparent)]
    Sign(#[from] keys::SignError),
    #[error("the order's secret could not be derived")]
    Secret,
}

/// A fresh id of a hold or an order of event `number`: UUID version 8 (RFC 9562), the number in
/// the first four bytes, 90 random bits after it. Whoever has the id finds the event, and nobody
/// finds the id.
pub fn fresh_id(number: u32) -> Result<Uuid, IssueError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(IssueError::NoRandomness)?;
    for (to, from) in bytes.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
    Ok(Builder::from_custom_bytes(bytes).into_uuid())
}

/// The event's number in an id that `fresh_id` made.
pub fn event_of(id: Uuid) -> Option<u32> {
    if id.get_version() != Some(Version::Custom) || id.get_variant() != Variant::RFC4122 {
        return None;
    }
    let (number, _) = id.as_bytes().split_first_chunk::<4>()?;
    Some(u32::from_be_bytes(*number))
}

/// The order's secret: Base32 of HKDF-SHA256 (RFC 5869) with salt `ATLVS-ORDER-v1`, the event's
/// secret as key material and the order's id as info. Derived, so that a repeated request can be
/// answered with it again; the journal keeps only its SHA-256.
pub fn order_secret(secret: &EventSecret, order: Uuid) -> Result<String, IssueError> {
    let mut bytes = [0; ORDER_SECRET_BYTES];
    Hkdf::<Sha256>::new(Some(b"ATLVS-ORDER-v1"), secret.as_bytes())
        .expand(order.as_bytes(), &mut bytes)
        .map_err(|_| IssueError::Secret)?;
    Ok(BASE32_NOPAD.encode(&bytes))
}

/// The ticket's credential, signed with the event's newest key. Signing is deterministic: the same
/// ticket and key give the same text.
pub fn credential(
    keys: &EventKeys,
    ticket: &TicketView,
    now: Millis,
) -> Result<Credential, IssueError> {
    let key = keys.signing(unix_s(now)).ok_or(IssueError::NoKey)?;
    let claims = Claims {
        kid: key.kid(),
        event: keys.number,
        ticket: ticket.number,
        ticket_type: ticket.type_number,
        // Whole minutes that contain the window: offline no good ticket is refused for seconds.
        from: minutes(ticket.valid_from, Minutes::floor),
        until: minutes(ticket.valid_until, Minutes::ceil),
        zones: ticket.zones,
        revision: ticket.revision,
        rotating: ticket.rotating,
    };
    Ok(key.sign(&claims)?)
}

pub fn unix_s(now: Millis) -> i64 {
    now.0.div_euclid(SECOND_MS)
}

fn minutes(at: Option<Millis>, round: fn(i64) -> Option<Minutes>) -> Minutes {
    at.and_then(|at| round(unix_s(at))).unwrap_or(Minutes::UNBOUNDED)
}

#[cfg(test)]
mod tests;
