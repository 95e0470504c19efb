//! What a job sees while it runs: its payload, units of work as whoever enqueued it, progress, and
//! the end that commits together with its effects.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::claim::{Claim, LEASE};
use super::{Job, SYSTEM};
use crate::accounts::authenticate::{Wanted, acting};
use crate::cx::{Actor, Begin, Cx, Mode};
use crate::error::{Code, Error, Result};
use crate::service::Service;

/// One run of a job; given to `Job::run`.
pub struct JobRun {
    service: Service,
    job: &'static Job,
    claim: Claim,
    signals: Arc<Signals>,
}

/// Between a run and the worker that watches over it.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Somebody asked to cancel.
    pub(super) canceled: AtomicBool,
    /// The run committed its own end.
    pub(super) finished: AtomicBool,
    /// The worker ends: a run that stops at its next step goes back to the queue.
    pub(super) ending: AtomicBool,
    /// The run was told so, and stops for no other reason.
    pub(super) stopped: AtomicBool,
}

impl JobRun {
    pub(super) fn new(
        service: Service,
        job: &'static Job,
        claim: Claim,
        signals: Arc<Signals>,
    ) -> Self {
        Self { service, job, claim, signals }
    }

    pub fn service(&self) -> &Service {
        &self.service
    }

    pub fn id(&self) -> Uuid {
        self.claim.id
    }

    /// The organization that the job belongs to; [`SYSTEM`] for the house itself.
    pub fn org(&self) -> Uuid {
        self.claim.org
    }

    pub fn now(&self) -> Timestamp {
        self.service.now()
    }

    pub fn payload(&self) -> &Value {
        &self.claim.payload
    }

    /// The payload as a typed value; one that does not fit ends the job.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.claim.payload).map_err(|cause| {
            Error::new(Code::InvalidValue, "the payload does not fit the job")
                .with_context(format!("{}: {cause}", self.job.name))
        })
    }

    /// From 1; a run that was killed counts.
    pub fn attempt(&self) -> u32 {
        u32::try_from(self.claim.attempt).unwrap_or(u32::MAX)
    }

    /// Whether somebody asked to cancel: `progress` says it as an error.
    pub fn is_canceled(&self) -> bool {
        self.signals.canceled.load(Ordering::Acquire)
    }

    /// A unit of work as whoever enqueued the job, with the rights they have now, under the request
    /// that enqueued it. While it is open nobody else can claim the job; `conflict` when somebody
    /// has done so already.
    pub async fn begin(&self) -> Result<Cx> {
        if self.claim.org == SYSTEM {
            return Err(Error::internal(format!("{} belongs to no organization", self.job.name)));
        }
        let actor = self.actor().await?;
        let cx = self
            .service
            .open_with(Begin {
                actor,
                org: self.claim.org,
                request_id: self.claim.request_id.unwrap_or(self.claim.id),
                mode: Mode::Write,
                causation: self.claim.causation,
                proof: None,
            })
            .await?;
        let claim = &self.claim;
        let sql = "select hold_job($1, $2, $3)";
        let held = cx.query_one(sql, &[&claim.id, &claim.process, &claim.attempt]).await?;
        if held.try_get(0)? { Ok(cx) } else { Err(lost()) }
    }

    async fn actor(&self) -> Result<Actor> {
        let claim = &self.claim;
        let wanted = Wanted {
            kind: &claim.actor_kind,
            id: claim.actor_id.as_deref().and_then(|text| Uuid::try_parse(text).ok()),
            token: claim.token,
            // Under the job's name, so that the change log says which work it was.
            service: self.job.name,
        };
        acting(&self.service, claim.org, wanted).await
    }

    /// Says how far the job is and extends its lease. An error when somebody asked to cancel
    /// (`canceled`), another worker has the job (`conflict`) or this one ends (`unavailable`): end
    /// with it.
    pub async fn progress(&self, done: u64, total: Option<u64>) -> Result<()> {
        let steps = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let claim = &self.claim;
        let tx = self.service.work().await?;
        let row = tx
            .query_opt(
                "with held as ( \
                   update job_queue \
                      set leased_until = clock_timestamp() + $4::bigint * interval '1 second' \
                    where id = $1 and leased_by = $2 and attempts = $3 returning id) \
                 update jobs j set done = $5, total = $6 from held where j.id = held.id \
                 returning j.cancel_asked_at is not null",
                &[
                    &claim.id,
                    &claim.process,
                    &claim.attempt,
                    &LEASE.as_secs(),
                    &steps(done),
                    &total.map(steps),
                ],
            )
            .await?;
        tx.commit().await?;
        match row {
            None => Err(lost()),
            Some(row) if row.try_get(0)? => {
                self.signals.canceled.store(true, Ordering::Release);
                Err(Error::new(Code::Canceled, "the job was canceled"))
            }
            Some(_) if self.signals.ending.load(Ordering::Acquire) => {
                self.signals.stopped.store(true, Ordering::Release);
                Err(Error::new(Code::Unavailable, "the worker ends"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Commits `cx` and the end of the job in one: what this transaction did happens exactly once,
    /// wherever a worker dies. Nothing may follow it but `Ok(value)`.
    pub async fn finish(&self, cx: Cx, value: Value) -> Result<Value> {
        let claim = &self.claim;
        let row = cx
            .query_one(
                "select finish_job($1, $2, $3, $4, $5)",
                &[&claim.id, &claim.process, &claim.attempt, &value, &cx.now],
            )
            .await?;
        if !row.try_get::<_, bool>(0)? {
            cx.rollback().await?;
            return Err(lost());
        }
        cx.commit().await?;
        self.signals.finished.store(true, Ordering::Release);
        Ok(value)
    }
}

/// What this run did since is rolled back; the one that has the job now goes on.
fn lost() -> Error {
    Error::new(Code::Conflict, "another worker has the job")
}
