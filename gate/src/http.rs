//! HTTP: every request passes `dispatch`, which limits, authenticates, reads, times, counts and
//! logs it; an operation only says what the answer is. Nothing outside `http` names the framework.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use futures_util::FutureExt as _;
use uuid::Uuid;

use crate::gate::{Gate, RETRY_AFTER_S};
use crate::http::call::{Call, Caller, Reply};
use crate::limits::{Allowance, Exceeded};
use crate::problem::{Code, Problem};
use crate::routes::{Class, Listener, Method, Operation, ROUTES, Route};

mod answers;
mod auth;
mod body;
mod call;
mod conflicts;
mod evacuation;
mod internal;
mod orders;
mod plan;
mod promo;
mod queue;
mod scan;
pub mod server;
mod settle;
mod shop;
mod stats;
mod stream;
mod system;
mod tickets;
mod upload;
mod verdict;

/// Label of requests that no route takes.
const NO_ROUTE: &str = "none";

/// The routes that this process serves on a listener.
pub fn router(gate: &Arc<Gate>, listener: Listener) -> Router {
    let mut router = Router::new();
    for route in ROUTES.iter().filter(|route| serves(gate, listener, route)) {
        for path in route.paths() {
            let filter = match route.method {
                Method::Get => MethodFilter::GET,
                Method::Post => MethodFilter::POST,
                Method::Delete => MethodFilter::DELETE,
            };
            let handler =
                move |State(gate): State<Arc<Gate>>,
                      params: Result<RawPathParams, RawPathParamsRejection>,
                      request: Request| { dispatch(route, gate, params, request) };
            router = router.route(&path, on(filter, handler));
        }
    }
    router
        .method_not_allowed_fallback(|State(gate): State<Arc<Gate>>| async move {
            lost(&gate, Problem::new(Code::MethodNotAllowed, "this path has other methods"))
        })
        .fallback(|State(gate): State<Arc<Gate>>| async move {
            lost(&gate, Problem::new(Code::NotFound, "no such path"))
        })
        .with_state(Arc::clone(gate))
}

fn serves(gate: &Gate, listener: Listener, route: &Route) -> bool {
    let here = route.listener == listener || route.listener == Listener::Both;
    let role = match route.class {
        Class::Scan | Class::Upload => gate.role.admits(),
        Class::Shop => gate.role.sells(),
        Class::Figures | Class::Feed | Class::System => true,
    };
    here && role
}

/// The stack of every request, outermost first.
async fn dispatch(
    route: &'static Route,
    gate: Arc<Gate>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let start = Instant::now();
    let request_id = Uuid::new_v4();
    let _in_work = gate.metrics.in_work();
    let (head, body) = request.into_parts();
    let mut call = Call::new(route, request_id, &head, gate.trusted_proxies.as_slice());
    // Shed first: a refused request must cost nothing.
    let outcome = match gate.admit(route.class) {
        None => {
            Err(Problem::new(Code::Overloaded, "the gate is busy").retry_after_s(RETRY_AFTER_S))
        }
        Some(_permit) => {
            let answer = answer(&gate, &mut call, params, body);
            // Everything after the head has to happen in time, a slow body included.
            let answer = AssertUnwindSafe(answer).catch_unwind();
            match tokio::time::timeout(route.timeout(), answer).await {
                Ok(Ok(outcome)) => outcome,
                // The caller is answered, and the line in the log names the request.
                Ok(Err(_)) => Err(Problem::internal("the operation panicked")),
                Err(_) => Err(Problem::new(Code::RequestTimeout, "no answer in time")),
            }
        }
    };
    let reply = outcome.unwrap_or_else(|problem| Reply::problem(problem, request_id));
    let took = start.elapsed();
    gate.metrics.request(route.path, reply.status, took);
    log(&call, &reply, took);
    reply.with_request_id(request_id).into_response()
}

async fn answer(
    gate: &Arc<Gate>,
    call: &mut Call,
    params: Result<RawPathParams, RawPathParamsRejection>,
    body: Body,
) -> Result<Reply, Problem> {
    match &params {
        Ok(params) => call.set_params(params),
        Err(_) => return Err(Problem::new(Code::NotFound, "the path is not UTF-8")),
    }
    // Who asks comes before what is asked: strangers cannot make the gate read.
    call.caller = auth::caller(gate, call)?;
    let allowance = match limit(gate, call) {
        Ok(allowance) => allowance,
        Err(exceeded) => {
            let reply = Reply::problem(exceeded.into(), call.request_id);
            return Ok(reply.with_allowance(&exceeded.allowance));
        }
    };
    // Whatever comes of it, the caller learns what is left of its allowance.
    let reply = match read_and_operate(gate, call, body).await {
        Ok(reply) => reply,
        Err(problem) => Reply::problem(problem, call.request_id),
    };
    Ok(match allowance {
        Some(allowance) => reply.with_allowance(&allowance),
        None => reply,
    })
}

