//! Orders: from a hold to signed tickets, and what their owner may do with them.

use std::sync::Arc;

use inventory::command::{
    Command, OrderRequest, OrderStatus, OrderView, PaymentMethod, Reply as Answered, TicketStatus,
    TicketView,
};
use inventory::personal::{self, Person, Personal};
use inventory::task::{Query, QueryReply};
use inventory::view::EventView;
use serde_json::{Value, json};
use uuid::Uuid;

use super::body;
use super::call::{Call, Caller, Reply};
use super::shop::NAME_CHARS_MAX;
use super::shop::{Subject, counted, email, event_of, idempotency, lines, seat};
use super::verdict::{parse_ticket_id, ticket_id};
use crate::events::{Event, EventKeys};
use crate::gate::{Gate, RETRY_AFTER_S};
use crate::json::{Fields, parse};
use crate::problem::{Code, Problem};
use crate::{buyer, issue, money, secret};

/// Attendees of one order.
const ATTENDEES_MAX: usize = 1_000;
/// Tickets named in one cancellation.
const POSITIONS_MAX: usize = 1_000;
/// Longest id of a ticket, in characters.
const TICKET_ID_CHARS_MAX: usize = 31;

/// `POST /shop/orders`.
pub(super) async fn create(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let sent = body::json(call)?;
    let (hold, payment, personal) = read(sent.clone())?;
    let event = event_of(gate, hold, Code::UnknownHold)?;
    let view = event.view();
    // Nothing is sold that could not be signed.
    let keys = signing_keys(gate, &event)?;
    let key = idempotency(call, event.id, "", &sent)?;
    let internal = |error: issue::IssueError| Problem::internal(error.to_string());
    let id = issue::fresh_id(view.number).map_err(internal)?;
    let text = issue::order_secret(&keys.secret, id).map_err(internal)?;
    let sealed = personal::seal(&personal, event.id, id)
        .map_err(|error| Problem::internal(error.to_string()))?;
    let address = personal.buyer.email.as_str();
    let command = Command::Order(OrderRequest {
        id,
        hold,
        payment,
        buyer: (!address.is_empty()).then(|| buyer::digest(address)),
        secret_hash: secret::hash(text.as_bytes()),
        personal: sealed,
        attendees: u32::try_from(personal.attendees.len()).unwrap_or(u32::MAX),
        key,
    });
    match counted(gate, &event, command, Subject::Order).await? {
        Answered::Ordered(order) => {
            if !order.replayed {
                gate.people.remember(order.id, Arc::new(personal), gate.now());
            }
            let waits = order.status == OrderStatus::AwaitingPayment;
            gate.metrics.order(if waits { "placed" } else { "confirmed" });
            // A repeated request is answered from the journal: the order is the first one.
            let text = issue::order_secret(&keys.secret, order.id).map_err(internal)?;
            let mut body = render(gate, &event, &keys, &order).await?;
            if let Some(map) = body.as_object_mut() {
                map.insert("secret".to_owned(), Value::from(text));
            }
            let location = format!("/api/v1/shop/orders/{}", order.id);
            Ok(Reply::json(201, &body)
                .private()
                .with_header("location", &location)
                .replayed(order.replayed))
        }
        _ => Err(Problem::internal("an order was answered with something else")),
    }
}

/// The hold, how it is paid, and for whom.
fn read(sent: Value) -> Result<(Uuid, PaymentMethod, Personal), Problem> {
    let mut fields = Fields::root(sent)?;
    let hold = fields.uuid("hold");
    let payment = fields.object("payment", |payment| {
        payment.required_choice("method", &["free", "invoice", "card"])
    });
    if payment.is_none() {
        fields.error("payment", "required", "is required".to_owned());
    }
    let buyer = fields.object("buyer", person);
    let attendees = fields.objects("attendees", (0, ATTENDEES_MAX), person);
    fields.finish()?;
    let payment = match payment {
        Some("card") => PaymentMethod::Card,
        Some("invoice") => PaymentMethod::Invoice,
        _ => PaymentMethod::Free,
    };
    // Who names only attendees is taken to be the first of them.
    let buyer = buyer.or_else(|| attendees.first().cloned()).unwrap_or_default();
    Ok((hold, payment, Personal { buyer, attendees }))
}

fn person(fields: &mut Fields) -> Person {
    let name = fields.optional_text("name", NAME_CHARS_MAX).unwrap_or_default();
    Person { name, email: email(fields).unwrap_or_default() }
}

/// `GET /shop/orders/{id}`.
pub(super) async fn get(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let (event, order) = owned(gate, call).await?;
    let keys = signing_keys(gate, &event)?;
    Ok(Reply::json(200, &render(gate, &event, &keys, &order).await?).private())
}

/// `POST /shop/orders/{id}/cancel`: whole without positions.
pub(super) async fn cancel(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let (event, order) = owned(gate, call).await?;
    let view = event.view();
    let sent = if call.body.is_empty() { json!({}) } else { parse(&call.body)? };
    let mut fields = Fields::root(sent.clone())?;
    let named = fields.texts("positions", POSITIONS_MAX, TICKET_ID_CHARS_MAX);
    fields.finish()?;
    let mut positions = Vec::with_capacity(named.len());
    for (index, text) in named.iter().enumerate() {
        let ours = parse_ticket_id(text).filter(|(number, _)| *number == view.number);
        let (_, ticket) = ours.ok_or_else(|| {
            let field = format!("positions[{index}]");
            Problem::field(Code::UnknownTicket, &field, "unknown", "is no ticket of this order")
        })?;
        positions.push(ticket);
    }
    let key = idempotency(call, event.id, &order.id.to_string(), &sent)?;
    // Nothing is canceled whose answer could not be signed.
    let keys = signing_keys(gate, &event)?;
    let command = Command::Cancel { order: order.id, positions, key };
    match counted(gate, &event, command, Subject::Order).await? {
        Answered::Canceled(order) => {
            gate.metrics.order("canceled");
            let body = render(gate, &event, &keys, &order).await?;
            Ok(Reply::json(200, &body).private().replayed(order.replayed))
        }
        _ => Err(Problem::internal("a cancellation was answered with something else")),
    }
}

