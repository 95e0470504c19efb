//! From a request to a call: path, query, bounded body, secret, and the check that a browser's
//! request came from our own pages.

use axum::extract::{Query, Request};
use axum::http::{HeaderMap, Method as HttpMethod, Uri, header};
use futures_util::TryStreamExt;

use super::peer::Peer;
use super::respond::{BROWSER_COOKIE, COOKIE};
use super::{BODY_BYTES_MAX, cors, peer, respond};
use crate::dispatch::{Body, Call, Method};
use crate::error::{Code, Error, Result};
use crate::limits::Charges;
use crate::service::Service;
use crate::stream::Upload;

/// Parameters of one query; more are refused.
const PARAMETERS_MAX: usize = 50;

pub(super) async fn read(service: &Service, request: Request, charges: &Charges) -> Result<Call> {
    let (id, peer) = (respond::request_id(&request), peer::of(&request));
    let (parts, body) = request.into_parts();
    let path = segments(&parts.uri)?;
    let method = method(&parts.method)?;
    // What a path can do is no secret, so that nothing is run for this question.
    let secret = match method {
        Method::Options => None,
        _ => secret(service, &parts.headers, method, peer)?,
    };
    let body = if is_upload(method, &path) {
        upload(&parts.headers, body)
    } else {
        read_body(service, &parts.headers, body).await?
    };
    Ok(Call {
        method,
        path,
        query: query(&parts.uri)?,
        body,
        if_match: condition(&parts.headers, "If-Match")?,
        if_none_match: condition(&parts.headers, "If-None-Match")?,
        idempotency_key: idempotency_key(&parts.headers)?,
        secret,
        browser: cookie(&parts.headers, BROWSER_COOKIE),
        organization: text(&parts.headers, "x-organization").map(str::to_owned),
        address: peer.address,
        user_agent: text(&parts.headers, "user-agent").unwrap_or_default().to_owned(),
        request_id: id,
        charges: charges.clone(),
    })
}

/// The one kind of call whose body is larger than what is held in memory: `POST /<route>/import`.
fn is_upload(method: Method, path: &[String]) -> bool {
    method == Method::Post && matches!(path, [_, last] if last == "import")
}

/// The same, before anything is read: it may take longer than other calls.
pub(super) fn takes_long(request: &Request) -> bool {
    let path = segments(request.uri());
    request.method() == HttpMethod::POST && path.is_ok_and(|path| is_upload(Method::Post, &path))
}

fn upload(headers: &HeaderMap, body: axum::body::Body) -> Body {
    let cut_off = |_| Error::new(Code::InvalidRequest, "the body was cut off");
    let pieces = body.into_data_stream().map_err(cut_off);
    Body::Upload(Upload::new(pieces, media_type(headers)))
}

/// `/api/v1/events` and `/api/events` are the same. Escapes are left as they are: no name of ours
/// needs one, so a segment with one matches nothing.
fn segments(uri: &Uri) -> Result<Vec<String>> {
    let rest = uri.path().strip_prefix("/api/").ok_or_else(|| Error::not_found("path"))?;
    let rest = rest.strip_prefix("v1/").unwrap_or(rest);
    Ok(rest.split('/').map(str::to_owned).collect())
}

fn method(method: &HttpMethod) -> Result<Method> {
    match *method {
        HttpMethod::GET | HttpMethod::HEAD => Ok(Method::Get),
        HttpMethod::POST => Ok(Method::Post),
        HttpMethod::PUT => Ok(Method::Put),
        HttpMethod::PATCH => Ok(Method::Patch),
        HttpMethod::DELETE => Ok(Method::Delete),
        HttpMethod::OPTIONS => Ok(Method::Options),
        _ => Err(Error::new(Code::MethodNotAllowed, "the method is not one of the API's")
            .allow(vec!["GET", "POST", "PUT", "PATCH", "DELETE"])),
    }
}

pub(super) fn query(uri: &Uri) -> Result<Vec<(String, String)>> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Error::new(Code::InvalidRequest, "the query cannot be read"))?;
    if pairs.len() > PARAMETERS_MAX {
        let text = format!("a query takes at most {PARAMETERS_MAX} parameters");
        return Err(Error::new(Code::InvalidRequest, text));
    }
    Ok(pairs)
}

