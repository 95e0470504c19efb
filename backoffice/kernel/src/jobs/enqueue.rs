//! Putting work on the queue, in the transaction of whoever wants it done: it is there if and only
//! if that transaction commits.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::SYSTEM;
use crate::cx::{Cx, WorkTx};
use crate::error::{Code, Error, Result};
use crate::registry::Registry;

/// Claimed in this order; within one, by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Somebody waits for it.
    High,
    Normal,
    /// Whenever there is room.
    Low,
}

impl Priority {
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    pub(super) fn rank(self) -> i64 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }

    pub(super) fn of(rank: i64) -> Self {
        Self::ALL.into_iter().find(|one| one.rank() == rank).unwrap_or(Self::Low)
    }
}

/// A job to be done.
#[derive(Debug, Clone)]
pub struct Enqueue {
    job: &'static str,
    payload: Value,
    at: Option<Timestamp>,
    key: Option<String>,
    priority: Priority,
}

/// Characters of a key.
pub const KEY_CHARS_MAX: usize = 300;

impl Enqueue {
    pub fn new(job: &'static str, payload: Value) -> Self {
        Self { job, payload, at: None, key: None, priority: Priority::Normal }
    }

    /// Not before this instant: a timer is a job of later.
    #[must_use]
    pub fn at(mut self, at: Timestamp) -> Self {
        self.at = Some(at);
        self
    }

    /// At most one unfinished job of this name and key: enqueueing another answers the first one's
    /// id. One that runs by then may have passed what the second is about, so it runs once more when
    /// it has ended, with the payload of the first.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    fn check(&self, registry: &Registry) -> Result<()> {
        if registry.job(self.job).is_none() {
            return Err(Error::internal(format!("no job {}", self.job)));
        }
        if self.key.as_ref().is_some_and(|key| key.chars().count() > KEY_CHARS_MAX) {
            let most = format!("has at most {KEY_CHARS_MAX} characters");
            return Err(Error::field(Code::TooLong, "key", most));
        }
        Ok(())
    }
}

impl Cx {
    /// Work for a worker, as soon as this transaction has committed; answers the job's id.
    pub async fn enqueue(&self, job: &'static str, payload: Value) -> Result<Uuid> {
        self.enqueue_with(Enqueue::new(job, payload)).await
    }

    pub async fn enqueue_with(&self, work: Enqueue) -> Result<Uuid> {
        work.check(self.registry())?;
        let row = self
            .query_one(
                "select enqueue_job($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &[
                    &self.new_id(),
                    &work.job,
                    &work.payload,
                    &work.at.unwrap_or(self.now),
                    &work.key,
                    &work.priority.rank(),
                    &self.actor.user(),
                    &self.actor.token(),
                    &self.now,
                ],
            )
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Takes the unfinished job with this key off the queue, or asks it to stop when it runs; its id.
    pub async fn cancel_job(&self, job: &'static str, key: &str) -> Result<Option<Uuid>> {
        let sql = "select cancel_job_by_key($1, $2, $3, $4)";
        let told = told(self.registry());
        let row = self.query_one(sql, &[&job, &key, &self.now, &told]).await?;
        Ok(row.try_get(0)?)
    }
}

/// Jobs whose bad end is told: a worker ends them, even those that wait.
pub(super) fn told(registry: &Registry) -> Vec<&'static str> {
    registry.jobs().filter(|job| job.on_dead.is_some()).map(|job| job.name).collect()
}

impl WorkTx {
    /// Work without a caller: for an organization, or for none ([`SYSTEM`]). `None` when an
    /// unfinished job has the key.
    pub async fn enqueue(&self, org: Uuid, work: Enqueue) -> Result<Option<Uuid>> {
        work.check(self.service().registry())?;
        let id = crate::clock::new_id(self.now);
        let row = self
            .query_opt(
                "with queued as ( \
                   insert into job_queue (id, org_id, name, key, priority, due_at) \
                   values ($1, $2, $3, $4, $5, $6) \
                   on conflict (org_id, name, key) where key is not null do nothing \
                   returning id) \
                 insert into jobs (id, org_id, created_at, name, payload, due_at, priority, \
                                   actor_kind, actor_id) \
                 select id, $2, $8, $3, $7, $6, $5, 'system', null from queued returning id",
                &[
                    &id,
                    &org,
                    &work.job,
                    &work.key,
                    &work.priority.rank(),
                    &work.at.unwrap_or(self.now),
                    &work.payload,
                    &self.now,
                ],
            )
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Work of the house itself.
    pub async fn enqueue_for_system(&self, work: Enqueue) -> Result<Option<Uuid>> {
        self.enqueue(SYSTEM, work).await
    }
}
