//! What is refused before anything is read: targets and headers that are too long, answers that the
//! caller would not take. Knows no route.

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use super::respond;
use crate::error::{Code, Error, Result};

/// Bytes of path and query; then 414. Long filters go into fewer, smaller requests.
pub(super) const URI_BYTES_MAX: usize = 16 * 1024;
/// Bytes of all header names and values together; then 431.
pub(super) const HEADER_BYTES_MAX: usize = 32 * 1024;
/// Header lines; then 431.
pub(super) const HEADERS_MAX: usize = 64;

/// What the API answers in; an `Accept` that takes none of it is refused.
const ANSWERED: &[(&str, &str)] =
    &[("application", "json"), ("application", "problem+json"), ("text", "csv"), ("text", "html")];

pub(super) async fn keep(request: Request, next: Next) -> Response {
    match check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => respond::problem(&error, respond::request_id(&request)),
    }
}

fn check(request: &Request) -> Result<()> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if URI_BYTES_MAX < target {
        let text = format!("path and query have at most {URI_BYTES_MAX} bytes");
        return Err(Error::new(Code::UriTooLong, text));
    }
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if HEADER_BYTES_MAX < bytes || HEADERS_MAX < headers.len() {
        let text = format!("at most {HEADERS_MAX} headers with {HEADER_BYTES_MAX} bytes");
        return Err(Error::new(Code::HeadersTooLarge, text));
    }
    if acceptable(headers) {
        return Ok(());
    }
    Err(Error::new(Code::NotAcceptable, "answers are application/json; say so in Accept"))
}

/// RFC 9110, 12.5.1: no `Accept`, or one with a range of ours that is not `q=0`. The most specific
/// range of a type decides; that text/csv and text/html are answered by few paths only is not told
/// apart here, because a refusal would help nobody there.
fn acceptable(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(range)
        .peekable();
    if ranges.peek().is_none() {
        return true;
    }
    let ranges: Vec<Range<'_>> = ranges.collect();
    ANSWERED.iter().any(|(main, sub)| {
        let fits = ranges.iter().filter(|range| range.covers(main, sub));
        fits.max_by_key(|range| range.precision()).is_some_and(|range| range.wanted)
    })
}

struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    wanted: bool,
}

impl Range<'_> {
    fn covers(&self, main: &str, sub: &str) -> bool {
        let any = |own: &str, other: &str| own == "*" || own.eq_ignore_ascii_case(other);
        any(self.main, main) && any(self.sub, sub)
    }

    fn precision(&self) -> u8 {
        u8::from(self.main != "*") + u8::from(self.sub != "*")
    }
}

fn range(text: &str) -> Option<Range<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let (main, sub) = parts.next()?.split_once('/')?;
    let never = |part: &str| {
        let quality = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
        quality.is_some_and(|q| !q.is_empty() && q.bytes().all(|b| b == b'0' || b == b'.'))
    };
    Some(Range { main, sub, wanted: !parts.any(never) })
}

#[cfg(test)]
mod tests;
