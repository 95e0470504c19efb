//! What all requests share on this node, and the one way to ask an event. Knows no HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory::command::Command;
use inventory::log::SharedLog;
use inventory::task::{Answer, AskError, Query, QueryReply};
use inventory::time::{Millis, SharedClock};
use keys::MasterKey;
use tokio::sync::{Notify, Semaphore, watch};
use uuid::Uuid;

use crate::attempts::Attempts;
use crate::catalogue::Progress;
use crate::devices::Devices;
use crate::events::{Event, Registry};
use crate::limits::RateLimits;
use crate::measured::Measured;
use crate::metrics::{Counted, Metrics};
use crate::people::People;
use crate::problem::{Code, Problem};
use crate::routes::Class;
use crate::secret::Secret;
use crate::settings::{Role, Settings};
use crate::staff::Staff;

/// Readers of figures at the same time; each may wait for the back office.
const FIGURES_MAX: usize = 64;
/// Uploads of offline scans at the same time: the doors come first.
const UPLOADS_MAX: usize = 4;
/// Feed readers at the same time.
const FEEDS_MAX: usize = 256;
/// Probes and readers of documents at the same time.
const PROBES_MAX: usize = 256;
/// A document that is never there: asking for it is the cheapest question that a store answers.
const PROBED: &str = "probe";
/// Longest wait for the store's answer to a readiness probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// What a client that was shed should wait, in seconds.
pub const RETRY_AFTER_S: u64 = 1;

pub struct Gate {
    pub role: Role,
    pub clock: SharedClock,
    pub log: SharedLog,
    pub metrics: Arc<Metrics>,
    pub events: Registry,
    pub devices: Devices,
    pub staff: Staff,
    pub people: People,
    pub rates: RateLimits,
    pub attempts: Attempts,
    pub catalogue: Progress,
    pub journal_token: Secret,
    pub master_key: MasterKey,
    pub trusted_proxies: Vec<std::net::IpAddr>,
    /// An evacuation waits for its journal.
    pub alarmed: Notify,
    in_work: InWork,
    stopping: watch::Sender<bool>,
}

/// Requests in work by class, so that a rush at the shop never shuts a door, and strangers at the
/// figures never keep the back office from its journal.
struct InWork {
    scans: Semaphore,
    uploads: Semaphore,
    shop: Semaphore,
    figures: Semaphore,
    feeds: Semaphore,
    probes: Semaphore,
}

impl Gate {
    pub fn new(settings: &Settings, log: SharedLog, clock: SharedClock, staff: Staff) -> Self {
        let metrics = Arc::new(Metrics::new());
        let log: SharedLog = Arc::new(Measured::new(log, Arc::clone(&metrics)));
        let limits = &settings.limits;
        Self {
            role: settings.role,
            events: Registry::new(
                Arc::clone(&log),
                Arc::clone(&clock),
                Arc::clone(&metrics),
                settings.spool.clone(),
            ),
            devices: Devices::default(),
            staff,
            people: People::new(Arc::clone(&log)),
            rates: RateLimits::new(limits),
            attempts: Attempts::default(),
            catalogue: Progress::default(),
            journal_token: settings.journal_token.clone(),
            master_key: settings.master_key.clone(),
            trusted_proxies: limits.trusted_proxies.clone(),
            alarmed: Notify::new(),
            in_work: InWork {
                scans: Semaphore::new(limits.requests_max),
                uploads: Semaphore::new(UPLOADS_MAX),
                shop: Semaphore::new(limits.requests_max),
                figures: Semaphore::new(FIGURES_MAX),
                feeds: Semaphore::new(FEEDS_MAX),
                probes: Semaphore::new(PROBES_MAX),
            },
            stopping: watch::channel(false).0,
            clock,
            log,
            metrics,
        }
    }

    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Hands a command to the event's task and awaits its durable answer.
    pub async fn ask(&self, event: &Event, command: Command) -> Result<Answer, AskError> {
        let start = Instant::now();
        let waiting = Counted::new(&self.metrics.decisions_waiting);
        let answer = event.handle.ask(command).await;
        drop(waiting);
        self.metrics.decided(start.elapsed());
        answer
    }

    pub async fn query(&self, event: &Event, query: Query) -> Result<QueryReply, Problem> {
        event.handle.query(query).await.map_err(unanswered)
    }

    /// Room for one more request of this class; none = refuse it now.
    pub fn admit(&self, class: Class) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let (semaphore, name) = match class {
            Class::Scan => (&self.in_work.scans, "scan"),
            Class::Upload => (&self.in_work.uploads, "upload"),
            Class::Shop => (&self.in_work.shop, "shop"),
            Class::Figures => (&self.in_work.figures, "figures"),
            Class::Feed => (&self.in_work.feeds, "feed"),
            Class::System => (&self.in_work.probes, "probe"),
        };
        let permit = semaphore.try_acquire().ok();
        if permit.is_none() {
            self.metrics.shed(name);
        }
        permit
    }

    /// What keeps this node from deciding; empty = ready.
    pub async fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if *self.stopping.borrow() {
            missing.push("stopping".to_owned());
        }
        if !self.catalogue.known() {
            missing.push("catalogue: none was received and none is cached".to_owned());
        }
        let probe = tokio::time::timeout(PROBE_TIMEOUT, self.log.get(PROBED)).await;
        if !matches!(probe, Ok(Ok(_))) {
            missing.push("store: it does not answer".to_owned());
        }
        for event in self.events.all() {
            if !event.view().fresh {
                missing.push(format!("event {}: no fresh state", event.id));
            }
        }
        missing
    }

    /// Events whose keys the master key did not open: their tickets can be neither sold nor read.
    pub fn without_keys(&self) -> Vec<Uuid> {
        let configured = |event: &Arc<Event>| event.view().catalogue_cursor > 0;
        let events = self.events.all();
        events.iter().filter(|e| configured(e) && e.keys().is_none()).map(|e| e.id).collect()
    }

    /// Becomes true when the process is told to stop; long polls end then.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Figures that are read rather than counted.
    pub fn observe(&self) {
        let events = self.events.all();
        let stale = events.iter().filter(|event| !event.view().fresh).count();
        self.metrics.events_stale.set(i64::try_from(stale).unwrap_or(i64::MAX));
        let queued = events
            .iter()
            .fold(0_usize, |sum, event| sum.saturating_add(event.handle.stats().queued));
        self.metrics.queue_depth.set(i64::try_from(queued).unwrap_or(i64::MAX));
        if let Some(age_s) = self.catalogue.age_s(self.now()) {
            self.metrics.catalogue_age.set(age_s);
        }
    }
}

/// The problem when an event's task gave no answer.
pub fn unanswered(error: AskError) -> Problem {
    match error {
        AskError::Overloaded => {
            Problem::new(Code::Overloaded, "the event is busy").retry_after_s(RETRY_AFTER_S)
        }
        AskError::Unavailable(reason) => {
            Problem::new(Code::StoreUnavailable, "nothing was decided; repeat the request")
                .retry_after_s(RETRY_AFTER_S)
                .with_context(reason)
        }
        AskError::Stopped => Problem::new(Code::StoreUnavailable, "the gate is stopping")
            .retry_after_s(RETRY_AFTER_S),
    }
}
