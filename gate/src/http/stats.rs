//! Who was admitted, from memory.

use serde_json::{Value, json};

use super::call::{Call, Reply};
use crate::gate::Gate;
use crate::problem::{Code, Problem};

/// `GET /events/{id}/check-in/stats`; a foreign event is not there.
pub(super) fn stats(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let device = call.device().ok_or_else(|| Problem::internal("figures without a device"))?;
    let id = call.uuid(Code::UnknownEvent)?;
    let unknown = || Problem::new(Code::UnknownEvent, "no such event for this device");
    let event = gate.events.by_id(id).ok_or_else(unknown)?;
    let view = event.view();
    if view.catalogue_cursor == 0 || !device.may_serve(id, view.organization) {
        return Err(unknown());
    }
    let zones: Vec<Value> = view
        .zones
        .iter()
        .map(|z| {
            json!({"zone": z.key, "inside": z.inside, "capacity": z.capacity,
                   "admitted": z.admitted, "denied": z.denied})
        })
        .collect();
    let by_type: Vec<Value> = view
        .types
        .iter()
        .map(|figures| {
            let config = view.config.ticket_types.iter().find(|t| t.id == figures.id);
            json!({"ticket_type": figures.id, "name": config.map(|t| t.name.as_str()),
                   "sold": figures.sold, "admitted": figures.admitted})
        })
        .collect();
    let inside = view.zones.iter().fold(0_u64, |sum, zone| sum.saturating_add(zone.inside));
    let body = json!({
        "event": id,
        "admitted": view.admitted,
        "denied": view.denied,
        "inside": inside,
        "zones": zones,
        "by_type": by_type,
        "as_of": if view.fresh { gate.now().max(view.now) } else { view.now },
    });
    Ok(Reply::json(200, &body).private())
}
