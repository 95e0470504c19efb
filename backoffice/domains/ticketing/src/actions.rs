//! Ticketing's behaviour: a row each, in one table.

mod cursors;
mod devices;
mod doors;
mod gate;
mod keys;
mod registrations;
mod sales;

use kernel::action::{Action, Answers, On};
use kernel::entity::{Field, boolean, choice, email, instant, integer, json, link, text};

use crate::tables::admission::{CHECK_IN_DEVICES, CHECK_IN_ZONES};
use crate::tables::feeds::{EVENT_KEYS, GATE_CURSORS};
use crate::tables::orders::EVENT_REGISTRATIONS;
use crate::tables::sale::TICKET_TYPES;

pub(crate) static ACTIONS: &[Action] = &[
    Action {
        name: "create",
        entity: &EVENT_REGISTRATIONS,
        on: On::Create,
        input: REGISTER,
        answers: Answers::Row,
        about: "Registers people without the shop: comps and sales at the box office. Answers the \
                first registration once the gate has confirmed the order.",
        run: |cx, args| Box::pin(registrations::create(cx, args)),
    },
    Action {
        name: "check-in",
        entity: &EVENT_REGISTRATIONS,
        on: On::Row,
        input: CHECK_IN,
        answers: Answers::Row,
        about: "Lets a person in by hand, under the rules of the door.",
        run: |cx, args| Box::pin(registrations::check_in(cx, args)),
    },
    Action {
        name: "cancel",
        entity: &EVENT_REGISTRATIONS,
        on: On::Row,
        input: &[],
        answers: Answers::Row,
        about: "Gives the place back.",
        run: |cx, args| Box::pin(registrations::cancel(cx, args)),
    },
    Action {
        name: "refund",
        entity: &EVENT_REGISTRATIONS,
        on: On::Row,
        input: &[],
        answers: Answers::Row,
        about: "Pays back what was paid for the registration.",
        run: |cx, args| Box::pin(registrations::refund(cx, args)),
    },
    Action {
        name: "rotate",
        entity: &EVENT_KEYS,
        on: On::Collection,
        input: ROTATE,
        answers: Answers::Row,
        about: "Makes a new signing key; what the ones before signed stays good until they retire.",
        run: |cx, args| Box::pin(keys::rotate(cx, args)),
    },
    Action {
        name: "revoke",
        entity: &EVENT_KEYS,
        on: On::Row,
        input: &[],
        answers: Answers::Row,
        about: "Refuses everything that the key signed, from now on.",
        run: |cx, args| Box::pin(keys::revoke(cx, args)),
    },
    Action {
        name: "issue-token",
        entity: &CHECK_IN_DEVICES,
        on: On::Row,
        input: &[],
        answers: Answers::Object(DEVICE_TOKEN),
        about: "Gives the device a new token, shown this once; the one before ends.",
        run: |cx, args| Box::pin(devices::issue_token(cx, args)),
    },
    Action {
        name: "revoke",
        entity: &CHECK_IN_DEVICES,
        on: On::Row,
        input: &[],
        answers: Answers::Row,
        about: "Ends the device's token.",
        run: |cx, args| Box::pin(devices::revoke(cx, args)),
    },
    Action {
        name: "evacuate",
        entity: &CHECK_IN_ZONES,
        on: On::Collection,
        input: EVACUATE,
        answers: Answers::Nothing,
        about: "Begins or ends the evacuation of an event: no exit is refused and no entry allowed.",
        run: |cx, args| Box::pin(doors::evacuate(cx, args)),
    },
    Action {
        name: "count",
        entity: &CHECK_IN_ZONES,
        on: On::Row,
        input: COUNT,
        answers: Answers::Row,
        about: "Says how many people are inside, as somebody counted them.",
        run: |cx, args| Box::pin(doors::count(cx, args)),
    },
    Action {
        name: "resume",
        entity: &GATE_CURSORS,
        on: On::Row,
        input: &[],
        answers: Answers::Row,
        about: "Reads a stopped journal on, once a person has seen why it stopped.",
        run: |cx, args| Box::pin(cursors::resume(cx, args)),
    },
    Action {
        name: "prepare-sales",
        entity: &TICKET_TYPES,
        on: On::Internal,
        input: OF_EVENT,
        answers: Answers::Nothing,
        about: "Makes an event ready to sell, or says what is missing.",
        run: |cx, args| Box::pin(sales::prepare(cx, args)),
    },
    Action {
        name: "cancel-admission",
        entity: &TICKET_TYPES,
        on: On::Internal,
        input: OF_EVENT,
        answers: Answers::Nothing,
        about: "Tells the gate that the event does not take place.",
        run: |cx, args| Box::pin(sales::cancel_admission(cx, args)),
    },
];

static REGISTER: &[Field] = &[
    link("event_id", "events.events").required(),
    link("ticket_type_id", "ticketing.ticket_types").about("With quantity, in place of items."),
    integer("quantity", 1, registrations::TICKETS_MAX).about("1 when absent."),
    json("items").about("[{\"ticket_type_id\", \"quantity\"}], for several types at once."),
    json("attendees").about("[{\"name\", \"email\"}], none or one a ticket, in their order."),
    text("buyer_name").personal(),
    email("buyer_email").personal(),
    choice("channel", &["comp", "box_office"]).default("'comp'"),
];

static CHECK_IN: &[Field] = &[
    text("zone").about("Key of the zone; the event's only one when absent."),
    boolean("force").about("Admit what the rules refuse, and mark it."),
];

static ROTATE: &[Field] = &[
    link("event_id", "events.events").required(),
    instant("retire_at").about("End of the keys before; as long as the event when absent."),
];

static DEVICE_TOKEN: &[Field] = &[text("token").required().secret()];

static OF_EVENT: &[Field] = &[link("event_id", "events.events").required()];

static EVACUATE: &[Field] =
    &[link("event_id", "events.events").required(), boolean("on").required()];

static COUNT: &[Field] = &[integer("inside", 0, 10_000_000).required()];
