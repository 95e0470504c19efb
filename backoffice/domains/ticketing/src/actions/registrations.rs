//! Registrations made and changed by staff. The gate decides; each of these sends an instruction
//! and answers when the journal has ended it.

use std::collections::BTreeMap;

use inventory::command::{Channel, Instruction, OrderCreateItem, SeatWish};
use inventory::personal::{Person, Personal};
use kernel::action::{Args, Reply};
use kernel::cx::Cx;
use kernel::error::{Code, Error, Fault, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::gate::{event_number, id_of, instruct, is_known, text_of};
use crate::journal::registration_id;
use crate::tables::orders::EVENT_REGISTRATIONS;
use crate::tables::sale::TICKET_TYPES;

/// Tickets of one order by staff.
pub(super) const TICKETS_MAX: i64 = 500;
const ITEMS_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 300;
const EMAIL_CHARS_MAX: usize = 254;

#[derive(Deserialize)]
struct Register {
    event_id: Uuid,
    #[serde(default)]
    ticket_type_id: Option<Uuid>,
    #[serde(default)]
    quantity: Option<u32>,
    #[serde(default)]
    items: Option<Value>,
    #[serde(default)]
    attendees: Option<Value>,
    #[serde(default)]
    buyer_name: Option<String>,
    #[serde(default)]
    buyer_email: Option<String>,
    #[serde(default)]
    channel: Option<String>,
}

pub(super) async fn create(cx: &mut Cx, args: Args) -> Result<Reply> {
    let input: Register = args.parse()?;
    let mut faults = Vec::new();
    let items = items(&input, &mut faults);
    let tickets: u64 = items.iter().map(|item| u64::from(item.quantity)).sum();
    if i64::try_from(tickets).is_ok_and(|tickets| tickets > TICKETS_MAX) {
        let message = format!("an order has at most {TICKETS_MAX} tickets");
        faults.push(Fault::new("items", Code::TooLong, message));
    }
    let attendees = attendees(input.attendees.as_ref(), tickets, &mut faults);
    if !faults.is_empty() {
        return Err(Error::faults(faults));
    }
    let number = event_number(cx, input.event_id).await?;
    check_types(cx, input.event_id, &items).await?;
    if !is_known(cx, input.event_id).await? {
        let detail = "the event was never put on sale, so nothing can be registered";
        return Err(Error::field(Code::NotReady, "event_id", detail));
    }
    let order = order_id(number);
    let instruction = Instruction::OrderCreate {
        order,
        items,
        channel: match input.channel.as_deref() {
            Some("box_office") => Channel::BoxOffice,
            _ => Channel::Comp,
        },
        buyer: None,
        personal: Personal {
            buyer: Person {
                name: input.buyer_name.unwrap_or_default(),
                email: input.buyer_email.unwrap_or_default(),
            },
            attendees,
        },
        sealed: None,
        secret_hash: [0; 32],
    };
    let operation = instruct(cx, input.event_id, Some(order), &instruction).await?;
    Ok(Reply::Await { operation, row: Some(registration_id(order, 1)) })
}

pub(super) async fn check_in(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let row = cx.load(&EVENT_REGISTRATIONS, id, "check-in").await?;
    if text_of(&row, "status") == "canceled" {
        return Err(Error::new(Code::InvalidTransition, "the registration was canceled"));
    }
    let instruction = Instruction::CheckIn {
        ticket: ticket(&row)?,
        zone: args.input.get("zone").and_then(Value::as_str).map(str::to_owned),
        by: actor(cx),
        force: args.input.get("force").and_then(Value::as_bool).unwrap_or(false),
    };
    let (event, order) = (id_of(&row, "event_id")?, id_of(&row, "order_id")?);
    let operation = instruct(cx, event, Some(order), &instruction).await?;
    Ok(Reply::Await { operation, row: Some(id) })
}

pub(super) async fn cancel(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let row = cx.load(&EVENT_REGISTRATIONS, id, "cancel").await?;
    if text_of(&row, "status") == "canceled" {
        return Err(Error::new(Code::InvalidTransition, "the registration was canceled before"));
    }
    let (event, order) = (id_of(&row, "event_id")?, id_of(&row, "order_id")?);
    let instruction = Instruction::OrderCancel { order, positions: vec![ticket(&row)?] };
    let operation = instruct(cx, event, Some(order), &instruction).await?;
    Ok(Reply::Await { operation, row: Some(id) })
}

/// Orders are free or invoiced, and no invoice is recorded as paid: there is no payment to give
/// back, whatever the registration.
pub(super) async fn refund(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    cx.load(&EVENT_REGISTRATIONS, id, "refund").await?;
    Err(Error::new(Code::NothingToRefund, "nothing was paid for this registration"))
}

/// `items`, or `ticket_type_id` with `quantity`; one of the two.
fn items(input: &Register, faults: &mut Vec<Fault>) -> Vec<OrderCreateItem> {
    match (&input.items, input.ticket_type_id) {
        (None, Some(ticket_type)) => {
            let quantity = input.quantity.unwrap_or(1);
            vec![OrderCreateItem { ticket_type, quantity, seats: SeatWish::default() }]
        }
        (Some(items), None) => {
            if input.quantity.is_some() {
                let message = "stands within the items";
                faults.push(Fault::new("quantity", Code::InvalidValue, message));
            }
            listed(items, faults)
        }
        (None, None) => {
            let message = "say what to register: ticket_type_id or items";
            faults.push(Fault::new("ticket_type_id", Code::Required, message));
            Vec::new()
        }
        (Some(_), Some(_)) => {
            let message = "give either ticket_type_id or items";
            faults.push(Fault::new("items", Code::InvalidValue, message));
            Vec::new()
        }
    }
}

fn listed(items: &Value, faults: &mut Vec<Fault>) -> Vec<OrderCreateItem> {
    let rows = match items.as_array() {
        Some(rows) if (1..=ITEMS_MAX).contains(&rows.len()) => rows,
        _ => {
            let message = format!("must be a list of 1 to {ITEMS_MAX} items");
            faults.push(Fault::new("items", Code::WrongType, message));
            return Vec::new();
        }
    };
    let mut found = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let path = |field: &str| format!("items[{index}].{field}");
        unknown_fields(row, &["ticket_type_id", "quantity"], &format!("items[{index}]"), faults);
        let ticket_type = row
            .get("ticket_type_id")
            .and_then(Value::as_str)
            .and_then(|text| Uuid::try_parse(text).ok());
        let quantity = row.get("quantity").map_or(Some(1), Value::as_u64);
        let quantity = quantity
            .and_then(|quantity| u32::try_from(quantity).ok())
            .filter(|quantity| (1..=TICKETS_MAX).contains(&i64::from(*quantity)));
        match (ticket_type, quantity) {
            (Some(ticket_type), Some(quantity)) => {
                let seats = SeatWish::default();
                found.push(OrderCreateItem { ticket_type, quantity, seats });
            }
            (None, _) => {
                faults.push(Fault::new(
                    path("ticket_type_id"),
                    Code::InvalidFormat,
                    "must be a UUID",
                ));
            }
            (_, None) => {
                let message = format!("must be a whole number from 1 to {TICKETS_MAX}");
                faults.push(Fault::new(path("quantity"), Code::OutOfRange, message));
            }
        }
    }
    found
}

