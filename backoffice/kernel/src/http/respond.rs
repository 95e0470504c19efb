//! Answers and errors as responses.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::RequestId;
use crate::accounts::browser::BROWSER_SECONDS;
use crate::dispatch::{Answer, Cookie, TAG_DOT};
use crate::error::{Code, Error, Result};
use crate::limits::{Standing, WINDOW_S};
use crate::stream::Download;

/// `__Host-`: set by this origin only, over TLS or on the local machine, for every path.
pub(super) const COOKIE: &str = "__Host-session";

/// Says only that this browser has signed in before; see `accounts::browser`.
pub(super) const BROWSER_COOKIE: &str = "__Host-browser";

pub(crate) fn request_id(request: &Request) -> Uuid {
    request.extensions().get::<RequestId>().map_or(Uuid::nil(), |id| id.0)
}

/// `reads`: to a request that changes nothing.
pub(super) fn outcome(outcome: Result<Answer>, id: Uuid, reads: bool) -> Response {
    match outcome {
        Ok(answer) => good(answer, reads),
        Err(error) => problem(&error, id),
    }
}

fn good(answer: Answer, reads: bool) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let tag = tag(&answer, reads);
    let mut response = match (answer.body, answer.download) {
        (Some(body), _) => with_type(status, body, "application/json"),
        (None, Some(download)) => file(download),
        (None, None) => bare(status),
    };
    let headers = response.headers_mut();
    if answer.tag.is_some() {
        // The caller may keep it and ask whether it is still so.
        put(headers, header::CACHE_CONTROL, Some("private, no-cache".to_owned()));
    }
    put(headers, header::ETAG, tag.map(|tag| format!("\"{tag}\"")));
    put(headers, header::LOCATION, answer.location);
    let cookie = answer.cookie.map(|cookie| match cookie {
        Cookie::Set { token, seconds } => {
            format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax")
        }
        Cookie::Clear => format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"),
    });
    put(headers, header::SET_COOKIE, cookie);
    let browser = answer.browser.map(|value| {
        format!(
            "{BROWSER_COOKIE}={value}; Path=/; Max-Age={BROWSER_SECONDS}; Secure; HttpOnly; SameSite=Lax"
        )
    });
    if let Some(value) = browser.and_then(|value| HeaderValue::from_str(&value).ok()) {
        headers.append(header::SET_COOKIE, value);
    }
    response
}

/// A row's tag is its version. What a reader is shown of it may change while it does not (linked rows,
/// fields asked for, the reader's rights), so to a reader the tag says that, too.
fn tag(answer: &Answer, reads: bool) -> Option<String> {
    let Some(version) = answer.version else { return answer.tag.clone() };
    let shown = answer.body.as_ref().filter(|_| reads).map(Sha256::digest);
    let shown = shown.and_then(|digest| digest.first_chunk::<8>().copied());
    Some(match shown {
        Some(shown) => format!("{version}{TAG_DOT}{:016x}", u64::from_be_bytes(shown)),
        None => version.to_string(),
    })
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

/// The answer to OPTIONS (RFC 9110, 9.3.7): the methods of the path, asked without a secret.
pub(super) fn options(methods: &[&'static str]) -> Response {
    let mut allowed = methods.to_vec();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    let mut response = bare(StatusCode::NO_CONTENT);
    put(response.headers_mut(), header::ALLOW, Some(allowed.join(", ")));
    response
}

/// `If-None-Match` of a request that reads.
pub(super) fn known_tags(request: &Request) -> Option<String> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let tags = request.headers().get(header::IF_NONE_MATCH).filter(|_| reads)?;
    tags.to_str().ok().map(str::to_owned)
}

/// 304 in place of what the caller has already (RFC 9110, 13.1.2; tags are compared weakly).
pub(super) fn unless_known(response: &mut Response, known: Option<&str>) {
    let Some(known) = known.filter(|_| response.status() == StatusCode::OK) else { return };
    let Some(tag) = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()) else {
        return;
    };
    let mut tags = known.split(',').map(|one| one.trim().trim_start_matches("W/"));
    if known.trim() == "*" || tags.any(|one| one == tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
}

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
pub(super) fn standings(headers: &mut HeaderMap, standings: &[Standing]) {
    if standings.is_empty() {
        return;
    }
    let list = |write: &dyn Fn(&Standing) -> String| {
        Some(standings.iter().map(write).collect::<Vec<_>>().join(", "))
    };
    let policies = list(&|one| format!("\"{}\";q={};w={WINDOW_S}", one.policy, one.quota));
    let left = list(&|one| format!("\"{}\";r={};t={}", one.policy, one.remaining, one.reset_s));
    put(headers, HeaderName::from_static("ratelimit-policy"), policies);
    put(headers, HeaderName::from_static("ratelimit"), left);
}

pub(super) fn with_type(status: StatusCode, body: Vec<u8>, media_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A file to keep (RFC 6266); its name is ours and needs no escapes.
fn file(download: Download) -> Response {
    let media_type = HeaderValue::from_static(download.media_type);
    let disposition = format!("attachment; filename=\"{}\"", download.file_name);
    let mut response = Response::new(Body::from_stream(download.into_pieces()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    put(headers, header::CONTENT_DISPOSITION, Some(disposition));
    response
}

pub(super) fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
        headers.insert(name, value);
    }
}
