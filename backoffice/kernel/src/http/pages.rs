//! What operators and tools ask: alive, usable, figures, the API's description.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::{Front, respond};
use crate::error::{Code, Error};
use crate::startup;

/// Alive: the process answers.
pub(super) async fn health() -> Response {
    json_page(StatusCode::OK, &json!({"status": "alive"}))
}

/// Usable: 503 names what is missing.
pub(super) async fn ready(State(front): State<Front>) -> Response {
    let missing = match startup::missing(&front.service).await {
        Ok(missing) => missing,
        Err(error) => {
            tracing::warn!(error = error.log_text(), "not ready");
            vec![error.detail().to_owned()]
        }
    };
    if missing.is_empty() {
        return json_page(StatusCode::OK, &json!({"status": "ready"}));
    }
    json_page(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "not ready", "missing": missing}))
}

pub(super) async fn metrics(State(front): State<Front>, request: Request) -> Response {
    match front.service.metrics().render(&front.service.pool_figures()) {
        Ok(text) => respond::with_type(
            StatusCode::OK,
            text.into_bytes(),
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        Err(error) => respond::problem(&error, respond::request_id(&request)),
    }
}

pub(super) async fn openapi(State(front): State<Front>) -> Response {
    respond::with_type(StatusCode::OK, front.openapi.as_bytes().to_vec(), "application/json")
}

pub(super) async fn method_not_allowed(request: Request) -> Response {
    let error = Error::new(Code::MethodNotAllowed, "the path does not take this method");
    respond::problem(&error.allow(vec!["GET"]), respond::request_id(&request))
}

fn json_page(status: StatusCode, body: &serde_json::Value) -> Response {
    respond::with_type(status, body.to_string().into_bytes(), "application/json")
}
