//! What operators and tools ask: alive, usable, figures, the API's description.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use super::{Front, request, respond};
use crate::error::{Code, Error};
use crate::reference;

/// Alive: the process answers.
pub(super) async fn health() -> Response {
    json_page(StatusCode::OK, &json!({"status": "alive"}))
}

/// Usable: 503 names what is missing.
pub(super) async fn ready(State(front): State<Front>) -> Response {
    readiness(&front.service.database_faults().await)
}

/// The same for operators, who hear of this process's loops too.
pub(super) async fn ready_to_work(State(front): State<Front>) -> Response {
    readiness(&front.service.faults().await)
}

fn readiness(missing: &[String]) -> Response {
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

pub(super) async fn openapi(State(front): State<Front>, request: Request) -> Response {
    let reference = &front.reference;
    let body = reference.json().to_vec();
    let response = respond::with_type(StatusCode::OK, body, "application/json");
    kept(response, reference.tag(), &request)
}

/// `GET /docs`, with `?q=` a search.
pub(super) async fn docs(State(front): State<Front>, request: Request) -> Response {
    let reference = &front.reference;
    let query = match request::query(request.uri()) {
        Ok(query) => query,
        Err(error) => return respond::problem(&error, respond::request_id(&request)),
    };
    match query.iter().find(|(name, _)| name == "q").map(|(_, text)| text.trim()) {
        None | Some("") => kept(html(reference.index().to_vec()), reference.tag(), &request),
        Some(text) => html(reference.found(text)),
    }
}

/// `GET /docs/{resource}`.
pub(super) async fn docs_of(State(front): State<Front>, request: Request) -> Response {
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    match front.reference.resource(name) {
        Some(page) => kept(html(page), front.reference.tag(), &request),
        None => respond::problem(&Error::not_found("page"), respond::request_id(&request)),
    }
}

fn html(body: Vec<u8>) -> Response {
    let mut response = respond::with_type(StatusCode::OK, body, "text/html; charset=utf-8");
    if let Ok(policy) = HeaderValue::from_str(&reference::content_security_policy()) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The same for everybody until the next release: kept by who has it, asked for again by its tag.
fn kept(mut response: Response, tag: &str, request: &Request) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        headers.insert(header::ETAG, tag);
    }
    respond::unless_known(&mut response, respond::known_tags(request).as_deref());
    response
}

pub(super) async fn not_found(request: Request) -> Response {
    respond::problem(&Error::not_found("path"), respond::request_id(&request))
}

pub(super) async fn method_not_allowed(request: Request) -> Response {
    let error = Error::new(Code::MethodNotAllowed, "the path does not take this method");
    respond::problem(&error.allow(vec!["GET"]), respond::request_id(&request))
}

fn json_page(status: StatusCode, body: &serde_json::Value) -> Response {
    respond::with_type(status, body.to_string().into_bytes(), "application/json")
}
