//! Where tickets admit and who scans them.

use kernel::entity::{
    Check, Entity, Field, Group, Kind, Unique, boolean, choice, id, instant, integer, link, slug,
    text, text_list,
};
use kernel::error::Code;

/// Most lanes and questions that an event may ever have had; the gate takes no more.
const LANES_MAX: i64 = 1_024;
const QUESTIONS_MAX: i64 = 64;
/// Longest name of a lane that the gate reads.
const LANE_CHARS_MAX: u32 = 64;

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
        choice(
            "policy",
            &["single_entry", "reentry", "entries", "once_a_day", "days", "interval", "free_flow"],
        )
        .required()
        .default("'single_entry'")
        .about("How often one ticket may enter."),
        integer("policy_max", 1, 10_000).about("Entries or days, for `entries` and `days`."),
        integer("interval_min", 1, 10_080)
            .about("Minutes from one entry to the next, for `interval`."),
        choice("passback", &["off", "soft", "hard"])
            .required()
            .default("'off'")
            .about("Who enters and is inside already, or leaves and is not: told or refused."),
        text_list("leaves", 31).about("Keys of the zones that one leaves by entering this one."),
        slug("exit_to").about("Key of the zone that one enters by leaving; outside when absent."),
        integer("capacity", 1, 10_000_000).about("People at once."),
        instant("opens_at").about("Entry from then on."),
        instant("closes_at").about("Entry until then."),
        minute_of_day("exit_all_at_min")
            .about("Minutes after midnight, venue time, at which everyone counts as having left."),
    ])
    .checks(&[
        Check {
            name: "check_in_zones_policy_max",
            sql: "(policy in ('entries', 'days')) = (policy_max is not null)",
            code: Code::InvalidValue,
            field: "policy_max",
        },
        Check {
            name: "check_in_zones_interval_min",
            sql: "(policy = 'interval') = (interval_min is not null)",
            code: Code::InvalidValue,
            field: "interval_min",
        },
        Check {
            name: "check_in_zones_open_window",
            sql: "closes_at > opens_at",
            code: Code::InvalidValue,
            field: "closes_at",
        },
    ])
    .natural(&["event_id", "key"])
    .uniques(&[Unique {
        name: "check_in_zones_key_key",
        fields: &["event_id", "key"],
        code: Code::AlreadyExists,
    }])
    .constraints(&[
        ("check_in_zones_event_number_key", Code::AlreadyExists),
        ("check_in_zones_leaves", Code::UnknownReference),
        ("check_in_zones_exit_to", Code::UnknownReference),
    ]);

pub(crate) static CHECK_IN_LANES: Entity = Entity::new("check_in_lanes")
    .grant("ticketing.check_in")
    .group(Group::Events)
    .label("name")
    .about("A lane with rules of its own; any other lane decides by the defaults.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().once(),
        number(LANES_MAX),
        Field { kind: Kind::Text { max: LANE_CHARS_MAX }, ..text("name") }
            .required()
            .once()
            .about("As its devices name it: `North 3`."),
        boolean("two_phase")
            .required()
            .default("false")
            .about("A turnstile: who is let in is reserved until it reports that they passed."),
        integer("lease_s", 1, 600)
            .required()
            .default("10")
            .about("Seconds that the turnstile has to report."),
        choice("lease_end", &["passed", "not_passed"])
            .required()
            .default("'passed'")
            .about("What a turnstile that did not report has done."),
        choice("mode", &["local", "secure", "open"])
            .required()
            .default("'local'")
            .about("What decides without the store: the node alone, nobody, or everybody enters."),
        choice("rotating_offline", &["refuse", "static_ok"])
            .required()
            .default("'refuse'")
            .about("What a handheld without network does with a rotating ticket."),
    ])
    .natural(&["event_id", "name"])
    .uniques(&[Unique {
        name: "check_in_lanes_name_key",
        fields: &["event_id", "name"],
        code: Code::AlreadyExists,
    }])
    .constraints(&[("check_in_lanes_event_number_key", Code::AlreadyExists)]);

