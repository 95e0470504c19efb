//! Foreign pages: closed by default; the origins of the settings may call with the user's cookie
//! (Fetch standard, CORS protocol). A wildcard is never answered.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::{Front, request};
use crate::service::Service;

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const REQUEST_HEADERS: &str = "Authorization, Content-Type, If-Match, If-None-Match, \
     Idempotency-Key, X-Organization, X-Requested-With";
const ANSWER_HEADERS: &str = "Content-Disposition, ETag, Location, RateLimit, RateLimit-Policy, \
     Retry-After, X-Request-Id";
/// Seconds that a browser may keep the answer to a preflight; browsers cut longer times.
const PREFLIGHT_S: &str = "7200";

pub(super) async fn allow(State(front): State<Front>, request: Request, next: Next) -> Response {
    let origin =
        listed(&front.service, request.headers()).and_then(|o| HeaderValue::from_str(o).ok());
    let preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.run(request).await;
    if front.service.settings().http.cors_origins.is_empty() {
        return response;
    }
    let headers = response.headers_mut();
    // Caches must not give one origin's answer to another.
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return response };
    let mut put = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    put(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    put(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
    if preflight {
        put(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        put(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        put(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_S);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response
}

/// The origin that the request names, when the settings list it.
pub(super) fn listed<'a>(service: &Service, headers: &'a HeaderMap) -> Option<&'a str> {
    let origin = request::text(headers, "origin")?;
    service.settings().http.cors_origins.iter().any(|one| one == origin).then_some(origin)
}
