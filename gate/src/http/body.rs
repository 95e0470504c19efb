//! Reading a request's body within its bounds, and its query.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde_json::Value;
use uuid::Uuid;

use super::call::Call;
use crate::json;
use crate::problem::{Code, FieldError, Problem};
use crate::routes::Route;

/// The body, at most as long as its route takes; routes without one do not read it.
pub(super) async fn read(
    route: &'static Route,
    headers: &HeaderMap,
    body: Body,
) -> Result<Bytes, Problem> {
    let Some(expected) = route.body else { return Ok(Bytes::new()) };
    let bytes_max = expected.bytes_max;
    let too_large =
        || Problem::new(Code::BodyTooLarge, format!("at most {bytes_max} bytes are read"));
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    if length.and_then(|text| text.parse().ok()).is_some_and(|length: usize| bytes_max < length) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::new(Code::MalformedJson, "the body ended early")
                .with_context(error.to_string())
        })?;
        if bytes_max < bytes.len().saturating_add(chunk.len()) {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    if !bytes.is_empty() {
        media_type(headers)?;
    }
    Ok(bytes.freeze())
}

/// JSON in UTF-8 is all that is read.
fn media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (media, parameters) = match sent.unwrap_or_default().split_once(';') {
        Some((media, parameters)) => (media.trim(), parameters.trim()),
        None => (sent.unwrap_or_default().trim(), ""),
    };
    let charset = parameters.to_ascii_lowercase();
    let utf8 =
        charset.is_empty() || matches!(charset.as_str(), "charset=utf-8" | "charset=\"utf-8\"");
    if media.eq_ignore_ascii_case("application/json") && utf8 {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "send Content-Type: application/json"))
}

/// The body as one JSON value; an absent one is malformed.
pub(super) fn json(call: &Call) -> Result<Value, Problem> {
    if call.body.is_empty() {
        return Err(Problem::new(Code::MalformedJson, "the body is empty"));
    }
    json::parse(&call.body)
}

/// The query's parameters, each once and known to the route.
pub(super) struct Query<'a> {
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Query<'a> {
    pub(super) fn of(call: &'a Call) -> Result<Self, Problem> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for part in call.query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let known = call.route.query.iter().find(|(known, ..)| *known == name);
            let Some((name, ..)) = known else {
                return Err(refuse("query", "unknown", "has a parameter that is not known here"));
            };
            if pairs.iter().any(|(other, _)| other == name) {
                return Err(refuse(name, "duplicate", "is given twice"));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    pub(super) fn uuid(&self, name: &str) -> Result<Option<Uuid>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        Uuid::try_parse(text).map(Some).map_err(|_| refuse(name, "format", "must be a UUID"))
    }

    pub(super) fn required_uuid(&self, name: &str) -> Result<Uuid, Problem> {
        self.uuid(name)?.ok_or_else(|| refuse(name, "required", "is required"))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| refuse(name, "format", "must be a whole number"))
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

fn refuse(name: &str, code: &'static str, message: &str) -> Problem {
    let error = FieldError { field: name.to_owned(), code, message: message.to_owned() };
    let detail = format!("{name} {message}");
    Problem { errors: vec![error], ..Problem::new(Code::InvalidQuery, detail) }
}
