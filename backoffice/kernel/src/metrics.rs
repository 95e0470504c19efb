//! Figures for Prometheus. Labels have few values: no ids, no addresses, no paths of callers.

use std::sync::Mutex;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry as Figures;

use crate::error::{Error, Result};

type Labels = Vec<(&'static str, String)>;

/// A queue of the database.
pub(crate) struct Queue {
    /// `jobs`, `deliveries`, `parked` or `outbox`.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) waiting: i64,
    pub(crate) oldest_s: i64,
}

pub struct Metrics {
    figures: Mutex<Figures>,
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram>,
    shed: Counter,
    recalled: Family<Labels, Counter>,
    restarts: Family<Labels, Counter>,
    connections: Family<Labels, Gauge>,
    counters: Family<Labels, Counter>,
    job_runs: Family<Labels, Counter>,
    job_seconds: Family<Labels, Histogram>,
    delivery_failures: Family<Labels, Counter>,
    beats: Family<Labels, Gauge>,
    look_failures: Family<Labels, Counter>,
    ready_looks: Counter,
    waiting: Family<Labels, Gauge>,
    oldest: Family<Labels, Gauge>,
}

/// Counters of one name, by their labels.
fn counted(figures: &mut Figures, name: &str, about: &str) -> Family<Labels, Counter> {
    let family = Family::<Labels, Counter>::default();
    figures.register(name, about, family.clone());
    family
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut figures = Figures::with_prefix("atlvs_backoffice");
        let requests = counted(&mut figures, "requests", "Requests answered, by route and status");
        // 1 ms to 16 s.
        let seconds = Family::<Labels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.001, 2.0, 15))
        });
        figures.register("request_seconds", "Time to the answer, by route", seconds.clone());
        let shed = Counter::default();
        figures.register("requests_shed", "Requests refused because too many ran", shed.clone());
        let recalled = counted(
            &mut figures,
            "callers_recalled",
            "Reads of callers proved before, by whether the proof held in the read itself",
        );
        let restarts = counted(&mut figures, "loop_restarts", "Loops that ended with an error");
        let connections = Family::<Labels, Gauge>::default();
        figures.register("db_connections", "Connections by pool and state", connections.clone());
        let counters = counted(&mut figures, "domain_events", "What domains count, by name");
        let job_runs = counted(&mut figures, "job_runs", "Runs of jobs, by job and outcome");
        // 4 ms to 1 h.
        let job_seconds = Family::<Labels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.004, 4.0, 11))
        });
        figures.register("job_seconds", "Time of a job's run", job_seconds.clone());
        let delivery_failures =
            counted(&mut figures, "delivery_failures", "Events that a consumer could not hear");
        let beats = Family::<Labels, Gauge>::default();
        figures.register(
            "loop_beat_timestamp_seconds",
            "When a loop of this process, or a part of it, last did what it is for",
            beats.clone(),
        );
        let look_failures =
            counted(&mut figures, "look_failures", "Looks of a loop at its queue that failed");
        let ready_looks = Counter::default();
        figures.register("ready_looks", "Looks at the database for readiness", ready_looks.clone());
        let waiting = Family::<Labels, Gauge>::default();
        figures.register(
            "queue_waiting",
            "Rows that wait: jobs by name, deliveries by consumer, changes before their seal",
            waiting.clone(),
        );
        let oldest = Family::<Labels, Gauge>::default();
        figures.register(
            "queue_oldest_seconds",
            "How long the oldest of them has been due",
            oldest.clone(),
        );
        Self {
            figures: Mutex::new(figures),
            requests,
            seconds,
            shed,
            recalled,
            restarts,
            connections,
            counters,
            job_runs,
            job_seconds,
            delivery_failures,
            beats,
            look_failures,
            ready_looks,
            waiting,
            oldest,
        }
    }

    pub(crate) fn request(&self, route: &str, method: &str, status: u16, seconds: f64) {
        let place = vec![("route", route.to_owned()), ("method", method.to_owned())];
        self.seconds.get_or_create(&place).observe(seconds);
        let mut labels = place;
        labels.push(("status", status.to_string()));
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn shed(&self) {
        self.shed.inc();
    }

    /// `outcome` is `proved` or `anew`.
    pub(crate) fn recalled(&self, outcome: &'static str) {
        self.recalled.get_or_create(&vec![("outcome", outcome.to_owned())]).inc();
    }

    pub(crate) fn loop_restarted(&self, name: &'static str) {
        self.restarts.get_or_create(&vec![("loop", name.to_owned())]).inc();
    }

    /// Counts something of a domain; `name` is one of few constants: `journal_stopped`.
    pub fn count(&self, name: &'static str, by: u64) {
        self.counters.get_or_create(&vec![("name", name.to_owned())]).inc_by(by);
    }

    pub(crate) fn job_run(&self, job: &str, outcome: &str, time: std::time::Duration) {
        let name = vec![("job", job.to_owned())];
        self.job_seconds.get_or_create(&name).observe(time.as_secs_f64());
        let labels = vec![("job", job.to_owned()), ("outcome", outcome.to_owned())];
        self.job_runs.get_or_create(&labels).inc();
    }

    pub(crate) fn delivery_failed(&self, consumer: &'static str) {
        self.delivery_failures.get_or_create(&vec![("consumer", consumer.to_owned())]).inc();
    }

    pub(crate) fn beat(&self, name: &'static str, part: &'static str, at_s: i64) {
        let labels = vec![("loop", name.to_owned()), ("part", part.to_owned())];
        self.beats.get_or_create(&labels).set(at_s);
    }

    pub(crate) fn look_failed(&self, name: &'static str) {
        self.look_failures.get_or_create(&vec![("loop", name.to_owned())]).inc();
    }

    pub(crate) fn looked_ready(&self) {
        self.ready_looks.inc();
    }

    /// Depth and age of the queues as they are now; those that are not named are empty.
    pub(crate) fn queues(&self, queues: &[Queue]) {
        self.waiting.clear();
        self.oldest.clear();
        for queue in queues {
            let labels = vec![("queue", queue.kind.to_owned()), ("name", queue.name.clone())];
            self.waiting.get_or_create(&labels).set(queue.waiting);
            self.oldest.get_or_create(&labels).set(queue.oldest_s);
        }
    }

    /// OpenMetrics text.
    pub(crate) fn render(&self, pools: &[(&'static str, usize, usize)]) -> Result<String> {
        for (name, busy, open) in pools {
            let set = |state: &str, value: usize| {
                let labels = vec![("pool", (*name).to_owned()), ("state", state.to_owned())];
                self.connections
                    .get_or_create(&labels)
                    .set(i64::try_from(value).unwrap_or(i64::MAX));
            };
            set("busy", *busy);
            set("open", *open);
        }
        let figures = self.figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &figures).map_err(|cause| Error::internal(cause.to_string()))?;
        Ok(text)
    }
}
