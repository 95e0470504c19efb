//! HTTP in front of dispatch; the only rooms that name the web framework are this and its children.
//! The request path reads as one stack in `router`, the internal listener's in `internal`.

mod internal;
mod layers;
mod pages;
mod request;
mod respond;
mod serve;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::dispatch::dispatch;
use crate::error::{Code, Error};
use crate::service::{Service, Shutdown};

pub use serve::Listeners;

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Requests being worked on; one more is answered 503 at once, never queued.
pub const REQUESTS_MAX: usize = 256;
/// From the first layer to the answer; then 504.
pub const REQUEST_WAIT: Duration = Duration::from_secs(20);
/// An internal call may wait for news (long poll).
pub const INTERNAL_WAIT: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) service: Service,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) openapi: Arc<str>,
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
        openapi: crate::openapi::document(service.registry()).to_string().into(),
    };
    let api = Router::new()
        .fallback(api)
        // Nearest to the work, so that a panic is answered with the request's id.
        .layer(from_fn(layers::catch_panic))
        // Inside the shedding: time spent is time of a place.
        .layer(from_fn_with_state(REQUEST_WAIT, layers::time_out))
        // Refused before anything is read; health and readiness are asked outside of it.
        .layer(from_fn_with_state(front.clone(), layers::shed));
    Router::new()
        .route("/health", get(pages::health))
        .route("/ready", get(pages::ready))
        .route("/metrics", get(pages::metrics))
        .route("/openapi.json", get(pages::openapi))
        .method_not_allowed_fallback(pages::method_not_allowed)
        .fallback_service(api.with_state(front.clone()))
        // Every answer, whoever made it, has these headers.
        .layer(from_fn(layers::secure))
        // Outermost: gives the id, measures, writes the one line of the access log.
        .layer(from_fn_with_state(front.clone(), layers::observe))
        .with_state(front)
}

/// The internal listener: service to service, one bearer token for its direction.
pub fn internal_router(service: &Service, shutdown: Shutdown) -> Router {
    internal::router(service, shutdown)
}

async fn api(State(front): State<Front>, request: Request) -> Response {
    let id = respond::request_id(&request);
    let head = request.method() == axum::http::Method::HEAD;
    let (name, outcome) = match request::read(&front.service, request, id).await {
        Ok(call) => dispatch(&front.service, call).await,
        Err(error) => ("unread", Err(error)),
    };
    let mut response = respond::outcome(outcome, id);
    if head {
        *response.body_mut() = axum::body::Body::empty();
    }
    response.extensions_mut().insert(RouteName(name));
    response
}

pub(crate) fn overloaded() -> Error {
    Error::new(Code::Overloaded, "too many requests are being worked on").retry_after(1)
}
