//! Answers and errors as responses.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use uuid::Uuid;

use super::RequestId;
use crate::dispatch::{Answer, Cookie};
use crate::error::{Code, Error, Result};

/// `__Host-`: set by this origin only, over TLS or on the local machine, for every path.
pub(super) const COOKIE: &str = "__Host-session";

pub(crate) fn request_id(request: &Request) -> Uuid {
    request.extensions().get::<RequestId>().map_or(Uuid::nil(), |id| id.0)
}

pub(super) fn outcome(outcome: Result<Answer>, id: Uuid) -> Response {
    match outcome {
        Ok(answer) => good(answer),
        Err(error) => problem(&error, id),
    }
}

fn good(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = match answer.body {
        Some(body) => with_type(status, body, "application/json"),
        None => bare(status),
    };
    let headers = response.headers_mut();
    put(headers, header::ETAG, answer.version.map(|version| format!("\"{version}\"")));
    put(headers, header::LOCATION, answer.location);
    let cookie = answer.cookie.map(|cookie| match cookie {
        Cookie::Set { token, seconds } => {
            format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax")
        }
        Cookie::Clear => format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"),
    });
    put(headers, header::SET_COOKIE, cookie);
    response
}

/// RFC 9457; logged here, once: this is where an error is handled.
pub(crate) fn problem(error: &Error, id: Uuid) -> Response {
    let code = error.code();
    if code.status() >= 500 {
        tracing::error!(request_id = %id, error = error.log_text(), "a request failed");
    } else {
        tracing::debug!(request_id = %id, error = error.log_text(), "a request was refused");
    }
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = error.problem(id).to_string().into_bytes();
    let mut response = with_type(status, body, "application/problem+json");
    let headers = response.headers_mut();
    put(headers, header::RETRY_AFTER, error.retry_after_s().map(|seconds| seconds.to_string()));
    if !error.allowed().is_empty() {
        put(headers, header::ALLOW, Some(error.allowed().join(", ")));
    }
    if code.status() == Code::Unauthenticated.status() {
        put(headers, header::WWW_AUTHENTICATE, Some("Bearer".to_owned()));
    }
    response
}

pub(super) fn with_type(status: StatusCode, body: Vec<u8>, media_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

pub(super) fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: Option<String>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
        headers.insert(name, value);
    }
}
