//! Personal data of an order: sealed under the order's own key, so that erasing is deleting a key.
//! Must not know what the rules do with the rest of an order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::Sealed;
use crate::log::DataKey;

#[cfg(test)]
mod tests;

/// Plain text of `Sealed::bytes`, as JSON.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Personal {
    #[serde(default)]
    pub buyer: Person,
    /// None, or one a ticket, in ticket order.
    #[serde(default)]
    pub attendees: Vec<Person>,
}

#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Person {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub email: String,
}

#[derive(Debug, thiserror::Error)]
pub enum PersonalError {
    #[error("personal data cannot be sealed: {0}")]
    Seal(String),
    /// Another key, event or order, or changed bytes.
    #[error("personal data cannot be opened")]
    Open,
}

/// Encrypts under a fresh key that belongs to this order of this event only. The key must become
/// durable before the entry that holds the bytes does; a batch sees to that.
pub fn seal(personal: &Personal, event: Uuid, order: Uuid) -> Result<Sealed, PersonalError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| PersonalError::Seal(error.to_string()))?;
    let plain = serde_json::to_vec(personal).map_err(|e| PersonalError::Seal(e.to_string()))?;
    let bytes = keys::sealed::seal(&key, &associated_data(event, order), &plain)
        .map_err(|error| PersonalError::Seal(error.to_string()))?;
    Ok(Sealed { bytes, key: DataKey(key) })
}

/// Decrypts what [`seal`] made for the same event and order.
pub fn open(
    sealed: &[u8],
    key: &DataKey,
    event: Uuid,
    order: Uuid,
) -> Result<Personal, PersonalError> {
    let plain = keys::sealed::open(&key.0, &associated_data(event, order), sealed)
        .map_err(|_| PersonalError::Open)?;
    serde_json::from_slice(&plain).map_err(|_| PersonalError::Open)
}

/// Answers of one of the order's people, by question, under the order's key.
pub fn seal_answers(
    answers: &BTreeMap<Uuid, String>,
    key: &DataKey,
    event: Uuid,
    order: Uuid,
) -> Result<Vec<u8>, PersonalError> {
    let plain = serde_json::to_vec(answers).map_err(|e| PersonalError::Seal(e.to_string()))?;
    keys::sealed::seal(&key.0, &answers_data(event, order), &plain)
        .map_err(|error| PersonalError::Seal(error.to_string()))
}

/// Decrypts what [`seal_answers`] made for the same event and order.
pub fn open_answers(
    sealed: &[u8],
    key: &DataKey,
    event: Uuid,
    order: Uuid,
) -> Result<BTreeMap<Uuid, String>, PersonalError> {
    let plain = keys::sealed::open(&key.0, &answers_data(event, order), sealed)
        .map_err(|_| PersonalError::Open)?;
    serde_json::from_slice(&plain).map_err(|_| PersonalError::Open)
}

/// Answers do not open as names, nor names as answers.
fn answers_data(event: Uuid, order: Uuid) -> Vec<u8> {
    [&b"ATLVS-ANSWERS-v1\0"[..], &associated_data(event, order)].concat()
}

/// Event id ‖ order id: sealed data moved to another order does not open.
fn associated_data(event: Uuid, order: Uuid) -> [u8; 32] {
    let mut out = [0; 32];
    let (left, right) = out.split_at_mut(16);
    left.copy_from_slice(event.as_bytes());
    right.copy_from_slice(order.as_bytes());
    out
}

// Names and addresses must not reach a log by way of a derived `Debug`.

impl std::fmt::Debug for Personal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Personal({} attendees, hidden)", self.attendees.len())
    }
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person(hidden)")
    }
}
