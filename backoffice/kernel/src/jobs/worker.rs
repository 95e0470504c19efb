//! The loop that works: claims as many jobs as it has room for, renews their leases, gives them back
//! at an orderly end. Any number of processes run it; each is bounded by `JOBS_PARALLEL`. A database
//! that is away for a while costs a pause: what runs goes on for as long as its lease may hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

use super::Priority;
use super::backoff;
use super::claim::{self, Claim, LEASE, Want};
use super::outcome::{self, Outcome};
use super::places::Places;
use super::run::Signals;
use crate::error::Result;
use crate::service::{Service, Shutdown};

/// Name of the loop, as metrics and readiness know it.
pub(crate) const LOOP: &str = "jobs";
/// Between two looks at an empty queue.
const IDLE_PAUSE: Duration = Duration::from_millis(100);
/// After a look that failed; doubles up to the second.
const ERROR_PAUSE_MIN: SignedDuration = SignedDuration::from_millis(250);
const ERROR_PAUSE_MAX: SignedDuration = SignedDuration::from_secs(5);
/// Leases are renewed this often, several times before they end.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// A run whose lease was not renewed is dropped this long before it ends: another worker may have
/// the job from then on.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// A run that did not end by itself this long after its time is stuck: its lease is left to end.
const STUCK_MARGIN: Duration = Duration::from_secs(30);
/// After the signal, what runs has this long to end; the rest goes back to the queue.
const END_WAIT: Duration = Duration::from_secs(7);

/// A job that runs here.
struct Running {
    org: Uuid,
    priority: Priority,
    signals: Arc<Signals>,
    task: AbortHandle,
    /// Its time and what is given on top.
    time_max: Duration,
    begun: Instant,
    /// When the lease that it has now was asked for, so at the latest when it began.
    held_since: Instant,
}

/// What becomes of a run's lease.
#[derive(Debug, PartialEq, Eq)]
enum Lease {
    Renew,
    /// The run is past its time.
    Leave,
    /// Somebody else may have the job.
    Over,
}

fn lease(begun: Instant, held_since: Instant, time_max: Duration, now: Instant) -> Lease {
    let lease = Duration::try_from(LEASE).unwrap_or(Duration::MAX).saturating_sub(LEASE_MARGIN);
    if now.duration_since(held_since) >= lease {
        Lease::Over
    } else if now.duration_since(begun) >= time_max.saturating_add(STUCK_MARGIN) {
        Lease::Leave
    } else {
        Lease::Renew
    }
}

struct Worker {
    service: Service,
    /// Unlike that of any other start of any process.
    process: Uuid,
    places: Places,
    running: BTreeMap<Uuid, Running>,
    tasks: JoinSet<(Uuid, Outcome)>,
    renewed: Instant,
    /// The organization that was looked at last, when those of the oldest jobs had all they may.
    looked_at: Option<Uuid>,
}

pub(crate) async fn work(service: Service, end: Shutdown) -> Result<()> {
    let process = service.new_id();
    let mut worker = Worker {
        process,
        places: Places::new(service.settings().work.jobs_parallel),
        service,
        running: BTreeMap::new(),
        tasks: JoinSet::new(),
        renewed: Instant::now(),
        looked_at: None,
    };
    worker.until(&end).await;
    worker.end().await
}

