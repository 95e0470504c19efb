//! The loop that works: claims as many jobs as it has room for, renews their leases, gives them back
//! at an orderly end. Any number of processes run it; each is bounded by `JOBS_PARALLEL`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

use super::SYSTEM;
use super::claim::{self, Claim, Want};
use super::outcome::{self, Outcome};
use super::run::Signals;
use crate::error::Result;
use crate::service::{Service, Shutdown};

/// Between two looks at an empty queue.
const IDLE_PAUSE: Duration = Duration::from_millis(100);
/// Leases are renewed this often, several times before they end.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// After the signal, what runs has this long to end; the rest goes back to the queue.
const END_WAIT: Duration = Duration::from_secs(7);
/// Finished jobs are shown this long.
const FINISHED_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Jobs of the house that went well, which nobody looks at.
const SYSTEM_KEPT: SignedDuration = SignedDuration::from_hours(1);
/// Between two sweeps of finished jobs.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Rows that one sweep removes.
const SWEEP_ROWS_MAX: i64 = 5_000;

/// A job that runs here.
struct Running {
    signals: Arc<Signals>,
    task: AbortHandle,
}

struct Worker {
    service: Service,
    /// Unlike that of any other start of any process.
    process: Uuid,
    room: usize,
    running: BTreeMap<Uuid, Running>,
    tasks: JoinSet<Uuid>,
}

pub(crate) async fn work(service: Service, end: Shutdown) -> Result<()> {
    let room = service.settings().work.jobs_parallel.max(1);
    let process = service.new_id();
    let mut worker =
        Worker { service, process, room, running: BTreeMap::new(), tasks: JoinSet::new() };
    let ended = worker.until(end).await;
    worker.end().await?;
    ended
}

impl Worker {
    async fn until(&mut self, end: Shutdown) -> Result<()> {
        let (mut renewed, mut swept) = (Instant::now(), None::<Instant>);
        while !end.requested() {
            if renewed.elapsed() >= RENEW_EVERY {
                renewed = Instant::now();
                self.renew().await?;
            }
            if swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY) {
                swept = Some(Instant::now());
                sweep(&self.service).await?;
            }
            if self.fill().await? == 0 {
                self.pause(&end).await;
            }
        }
        Ok(())
    }

    /// Claims what there is room for; answers how many that were.
    async fn fill(&mut self) -> Result<usize> {
        let most = self.room.saturating_sub(self.tasks.len());
        if most == 0 {
            return Ok(0);
        }
        let running: Vec<Uuid> = self.running.keys().copied().collect();
        let want = Want { process: self.process, most, running: &running, org: None };
        let claims = claim::claim(&self.service, &want).await?;
        let count = claims.len();
        for claim in claims {
            let id = claim.id;
            let signals = Arc::new(Signals::default());
            let run = observed(self.service.clone(), claim, Arc::clone(&signals));
            let task = self.tasks.spawn(async move {
                run.await;
                id
            });
            self.running.insert(id, Running { signals, task });
        }
        Ok(count)
    }

    /// Until one ends, there may be more to claim, or the signal comes.
    async fn pause(&mut self, end: &Shutdown) {
        if self.tasks.is_empty() {
            end.pause(IDLE_PAUSE).await;
            return;
        }
        let ended = tokio::time::timeout(IDLE_PAUSE, self.tasks.join_next()).await;
        let mut ended = ended.ok().flatten();
        while let Some(task) = ended {
            if let Ok(id) = task {
                self.running.remove(&id);
            }
            ended = self.tasks.try_join_next();
        }
        // One that was dropped says no id.
        self.running.retain(|_, running| !running.task.is_finished());
    }

    /// A job whose lease another worker took over is dropped here; one that somebody canceled hears
    /// of it.
    async fn renew(&mut self) -> Result<()> {
        if self.running.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = self.running.keys().copied().collect();
        let held = claim::renew(&self.service, self.process, &ids).await?;
        let held: BTreeMap<Uuid, bool> = held.into_iter().collect();
        for (id, running) in &self.running {
            match held.get(id) {
                Some(true) => running.signals.canceled.store(true, Ordering::Release),
                Some(false) => {}
                // It may have committed its own end a moment ago: that one ends by itself.
                None if running.signals.finished.load(Ordering::Acquire) => {}
                None => running.task.abort(),
            }
        }
        Ok(())
    }

    async fn end(mut self) -> Result<()> {
        for running in self.running.values() {
            running.signals.ending.store(true, Ordering::Release);
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(END_WAIT, all).await.is_err() {
            self.tasks.shutdown().await;
        }
        let released = claim::release(&self.service, self.process).await?;
        if released > 0 {
            tracing::info!(released, "jobs went back to the queue");
        }
        Ok(())
    }
}

/// One run with its figures; a run whose end could not be written runs again when its lease is over.
async fn observed(service: Service, claim: Claim, signals: Arc<Signals>) {
    let (name, id) = (claim.name.clone(), claim.id);
    let begun = Instant::now();
    let outcome = match outcome::settle(service.clone(), claim, signals).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(job = name, %id, error = error.log_text(),
                "the end of a job could not be written");
            Outcome::Lost
        }
    };
    service.metrics().job_run(&name, outcome.name(), begun.elapsed());
}

/// Finished jobs leave after a while.
async fn sweep(service: &Service) -> Result<()> {
    let tx = service.work().await?;
    let sql = "delete from jobs where id in ( \
                 select id from jobs \
                  where finished_at < $1 or (finished_at < $2 and org_id = $3 and state = 'done') \
                  order by finished_at limit $4 for update skip locked)";
    let before = |kept| tx.now.checked_sub(kept).unwrap_or(tx.now);
    let (ours, theirs) = (before(SYSTEM_KEPT), before(FINISHED_KEPT));
    tx.execute(sql, &[&theirs, &ours, &SYSTEM, &SWEEP_ROWS_MAX]).await?;
    tx.commit().await
}

/// Jobs that `drain` runs before it says that they never end.
#[cfg(feature = "testkit")]
pub const WORKED_MAX: usize = 10_000;

/// Runs the jobs of an organization that are due, one after the other, until there is none left;
/// answers how many runs that were. For tests: a loop of the same database would take those of all.
#[cfg(feature = "testkit")]
pub async fn drain(service: &Service, org: Uuid) -> Result<usize> {
    let process = service.new_id();
    let mut runs = 0;
    loop {
        let want = Want { process, most: 1, running: &[], org: Some(org) };
        let Some(claim) = claim::claim(service, &want).await?.pop() else { return Ok(runs) };
        observed(service.clone(), claim, Arc::default()).await;
        runs += 1;
        if runs >= WORKED_MAX {
            return Err(crate::error::Error::internal("the jobs do not come to an end"));
        }
    }
}
