//! The gate's figures for Prometheus. Labels are closed sets: codes of the contract, routes of the
//! table, event numbers. Never a name, an address or a credential.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;

/// Upper bounds in seconds, from a tenth of a millisecond to ten seconds.
const LATENCY_BUCKETS_S: [f64; 15] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];
/// Journal heads are shown while the node serves no more events than this.
const EVENTS_SHOWN_MAX: i64 = 1_000;

#[derive(Clone)]
pub struct Latency;

impl MetricConstructor<Histogram> for Latency {
    fn new_metric(&self) -> Histogram {
        Histogram::new(LATENCY_BUCKETS_S)
    }
}

pub struct Metrics {
    registry: Registry,
    requests: Family<[(&'static str, String); 2], Counter>,
    request_seconds: Family<Labels<1>, Histogram, Latency>,
    scans: Counters<2>,
    holds: Counters<1>,
    orders: Counters<1>,
    attempts: Counters<1>,
    instructions: Counters<1>,
    catalogue_rejected: Counters<1>,
    shed: Counters<1>,
    decision_seconds: Histogram,
    append_seconds: Histogram,
    store_errors: Counters<1>,
    journal_head: Family<[(&'static str, String); 1], Gauge<u64, AtomicU64>>,
    /// Decisions handed to an event's task and not answered yet.
    pub decisions_waiting: Gauge,
    /// 1 when the store's last call succeeded.
    pub store_up: Gauge,
    pub catalogue_cursor: Gauge<u64, AtomicU64>,
    /// Seconds since the catalogue last answered.
    pub catalogue_age: Gauge<u64, AtomicU64>,
    pub instructions_pending: Gauge,
    pub connections: Gauge,
    /// Requests whose head was read and that are not answered yet.
    pub requests_in_work: Gauge,
    /// Jobs waiting in the queues of all events' tasks.
    pub queue_depth: Gauge,
    pub events: Gauge,
    pub events_stale: Gauge,
}

impl Metrics {
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("gate"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(Latency),
            scans: Family::default(),
            holds: Family::default(),
            orders: Family::default(),
            attempts: Family::default(),
            instructions: Family::default(),
            catalogue_rejected: Family::default(),
            shed: Family::default(),
            decision_seconds: Latency.new_metric(),
            append_seconds: Latency.new_metric(),
            store_errors: Family::default(),
            journal_head: Family::default(),
            decisions_waiting: Gauge::default(),
            store_up: Gauge::default(),
            catalogue_cursor: Gauge::default(),
            catalogue_age: Gauge::default(),
            instructions_pending: Gauge::default(),
            connections: Gauge::default(),
            requests_in_work: Gauge::default(),
            queue_depth: Gauge::default(),
            events: Gauge::default(),
            events_stale: Gauge::default(),
        };
        metrics.register_counters();
        metrics.register_gauges();
        metrics
    }

    fn register_counters(&mut self) {
        let r = &mut self.registry;
        r.register("requests", "Requests by route and status", self.requests.clone());
        r.register("scans", "Scans by verdict and reason", self.scans.clone());
        r.register("holds", "Holds by outcome", self.holds.clone());
        r.register("orders", "Orders by outcome", self.orders.clone());
        r.register(
            "attempts",
            "Credentials and tokens refused before a decision, by reason",
            self.attempts.clone(),
        );
        r.register("instructions", "Instructions applied, by outcome", self.instructions.clone());
        r.register(
            "catalogue_rejected",
            "Catalogue documents that could not be used, by kind",
            self.catalogue_rejected.clone(),
        );
        r.register("shed", "Requests refused because the gate was busy", self.shed.clone());
        r.register("store_errors", "Store calls that failed, by call", self.store_errors.clone());
    }

    fn register_gauges(&mut self) {
        let r = &mut self.registry;
        let seconds = || Unit::Seconds;
        r.register_with_unit(
            "request_duration",
            "Time to answer a request",
            seconds(),
            self.request_seconds.clone(),
        );
        r.register_with_unit(
            "decision_duration",
            "Time from handing a command to an event's task to its durable answer",
            seconds(),
            self.decision_seconds.clone(),
        );
        r.register_with_unit(
            "append_duration",
            "Time of one append to the store",
            seconds(),
            self.append_seconds.clone(),
        );
        r.register_with_unit(
            "catalogue_age",
            "Time since the catalogue last answered",
            seconds(),
            self.catalogue_age.clone(),
        );
        r.register("journal_head", "Last journal entry by event", self.journal_head.clone());
        r.register(
            "decisions_waiting",
            "Decisions waiting for an event's task",
            self.decisions_waiting.clone(),
        );
        r.register("store_up", "Whether the store's last call succeeded", self.store_up.clone());
        r.register("catalogue_cursor", "Newest change taken over", self.catalogue_cursor.clone());
        r.register(
            "instructions_pending",
            "Instructions not yet applied",
            self.instructions_pending.clone(),
        );
        r.register("connections", "Open connections", self.connections.clone());
        r.register("requests_in_work", "Requests being answered", self.requests_in_work.clone());
        r.register("queue_depth", "Jobs queued for events' tasks", self.queue_depth.clone());
        r.register("events", "Events served", self.events.clone());
        r.register("events_stale", "Events without fresh state", self.events_stale.clone());
    }

    pub fn request(&self, route: &'static str, status: u16, took: Duration) {
        self.requests
            .get_or_create(&[("route", route.to_owned()), ("status", status.to_string())])
            .inc();
        self.request_seconds.get_or_create(&[("route", route)]).observe(took.as_secs_f64());
    }

    pub fn scan(&self, verdict: &'static str, reason: &'static str) {
        self.scans.get_or_create(&[("verdict", verdict), ("reason", reason)]).inc();
    }

    pub fn hold(&self, outcome: &'static str) {
        self.holds.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub fn order(&self, outcome: &'static str) {
        self.orders.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub fn attempt(&self, reason: &'static str) {
        self.attempts.get_or_create(&[("reason", reason)]).inc();
    }

    pub fn instruction(&self, outcome: &'static str) {
        self.instructions.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub fn catalogue_rejected(&self, kind: &'static str) {
        self.catalogue_rejected.get_or_create(&[("kind", kind)]).inc();
    }

    pub fn shed(&self, layer: &'static str) {
        self.shed.get_or_create(&[("layer", layer)]).inc();
    }

    pub fn decided(&self, took: Duration) {
        self.decision_seconds.observe(took.as_secs_f64());
    }

    pub fn appended(&self, took: Duration) {
        self.append_seconds.observe(took.as_secs_f64());
    }

    pub fn store_error(&self, call: &'static str) {
        self.store_errors.get_or_create(&[("call", call)]).inc();
    }

    pub fn journal_head(&self, event: u32, seq: u64) {
        if self.events.get() <= EVENTS_SHOWN_MAX {
            self.journal_head.get_or_create(&[("event", event.to_string())]).set(seq);
        }
    }

    /// Counts one request in work until the guard goes, also when the client goes first.
    pub fn in_work(&self) -> Counted {
        Counted::new(&self.requests_in_work)
    }

    /// OpenMetrics text.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// One more on a gauge, until it is dropped.
pub struct Counted(Gauge);

impl Counted {
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
