//! HTTP in front of dispatch; the only rooms that name the web framework are this and its children.
//! The request path reads as one stack in `router`, the internal listener's in `internal`.

mod bounds;
mod callers;
mod cors;
mod internal;
mod layers;
mod pages;
mod peer;
mod request;
mod respond;
mod serve;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::Semaphore;
use uuid::Uuid;

use callers::Callers;

use crate::dispatch::{Answer, Call, dispatch};
use crate::error::{Code, Error, Result};
use crate::limits::Charges;
use crate::reference::Reference;
use crate::service::{Service, Shutdown};

pub use serve::{Listeners, WorkListener};

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Requests being worked on; one more is answered 503 at once, never queued.
pub const REQUESTS_MAX: usize = 256;
/// From the first layer to the answer; then 504.
pub const REQUEST_WAIT: Duration = Duration::from_secs(20);
/// A file is sent and kept within this time; then 504.
pub const UPLOAD_WAIT: Duration = Duration::from_secs(120);
/// An internal call may wait for news (long poll).
pub const INTERNAL_WAIT: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) service: Service,
    pub(crate) room: Arc<Semaphore>,
    /// Who holds how much of the room.
    callers: Arc<Callers>,
    pub(crate) reference: Arc<Reference>,
}

/// Name of the route for metrics and the log, put into the response by who knows it.
#[derive(Clone, Copy)]
pub(crate) struct RouteName(pub(crate) &'static str);

/// Id of the request, put into it by the outermost layer.
#[derive(Clone, Copy)]
pub(crate) struct RequestId(pub(crate) Uuid);

/// The public listener's stack, outermost layer last.
pub fn router(service: &Service) -> Router {
    let front = Front {
        service: service.clone(),
        room: Arc::new(Semaphore::new(REQUESTS_MAX)),
        callers: Callers::new(service.settings().http.requests_per_address_max, Vec::new()),
        reference: Arc::new(Reference::new(service.registry())),
    };
    let api = Router::new()
        .fallback(api)
        // Nearest to the work, so that a panic is answered with the request's id.
        .layer(from_fn(layers::catch_panic))
        // Inside the shedding: time spent is time of a place.
        .layer(from_fn_with_state(REQUEST_WAIT, layers::time_out))
        // Refused before anything is read; health and readiness are asked outside of it.
        .layer(from_fn_with_state(front.clone(), layers::shed));
    let reference = Router::new()
        .route("/openapi.json", get(pages::openapi))
        .route("/api/openapi.json", get(pages::openapi))
        .route("/api/v1/openapi.json", get(pages::openapi))
        .route("/docs", get(pages::docs))
        .route("/docs/{resource}", get(pages::docs_of))
        // For everybody, so by address.
        .layer(from_fn_with_state(front.clone(), layers::charge_address));
    Router::new()
        // Probes come from few addresses at a pace of their own: no limit stands before them.
        .route("/health", get(pages::health))
        .route("/ready", get(pages::ready))
        .merge(reference)
        .method_not_allowed_fallback(pages::method_not_allowed)
        .fallback_service(api.with_state(front.clone()))
        // Before any body is read, for pages and API alike.
        .layer(from_fn(bounds::keep))
        // Outside of what refuses, so that a foreign page can read why.
        .layer(from_fn_with_state(front.clone(), cors::allow))
        // Every answer, whoever made it, has these headers.
        .layer(from_fn(layers::secure))
        // Who calls decides on limits, scheme and origin further in.
        .layer(from_fn_with_state(front.clone(), peer::know))
        // Outermost: gives the id, measures, writes the one line of the access log.
        .layer(from_fn_with_state(front.clone(), layers::observe))
        .with_state(front)
}

/// What a process that only works shows to operators.
pub fn work_router(service: &Service) -> Router {
    internal::work_router(service)
}

/// The internal listener: service to service, one bearer token for its direction.
pub fn internal_router(service: &Service, shutdown: Shutdown) -> Router {
    internal::router(service, shutdown)
}

async fn api(State(front): State<Front>, request: Request) -> Response {
    let id = respond::request_id(&request);
    let address = peer::of(&request).address;
    let options = request.method() == Method::OPTIONS;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = respond::known_tags(&request);
    let charges = Charges::default();
    let (name, mut outcome) = match request::read(&front.service, request, &charges).await {
        Ok(call) => answer(&front.service, call).await,
        Err(error) => ("unread", Err(error)),
    };
    // Whatever was charged to no credential is the address's: nothing is free.
    if charges.is_empty()
        && let Err(refusal) = front.service.limits().charge_address(&charges, address)
    {
        outcome = Err(refusal);
    }
    let mut response = match outcome {
        Err(error) if options && !error.allowed().is_empty() => respond::options(error.allowed()),
        other => respond::outcome(other, id, reads),
    };
    respond::unless_known(&mut response, known.as_deref());
    respond::standings(response.headers_mut(), &charges.take());
    response.extensions_mut().insert(RouteName(name));
    response
}

/// A call without a secret is charged before it costs anything, one with a secret when it is known
/// whether the secret is good.
async fn answer(service: &Service, call: Call) -> (&'static str, Result<Answer>) {
    if call.secret.is_none()
        && let Err(refusal) = service.limits().charge_address(&call.charges, call.address)
    {
        return ("limited", Err(refusal));
    }
    dispatch(service, call).await
}

pub(crate) fn overloaded() -> Error {
    Error::new(Code::Overloaded, "too many requests are being worked on").retry_after(1)
}
