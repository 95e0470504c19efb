//! Evacuation at the gate: a supervisor's device begins and ends it, with or without a store.

use serde_json::json;

use super::body;
use super::call::{Call, Reply};
use super::stats::seen;
use crate::alarm;
use crate::gate::Gate;
use crate::json::Fields;
use crate::problem::{Code, Problem};

/// `POST /events/{id}/check-in/evacuation`; a foreign event is not there.
pub(super) async fn evacuate(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let device = call.device().ok_or_else(|| Problem::internal("an alarm without a device"))?;
    let mut fields = Fields::root(body::json(call)?)?;
    let on = fields.required_flag("on");
    fields.finish()?;
    let (id, _) = seen(gate, call).await?;
    if !device.may_force {
        let words = "only a supervisor's device begins and ends an evacuation";
        return Err(Problem::new(Code::EvacuationNotAllowed, words));
    }
    let event = gate.events.by_id(id);
    let event = event.ok_or_else(|| Problem::new(Code::UnknownEvent, "no such event"))?;
    let durable = alarm::ring(gate, &event, on, device.id).await;
    let body = json!({"event": id, "evacuated": event.evacuated(), "durable": durable});
    Ok(Reply::json(200, &body).private())
}
