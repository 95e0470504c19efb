//! The conflict report: admissions of one ticket of which the rules allow fewer.

use inventory::command::Conflict;
use inventory::task::{Query, QueryReply};
use serde_json::{Value, json};

use super::call::{Call, Reply};
use super::stats::seen;
use super::verdict::{scan_id, ticket_id};
use crate::gate::Gate;
use crate::problem::{Code, Problem};

/// `GET /events/{id}/check-in/conflicts`; a foreign event is not there.
pub(super) async fn report(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let (id, view) = seen(gate, call).await?;
    let event = gate.events.by_id(id);
    let event = event.ok_or_else(|| Problem::new(Code::UnknownEvent, "no such event"))?;
    match gate.query(&event, Query::Conflicts).await? {
        QueryReply::Conflicts(conflicts) => {
            let conflicts: Vec<Value> = conflicts.iter().map(|c| told(view.number, c)).collect();
            Ok(Reply::json(200, &json!({"event": id, "conflicts": conflicts})).private())
        }
        _ => Err(Problem::internal("a report was answered with something else")),
    }
}

pub(super) fn told(event: u32, conflict: &Conflict) -> Value {
    let both = conflict.scans.iter().zip(&conflict.lanes).zip(&conflict.at);
    let both: Vec<Value> = both
        .map(|((scan, lane), at)| json!({"scan": scan_id(event, *scan), "gate": lane, "at": at}))
        .collect();
    json!({
        "ticket": ticket_id(event, conflict.ticket),
        "zone": conflict.zone,
        "reason": conflict.reason.code(),
        "seconds_apart": conflict.seconds_apart(),
        "scans": both,
    })
}
