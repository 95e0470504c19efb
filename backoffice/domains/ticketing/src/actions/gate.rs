//! Telling the gate: an instruction row that the catalogue shows it, and the operation that ends
//! when the journal says so.

use inventory::command::Instruction;
use kernel::accounts::OPERATION;
use kernel::cx::Cx;
use kernel::error::{Code, Error, Result};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::tables::feeds::GATE_INSTRUCTIONS;

/// Enters an instruction; answers its operation.
pub(super) async fn instruct(
    cx: &mut Cx,
    event: Uuid,
    order: Option<Uuid>,
    instruction: &Instruction,
) -> Result<Uuid> {
    let instruction = serde_json::to_value(instruction)
        .map_err(|cause| Error::internal(format!("an instruction: {cause}")))?;
    let kind = instruction.get("kind").cloned().unwrap_or_default();
    let body = instruction.get("body").cloned().unwrap_or_else(|| json!({}));
    let operation = cx.insert(&OPERATION, object(json!({ "kind": kind }))).await?;
    let row = json!({
        "event_id": event,
        "kind": kind,
        "status": "pending",
        "order_id": order,
        "operation_id": operation,
        "body": body,
    });
    cx.insert(&GATE_INSTRUCTIONS, object(row)).await?;
    Ok(operation)
}

/// The gate knows an event once its sale was opened; before, it cannot be told anything about it.
pub(super) async fn is_known(cx: &Cx, event: Uuid) -> Result<bool> {
    let sql = "select exists (select from event_secrets where event_id = $1)";
    Ok(cx.query_one(sql, &[&event]).await?.try_get(0)?)
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// An id that a row must have.
pub(super) fn id_of(row: &Map<String, Value>, field: &str) -> Result<Uuid> {
    row.get(field)
        .and_then(Value::as_str)
        .and_then(|text| Uuid::try_parse(text).ok())
        .ok_or_else(|| Error::internal(format!("the row has no {field}")))
}

/// A text of a row; empty where it has none.
pub(super) fn text_of<'r>(row: &'r Map<String, Value>, field: &str) -> &'r str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The number of an event that the caller was let through to: a link of the action's input, which
/// dispatch looked for under their rights, or the event whose move they make.
pub(super) async fn event_number(cx: &Cx, event: Uuid) -> Result<u32> {
    let sql = "select number from events where id = $1 and deleted_at is null";
    let row = cx.query_opt(sql, &[&event]).await?.ok_or_else(|| {
        Error::field(Code::UnknownReference, "event_id", "there is no such event")
    })?;
    let number: i64 = row.try_get(0)?;
    u32::try_from(number).map_err(|_| Error::internal("the event's number is out of range"))
}
