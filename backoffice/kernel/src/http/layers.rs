//! Layers of the stack, one concern each.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;

use super::{Front, RequestId, RouteName, UPLOAD_WAIT, overloaded, peer, request, respond};
use crate::error::{Code, Error};
use crate::limits::Charges;

/// On every answer that does not say otherwise itself (OWASP secure headers; the pages of `/docs`
/// have a content policy of their own).
const SECURITY_HEADERS: [(&str, &str); 11] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("x-permitted-cross-domain-policies", "none"),
    ("x-dns-prefetch-control", "off"),
    // Answers hold a tenant's data: no cache on the way keeps them.
    ("cache-control", "no-store"),
];

/// Two years, as browsers' preload lists ask; said over TLS only (RFC 6797, 7.2).
const HSTS: &str = "max-age=63072000; includeSubDomains";

pub(super) async fn observe(
    State(front): State<Front>,
    mut request: Request,
    next: Next,
) -> Response {
    let service = &front.service;
    let begun = service.now();
    let id = service.new_id();
    let method = method_name(request.method());
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-request-id", value);
    }
    let route = response.extensions().get::<RouteName>().map_or("page", |name| name.0);
    let status = response.status().as_u16();
    let time = service.now().duration_since(begun);
    service.metrics().request(route, method, status, time.as_secs_f64());
    tracing::info!(request_id = %id, route, method, status, ms = time.as_millis(), "answered");
    response
}

/// One of few words, so that a caller cannot make labels.
fn method_name(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "PUT" => "PUT",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

pub(super) async fn secure(request: Request, next: Next) -> Response {
    let https = peer::of(&request).https;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        let name = HeaderName::from_static(name);
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    response
}

/// Counts a request that needs no credential.
pub(super) async fn charge_address(
    State(front): State<Front>,
    request: Request,
    next: Next,
) -> Response {
    let charges = Charges::default();
    let address = peer::of(&request).address;
    let mut response = match front.service.limits().charge_address(&charges, address) {
        Ok(()) => next.run(request).await,
        Err(refusal) => respond::problem(&refusal, respond::request_id(&request)),
    };
    respond::standings(response.headers_mut(), &charges.take());
    response
}

/// A place for the request, if the caller has not too many already: whoever sends slow bodies holds
/// their own share of the room and nobody else's.
pub(super) async fn shed(State(front): State<Front>, request: Request, next: Next) -> Response {
    let Some(own) = front.callers.enter(peer::of(&request).address) else {
        let most = front.service.settings().http.requests_per_address_max;
        let text = format!("at most {most} requests of one address are worked on at once");
        let refusal = Error::new(Code::TooManyRequests, text).retry_after(1);
        return respond::problem(&refusal, respond::request_id(&request));
    };
    let response = match front.room.try_acquire() {
        Ok(place) => {
            let response = next.run(request).await;
            drop(place);
            response
        }
        Err(_) => {
            front.service.metrics().shed();
            respond::problem(&overloaded(), respond::request_id(&request))
        }
    };
    drop(own);
    response
}

pub(super) async fn time_out(
    State(wait): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let id = respond::request_id(&request);
    let wait = if request::takes_long(&request) { UPLOAD_WAIT } else { wait };
    // Dropping the handler drops its transaction, which rolls back.
    match tokio::time::timeout(wait, next.run(request)).await {
        Ok(response) => response,
        Err(_) => respond::problem(&Error::new(Code::TimedOut, "the request took too long"), id),
    }
}

pub(super) async fn catch_panic(request: Request, next: Next) -> Response {
    let id = respond::request_id(&request);
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            respond::problem(&Error::internal(format!("panic: {text}")), id)
        }
    }
}
