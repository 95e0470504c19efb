//! What is sold: ticket types, and the quotas that they draw from.

use kernel::entity::{
    Check, Entity, Group, Unique, Weight, boolean, decimal, instant, integer, link, long_text,
    money, text,
};
use kernel::error::Code;

pub(crate) static QUOTAS: Entity = Entity::new("quotas")
    .grant("ticketing.sale")
    .group(Group::Events)
    .label("name")
    .about("A number of places; every ticket of a linked type takes one.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().once(),
        number(),
        text("name").required(),
        integer("size", 0, 100_000_000).about("Places; unlimited when absent."),
    ])
    .natural(&["event_id", "name"])
    .uniques(&[Unique {
        name: "quotas_name_key",
        fields: &["event_id", "name"],
        code: Code::AlreadyExists,
    }])
    .constraints(&[("quotas_event_number_key", Code::AlreadyExists)]);

pub(crate) static TICKET_TYPES: Entity = Entity::new("ticket_types")
    .grant("ticketing.sale")
    .group(Group::Events)
    .label("name")
    .about("A kind of ticket with its price, its quotas and where it admits.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().once(),
        number(),
        text("name").required().search(Weight::A),
        long_text("description").search(Weight::C),
        money("price").required().about("Gross price of one ticket, in the event's currency."),
        money("fee").about("Gross fee on top of the price; none when absent."),
        decimal("tax_rate", 2)
            .required()
            .default("0")
            .about("Per cent of the net amount that price and fee contain: 19.00."),
        instant("sale_from"),
        instant("sale_until"),
        instant("valid_from").about("Admits from then on."),
        instant("valid_until"),
        integer("max_per_order", 1, 1_000),
        boolean("rotating")
            .required()
            .default("false")
            .about("The code on the ticket changes every 15 seconds."),
        boolean("attention").required().default("false").about("Staff look twice at the door."),
        boolean("active")
            .required()
            .default("true")
            .about("Off: no longer sold; what was sold stays good."),
        integer("position", 0, 100_000).required().default("0").about("Order in the shop."),
    ])
    .natural(&["event_id", "name"])
    .uniques(&[Unique {
        name: "ticket_types_name_key",
        fields: &["event_id", "name"],
        code: Code::AlreadyExists,
    }])
    .checks(&[
        Check {
            name: "ticket_types_price_range",
            sql: "price BETWEEN 0 AND 1000000000",
            code: Code::OutOfRange,
            field: "price",
        },
        Check {
            name: "ticket_types_fee_range",
            sql: "fee BETWEEN 0 AND 1000000000",
            code: Code::OutOfRange,
            field: "fee",
        },
        Check {
            name: "ticket_types_tax_rate_range",
            sql: "tax_rate BETWEEN 0 AND 100",
            code: Code::OutOfRange,
            field: "tax_rate",
        },
        Check {
            name: "ticket_types_sale_window",
            sql: "sale_until > sale_from",
            code: Code::InvalidValue,
            field: "sale_until",
        },
        Check {
            name: "ticket_types_valid_window",
            sql: "valid_until > valid_from",
            code: Code::InvalidValue,
            field: "valid_until",
        },
    ])
    .constraints(&[
        ("ticket_types_event_number_key", Code::AlreadyExists),
        ("ticket_types_price_currency", Code::InvalidValue),
    ]);

pub(crate) static QUOTA_TICKET_TYPES: Entity = Entity::new("quota_ticket_types")
    .grant("ticketing.sale")
    .group(Group::Events)
    .about("Tickets of this type take a place of this quota; both of one event.")
    .within("quota_id")
    .fields(&[
        link("quota_id", "ticketing.quotas").required().once(),
        link("ticket_type_id", "ticketing.ticket_types").required().once(),
    ])
    .natural(&["quota_id", "ticket_type_id"])
    .uniques(&[Unique {
        name: "quota_ticket_types_pair_key",
        fields: &["quota_id", "ticket_type_id"],
        code: Code::AlreadyExists,
    }])
    .constraints(&[("quota_ticket_types_same_event", Code::UnknownReference)]);

/// The gate keeps every type and every quota that an event ever had, and at most these.
const ROWS_OF_EVENT_MAX: i64 = 4_096;

/// Given by the database, 1, 2, 3 … within the event, never reused: it stands in credentials.
const fn number() -> kernel::entity::Field {
    integer("number", 0, ROWS_OF_EVENT_MAX).required().by_action().default("0")
}