/// None, or one a ticket.
fn attendees(input: Option<&Value>, tickets: u64, faults: &mut Vec<Fault>) -> Vec<Person> {
    let rows = match input {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(rows)) => rows,
        Some(_) => {
            faults.push(Fault::new("attendees", Code::WrongType, "must be a list"));
            return Vec::new();
        }
    };
    if u64::try_from(rows.len()).ok() != Some(tickets) && !rows.is_empty() {
        let message = format!("give none, or one for each of the {tickets} tickets");
        faults.push(Fault::new("attendees", Code::InvalidValue, message));
    }
    let mut found = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let path = format!("attendees[{index}]");
        unknown_fields(row, &["name", "email"], &path, faults);
        let name = person_text(row, "name", NAME_CHARS_MAX, &path, faults);
        let email = person_text(row, "email", EMAIL_CHARS_MAX, &path, faults);
        if !email.is_empty() && email.find('@').is_none_or(|at| at == 0) {
            let field = format!("{path}.email");
            faults.push(Fault::new(field, Code::InvalidFormat, "must be an e-mail address"));
        }
        found.push(Person { name, email });
    }
    found
}

fn person_text(
    row: &Value,
    field: &str,
    chars_max: usize,
    path: &str,
    faults: &mut Vec<Fault>,
) -> String {
    match row.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text))
            if text.chars().count() <= chars_max && !text.chars().any(char::is_control) =>
        {
            text.trim().to_owned()
        }
        Some(_) => {
            let message = format!("must be a text of at most {chars_max} characters");
            faults.push(Fault::new(format!("{path}.{field}"), Code::WrongType, message));
            String::new()
        }
    }
}

