//! `GET /shop/events/{id}/seats`: the house and what is taken of it, from memory. A house of fifty
//! thousand seats is drawn once a state of the event, whoever asks; must not ask the event.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use inventory::config::{RowConfig, SeatConfig, SectionConfig};
use inventory::view::{EventView, SeatState, SeatsView};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::call::{Call, Reply};
use super::shop::{on_offer, seen};
use crate::buyer::digest16;
use crate::events::Drawn;
use crate::gate::Gate;
use crate::problem::{Code, Problem};

pub(super) fn seats(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let event = on_offer(gate, call.uuid(Code::UnknownEvent)?)?;
    let view = event.view();
    let Some(house) = &view.seats else {
        return Err(Problem::new(Code::NotFound, "the event has no seat map"));
    };
    let drawn = event.drawn(view.head, || draw(&view, house));
    let reply = if seen(call, &drawn.tag) {
        Reply::empty(304)
    } else {
        let as_of = if view.fresh { gate.now().max(view.now) } else { view.now };
        // What was drawn is an object with its end left open.
        let body = format!("{},\"as_of\":\"{as_of}\"}}", drawn.body);
        Reply::text(200, "application/json", body)
    };
    Ok(reply.with_header("etag", &drawn.tag).with_header("cache-control", "public, no-cache"))
}

fn draw(view: &EventView, house: &SeatsView) -> Drawn {
    let sections: Vec<Value> =
        house.sections.iter().map(|(_, section)| draw_section(view, house, section)).collect();
    let mut body = json!({"event": view.event, "sections": sections}).to_string();
    let tag = format!("W/\"{}\"", HEXLOWER.encode(&digest16(&[body.as_bytes()]).0));
    body.pop();
    Drawn { head: view.head, tag, body }
}

fn draw_section(view: &EventView, house: &SeatsView, section: &Arc<SectionConfig>) -> Value {
    let states: Vec<String> = section.rows.iter().map(|row| states(house, row)).collect();
    let open: usize = states.iter().map(|row| row.matches('f').count()).sum();
    let rows: Vec<Value> = (section.rows.iter().zip(&states))
        .map(|(row, states)| {
            let seats: Vec<Value> = row.seats.iter().map(|seat| draw_seat(view, seat)).collect();
            json!({"label": row.label, "states": states, "seats": seats})
        })
        .collect();
    json!({"key": section.key, "name": section.name, "ticket_types": types(view, &section.types),
           "open": open, "rows": rows})
}

/// One letter a seat, in the order of the row.
fn states(house: &SeatsView, row: &RowConfig) -> String {
    let letter = |seat: &SeatConfig| {
        let at = seat.number.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        match at.and_then(|at| house.states.get(at)) {
            Some(SeatState::Open) => 'f',
            Some(SeatState::Held) => 'h',
            Some(SeatState::Sold) => 's',
            Some(SeatState::Blocked) | None => 'b',
        }
    };
    row.seats.iter().map(letter).collect()
}

/// Only what it has is said: most seats have a number and a label.
fn draw_seat(view: &EventView, seat: &SeatConfig) -> Value {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    put("number", json!(seat.number));
    put("label", json!(seat.label));
    if let Some(x) = seat.x {
        put("x", json!(x));
    }
    if let Some(y) = seat.y {
        put("y", json!(y));
    }
    if !seat.types.is_empty() {
        put("ticket_types", json!(types(view, &seat.types)));
    }
    for (name, set) in
        [("gap", seat.gap), ("obstructed", seat.obstructed), ("wheelchair", seat.wheelchair)]
    {
        if set {
            put(name, json!(true));
        }
    }
    if let Some(place) = seat.companion_of {
        put("companion_of", json!(place));
    }
    Value::Object(map)
}

/// Ids of the ticket types that are on offer, by their numbers.
fn types(view: &EventView, numbers: &[u16]) -> Vec<Uuid> {
    let kinds = view.config.ticket_types.iter().filter(|kind| kind.active);
    kinds.filter(|kind| numbers.contains(&kind.number)).map(|kind| kind.id).collect()
}
