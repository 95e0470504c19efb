//! The bad end of a job, told to whoever waits for it: the hook and the end commit together.

use serde_json::Value;
use uuid::Uuid;

use super::claim::Claim;
use super::outcome::{Outcome, limited};
use super::{Job, OnDead, SYSTEM};
use crate::cx::{Actor, Begin, Cx, Mode};
use crate::error::{Code, Error, Result};
use crate::service::Service;

/// Claims beyond a job's attempts that its hook gets; then the job ends without it.
const HOOK_ATTEMPTS_MAX: i64 = 8;

/// A job that ended without being done.
#[derive(Debug)]
pub struct DeadJob {
    pub id: Uuid,
    pub payload: Value,
    /// `failed`, `dead` or `canceled`.
    pub state: &'static str,
    /// Problem with code, detail and errors, as the job shows it.
    pub error: Value,
}

/// The hook of a job that ends like this, unless nobody is to be told, or it had its chances.
pub(super) fn hook(job: &Job, claim: &Claim, outcome: Outcome) -> Option<OnDead> {
    let bad = matches!(outcome, Outcome::Failed | Outcome::Dead | Outcome::Canceled);
    if !bad || claim.org == SYSTEM {
        return None;
    }
    if claim.attempt > i64::from(job.attempts_max).saturating_add(HOOK_ATTEMPTS_MAX) {
        tracing::error!(job = claim.name, id = %claim.id, "nobody could be told of its end");
        return None;
    }
    job.on_dead
}

/// Tells, and ends the job in the same transaction; `conflict` when another worker has it.
pub(super) async fn end(
    service: &Service,
    claim: &Claim,
    tell: OnDead,
    outcome: Outcome,
    error: Value,
) -> Result<Outcome> {
    let mut cx = open(service, claim).await?;
    let dead = DeadJob {
        id: claim.id,
        payload: claim.payload.clone(),
        state: outcome.state(),
        error: error.clone(),
    };
    let told = match limited(tell(&mut cx, &dead)).await {
        Ok(()) => close(&cx, claim, outcome, &error).await,
        Err(cause) => Err(cause),
    };
    cx.finish(told).await.map(|()| outcome)
}

/// As a part of the house, under the job's name, within the request that enqueued it.
async fn open(service: &Service, claim: &Claim) -> Result<Cx> {
    let name = service.registry().job(&claim.name).map(|job| job.name);
    let name = name.ok_or_else(|| Error::internal(format!("no job {}", claim.name)))?;
    service
        .open_with(Begin {
            actor: Actor::Service(name),
            org: claim.org,
            request_id: claim.request_id.unwrap_or(claim.id),
            mode: Mode::Write,
            causation: claim.causation,
            proof: None,
        })
        .await
}

async fn close(cx: &Cx, claim: &Claim, outcome: Outcome, error: &Value) -> Result<()> {
    let row = cx
        .query_one(
            "select end_job($1, $2, $3, $4, $5, $6)",
            &[&claim.id, &claim.process, &claim.attempt, &outcome.state(), error, &cx.now],
        )
        .await?;
    match row.try_get(0)? {
        true => Ok(()),
        // What was told is rolled back.
        false => Err(Error::new(Code::Conflict, "another worker has the job")),
    }
}
