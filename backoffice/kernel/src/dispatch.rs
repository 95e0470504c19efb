//! From a call to an answer: which entity or action the path names, who asks, one transaction, run
//! again when the database asks for it. Knows no HTTP framework and no entity by name.

mod account;
mod answers;
mod bulk;
mod condition;
pub(crate) mod idempotency;
mod operation;
mod outside;
mod perform;
mod recalled;
mod route;
mod run;

use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

use crate::accounts::authenticate::{Caller, authenticate};
use crate::csv;
use crate::entity::Group;
use crate::error::{Code, Error, Result};
use crate::limits::Charges;
use crate::service::Service;
use crate::stream::{Download, Upload};
use crate::{custom, meta, page};

pub(crate) use account::{ROUTES as ACCOUNT_ROUTES, Route as AccountRoute};
pub(crate) use bulk::OPERATIONS_MAX;
pub(crate) use condition::TAG_DOT;
pub(crate) use route::{
    ACTIVITY, RESERVED, Target, actions, bare_moves, bulks, imports, is_served, upserts,
};
pub(crate) use run::Done;

use recalled::Recalled;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
    /// No path takes it: the refusal's list of methods is the answer.
    Options,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// A request below `/api/v1`, without its transport.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Decoded segments behind `/api/v1`.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    /// Header `Idempotency-Key`.
    pub(crate) idempotency_key: Option<String>,
    /// Bearer token or session cookie.
    pub(crate) secret: Option<String>,
    /// Cookie of a browser that has signed in before.
    pub(crate) browser: Option<String>,
    /// Header `X-Organization`.
    pub(crate) organization: Option<String>,
    pub(crate) address: IpAddr,
    pub(crate) user_agent: String,
    pub(crate) request_id: Uuid,
    /// What the call was charged to, for the headers of the answer.
    pub(crate) charges: Charges,
}

pub(crate) enum Body {
    None,
    Json(Vec<u8>),
    /// A body of another media type.
    Other,
    /// A file, read as it comes.
    Upload(Upload),
}

#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// JSON text; absent for 204.
    pub(crate) body: Option<Vec<u8>>,
    /// Version of the row in the body.
    pub(crate) version: Option<i64>,
    /// `ETag` of what is no row.
    pub(crate) tag: Option<String>,
    pub(crate) location: Option<String>,
    /// Holds what is shown once: it may not be kept for a repeated request.
    pub(crate) secret: bool,
    pub(crate) cookie: Option<Cookie>,
    /// Cookie that lets this browser be known when it signs in again.
    pub(crate) browser: Option<String>,
    /// In place of `body`.
    pub(crate) download: Option<Download>,
}

#[derive(Debug)]
pub(crate) enum Cookie {
    Set { token: String, seconds: i64 },
    Clear,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, body: Some(body.to_string().into_bytes()), ..Self::default() }
    }

    pub(crate) fn nothing() -> Self {
        Self { status: 204, ..Self::default() }
    }
}

/// Route for metrics and logs (never the caller's text), and the answer.
pub(crate) async fn dispatch(service: &Service, call: Call) -> (&'static str, Result<Answer>) {
    if call.path.first().is_some_and(|first| first == META) {
        return (META, meta(service, &call).await);
    }
    if let Some(route) = account::find(&call) {
        return match route {
            Ok(route) => (route.path, account::run(service, route, &call).await),
            Err(error) => ("accounts", Err(error)),
        };
    }
    match route::resolve(service.registry(), call.method, &call.path) {
        Ok(target) => {
            let name = target.entity().map_or(ACTIVITY, |entity| entity.name);
            (name, entity(service, &call, target).await)
        }
        Err(error) => ("unmatched", Err(error)),
    }
}

/// Path of what the API tells of itself; no entity may have it as its route.
pub(crate) const META: &str = "meta";