async fn read_body(service: &Service, headers: &HeaderMap, body: axum::body::Body) -> Result<Body> {
    let wait = service.settings().http.body_wait;
    let bytes = tokio::time::timeout(wait, bytes(headers, body, BODY_BYTES_MAX))
        .await
        .map_err(|_| Error::new(Code::RequestTimeout, "the body did not arrive in time"))??;
    if bytes.is_empty() {
        return Ok(Body::None);
    }
    match media_type(headers).as_str() {
        "application/json" | "application/merge-patch+json" => Ok(Body::Json(bytes)),
        _ => Ok(Body::Other),
    }
}

/// Without parameters, in lower case.
fn media_type(headers: &HeaderMap) -> String {
    let whole = text(headers, "content-type").unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) async fn bytes(
    headers: &HeaderMap,
    body: axum::body::Body,
    most: usize,
) -> Result<Vec<u8>> {
    let too_large = || Error::new(Code::BodyTooLarge, format!("a body has at most {most} bytes"));
    let announced = text(headers, "content-length").and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    // The reader fails at the bound, or because the caller went away, who then reads no answer.
    axum::body::to_bytes(body, most).await.map(|bytes| bytes.to_vec()).map_err(|_| too_large())
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A list of tags, on however many lines (RFC 9110, 5.3). What cannot be read is refused: a condition
/// that is passed over is a write that nobody wanted.
fn condition(headers: &HeaderMap, name: &'static str) -> Result<Option<String>> {
    let lines: std::result::Result<Vec<&str>, _> =
        headers.get_all(name).iter().map(|line| line.to_str()).collect();
    match lines {
        Ok(lines) if lines.is_empty() => Ok(None),
        Ok(lines) => Ok(Some(lines.join(", "))),
        Err(_) => Err(Error::field(Code::InvalidRequest, name, "must be ASCII characters")),
    }
}

/// One key a request; two would leave open which of them counts.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let mut all = headers.get_all("idempotency-key").iter();
    let Some(first) = all.next() else { return Ok(None) };
    match (first.to_str(), all.next()) {
        (Ok(text), None) => Ok(Some(text.to_owned())),
        _ => Err(Error::field(
            Code::InvalidRequest,
            "Idempotency-Key",
            "must stand there once, in ASCII characters",
        )),
    }
}

/// Bearer token first; a cookie only from our own pages when the method changes something.
fn secret(
    service: &Service,
    headers: &HeaderMap,
    method: Method,
    peer: Peer,
) -> Result<Option<String>> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let refused = || Error::new(Code::Unauthenticated, "send Authorization: Bearer <token>");
        let value = value.to_str().map_err(|_| refused())?;
        let (scheme, token) = value.split_once(' ').ok_or_else(refused)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(refused());
        }
        return Ok(Some(token.trim().to_owned()));
    }
    let session = cookie(headers, COOKIE);
    if session.is_some() && method != Method::Get && !from_our_pages(service, headers, peer) {
        return Err(Error::new(
            Code::CrossSite,
            "a request with a cookie must come from our own pages, or carry X-Requested-With",
        ));
    }
    Ok(session)
}

fn cookie(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value.to_owned())
}

/// The browser says where a request comes from (Fetch Metadata, RFC 6454); what says nothing must
/// carry a header that a foreign page cannot set without our consent. The origins of the settings
/// are our pages too.
fn from_our_pages(service: &Service, headers: &HeaderMap, peer: Peer) -> bool {
    if cors::listed(service, headers).is_some() {
        return true;
    }
    if let Some(site) = text(headers, "sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    if let Some(origin) = text(headers, "origin") {
        let listen = &service.settings().listen;
        let public = listen.public_url.as_deref() == Some(origin);
        let host = text(headers, "host").unwrap_or_default();
        let scheme = if peer.https { "https" } else { "http" };
        return public || (!host.is_empty() && origin == format!("{scheme}://{host}"));
    }
    text(headers, "x-requested-with").is_some_and(|value| !value.is_empty())
}
