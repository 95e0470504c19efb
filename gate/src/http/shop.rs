//! The shop up to the order: what is on sale, and holds.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use inventory::command::{
    Command, Digest16, HoldItem, HoldRequest, HoldView, IdempotencyKey, LineView,
    Reply as Answered, SeatPlace, SeatWish,
};
use inventory::config::{EventConfig, EventStatus, SEAT_NUMBER_MAX, TicketTypeConfig};
use inventory::promo::{self, CODE_CHARS_MAX};
use inventory::time::Millis;
use inventory::view::EventView;
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{Call, Reply};
use super::{body, header, queue};
use crate::buyer::{self, digest16};
use crate::events::Event;
use crate::gate::{Gate, unanswered};
use crate::json::Fields;
use crate::problem::{Code, Problem};
use crate::room::TOKEN_CHARS;
use crate::{issue, money};

/// Different items in one hold.
const ITEMS_MAX: usize = 50;
/// Seats named in one item.
const SEATS_MAX: usize = 1_000;
/// Longest key of a section, in characters.
const SECTION_CHARS_MAX: usize = 100;
/// Tickets of one item.
const QUANTITY_MAX: u32 = 1_000;
/// Longest name of a person, in characters.
pub(super) const NAME_CHARS_MAX: usize = 200;
/// Longest e-mail address, in characters (RFC 5321, 4.5.3.1.3, without the brackets).
const EMAIL_CHARS_MAX: usize = 254;
/// Length of an `Idempotency-Key`, in characters.
const KEY_CHARS: std::ops::RangeInclusive<usize> = 16..=128;

/// `GET /shop/events/{id}`, from memory.
pub(super) fn event(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let id = call.uuid(Code::UnknownEvent)?;
    let view = on_offer(gate, id)?.view();
    let as_of = if view.fresh { gate.now().max(view.now) } else { view.now };
    let mut body = render_event(&view, as_of);
    // The tag stands for what is shown, not for when it was looked at.
    let tag = format!("W/\"{}\"", HEXLOWER.encode(&digest16(&[body.to_string().as_bytes()]).0));
    let reply = if seen(call, &tag) {
        Reply::empty(304)
    } else {
        if let Some(map) = body.as_object_mut() {
            map.insert("as_of".to_owned(), json!(as_of));
        }
        Reply::json(200, &body)
    };
    // Availability is older than a quarter of a second nowhere, so caches have to ask.
    Ok(reply.with_header("etag", &tag).with_header("cache-control", "public, no-cache"))
}

/// Whether the caller has what `tag` stands for (RFC 9110, 13.1.2: compared weakly, `*` is any).
pub(super) fn seen(call: &Call, tag: &str) -> bool {
    let opaque = |one: &str| one.trim().trim_start_matches("W/").to_owned();
    let sent = call.headers.get_all("if-none-match").iter().filter_map(|value| value.to_str().ok());
    sent.flat_map(|text| text.split(',')).any(|one| one.trim() == "*" || opaque(one) == opaque(tag))
}

fn render_event(view: &EventView, now: Millis) -> Value {
    let config = &view.config;
    let types: Vec<Value> = config
        .ticket_types
        .iter()
        .filter(|t| t.active && !t.hidden)
        .map(|t| render_type(view, t, now))
        .collect();
    json!({
        "id": config.event,
        "name": config.name,
        "currency": config.currency,
        "time_zone": config.time_zone,
        "ticket_types": types,
    })
}

pub(super) fn render_type(view: &EventView, kind: &TicketTypeConfig, now: Millis) -> Value {
    let config = &view.config;
    let figures = view.types.iter().find(|figures| figures.id == kind.id);
    json!({
        "id": kind.id,
        "name": kind.name,
        "price": money::render(kind.price, config.exponent, &config.currency),
        "fee": money::render(kind.fee, config.exponent, &config.currency),
        "tax_added": kind.tax_added,
        "available": figures.map_or(Some(0), |figures| figures.available),
        "min_per_order": kind.min_per_order,
        "max_per_order": kind.max_per_order,
        "max_per_customer": kind.max_per_customer,
        "sale": sale(config, kind, now),
    })
}

fn sale(config: &EventConfig, kind: &TicketTypeConfig, now: Millis) -> &'static str {
    if config.status != EventStatus::OnSale || !kind.active {
        return "closed";
    }
    if kind.sale_from.is_some_and(|from| now < from) {
        return "upcoming";
    }
    if kind.sale_until.is_some_and(|until| until <= now) {
        return "ended";
    }
    "open"
}

