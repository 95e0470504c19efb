//! The table of kept answers; what it is for stands in `dispatch::idempotency`.

use crate::entity::{Entity, Retention, boolean, bytes, id, instant, integer, text};

/// Bytes of a kept answer, with some room above what dispatch keeps.
const ANSWER_BYTES_MAX: u32 = 512 * 1024;

/// Its id is a digest of organization, actor and key.
pub(crate) static IDEMPOTENCY_KEY: Entity = Entity::new("idempotency_keys")
    .machine()
    .about("The answer to a request that may be sent again; kept for a day.")
    .fields(&[
        bytes("request_hash", 32).required(),
        bytes("rights_hash", 32).required().about("What the caller could do then."),
        instant("expires_at").required(),
        boolean("kept").required().default("false").about("The answer can be given again."),
        integer("status", 100, 599),
        bytes("body", ANSWER_BYTES_MAX).about("Sealed with the caller's key, which is not kept."),
        integer("row_version", 0, i64::MAX).about("For the ETag."),
        text("location"),
        id("operation_id").about("Another service finishes."),
        id("row_id"),
    ])
    .retention(&[Retention::days("expires_at", 0)]);
