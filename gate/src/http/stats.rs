//! Who was admitted, from memory.

use std::sync::Arc;

use inventory::view::EventView;
use serde_json::{Value, json};
use uuid::Uuid;

use super::auth::unauthorized;
use super::call::{Call, Caller, Reply};
use crate::gate::{Gate, RETRY_AFTER_S};
use crate::problem::{Code, Problem};

/// What staff need in the back office to see who was admitted.
const GRANT: (&str, &str) = ("ticketing.access_log", "read");

/// `GET /events/{id}/check-in/stats`; a foreign event is not there.
pub(super) async fn stats(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let (id, view) = seen(gate, call).await?;
    Ok(figures(gate, id, &view))
}

/// The event of the path, as far as the caller may see who was admitted to it.
pub(super) async fn seen(gate: &Gate, call: &Call) -> Result<(Uuid, Arc<EventView>), Problem> {
    let id = call.uuid(Code::UnknownEvent)?;
    let view = gate.events.by_id(id).map(|event| event.view());
    let view = view.filter(|view| view.catalogue_cursor != 0);
    let organization = view.as_ref().map(|view| view.organization);
    let may = match &call.caller {
        Caller::Device(device) => organization.is_some_and(|org| device.may_serve(id, org)),
        Caller::Staff(token) => staff_may(gate, token, organization).await?,
        _ => return Err(Problem::internal("figures for nobody")),
    };
    let view = view.filter(|_| may);
    let view =
        view.ok_or_else(|| Problem::new(Code::UnknownEvent, "no such event for this caller"));
    Ok((id, view?))
}

async fn staff_may(gate: &Gate, token: &str, organization: Option<Uuid>) -> Result<bool, Problem> {
    let organization = organization.unwrap_or_default();
    let (grant, right) = GRANT;
    let asked = gate.staff.standing(token, organization, grant, right, gate.now()).await;
    let standing = asked.map_err(|cause| {
        let words = "the back office, which knows this token, does not answer";
        Problem::new(Code::BackOfficeUnavailable, words)
            .retry_after_s(RETRY_AFTER_S)
            .with_context(cause.to_string())
    })?;
    if !standing.active {
        return Err(unauthorized(gate, "staff_token"));
    }
    Ok(standing.may)
}

fn figures(gate: &Gate, id: Uuid, view: &EventView) -> Reply {
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
        "fresh": view.fresh,
        "unmerged": view.unmerged,
        "zones": zones,
        "by_type": by_type,
        "as_of": if view.fresh { gate.now().max(view.now) } else { view.now },
    });
    Reply::json(200, &body).private()
}
