//! Who bought what: projections of the gate's journal. The gate decides; rows here follow.

use kernel::actor::PortalKind;
use kernel::entity::{
    Entity, Group, Operations, Portal, Unique, Weight, boolean, bytes, choice, email, id, instant,
    integer, link, long_text, money, text,
};
use kernel::error::Code;

/// Read and edited here; made and moved by the journal.
const READ_AND_PATCH: Operations =
    Operations { read: true, create: false, patch: true, delete: false };

pub(crate) static TICKET_ORDERS: Entity = Entity::new("ticket_orders")
    .grant("ticketing.orders")
    .group(Group::Events)
    .operations(READ_AND_PATCH)
    .label("code")
    .about("An order of tickets, as the gate confirmed it; its id is the gate's.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().by_action(),
        integer("number", 1, i64::MAX).required().by_action().about("1, 2, 3 … in the event."),
        text("code").required().by_action().search(Weight::A).about("Short code for people."),
        choice("status", &["confirmed", "canceled"]).required().by_action(),
        choice("channel", &["shop", "box_office", "comp", "import"]).required().by_action(),
        choice("payment_method", &["free", "invoice", "card"]).required().by_action(),
        money("total").required().by_action(),
        money("tax").required().by_action().about("Contained in the total."),
        text("buyer_name").personal().by_action().search(Weight::B),
        text("buyer_email").personal().by_action().search(Weight::B),
        link("party_id", "identity.parties").subject().about("The buyer among our parties."),
        id("hold_id").by_action(),
        instant("confirmed_at").required().by_action(),
        instant("canceled_at").by_action(),
        long_text("notes"),
    ])
    .uniques(&[
        Unique {
            name: "ticket_orders_number_key",
            fields: &["event_id", "number"],
            code: Code::AlreadyExists,
        },
        Unique {
            name: "ticket_orders_code_key",
            fields: &["event_id", "code"],
            code: Code::AlreadyExists,
        },
    ])
    .indexes(&[&["party_id"], &["confirmed_at"]])
    .portal(&[Portal {
        kind: PortalKind::Attendee,
        field: "party_id",
        read: &[
            "event_id",
            "number",
            "code",
            "status",
            "payment_method",
            "total",
            "tax",
            "buyer_name",
            "buyer_email",
            "confirmed_at",
            "canceled_at",
        ],
        write: &[],
    }]);

pub(crate) static EVENT_REGISTRATIONS: Entity = Entity::new("event_registrations")
    .path("registrations")
    .grant("ticketing.registrations")
    .group(Group::Events)
    .operations(READ_AND_PATCH)
    .label("ticket")
    .about("One person's place at an event: one ticket of an order.")
    .within("event_id")
    .fields(&[
        link("event_id", "events.events").required().by_action(),
        link("order_id", "ticketing.ticket_orders").required().by_action(),
        link("ticket_type_id", "ticketing.ticket_types").required().by_action(),
        integer("ticket_number", 1, i64::MAX).required().by_action(),
        text("ticket")
            .required()
            .by_action()
            .search(Weight::A)
            .about("Ticket id at the door: `1042-7`."),
        integer("position", 1, i64::MAX).required().by_action().about("Place within the order."),
        choice("status", &["confirmed", "checked_in", "canceled"]).required().by_action(),
        boolean("blocked").required().by_action().default("false"),
        integer("revision", 0, 65_535).required().by_action().default("0"),
        choice("channel", &["shop", "box_office", "comp", "import"]).required().by_action(),
        text("attendee_name").personal().search(Weight::B),
        email("attendee_email").personal().search(Weight::B),
        link("party_id", "identity.parties").subject().about("The attendee among our parties."),
        long_text("notes"),
        instant("confirmed_at").required().by_action(),
        instant("checked_in_at").by_action().about("First admission."),
        instant("canceled_at").by_action(),
    ])
    .uniques(&[Unique {
        name: "event_registrations_ticket_key",
        fields: &["event_id", "ticket_number"],
        code: Code::AlreadyExists,
    }])
    .indexes(&[&["order_id"], &["party_id"], &["event_id", "status"]])
    .portal(&[Portal {
        kind: PortalKind::Attendee,
        field: "party_id",
        read: &[
            "event_id",
            "ticket_type_id",
            "ticket",
            "status",
            "attendee_name",
            "attendee_email",
            "confirmed_at",
            "checked_in_at",
            "canceled_at",
        ],
        write: &["attendee_name"],
    }]);

pub(crate) static REGISTRATION_LINE_ITEMS: Entity = Entity::new("registration_line_items")
    .grant("ticketing.registrations")
    .group(Group::Events)
    .operations(Operations::READ)
    .label("description")
    .about("What a registration cost: its share of the order's line.")
    .within("registration_id")
    .fields(&[
        link("registration_id", "ticketing.event_registrations").required().by_action(),
        link("order_id", "ticketing.ticket_orders").required().by_action(),
        link("ticket_type_id", "ticketing.ticket_types").required().by_action(),
        text("description").required().by_action(),
        integer("quantity", 1, 1_000_000).required().by_action().default("1"),
        money("price").required().by_action().about("Before discount."),
        money("discount").required().by_action(),
        money("fee").required().by_action(),
        money("tax").required().by_action().about("Contained in the total."),
        money("total").required().by_action().about("Price less discount plus fee."),
    ])
    .indexes(&[&["registration_id"], &["order_id"]]);

pub(crate) static ORDER_DATA_KEYS: Entity = Entity::new("order_data_keys")
    .grant("ticketing.orders")
    .group(Group::Events)
    .operations(Operations::NONE)
    .about("Key of an order's personal data, sealed; taking it away erases the person.")
    .fields(&[
        link("event_id", "events.events").required().by_action(),
        bytes("sealed_key", 256).secret().about("Null once the person was erased."),
    ]);
