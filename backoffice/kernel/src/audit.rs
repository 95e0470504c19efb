//! Proof that the change log is whole: seals chain every change of an organization, and the
//! verification recomputes digests and chain from what is there. Sealing is a step of the outbox's
//! dispatcher; nothing here runs in a request.

mod verify;

use crate::entity::{Entity, bytes, integer};
use crate::outbox::SEAL_MEMBERS_MAX;

pub use verify::{Fault, Head, OrgReport, Report, verify, verify_since};

/// A link of an organization's chain: SHA-256 over the seal before it, its number, id and time, the
/// organization, and each member's id and digest (`seal_digest` in `work.sql`).
pub(crate) static CHANGE_SEAL: Entity = Entity::new("change_seals")
    .machine()
    .about("A link of the chain that keeps an organization's changes from being rewritten.")
    .kept("a chain proves what it began with only as long as its first link is there")
    .fields(&[
        integer("number", 1, i64::MAX).required().about("From 1, without a gap."),
        bytes("members", SEAL_MEMBERS_MAX * 16).required().about("Ids of changes, 16 bytes each."),
        bytes("previous", 32).required().about("Digest of the seal before; zeros for the first."),
        bytes("digest", 32).required(),
    ])
    .uniques(&[crate::entity::Unique {
        name: "change_seals_number_key",
        fields: &["org_id", "number"],
        code: crate::error::Code::AlreadyExists,
    }]);