async fn read_and_operate(gate: &Arc<Gate>, call: &mut Call, body: Body) -> Result<Reply, Problem> {
    call.body = body::read(call.route, &call.headers, body).await?;
    operate(gate, call).await
}

fn limit(gate: &Gate, call: &Call) -> Result<Option<Allowance>, Exceeded> {
    match (&call.caller, call.route.class) {
        // Their token is asked about at the back office.
        (Caller::Staff(_), _) => gate.rates.shop(call.address),
        (Caller::Device(device), Class::Scan | Class::Upload) => gate.rates.scan(device.id),
        (_, Class::Shop) if call.route.method != Method::Get => gate.rates.shop(call.address),
        _ => Ok(None),
    }
}

async fn operate(gate: &Arc<Gate>, call: &Call) -> Result<Reply, Problem> {
    match call.route.operation {
        Operation::Scan => scan::scan(gate, call).await,
        Operation::ScanPassed => settle::report(gate, call, true).await,
        Operation::ScanNotPassed => settle::report(gate, call, false).await,
        Operation::AnnulScan => settle::annul(gate, call).await,
        Operation::UploadScans => Box::pin(upload::upload(gate, call)).await,
        Operation::Evacuate => evacuation::evacuate(gate, call).await,
        Operation::CheckInConflicts => conflicts::report(gate, call).await,
        Operation::CheckInStats => stats::stats(gate, call).await,
        Operation::GetEvent => shop::event(gate, call),
        Operation::GetSeats => plan::seats(gate, call),
        Operation::GetQueue => queue::get(gate, call),
        Operation::JoinQueue => queue::join(gate, call).await,
        Operation::QueuePass => queue::pass(gate, call).await,
        Operation::CreateHold => shop::create_hold(gate, call).await,
        Operation::ValidatePromoCode => promo::validate(gate, call).await,
        Operation::RenewHold => shop::renew_hold(gate, call).await,
        Operation::ReleaseHold => shop::release_hold(gate, call).await,
        Operation::CreateOrder => Box::pin(orders::create(gate, call)).await,
        Operation::GetOrder => orders::get(gate, call).await,
        Operation::CancelOrder => orders::cancel(gate, call).await,
        Operation::GetTicket => tickets::get(gate, call).await,
        Operation::ReissueTicket => tickets::reissue(gate, call).await,
        Operation::TicketSvg => tickets::svg(gate, call).await,
        Operation::TicketPng => tickets::png(gate, call).await,
        Operation::JournalHeads => internal::heads(gate, call).await,
        Operation::JournalEntries => internal::entries(gate, call).await,
        Operation::JournalAck => internal::acknowledge(gate, call).await,
        Operation::Audit => internal::audit(gate, call),
        Operation::EraseKey => internal::erase(gate, call).await,
        Operation::Health => Ok(system::health()),
        Operation::Ready => Ok(system::ready(gate).await),
        Operation::Metrics => system::metrics(gate),
        Operation::OpenApi => Ok(system::openapi()),
    }
}

/// One line a request: never a path as it was sent, a query, a body or a header.
fn log(call: &Call, reply: &Reply, took: std::time::Duration) {
    let device = call.device().map(|device| device.id.to_string()).unwrap_or_default();
    let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let context = reply.context.as_deref().unwrap_or_default();
    let (status, code) = (reply.status, reply.code.map(Code::wire).unwrap_or_default());
    let (request_id, route, method) = (call.request_id, call.route.path, call.route.method.name());
    if 500 <= status && call.route.class != Class::System {
        tracing::error!(%request_id, method, route, status, code, duration_us, device, context, "request");
    } else if call.route.class == Class::System {
        tracing::debug!(%request_id, method, route, status, duration_us, "request");
    } else {
        tracing::info!(%request_id, method, route, status, code, duration_us, device, context, "request");
    }
}

/// The answer where no route is.
fn lost(gate: &Gate, problem: Problem) -> Response {
    let request_id = Uuid::new_v4();
    let reply = Reply::problem(problem, request_id);
    gate.metrics.request(NO_ROUTE, reply.status, std::time::Duration::ZERO);
    reply.with_request_id(request_id).into_response()
}

/// A header's text, when it is there once and readable.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
