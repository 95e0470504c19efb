//! What operators and their tools ask.

use std::sync::LazyLock;

use serde_json::json;

use super::call::Reply;
use crate::gate::Gate;
use crate::openapi;
use crate::problem::Problem;

/// The process answers.
pub(super) fn health() -> Reply {
    Reply::json(200, &json!({"status": "ok"})).private()
}

/// 503 names what is missing; warnings do not take the node out of rotation.
pub(super) async fn ready(gate: &Gate) -> Reply {
    let missing = gate.missing().await;
    let warnings: Vec<String> = gate
        .without_keys()
        .iter()
        .map(|event| format!("event {event}: its keys cannot be opened"))
        .collect();
    let status = if missing.is_empty() { 200 } else { 503 };
    let body = json!({"ready": missing.is_empty(), "missing": missing, "warnings": warnings});
    Reply::json(status, &body).private()
}

pub(super) fn metrics(gate: &Gate) -> Result<Reply, Problem> {
    gate.observe();
    let text = gate.metrics.render().map_err(|error| Problem::internal(error.to_string()))?;
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(Reply::text(200, media, text).private())
}

pub(super) fn openapi() -> Reply {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());
    Reply::text(200, "application/json", DOCUMENT.clone())
        .with_header("cache-control", "public, max-age=300")
}