fn unknown_fields(row: &Value, known: &[&str], path: &str, faults: &mut Vec<Fault>) {
    let Some(fields) = row.as_object() else {
        faults.push(Fault::new(path, Code::WrongType, "must be an object"));
        return;
    };
    for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
        let field: String = format!("{path}.{name}").chars().take(100).collect();
        faults.push(Fault::new(field, Code::UnknownField, "there is no such field"));
    }
}

/// Types of another event, of nobody's and out of the caller's reach are the same unknown reference.
/// One without a quota would have no bound: staff are held to stock as the shop is.
async fn check_types(cx: &mut Cx, event: Uuid, items: &[OrderCreateItem]) -> Result<()> {
    let wanted: Vec<Uuid> = items.iter().map(|item| item.ticket_type).collect();
    let reached = cx.reached(&TICKET_TYPES, &wanted, "read").await?;
    let reached: Vec<Uuid> = reached.into_iter().collect();
    let sql = "select t.id, exists (select from quota_ticket_types p \
                      where p.org_id = t.org_id and p.ticket_type_id = t.id \
                        and p.deleted_at is null) \
                 from ticket_types t \
                where t.event_id = $1 and t.id = any($2) and t.deleted_at is null";
    let mut bounded = BTreeMap::new();
    for row in cx.query(sql, &[&event, &reached]).await? {
        bounded.insert(row.try_get::<_, Uuid>(0)?, row.try_get::<_, bool>(1)?);
    }
    for id in wanted {
        let (code, detail) = match bounded.get(&id) {
            Some(true) => continue,
            Some(false) => (Code::NotReady, format!("no quota bounds the ticket type {id}")),
            None => (Code::UnknownReference, format!("the event has no ticket type {id}")),
        };
        return Err(Error::field(code, "ticket_type_id", detail));
    }
    Ok(())
}

fn ticket(row: &Map<String, Value>) -> Result<u64> {
    row.get("ticket_number")
        .and_then(Value::as_u64)
        .ok_or_else(|| Error::internal("the registration has no ticket number"))
}

/// An id as the gate gives it to its own orders, so that it finds the event from it: version 8
/// (RFC 9562, section 5.8) with the event's number in the first four bytes, random after it.
fn order_id(event_number: u32) -> Uuid {
    let mut bytes = *Uuid::new_v4().as_bytes();
    bytes[..4].copy_from_slice(&event_number.to_be_bytes());
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Who lets a person in, as the journal keeps it; what is no person, program or device has no id.
pub(super) fn actor(cx: &Cx) -> Uuid {
    cx.actor.own_id().unwrap_or_default()
}

#[cfg(test)]
mod tests;