pub(crate) static CHECK_IN_LANE_TYPES: Entity = Entity::new("check_in_lane_types")
    .grant("ticketing.check_in")
    .group(Group::Events)
    .about("The lane serves tickets of this type. A lane without any serves all types.")
    .within("lane_id")
    .fields(&[
        link("lane_id", "ticketing.check_in_lanes").required().once(),
        link("ticket_type_id", "ticketing.ticket_types").required().once(),
    ])
    .natural(&["lane_id", "ticket_type_id"])
    .uniques(&[Unique {
        name: "check_in_lane_types_pair_key",
        fields: &["lane_id", "ticket_type_id"],
        code: Code::AlreadyExists,
    }])
    .constraints(&[("check_in_lane_types_same_event", Code::UnknownReference)]);

pub(crate) static CHECK_IN_QUESTIONS: Entity = Entity::new("check_in_questions")
    .grant("ticketing.check_in")
    .group(Group::Events)
    .label("text")
    .about("Asked at the door before a ticket's first entry.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().once(),
        number(QUESTIONS_MAX),
        text("text").required(),
        choice("kind", &["confirm", "text", "choice"]).required().default("'confirm'"),
        text_list("options", 20).about("What may be chosen, for `choice`."),
    ])
    .natural(&["event_id", "text"])
    .uniques(&[Unique {
        name: "check_in_questions_text_key",
        fields: &["event_id", "text"],
        code: Code::AlreadyExists,
    }])
    .checks(&[Check {
        name: "check_in_questions_options",
        sql: "(kind = 'choice') = (coalesce(cardinality(options), 0) > 0)",
        code: Code::InvalidValue,
        field: "options",
    }])
    .constraints(&[("check_in_questions_event_number_key", Code::AlreadyExists)]);

pub(crate) static CHECK_IN_QUESTION_TYPES: Entity = Entity::new("check_in_question_types")
    .grant("ticketing.check_in")
    .group(Group::Events)
    .about("The question is asked of tickets of this type; one without any is asked of all.")
    .within("question_id")
    .fields(&[
        link("question_id", "ticketing.check_in_questions").required().once(),
        link("ticket_type_id", "ticketing.ticket_types").required().once(),
    ])
    .natural(&["question_id", "ticket_type_id"])
    .uniques(&[Unique {
        name: "check_in_question_types_pair_key",
        fields: &["question_id", "ticket_type_id"],
        code: Code::AlreadyExists,
    }])
    .constraints(&[("check_in_question_types_same_event", Code::UnknownReference)]);

pub(crate) static TICKET_TYPE_WINDOWS: Entity = Entity::new("ticket_type_windows")
    .grant("ticketing.sale")
    .group(Group::Events)
    .about("Tickets of this type enter this zone then only. Several windows add up.")
    .within("zone_id")
    .fields(&[
        link("ticket_type_id", "ticketing.ticket_types").required().once(),
        link("zone_id", "ticketing.check_in_zones").required().once(),
        instant("opens_at").required().about("From then on."),
        instant("closes_at").about("Until then; for good when absent."),
    ])
    .checks(&[Check {
        name: "ticket_type_windows_order",
        sql: "closes_at > opens_at",
        code: Code::InvalidValue,
        field: "closes_at",
    }])
    .constraints(&[("ticket_type_windows_same_event", Code::UnknownReference)]);

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
        short("rule").about("Name of the rule, where the reason is `rules`."),
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

/// Given by the database, 1, 2, 3 … within the event, never reused.
const fn number(max: i64) -> Field {
    integer("number", 0, max).required().by_action().default("0")
}

/// A time of day.
const fn minute_of_day(name: &'static str) -> Field {
    integer(name, 0, 24 * 60 - 1)
}
