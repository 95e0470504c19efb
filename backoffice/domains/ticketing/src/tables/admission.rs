//! Where tickets admit and who scans them.

use kernel::entity::{
    Entity, Field, Group, Kind, Unique, boolean, choice, id, instant, integer, link, slug, text,
    text_list,
};
use kernel::error::Code;

pub(crate) static CHECK_IN_ZONES: Entity = Entity::new("check_in_zones")
    .grant("ticketing.check_in")
    .group(Group::Events)
    .label("name")
    .about("A part of the venue that is entered through lanes.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().once(),
        integer("number", 0, 31)
            .required()
            .by_action()
            .default("0")
            .about("Bit in the zone set of a credential."),
        slug("key").required().once().about("Name that lanes use: `main`."),
        text("name").required(),
        choice("policy", &["single_entry"]).required().default("'single_entry'"),
        integer("capacity", 1, 10_000_000).about("People at once."),
    ])
    .natural(&["event_id", "key"])
    .uniques(&[Unique {
        name: "check_in_zones_key_key",
        fields: &["event_id", "key"],
        code: Code::AlreadyExists,
    }])
    .constraints(&[("check_in_zones_event_number_key", Code::AlreadyExists)]);

pub(crate) static TICKET_TYPE_ZONES: Entity = Entity::new("ticket_type_zones")
    .grant("ticketing.sale")
    .group(Group::Events)
    .about("Tickets of this type admit to this zone. A type without any admits to all zones.")
    .within("zone_id")
    .fields(&[
        link("ticket_type_id", "ticketing.ticket_types").required().once(),
        link("zone_id", "ticketing.check_in_zones").required().once(),
    ])
    .natural(&["ticket_type_id", "zone_id"])
    .uniques(&[Unique {
        name: "ticket_type_zones_pair_key",
        fields: &["ticket_type_id", "zone_id"],
        code: Code::AlreadyExists,
    }])
    .constraints(&[("ticket_type_zones_same_event", Code::UnknownReference)]);

pub(crate) static CHECK_IN_DEVICES: Entity = Entity::new("check_in_devices")
    .grant("ticketing.devices")
    .group(Group::Events)
    .label("name")
    .about("A scanner, a turnstile or a till with its assignment.")
    .fields(&[
        text("name").required(),
        boolean("may_force").required().default("false").about("May admit what rules refuse."),
        text_list("lanes", 100).about("Lanes it may name; any when absent."),
        text_list("zones", 32).about("Keys of zones it may scan for; any when absent."),
        choice("directions", &["both", "entry", "exit"]).required().default("'both'"),
        instant("expires_at").about("The token is refused from then on."),
        instant("token_issued_at").by_action(),
        instant("revoked_at").by_action(),
        text("token_hash").secret().about("SHA-256 of the token, hex."),
    ])
    .natural(&["name"])
    .uniques(&[
        Unique { name: "check_in_devices_name_key", fields: &["name"], code: Code::AlreadyExists },
        Unique {
            name: "check_in_devices_token_key",
            fields: &["token_hash"],
            code: Code::AlreadyExists,
        },
    ]);

pub(crate) static CHECK_IN_DEVICE_EVENTS: Entity = Entity::new("check_in_device_events")
    .grant("ticketing.devices")
    .group(Group::Events)
    .about("The device scans for this event. A device without any scans for all events.")
    .within("event_id")
    .fields(&[
        link("device_id", "ticketing.check_in_devices").required().once(),
        link("event_id", "events.events").required().once(),
    ])
    .natural(&["device_id", "event_id"])
    .uniques(&[Unique {
        name: "check_in_device_events_pair_key",
        fields: &["device_id", "event_id"],
        code: Code::AlreadyExists,
    }]);

pub(crate) static CREDENTIAL_ACCESS_LOG: Entity = Entity::new("credential_access_log")
    .path("credential-access-log")
    .grant("ticketing.access_log")
    .group(Group::Events)
    .label("lane")
    .about("What was decided at the doors, refusals included, one row a decision of the journal.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required(),
        integer("journal_seq", 1, i64::MAX).required(),
        text("scan").required().about("Id of the scan as the gate gave it: `1042-88121`."),
        link("registration_id", "ticketing.event_registrations"),
        integer("ticket_number", 1, i64::MAX).about("Absent when the ticket was not known."),
        id("device_id").about("The device, which may have been removed since; none by hand."),
        short("lane").required(),
        short("zone").required(),
        choice("direction", &["entry", "exit"]).required(),
        choice("verdict", &["admit", "deny", "reserve", "passed", "not_passed", "annulled"])
            .required()
            .about("What was decided, or what became of the decision `of_seq`."),
        integer("of_seq", 1, i64::MAX).about("The decision that this row tells the end of."),
        boolean("offline").required().default("false").about("Decided without the store."),
        short("reason"),
        boolean("forced").required().default("false"),
        id("checked_in_by").about("Who let the person in by hand."),
        instant("scanned_at").required(),
    ])
    .uniques(&[Unique {
        name: "credential_access_log_seq_key",
        fields: &["event_id", "journal_seq"],
        code: Code::AlreadyExists,
    }])
    .indexes(&[&["registration_id"], &["event_id", "scanned_at"], &["event_id", "of_seq"]])
    .log();

/// What the journal says is kept as it is, so the bound only guards the table.
const fn short(name: &'static str) -> Field {
    Field { kind: Kind::Text { max: 1_000 }, ..text(name) }
}