impl Worker {
    async fn until(&mut self, end: &Shutdown) {
        let mut failures = 0_u32;
        while !end.requested() {
            let pause = match self.round().await {
                Ok(0) => IDLE_PAUSE,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::error!(
                        error = error.log_text(),
                        failures,
                        "a look at the queue failed"
                    );
                    self.service.metrics().look_failed(LOOP);
                    let pause =
                        backoff::between(ERROR_PAUSE_MIN, ERROR_PAUSE_MAX, self.process, failures);
                    Duration::try_from(pause).unwrap_or(IDLE_PAUSE)
                }
            };
            if pause <= IDLE_PAUSE {
                failures = 0;
            }
            self.drop_lost();
            if !pause.is_zero() {
                self.pause(end, pause).await;
            }
        }
    }

    /// Keeps what runs and claims more; answers how many that were.
    async fn round(&mut self) -> Result<usize> {
        if self.renewed.elapsed() >= RENEW_EVERY {
            self.renew().await?;
            self.renewed = Instant::now();
        }
        let count = self.fill().await?;
        self.service.beat(LOOP, "");
        Ok(count)
    }

    /// Claims what there is room for; answers how many that were.
    async fn fill(&mut self) -> Result<usize> {
        let free = self.free();
        if free.all == 0 {
            return Ok(0);
        }
        let mut count = self.claim(None).await?;
        let free = self.free();
        if free.common > 0 && free.taken.values().any(|taken| *taken >= free.each) {
            // Somebody has all that they may: whoever waits behind them is looked for by name.
            let orgs = claim::organizations(&self.service, self.looked_at).await?;
            self.looked_at = orgs.last().copied();
            let has_room = |org: &Uuid| free.taken.get(org).is_none_or(|taken| *taken < free.each);
            let orgs: Vec<Uuid> = orgs.into_iter().filter(has_room).collect();
            if !orgs.is_empty() {
                count += self.claim(Some(&orgs)).await?;
            }
        }
        Ok(count)
    }

    fn free(&self) -> super::places::Free {
        self.places.free(self.running.values().map(|running| (running.org, running.priority)))
    }

    async fn claim(&mut self, orgs: Option<&[Uuid]>) -> Result<usize> {
        let running: Vec<Uuid> = self.running.keys().copied().collect();
        let asked = Instant::now();
        let want = Want { process: self.process, free: self.free(), running: &running, orgs };
        let claims = claim::claim(&self.service, &want).await?;
        let count = claims.len();
        for claim in claims {
            self.start(claim, asked);
        }
        Ok(count)
    }

    fn start(&mut self, claim: Claim, asked: Instant) {
        let (id, org, priority) = (claim.id, claim.org, claim.priority);
        let job = self.service.registry().job(&claim.name);
        let time_max = job.map(|job| Duration::try_from(job.time_max).unwrap_or(Duration::MAX));
        let signals = Arc::new(Signals::default());
        let run = observed(self.service.clone(), claim, Arc::clone(&signals));
        let task = self.tasks.spawn(async move { (id, run.await) });
        let running = Running {
            org,
            priority,
            signals,
            task,
            time_max: time_max.unwrap_or_default(),
            begun: asked,
            held_since: asked,
        };
        self.running.insert(id, running);
    }

    /// Until one ends, there may be more to claim, or the signal comes.
    async fn pause(&mut self, end: &Shutdown, pause: Duration) {
        if self.tasks.is_empty() {
            end.pause(pause).await;
            return;
        }
        let ended = tokio::time::timeout(pause, self.tasks.join_next()).await;
        let mut ended = ended.ok().flatten();
        while let Some(task) = ended {
            if let Ok((id, _)) = task {
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
        let asked = Instant::now();
        let to_renew = |running: &&Running| running.lease(asked) == Lease::Renew;
        let ids: Vec<Uuid> =
            self.running.iter().filter(|(_, one)| to_renew(one)).map(|(id, _)| *id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let held = claim::renew(&self.service, self.process, &ids).await?;
        let held: BTreeMap<Uuid, bool> = held.into_iter().collect();
        for id in ids {
            let Some(running) = self.running.get_mut(&id) else { continue };
            match held.get(&id) {
                Some(canceled) => {
                    running.held_since = asked;
                    running.signals.canceled.fetch_or(*canceled, Ordering::AcqRel);
                }
                // It may have committed its own end a moment ago: that one ends by itself.
                None if running.signals.finished.load(Ordering::Acquire) => {}
                None => running.task.abort(),
            }
        }
        Ok(())
    }

    /// Nobody may work on what another worker may have claimed by now.
    fn drop_lost(&self) {
        let now = Instant::now();
        for (id, running) in &self.running {
            if running.lease(now) == Lease::Over && !running.task.is_finished() {
                tracing::error!(%id, "the lease of a job could not be renewed: its run is dropped");
                running.task.abort();
            }
        }
    }

    async fn end(mut self) -> Result<()> {
        for running in self.running.values() {
            running.signals.ending.store(true, Ordering::Release);
        }
        let mut stopped: Vec<Uuid> = Vec::new();
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                let Ok((id, outcome)) = ended else { continue };
                self.running.remove(&id);
                if outcome == Outcome::Released {
                    stopped.push(id);
                }
            }
        };
        if tokio::time::timeout(END_WAIT, all).await.is_err() {
            self.tasks.shutdown().await;
            stopped.extend(self.running.keys());
        }
        let released = claim::release(&self.service, self.process, &stopped).await?;
        if released > 0 {
            tracing::info!(released, "jobs went back to the queue");
        }
        Ok(())
    }
}

impl Running {
    fn lease(&self, now: Instant) -> Lease {
        lease(self.begun, self.held_since, self.time_max, now)
    }
}

/// One run with its figures; a run whose end could not be written runs again when its lease is over.
async fn observed(service: Service, claim: Claim, signals: Arc<Signals>) -> Outcome {
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
    outcome
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
        let free = Places::new(1).free(std::iter::empty());
        let want = Want { process, free, running: &[], orgs: Some(&[org]) };
        let Some(claim) = claim::claim(service, &want).await?.pop() else { return Ok(runs) };
        observed(service.clone(), claim, Arc::default()).await;
        runs += 1;
        if runs >= WORKED_MAX {
            return Err(crate::error::Error::internal("the jobs do not come to an end"));
        }
    }
}

/// As if the workers of an organization's jobs had been dead for longer than a lease, for tests: the
/// clock of the database is not theirs to move.
#[cfg(feature = "testkit")]
pub async fn end_leases(service: &Service, org: Uuid) -> Result<()> {
    let tx = service.work().await?;
    let sql = "update job_queue set leased_until = clock_timestamp() \
                where org_id = $1 and leased_by is not null";
    tx.execute(sql, &[&org]).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests;