/// `GET /meta` and `GET /meta/{entity}`, as far as the caller's rights reach.
async fn meta(service: &Service, call: &Call) -> Result<Answer> {
    if call.method != Method::Get {
        return Err(Error::new(Code::MethodNotAllowed, "the path does not take this method")
            .allow(vec!["GET"]));
    }
    if let Some((name, _)) = call.query.first() {
        return Err(page::unknown_parameter(name, "none"));
    }
    let (actor, org) = caller(service, call).await?.enter(asked(call)?)?;
    charge(service, call, Some(org), Group::Organizations)?;
    outside::admit_to_meta(&actor)?;
    let told = match call.path.get(1..).unwrap_or_default() {
        [] => meta::index(service.registry(), &actor),
        [route] => {
            let member = meta::member(service.registry(), route)?;
            let cx =
                service.open(actor.clone(), org, call.request_id, crate::cx::Mode::Read).await?;
            let custom = custom::load(&cx, member.entity).await;
            let custom = cx.finish(custom).await?;
            meta::entity(service.registry(), &actor, member, &custom)?
        }
        _ => return Err(Error::not_found("path")),
    };
    let tag = told.get("version").and_then(serde_json::Value::as_str).map(str::to_owned);
    Ok(Answer { tag, ..Answer::json(200, &told) })
}

async fn entity(service: &Service, call: &Call, target: route::Target) -> Result<Answer> {
    let charged = match recalled::answer(service, call, &target).await {
        Recalled::Answered(outcome) => return outcome,
        Recalled::Anew { charged } => charged,
    };
    let caller = caller(service, call).await.inspect_err(|_| {
        // What a secret was charged that proved to be nobody's is nobody's charge.
        if charged.is_some() {
            call.charges.take();
        }
    })?;
    let (actor, org) = caller.enter(asked(call)?)?;
    match charged {
        Some((to, outcome)) if to == org => outcome?,
        _ => charge(service, call, Some(org), group(&target))?,
    }
    outside::admit(&actor, &target)?;
    // A file is read or written once: these do not run again.
    match target {
        route::Target::Export { entity } => {
            return csv::export::answer(service, call, actor, org, entity).await;
        }
        route::Target::Import { entity } => {
            condition::on_collection(call)?;
            return csv::import::answer(service, call, actor, org, entity).await;
        }
        _ => {}
    }
    let (done, _) =
        tries(service, call, &target, run::Asker { actor: &actor, org, proof: None }).await;
    match done? {
        run::Done::Answer(answer) => Ok(answer),
        run::Done::Await { operation, entity, row, status } => {
            let wait = operation::Wait { operation, entity, row, status };
            operation::wait(service, call, &actor, org, wait).await
        }
    }
}

/// Once, and again as long as the database asks for it. And whether the asker was proved.
async fn tries(
    service: &Service,
    call: &Call,
    target: &route::Target,
    asker: run::Asker<'_>,
) -> (Result<run::Done>, bool) {
    let mut tries = 0;
    loop {
        let (outcome, proved) = Box::pin(run::once(service, call, target, asker)).await;
        tries += 1;
        match &outcome {
            Err(error) if error.is_retryable() && tries <= RETRIES_MAX => {}
            _ => return (outcome, proved),
        }
        // The one that won the deadlock takes its locks first; at once, this one would meet it again.
        tokio::time::sleep(RETRY_PAUSE.saturating_mul(tries)).await;
        tracing::debug!(tries, request_id = %call.request_id, "the transaction runs again");
    }
}

/// Runs again after a serialization failure or deadlock.
const RETRIES_MAX: u32 = 3;
/// Pause before the first try again; the second waits twice, the third three times as long.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// Who calls. A call without a good secret is charged to its address, by who answers it.
pub(crate) async fn caller(service: &Service, call: &Call) -> Result<Caller> {
    match &call.secret {
        Some(secret) => authenticate(service, secret).await,
        None => Err(Error::new(Code::Unauthenticated, "sign in or send a valid token")),
    }
}

/// What a call is charged as.
fn group(target: &route::Target) -> Group {
    target.entity().map_or(Group::Organizations, |entity| entity.group)
}

/// Counts a call whose secret is good: before anything else is done for it.
pub(crate) fn charge(
    service: &Service,
    call: &Call,
    org: Option<Uuid>,
    group: Group,
) -> Result<()> {
    let secret = call.secret.as_deref().unwrap_or_default();
    service.limits().charge(&call.charges, secret, org, group)
}

pub(crate) fn asked(call: &Call) -> Result<Option<Uuid>> {
    let Some(text) = &call.organization else { return Ok(None) };
    match Uuid::try_parse(text) {
        Ok(id) => Ok(Some(id)),
        Err(_) => Err(Error::field(Code::InvalidId, "X-Organization", "must be a UUID")),
    }
}
