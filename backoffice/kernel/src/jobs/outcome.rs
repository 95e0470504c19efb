//! What follows a run: done, again later, failed for good, dead, canceled.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::claim::Claim;
use super::run::{JobRun, Signals};
use super::{Job, backoff};
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
    if ended.is_err() && signals.ending.load(Ordering::Acquire) {
        return Ok(Outcome::Released);
    }
    let outcome = match &ended {
        Ok(_) => Outcome::Done,
        Err(error) => judge(job, &claim, &signals, error),
    };
    write(&service, &claim, outcome, ended).await
}

async fn attempt(
    service: &Service,
    job: &'static Job,
    claim: &Claim,
    signals: &Arc<Signals>,
) -> Result<Value> {
    let run = JobRun::new(service.clone(), job, claim.clone(), Arc::clone(signals));
    let time_max = Duration::try_from(job.time_max).unwrap_or(Duration::MAX);
    let guarded = AssertUnwindSafe((job.run)(run)).catch_unwind();
    match tokio::time::timeout(time_max, guarded).await {
        Err(_) => {
            let text = format!("took longer than {} s", time_max.as_secs());
            Err(Error::new(Code::TimedOut, text))
        }
        Ok(Err(_)) => Err(Error::internal(format!("{} panicked", job.name))),
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

/// The queue's row goes or is put off, and the job says so, if this worker still holds it.
async fn write(
    service: &Service,
    claim: &Claim,
    outcome: Outcome,
    ended: Result<Value>,
) -> Result<Outcome> {
    let (result, error) = match ended {
        Ok(value) => (Some(value), None),
        Err(error) => {
            tracing::warn!(job = claim.name, id = %claim.id, attempt = claim.attempt,
                outcome = outcome.name(), error = error.log_text(), "a job did not end well");
            (None, Some(shown(&error)))
        }
    };
    let tx = service.work().await?;
    let state = match outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Dead => "dead",
        Outcome::Canceled => "canceled",
        Outcome::Retried | Outcome::Lost | Outcome::Released => "queued",
    };
    let held = (&claim.id, &claim.process, &claim.attempt);
    let count = if outcome == Outcome::Retried {
        let attempt = u32::try_from(claim.attempt).unwrap_or(u32::MAX);
        let due = after(tx.now, backoff::pause(claim.id, attempt));
        tx.execute(
            "with held as ( \
               update job_queue set leased_by = null, due_at = $4 \
                where id = $1 and leased_by = $2 and attempts = $3 returning id) \
             update jobs j set state = $5, error = $6, due_at = $4 from held where j.id = held.id",
            &[held.0, held.1, held.2, &due, &state, &error],
        )
        .await?
    } else {
        tx.execute(
            "with held as ( \
               delete from job_queue where id = $1 and leased_by = $2 and attempts = $3 \
               returning id) \
             update jobs j set state = $5, error = $6, result = $7, finished_at = $4 \
               from held where j.id = held.id",
            &[held.0, held.1, held.2, &tx.now, &state, &error, &result],
        )
        .await?
    };
    tx.commit().await?;
    Ok(if count == 0 { Outcome::Lost } else { outcome })
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