/// The order in the path, when its secret was shown. Unknown and wrong look the same.
async fn owned(gate: &Gate, call: &Call) -> Result<(Arc<Event>, OrderView), Problem> {
    let id = call.uuid(Code::NotFound)?;
    let named = body::Query::of(call)?.uuid("event")?;
    let event = match named {
        Some(event) => gate.events.by_id(event).ok_or_else(hidden)?,
        None => event_of(gate, id, Code::NotFound)?,
    };
    let order = owned_order(gate, call, &event, id).await?;
    Ok((event, order))
}

pub(super) async fn owned_order(
    gate: &Gate,
    call: &Call,
    event: &Event,
    id: Uuid,
) -> Result<OrderView, Problem> {
    let Caller::Order(presented) = &call.caller else { return Err(hidden()) };
    let QueryReply::Order(order) = gate.query(event, Query::Order(id)).await? else {
        return Err(refused(gate));
    };
    if !secret::same(&secret::hash(presented.as_bytes()), &order.secret_hash) {
        return Err(refused(gate));
    }
    Ok(order)
}

pub(super) fn hidden() -> Problem {
    Problem::new(Code::NotFound, "not found, or the order's secret is wrong")
}

fn refused(gate: &Gate) -> Problem {
    gate.attempts.refused(&gate.metrics, gate.now(), "order_secret", None);
    hidden()
}

/// The event's keys, when one of them signs now.
pub(super) fn signing_keys(gate: &Gate, event: &Event) -> Result<Arc<EventKeys>, Problem> {
    let keys = event.keys().filter(|keys| keys.signing(issue::unix_s(gate.now())).is_some());
    keys.ok_or_else(|| {
        Problem::new(Code::KeysUnavailable, "no key of the event signs now")
            .retry_after_s(RETRY_AFTER_S)
            .with_context(format!("event {}", event.id))
    })
}

async fn render(
    gate: &Gate,
    event: &Event,
    keys: &EventKeys,
    order: &OrderView,
) -> Result<Value, Problem> {
    let view = event.view();
    let personal = gate.people.of_order(event.id, order.id, &order.personal, gate.now()).await;
    let mut tickets = Vec::with_capacity(order.tickets.len());
    for ticket in &order.tickets {
        tickets.push(render_ticket(gate, &view, keys, ticket, personal.as_deref())?);
    }
    Ok(json!({
        "id": order.id,
        "event": event.id,
        "code": order.code,
        "status": match order.status {
            OrderStatus::Confirmed => "confirmed",
            OrderStatus::Canceled => "canceled",
            OrderStatus::AwaitingPayment => "awaiting_payment",
            OrderStatus::Expired => "expired",
            OrderStatus::RefundDue => "refund_due",
        },
        "payment": payment(&view, order),
        "refunded": money::render(order.refunded, view.config.exponent, &view.config.currency),
        "lines": lines(&view.config, &order.lines),
        "total": money::render(order.total, view.config.exponent, &view.config.currency),
        "tickets": tickets,
    }))
}

/// Where and until when an order is paid; null when it does not wait for that.
fn payment(view: &EventView, order: &OrderView) -> Value {
    let (Some(until), Some(template)) = (order.until, &view.config.sale.payment_url) else {
        return Value::Null;
    };
    let url = template.replace("{event}", &view.event.to_string());
    json!({"url": url.replace("{order}", &order.id.to_string()), "until": until})
}

/// A canceled ticket has no credential; erased people are null.
pub(super) fn render_ticket(
    gate: &Gate,
    view: &EventView,
    keys: &EventKeys,
    ticket: &TicketView,
    personal: Option<&Personal>,
) -> Result<Value, Problem> {
    let attendee = usize::try_from(ticket.position)
        .ok()
        .and_then(|at| personal.and_then(|personal| personal.attendees.get(at)))
        .map(|person| json!({"name": person.name, "email": person.email}));
    let credential = match ticket.status {
        TicketStatus::Canceled => None,
        _ => Some(sign(gate, keys, ticket)?.text()),
    };
    Ok(json!({
        "id": ticket_id(view.number, ticket.number),
        "ticket_type": ticket.ticket_type,
        "status": match ticket.status {
            TicketStatus::Valid => "valid",
            TicketStatus::Blocked => "blocked",
            TicketStatus::Canceled => "canceled",
        },
        "refund": money::render(ticket.refund, view.config.exponent, &view.config.currency),
        "rotating": ticket.rotating,
        "credential": credential,
        "attendee": attendee,
        "seat": ticket.seat.as_deref().map(seat),
    }))
}

pub(super) fn sign(
    gate: &Gate,
    keys: &EventKeys,
    ticket: &TicketView,
) -> Result<keys::Credential, Problem> {
    issue::credential(keys, ticket, gate.now())
        .map_err(|error| Problem::internal(error.to_string()))
}
