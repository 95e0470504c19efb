//! Work in the background: rows enqueued in the caller's transaction, claimed by any worker, run
//! under the rights of whoever enqueued them. A job runs at least once and never twice at the same
//! time; what it does in the transaction that ends it ([`JobRun::finish`]) happens exactly once.
//! Knows no job by name and no HTTP.
//!
//! Read in this order: `run` (what a job sees), `enqueue`, `worker` (claim, lease, shutdown),
//! `places` (who gets one), `outcome` (what follows a run), `dead` (who is told of a bad end).

mod actions;
mod backoff;
mod claim;
mod dead;
mod enqueue;
mod entities;
mod outcome;
mod places;
mod run;
mod worker;

use jiff::SignedDuration;
use serde_json::Value;
use uuid::Uuid;

use crate::action::BoxFuture;
use crate::cx::Cx;
use crate::entity::Field;
use crate::error::Result;

pub(crate) use actions::{CANCEL, REPLAY, REPLAY_DEAD};
pub(crate) use backoff::{between as pause_between, pause as pause_after};
#[cfg(feature = "testkit")]
pub use claim::CLAIM as CLAIM_SQL;
pub use dead::DeadJob;
pub use enqueue::{Enqueue, KEY_CHARS_MAX, Priority};
pub use entities::JOB;
pub(crate) use entities::JOB_QUEUE;
pub use run::JobRun;
pub(crate) use worker::work;
#[cfg(feature = "testkit")]
pub use worker::{WORKED_MAX, drain, end_leases};

/// Jobs and machine rows of no organization carry this one: no organization has it.
pub const SYSTEM: Uuid = Uuid::nil();

/// A kind of work, listed by its domain. It must be safe to run again after any part of it: what
/// cannot be repeated belongs into the transaction that [`JobRun::finish`] commits.
pub struct Job {
    /// `csv.import`: area and verb; never changes while rows of it wait.
    pub name: &'static str,
    /// Runs before it is a dead letter, the first one included.
    pub attempts_max: u32,
    /// A run that takes longer is dropped and counts as failed.
    pub time_max: SignedDuration,
    /// Organizations may name it in a schedule of their own; its payload is then an input of theirs
    /// with these fields.
    pub schedulable: Option<&'static [Field]>,
    /// Tells whoever waits for the job that it ended without being done.
    pub on_dead: Option<OnDead>,
    /// The value is kept as the job's result, at most 64 KiB of JSON. An error of the caller's kind
    /// (4xx, a conflict apart) ends the job; any other is tried again.
    pub run: fn(JobRun) -> BoxFuture<'static, Result<Value>>,
}

/// Runs in the transaction that ends a job as `failed`, `dead` or `canceled`, as a part of the house:
/// whoever enqueued it may have lost the right to know. It may run again after any part of it; when
/// it fails, the job's end comes again later.
pub type OnDead = for<'a> fn(&'a mut Cx, &'a DeadJob) -> BoxFuture<'a, Result<()>>;

/// Five attempts within a few minutes carry a job over a restart of what it needs.
const ATTEMPTS_DEFAULT: u32 = 5;
const TIME_DEFAULT: SignedDuration = SignedDuration::from_mins(5);

impl Job {
    pub const fn new(
        name: &'static str,
        run: fn(JobRun) -> BoxFuture<'static, Result<Value>>,
    ) -> Self {
        Self {
            name,
            attempts_max: ATTEMPTS_DEFAULT,
            time_max: TIME_DEFAULT,
            schedulable: None,
            on_dead: None,
            run,
        }
    }

    pub const fn attempts(mut self, most: u32) -> Self {
        self.attempts_max = most;
        self
    }

    pub const fn time(mut self, most: SignedDuration) -> Self {
        self.time_max = most;
        self
    }

    pub const fn schedulable(mut self, input: &'static [Field]) -> Self {
        self.schedulable = Some(input);
        self
    }

    pub const fn on_dead(mut self, tell: OnDead) -> Self {
        self.on_dead = Some(tell);
        self
    }
}

#[cfg(test)]
mod tests;
