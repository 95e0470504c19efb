//! What follows a run: done, again later, failed for good, dead, canceled.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::claim::Claim;
use super::run::{JobRun, Signals};
use super::{Job, backoff, dead};
use crate::clock::after;
use crate::error::{Code, Error, Result};
use crate::service::Service;

/// How a run ended, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Retried,
    Failed,
    Dead,
    Canceled,
    /// Another worker has the job.
    Lost,
    /// The worker ends, and gives it back without counting the attempt.
    Released,
}

/// Telling of a job's bad end.
const HOOK_TIME_MAX: Duration = Duration::from_secs(10);

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Canceled => "canceled",
            Self::Lost => "lost",
            Self::Released => "released",
        }
    }

    /// What the job's row says then.
    pub(super) fn state(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Canceled => "canceled",
            Self::Retried | Self::Lost | Self::Released => "queued",
        }
    }
}

/// Runs a claimed job and writes down how it ended.
pub(super) async fn settle(
    service: Service,
    claim: Claim,
    signals: Arc<Signals>,
) -> Result<Outcome> {
    let job = service
        .registry()
        .job(&claim.name)
        .ok_or_else(|| Error::internal(format!("claimed {}, which is no job", claim.name)))?;
    let ended = if claim.canceled {
        Err(Error::new(Code::Canceled, "the job was canceled"))
    } else if claim.attempt > i64::from(job.attempts_max) {
        // Its workers died: it may be what kills them.
        let text = "no attempt is left: the last one did not come to an end";
        Err(Error::new(Code::TimedOut, text))
    } else {
        attempt(&service, job, &claim, &signals).await
    };
    if signals.finished.load(Ordering::Acquire) {
        return Ok(Outcome::Done);
    }
    if ended.is_err() && signals.stopped.load(Ordering::Acquire) {
        return Ok(Outcome::Released);
    }
    let error = match ended {
        Ok(value) => return close(&service, &claim, Outcome::Done, Some(value), None).await,
        Err(error) => error,
    };
    let outcome = judge(job, &claim, &signals, &error);
    tracing::warn!(job = claim.name, id = %claim.id, attempt = claim.attempt,
        outcome = outcome.name(), error = error.log_text(), "a job did not end well");
    let shown = shown(&error);
    let Some(tell) = dead::hook(job, &claim, outcome) else {
        return match outcome {
            Outcome::Retried => put_off(&service, &claim, shown).await,
            _ => close(&service, &claim, outcome, None, Some(shown)).await,
        };
    };
    match dead::end(&service, &claim, tell, outcome, shown.clone()).await {
        Ok(outcome) => Ok(outcome),
        Err(cause) => {
            tracing::warn!(job = claim.name, id = %claim.id, error = cause.log_text(),
                "the end of a job could not be told");
            put_off(&service, &claim, shown).await
        }
    }
}

async fn attempt(
    service: &Service,
    job: &'static Job,
    claim: &Claim,
    signals: &Arc<Signals>,
) -> Result<Value> {
    let run = JobRun::new(service.clone(), job, claim.clone(), Arc::clone(signals));
    let time_max = Duration::try_from(job.time_max).unwrap_or(Duration::MAX);
    guarded(job.name, time_max, (job.run)(run)).await
}

/// The hook of a bad end, within its time.
pub(super) async fn limited(tell: impl Future<Output = Result<()>>) -> Result<()> {
    guarded("the hook", HOOK_TIME_MAX, tell).await
}

/// A panic and too long a time are errors like any other.
async fn guarded<T>(
    name: &str,
    time_max: Duration,
    run: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(time_max, AssertUnwindSafe(run).catch_unwind()).await {
        Err(_) => {
            let text = format!("took longer than {} s", time_max.as_secs());
            Err(Error::new(Code::TimedOut, text))
        }
        Ok(Err(_)) => Err(Error::internal(format!("{name} panicked"))),
        Ok(Ok(answer)) => answer,
    }
}

fn judge(job: &Job, claim: &Claim, signals: &Signals, error: &Error) -> Outcome {
    if claim.canceled || signals.canceled.load(Ordering::Acquire) {
        return Outcome::Canceled;
    }
    if is_final(error) {
        return Outcome::Failed;
    }
    if claim.attempt >= i64::from(job.attempts_max) { Outcome::Dead } else { Outcome::Retried }
}

/// A refusal that will be the same next time. Conflicts, stale versions and throttles pass.
fn is_final(error: &Error) -> bool {
    let status = error.code().status();
    (400..500).contains(&status) && !matches!(status, 408 | 409 | 412 | 429)
}

/// The queue's row goes, and the job says how it ended, if this worker still holds it.
async fn close(
    service: &Service,
    claim: &Claim,
    outcome: Outcome,
    result: Option<Value>,
    error: Option<Value>,
) -> Result<Outcome> {
    let tx = service.work().await?;
    let row = tx
        .query_one(
            "select close_job($1, $2, $3, $4, $5, $6, $7)",
            &[
                &claim.id,
                &claim.process,
                &claim.attempt,
                &outcome.state(),
                &result,
                &error,
                &tx.now,
            ],
        )
        .await?;
    let held: bool = row.try_get(0)?;
    tx.commit().await?;
    Ok(if held { outcome } else { Outcome::Lost })
}

/// It comes again after its pause.
async fn put_off(service: &Service, claim: &Claim, error: Value) -> Result<Outcome> {
    let tx = service.work().await?;
    let attempt = u32::try_from(claim.attempt).unwrap_or(u32::MAX);
    let due = after(tx.now, backoff::pause(claim.id, attempt));
    let count = tx
        .execute(
            "with held as ( \
               update job_queue set leased_by = null, leased_until = null, due_at = $4 \
                where id = $1 and leased_by = $2 and attempts = $3 returning id) \
             update jobs j set state = 'queued', error = $5, due_at = $4 from held \
              where j.id = held.id",
            &[&claim.id, &claim.process, &claim.attempt, &due, &error],
        )
        .await?;
    tx.commit().await?;
    Ok(if count == 0 { Outcome::Lost } else { Outcome::Retried })
}

/// What the organization may read of an error.
fn shown(error: &Error) -> Value {
    let faults: Vec<Value> = error
        .list()
        .iter()
        .map(|fault| {
            json!({"field": fault.field, "code": fault.code.name(), "message": fault.message})
        })
        .collect();
    json!({"code": error.code().name(), "detail": error.detail(), "errors": faults})
}