/// `POST /shop/holds`.
pub(super) async fn create_hold(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let sent = body::json(call)?;
    let mut fields = Fields::root(sent.clone())?;
    let id = fields.uuid("event");
    let items = items(&mut fields, 1);
    let buyer = buyer_of(&mut fields);
    let promo = fields.optional_text("promo_code", CODE_CHARS_MAX);
    let pass = fields.optional_text("queue_pass", TOKEN_CHARS);
    fields.finish()?;
    let event = on_offer(gate, id)?;
    let view = event.view();
    let key = idempotency(call, id, "", &sent)?;
    let fresh = issue::fresh_id(view.number).map_err(|e| Problem::internal(e.to_string()))?;
    let (promo, pass) = (code_of(id, promo), queue::shown(&event, &view, pass.as_deref(), buyer)?);
    let command = Command::Hold(HoldRequest { id: fresh, items, buyer, promo, pass, key });
    match counted(gate, &event, command, Subject::Hold).await? {
        Answered::Held(hold) => {
            gate.metrics.hold("created");
            let body = render_hold(&view, &hold);
            Ok(Reply::json(201, &body).private().replayed(hold.replayed))
        }
        _ => Err(Problem::internal("a hold was answered with something else")),
    }
}

/// How many, and which seats where that matters: named ones, or the best of a section or anywhere.
fn wish(item: &mut Fields) -> (u32, SeatWish) {
    let named = item.u32s("seats", SEATS_MAX, SEAT_NUMBER_MAX);
    let section = item.optional_text("section", SECTION_CHARS_MAX);
    let wheelchair = item.optional_u32("wheelchair", QUANTITY_MAX).unwrap_or(0);
    if named.is_empty() {
        let quantity = item.u32("quantity", 1, QUANTITY_MAX);
        if quantity < wheelchair {
            item.error("wheelchair", "range", "must not be more than quantity".to_owned());
        }
        return (quantity, SeatWish::Best { section, wheelchair });
    }
    let count = u32::try_from(named.len()).unwrap_or(u32::MAX);
    let quantity = item.optional_u32("quantity", QUANTITY_MAX).unwrap_or(count);
    if quantity != count {
        item.error("quantity", "range", "must be the number of seats, or absent".to_owned());
    }
    if section.is_some() || wheelchair != 0 {
        item.error("seats", "range", "are named: leave out section and wheelchair".to_owned());
    }
    (count, SeatWish::Named(named))
}

/// What is asked for.
pub(super) fn items(fields: &mut Fields, min: usize) -> Vec<HoldItem> {
    fields.objects("items", (min, ITEMS_MAX), |item| {
        let ticket_type = item.uuid("ticket_type");
        let (quantity, seats) = wish(item);
        HoldItem { ticket_type, quantity, seats }
    })
}

/// Who asks, as limits per customer know them.
pub(super) fn buyer_of(fields: &mut Fields) -> Option<Digest16> {
    let email = fields.object("buyer", |buyer| {
        buyer.optional_text("name", NAME_CHARS_MAX);
        email(buyer)
    });
    email.flatten().map(|email| buyer::digest(&email))
}

/// `POST /shop/holds/{id}/renew`.
pub(super) async fn renew_hold(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let (event, hold) = held(gate, call)?;
    let key = idempotency(call, event.id, &hold.to_string(), &Value::Null)?;
    match counted(gate, &event, Command::Renew { hold, key }, Subject::Hold).await? {
        Answered::Renewed { hold, expires_at, replayed } => {
            gate.metrics.hold("renewed");
            let body = json!({"id": hold, "expires_at": expires_at});
            Ok(Reply::json(200, &body).private().replayed(replayed))
        }
        _ => Err(Problem::internal("a renewal was answered with something else")),
    }
}

/// `DELETE /shop/holds/{id}`.
pub(super) async fn release_hold(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let (event, hold) = held(gate, call)?;
    match counted(gate, &event, Command::Release { hold }, Subject::Hold).await? {
        Answered::Released => {
            gate.metrics.hold("released");
            Ok(Reply::empty(204))
        }
        _ => Err(Problem::internal("a release was answered with something else")),
    }
}

/// The code as the event knows it; an empty one is none.
pub(super) fn code_of(event: Uuid, text: Option<String>) -> Option<Digest16> {
    let text = text.filter(|text| !text.trim().is_empty())?;
    Some(promo::digest(event, &text))
}

