//! Events: what, when, where, in which currency, and whether it is on sale. Knows nothing of
//! tickets: what a sale needs is asked of ticketing through `contracts`.

mod actions;

use kernel::entity::{
    Check, Domain, Entity, Flow, Group, Move, View, Weight, currency, instant, integer, link,
    long_text, text, time_zone,
};
use kernel::error::Code;

pub static EVENTS: Entity = Entity::new("events")
    .grant("events.events")
    .group(Group::Events)
    .label("name")
    .about("An event: one occasion that people attend.")
    .owner("owner_id")
    .fields(&[
        text("name").required().search(Weight::A),
        integer("number", 0, 4_294_967_295)
            .required()
            .by_action()
            .default("0")
            .about("Unique over the installation; stands in every credential."),
        long_text("description").search(Weight::C),
        instant("starts_at").required(),
        instant("ends_at").required(),
        instant("doors_at"),
        instant("admission_ends_at").about("Admission closes; the end of the event when absent."),
        integer("day_starts_min", 0, 24 * 60 - 1).required().default("0").about(
            "Minutes after midnight at which a day of admission begins: with 360 a night \
                    belongs to the day it began on.",
        ),
        time_zone("time_zone").required().about("Zone of the venue; rules in local time use it."),
        currency("currency").required().once().about("Every price of the event is in it."),
        link("legal_entity_id", "identity.legal_entities").about("Who sells and invoices."),
        link("location_id", "identity.locations"),
        link("owner_id", "accounts.users").about("Who answers for it."),
        link("team_id", "accounts.teams").about("Who works on it."),
        link("unit_id", "identity.units").about("Part of the organization that holds it."),
        kernel::entity::choice("status", STATES).required().by_action().default("'draft'"),
        instant("sales_opened_at").by_action(),
        instant("canceled_at").by_action(),
        text("cancel_reason").by_action(),
    ])
    .indexes(&[&["starts_at"], &["status"]])
    .checks(&[
        Check {
            name: "events_end_after_start",
            sql: "ends_at > starts_at",
            code: Code::InvalidValue,
            field: "ends_at",
        },
        Check {
            name: "events_doors_before_end",
            sql: "doors_at < ends_at",
            code: Code::InvalidValue,
            field: "doors_at",
        },
        Check {
            name: "events_admission_after_start",
            sql: "admission_ends_at > starts_at and admission_ends_at > doors_at is not false",
            code: Code::InvalidValue,
            field: "admission_ends_at",
        },
    ])
    .constraints(&[
        ("events_number_key", Code::AlreadyExists),
        ("events_delete_draft", Code::InvalidTransition),
    ])
    .flow(&FLOW)
    .views(&[View::Board("status"), View::Calendar("starts_at", "ends_at")]);

const STATES: &[&str] = &["draft", "on_sale", "sale_closed", "completed", "canceled"];

pub static FLOW: Flow = Flow {
    field: "status",
    initial: "draft",
    states: STATES,
    moves: &[
        Move::new("open-sales", &["draft", "sale_closed"], "on_sale"),
        Move::new("close-sales", &["on_sale"], "sale_closed"),
        Move::new("complete", &["on_sale", "sale_closed"], "completed"),
        Move::new("cancel", &["draft", "on_sale", "sale_closed"], "canceled"),
    ],
};

pub static DOMAIN: Domain = Domain {
    name: "events",
    entities: &[&EVENTS],
    actions: actions::ACTIONS,
    sql: &[("events.sql", include_str!("../sql/events.sql"))],
    ..Domain::EMPTY
};
