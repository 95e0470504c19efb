//! What passes between the two services: keys, instructions, the journal, the catalogue.

use kernel::entity::{
    Check, Entity, Field, Group, Kind, Operations, Unique, bytes, choice, id, instant, integer,
    json, link, long_text, text,
};
use kernel::error::Code;

/// Longest text of an entry's data: an order of 1,000 tickets with its personal data fits.
const ENTRY_DATA_CHARS_MAX: u32 = 2_000_000;
/// Longest document of the catalogue.
pub(crate) const DOCUMENT_CHARS_MAX: u32 = 2_000_000;

pub(crate) static EVENT_KEYS: Entity = Entity::new("event_keys")
    .grant("ticketing.keys")
    .group(Group::Events)
    .operations(Operations::READ)
    .label("kid")
    .about("A key that signs the event's credentials.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().by_action(),
        text("kid").required().by_action().about("First 3 bytes of SHA-256 of the key, hex."),
        bytes("public_key", 32).required().by_action(),
        instant("not_before").required().by_action(),
        instant("not_after").by_action(),
        instant("revoked_at").by_action(),
        json("sealed").required().secret().about("The private key under the master key."),
    ])
    .uniques(&[Unique {
        name: "event_keys_kid_key",
        fields: &["event_id", "kid"],
        code: Code::AlreadyExists,
    }])
    .checks(&[Check {
        name: "event_keys_window",
        sql: "not_after > not_before",
        code: Code::InvalidValue,
        field: "not_after",
    }]);

pub(crate) static EVENT_SECRETS: Entity = Entity::new("event_secrets")
    .grant("ticketing.keys")
    .group(Group::Events)
    .operations(Operations::NONE)
    .about("Secret of an event: rotating codes and order secrets come from it.")
    .fields(&[
        link("event_id", "events.events").required().by_action(),
        bytes("sealed_secret", 256).required().secret(),
    ])
    .uniques(&[Unique {
        name: "event_secrets_event_key",
        fields: &["event_id"],
        code: Code::AlreadyExists,
    }]);

pub(crate) static GATE_INSTRUCTIONS: Entity = Entity::new("gate_instructions")
    .grant("ticketing.instructions")
    .group(Group::Events)
    .operations(Operations::READ)
    .label("kind")
    .about("What the gate was told to do, until its journal says that it was done.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().by_action(),
        text("kind").required().by_action(),
        choice("status", &["pending", "done", "refused"]).required().by_action(),
        id("order_id").by_action().about("Order that it makes or changes."),
        id("operation_id").by_action(),
        instant("finished_at").by_action(),
        json("body").secret().about("Kept until it is done; may hold personal data."),
    ])
    .indexes(&[&["event_id", "status"]]);

pub(crate) static GATE_JOURNAL: Entity = Entity::new("gate_journal")
    .grant("ticketing.journal")
    .group(Group::Events)
    .label("kind")
    .about("The gate's journal as it came: hash-chained, gapless, the truth behind projections.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required(),
        integer("seq", 1, i64::MAX).required(),
        bytes("prev_hash", 32).required(),
        bytes("hash", 32).required(),
        integer("at_ms", i64::MIN, i64::MAX).required().about("Unix milliseconds, as hashed."),
        integer("v", 0, 65_535).required(),
        text("kind").required(),
        Field { kind: Kind::Text { max: ENTRY_DATA_CHARS_MAX }, ..text("data") }
            .required()
            .secret()
            .about("Exact text of the entry's JSON."),
    ])
    .uniques(&[Unique {
        name: "gate_journal_seq_key",
        fields: &["event_id", "seq"],
        code: Code::AlreadyExists,
    }])
    .constraints(&[("gate_journal_chain", Code::Conflict)])
    .log();

pub(crate) static GATE_CURSORS: Entity = Entity::new("gate_cursors")
    .grant("ticketing.journal")
    .group(Group::Events)
    .operations(Operations::READ)
    .about("How far an event's journal was stored and projected; its id is the event's.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().by_action(),
        integer("seq", 0, i64::MAX).required().by_action().default("0"),
        bytes("hash", 32).required().by_action(),
        integer("projected_seq", 0, i64::MAX).required().by_action().default("0"),
        choice("state", &["running", "stopped"]).required().by_action().default("'running'"),
        long_text("cause").by_action().about("Why it stopped; a person has to look."),
    ])
    .uniques(&[Unique {
        name: "gate_cursors_event_key",
        fields: &["event_id"],
        code: Code::AlreadyExists,
    }])
    .checks(&[Check {
        name: "gate_cursors_projected_after_stored",
        sql: "projected_seq <= seq",
        code: Code::InvalidValue,
        field: "projected_seq",
    }])
    .constraints(&[("gate_cursors_forward", Code::Conflict)]);

pub(crate) static GATE_PARKED: Entity = Entity::new("gate_parked")
    .grant("ticketing.journal")
    .group(Group::Events)
    .operations(Operations::READ)
    .label("cause")
    .about("An entry that could not be projected yet; later ones of its order wait behind it.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().by_action(),
        integer("seq", 1, i64::MAX).required().by_action(),
        id("order_id").by_action().about("Order that the entry belongs to, where it has one."),
        choice("state", &["parked", "done"]).required().by_action().default("'parked'"),
        long_text("cause").required().by_action(),
        integer("attempts", 0, 1_000_000).required().by_action().default("0"),
        instant("retry_at").required().by_action(),
    ])
    .uniques(&[Unique {
        name: "gate_parked_seq_key",
        fields: &["event_id", "seq"],
        code: Code::AlreadyExists,
    }])
    .indexes(&[&["event_id", "state", "seq"]]);

pub(crate) static CATALOGUE_DOCUMENTS: Entity = Entity::new("catalogue_documents")
    .machine()
    .grant("ticketing.catalogue")
    .group(Group::Events)
    .about("What the gate is shown, newest document per thing; its id is the thing's.")
    .kept("one row a thing; a job takes away what is gone, up to the newest cursor")
    .fields(&[
        choice("kind", &["event", "device", "instruction"]).required(),
        integer("cursor", 1, i64::MAX).required(),
        Field { kind: Kind::Text { max: DOCUMENT_CHARS_MAX }, ..text("body") }
            .about("JSON; null once the thing is gone."),
        instant("gone_at").about("Since when the thing is gone."),
    ])
    .uniques(&[Unique {
        name: "catalogue_documents_cursor_key",
        fields: &["cursor"],
        code: Code::AlreadyExists,
    }]);
