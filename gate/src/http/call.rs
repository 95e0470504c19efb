//! A request as operations see it, and what they answer.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::RawPathParams;
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::server::Peer;
use crate::devices::Device;
use crate::limits::{Allowance, WINDOW_S};
use crate::problem::{Code, Problem};
use crate::routes::Route;

/// Addresses of `X-Forwarded-For` that are looked at.
const FORWARDED_MAX: usize = 16;

pub(super) struct Call {
    pub(super) route: &'static Route,
    pub(super) request_id: Uuid,
    pub(super) caller: Caller,
    /// The client's address, behind proxies that are trusted.
    pub(super) address: IpAddr,
    pub(super) headers: HeaderMap,
    pub(super) query: String,
    pub(super) body: Bytes,
    id: Option<String>,
}

/// Who asks, as far as the door knows.
pub(super) enum Caller {
    Anyone,
    Device(Arc<Device>),
    /// Shows a token that may be a person's or program's; the operation asks the back office.
    Staff(String),
    /// Shows an order's secret; the operation compares it.
    Order(String),
    BackOffice,
}

impl Call {
    pub(super) fn new(
        route: &'static Route,
        request_id: Uuid,
        head: &Parts,
        trusted: &[IpAddr],
    ) -> Self {
        let peer = head.extensions.get::<Peer>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        Self {
            route,
            request_id,
            caller: Caller::Anyone,
            address: client_address(peer, &head.headers, trusted),
            headers: head.headers.clone(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            body: Bytes::new(),
            id: None,
        }
    }

    pub(super) fn set_params(&mut self, params: &RawPathParams) {
        self.id = params.iter().find(|(name, _)| *name == "id").map(|(_, v)| v.to_owned());
    }

    /// The path's id as it was sent.
    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// The path's id where it is a UUID; anything else is an id that does not exist.
    pub(super) fn uuid(&self, unknown: Code) -> Result<Uuid, Problem> {
        Uuid::try_parse(self.id()).map_err(|_| {
            Problem::new(unknown, format!("{} (the id is not a UUID)", unknown.title()))
        })
    }

    pub(super) fn device(&self) -> Option<&Arc<Device>> {
        match &self.caller {
            Caller::Device(device) => Some(device),
            _ => None,
        }
    }
}

/// The nearest address that is not a trusted proxy's; only such proxies are believed.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    forwarded
        .into_iter()
        .flat_map(|text| text.rsplit(',').take(FORWARDED_MAX))
        .map_while(|part| part.trim().parse::<IpAddr>().ok())
        .find(|address| !trusted.contains(address))
        .unwrap_or(peer)
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) code: Option<Code>,
    /// For the log only.
    pub(super) context: Option<Box<str>>,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    pub(super) fn text(status: u16, media: &'static str, body: String) -> Self {
        Self::bytes(status, media, body.into_bytes())
    }

    pub(super) fn bytes(status: u16, media: &'static str, body: Vec<u8>) -> Self {
        let mut reply = Self::empty(status);
        reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        reply.body = Bytes::from(body);
        reply
    }

    pub(super) fn empty(status: u16) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { status, code: None, context: None, headers, body }
    }

    /// The problem as its document (RFC 9457).
    pub(super) fn problem(problem: Problem, request_id: Uuid) -> Self {
        let body = problem.body(request_id).to_string();
        let mut reply = Self::text(problem.code.status(), "application/problem+json", body)
            .with_header("cache-control", "no-store");
        if let Some(seconds) = problem.retry_after_s {
            reply = reply.with_header("retry-after", &seconds.to_string());
        }
        if problem.code == Code::Unauthorized {
            reply = reply.with_header("www-authenticate", "Bearer");
        }
        reply.code = Some(problem.code);
        reply.context = problem.context;
        reply
    }

    /// A value that is not a header's is left out.
    pub(super) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// What only its asker may see.
    pub(super) fn private(self) -> Self {
        self.with_header("cache-control", "no-store")
    }

    /// An answer that was given before, rendered again.
    pub(super) fn replayed(self, replayed: bool) -> Self {
        if replayed { self.with_header("idempotent-replayed", "true") } else { self }
    }

    pub(super) fn with_request_id(self, id: Uuid) -> Self {
        self.with_header("x-request-id", &id.to_string())
    }

    /// `RateLimit` headers (draft-ietf-httpapi-ratelimit-headers).
    pub(super) fn with_allowance(self, allowance: &Allowance) -> Self {
        let Allowance { policy, quota, remaining } = allowance;
        self.with_header("ratelimit-policy", &format!("\"{policy}\";q={quota};w={WINDOW_S}"))
            .with_header("ratelimit", &format!("\"{policy}\";r={remaining}"))
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        response
    }
}

#[cfg(test)]
mod tests;
