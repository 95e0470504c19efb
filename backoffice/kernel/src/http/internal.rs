//! The internal listener: routes that domains list, behind one bearer token.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::callers::Callers;
use super::{Front, INTERNAL_WAIT, REQUESTS_MAX, RouteName, layers, pages, request, respond};
use crate::action::{InternalCall, InternalRoute};
use crate::error::{Code, Error, Result};
use crate::reference::Reference;
use crate::service::{Service, Shutdown};
use crate::settings::Secret;

/// Bytes of an internal request's body: peers send more than people do.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What the routes are served with.
#[derive(Clone)]
struct Inner {
    service: Service,
    /// Long polls end with it.
    shutdown: Shutdown,
}

pub(super) fn router(service: &Service, shutdown: Shutdown) -> Router {
    let front = front(service);
    let routes = Router::new()
        .fallback(serve)
        .layer(from_fn(layers::catch_panic))
        .layer(from_fn_with_state(INTERNAL_WAIT, layers::time_out))
        .layer(from_fn_with_state(front.clone(), layers::shed));
    probes()
        .fallback_service(routes.with_state(Inner { service: service.clone(), shutdown }))
        .layer(from_fn(layers::secure))
        .layer(from_fn_with_state(front.clone(), layers::observe))
        .with_state(front)
}

/// The internal listener of a process that only works: nothing but what operators ask.
pub(super) fn work_router(service: &Service) -> Router {
    let front = front(service);
    probes()
        .fallback(pages::not_found)
        .layer(from_fn(layers::secure))
        .layer(from_fn_with_state(front.clone(), layers::observe))
        .with_state(front)
}

fn front(service: &Service) -> Front {
    Front {
        service: service.clone(),
        room: Arc::new(Semaphore::new(REQUESTS_MAX)),
        // One peer of ours and a few operators: nobody to keep apart.
        callers: Callers::new(usize::MAX, Vec::new()),
        reference: Arc::new(Reference::new(service.registry())),
    }
}

/// What operators and their tools ask.
fn probes() -> Router<Front> {
    Router::new()
        .route("/health", get(pages::health))
        .route("/ready", get(pages::ready_to_work))
        .route("/metrics", get(pages::metrics))
        .method_not_allowed_fallback(pages::method_not_allowed)
}

async fn serve(State(inner): State<Inner>, request: Request) -> Response {
    let id = respond::request_id(&request);
    let mut response = match run(inner, request).await {
        Ok(response) => response,
        Err(error) => respond::problem(&error, id),
    };
    response.extensions_mut().insert(RouteName("internal"));
    response
}

async fn run(inner: Inner, request: Request) -> Result<Response> {
    let Inner { service, shutdown } = inner;
    let (parts, body) = request.into_parts();
    let bearer = request::text(&parts.headers, header::AUTHORIZATION.as_str())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if !is_peer(bearer, &service.settings().peers.catalogue_token) {
        return Err(Error::new(Code::Unauthenticated, "the service token is missing or wrong"));
    }
    let route = find(&service, parts.method.as_str(), parts.uri.path())?;
    let query = request::query(&parts.uri)?;
    let body = request::bytes(&parts.headers, body, BODY_BYTES_MAX).await?;
    let reply = (route.run)(service, InternalCall { query, body, shutdown }).await?;
    let status = StatusCode::from_u16(reply.status)
        .map_err(|_| Error::internal(format!("{} answered no status", route.path)))?;
    if reply.body.is_empty() {
        return Ok(respond::bare(status));
    }
    Ok(respond::with_type(status, reply.body, "application/json"))
}

/// Hashes are compared, in constant time: neither length nor prefix can be felt out. Without a
/// configured token nobody is a peer.
fn is_peer(shown: &str, token: &Secret) -> bool {
    let (shown, ours) = (Sha256::digest(shown), Sha256::digest(token.expose()));
    let same: bool = shown.as_slice().ct_eq(ours.as_slice()).into();
    same && !token.is_empty()
}

fn find(service: &Service, method: &str, path: &str) -> Result<&'static InternalRoute> {
    let routes = service.registry().domains().iter().flat_map(|domain| domain.internal);
    let at_path: Vec<&'static InternalRoute> = routes.filter(|route| route.path == path).collect();
    if at_path.is_empty() {
        return Err(Error::not_found("path"));
    }
    at_path.iter().find(|route| route.method == method).copied().ok_or_else(|| {
        let allowed = at_path.iter().map(|route| route.method).collect();
        Error::new(Code::MethodNotAllowed, "the path does not take this method").allow(allowed)
    })
}