fn render_hold(view: &EventView, hold: &HoldView) -> Value {
    json!({
        "id": hold.id,
        "event": view.event,
        "expires_at": hold.expires_at,
        "lines": lines(&view.config, &hold.lines),
        "promo_code": hold.promo,
        "total": money::render(hold.total, view.config.exponent, &view.config.currency),
        "seats": hold.seats.iter().map(|held| {
            json!({"ticket_type": held.ticket_type, "seat": seat(&held.seat)})
        }).collect::<Vec<_>>(),
    })
}

/// A seat as people know it.
pub(super) fn seat(place: &SeatPlace) -> Value {
    json!({"number": place.number, "section": place.section, "row": place.row,
           "label": place.label, "obstructed": place.obstructed, "wheelchair": place.wheelchair})
}

pub(super) fn lines(config: &EventConfig, lines: &[LineView]) -> Vec<Value> {
    let money = |minor| money::render(minor, config.exponent, &config.currency);
    lines
        .iter()
        .map(|line| {
            json!({"ticket_type": line.ticket_type, "quantity": line.quantity,
                   "price": money(line.price), "discount": money(line.discount),
                   "fee": money(line.fee), "tax": money(line.tax), "tax_added": line.tax_added})
        })
        .collect()
}

/// What outcomes are counted for.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    Hold,
    Order,
}

/// The event's answer; refusals and silence become problems and are counted.
pub(super) async fn counted(
    gate: &Gate,
    event: &Event,
    command: Command,
    subject: Subject,
) -> Result<Answered, Problem> {
    let problem = match gate.ask(event, command).await {
        Ok(answer) => match answer.reply {
            Answered::Refused(refusal) => Problem::from(refusal),
            reply => return Ok(reply),
        },
        Err(error) => unanswered(error),
    };
    match subject {
        Subject::Hold => gate.metrics.hold(problem.code.wire()),
        Subject::Order => gate.metrics.order(problem.code.wire()),
    }
    Err(problem)
}

/// The event of the hold in the path.
fn held(gate: &Gate, call: &Call) -> Result<(Arc<Event>, Uuid), Problem> {
    let hold = call.uuid(Code::UnknownHold)?;
    Ok((event_of(gate, hold, Code::UnknownHold)?, hold))
}

/// The event that an id of this shop names.
pub(super) fn event_of(gate: &Gate, id: Uuid, unknown: Code) -> Result<Arc<Event>, Problem> {
    issue::event_of(id)
        .and_then(|number| gate.events.by_number(number))
        .ok_or_else(|| Problem::new(unknown, unknown.title()))
}

/// An event that the public may see: configured and not a draft.
pub(super) fn on_offer(gate: &Gate, id: Uuid) -> Result<Arc<Event>, Problem> {
    gate.events
        .by_id(id)
        .filter(|event| {
            let view = event.view();
            view.catalogue_cursor > 0 && view.config.status != EventStatus::Draft
        })
        .ok_or_else(|| Problem::new(Code::UnknownEvent, "no such event on sale here"))
}

/// An e-mail address that can be one.
pub(super) fn email(fields: &mut Fields) -> Option<String> {
    let email = fields.optional_text("email", EMAIL_CHARS_MAX).filter(|email| !email.is_empty())?;
    let parts = email.rsplit_once('@');
    if parts.is_none_or(|(local, domain)| local.is_empty() || domain.is_empty())
        || email.contains(char::is_whitespace)
    {
        fields.error("email", "format", "must be an e-mail address".to_owned());
    }
    Some(email)
}

/// The request's `Idempotency-Key` with its scope (event, route, caller) and the body's digest,
/// which does not depend on white space or the order of fields.
pub(super) fn idempotency(
    call: &Call,
    event: Uuid,
    caller: &str,
    body: &Value,
) -> Result<Option<IdempotencyKey>, Problem> {
    if !call.headers.contains_key("idempotency-key") {
        return Ok(None);
    }
    let valid =
        |key: &&str| KEY_CHARS.contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    let key = header(&call.headers, "idempotency-key").filter(valid).ok_or_else(|| {
        Problem::field(
            Code::InvalidHeader,
            "Idempotency-Key",
            "format",
            "must be 16 to 128 visible ASCII characters",
        )
    })?;
    let (event, route) = (event.as_bytes(), call.route.path.as_bytes());
    let scope = [event, route, caller.as_bytes(), key.as_bytes()].join(&0);
    Ok(Some(IdempotencyKey {
        scope: digest16(&[b"ATLVS-KEY-v1\0", &scope]),
        body: digest16(&[body.to_string().as_bytes()]),
    }))
}
