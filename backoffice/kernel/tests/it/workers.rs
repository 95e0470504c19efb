//! Workers at their bounds: who gets a place, whose lease holds, what a database that is away, a
//! clock that is wrong, a cancellation or an end in between does to a run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kernel::clock::{Clock, ManualClock, SystemClock};
use kernel::cx::Cx;
use kernel::error::{Code, Error, Result};
use kernel::jobs::{DeadJob, Enqueue, Job, JobRun, Priority};
use kernel::service::{Service, Shutdown, Trigger};
use kernel::testkit::{TestDb, TestOrg};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::hall::{House, PLACE};

pub(crate) const GATED: Job = Job::new("hall.gated", |run| Box::pin(gated(run))).attempts(3);
pub(crate) const HOLDING: Job = Job::new("hall.holding", |run| Box::pin(holding(run)));
pub(crate) const TOLD: Job = Job::new("hall.told", |run| Box::pin(told(run)))
    .attempts(2)
    .on_dead(|cx, dead| Box::pin(tell(cx, dead)));

/// Where runs of a test wait for it.
#[derive(Clone)]
struct Gate {
    name: String,
    /// Runs that came to the gate.
    came: watch::Sender<usize>,
    /// How they go on: they wait while there is nothing.
    then: watch::Sender<Option<&'static str>>,
}

static GATES: Mutex<BTreeMap<String, Gate>> = Mutex::new(BTreeMap::new());

impl Gate {
    fn named(name: &str) -> Self {
        let new = || Self {
            name: name.to_owned(),
            came: watch::Sender::new(0),
            then: watch::Sender::new(None),
        };
        GATES.lock().unwrap().entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// One of the test's own.
    fn new() -> Self {
        Self::named(&Uuid::new_v4().to_string())
    }

    fn payload(&self) -> Value {
        json!({"gate": self.name})
    }

    async fn pass(&self) -> Result<Value> {
        self.came.send_modify(|came| *came += 1);
        let mut then = self.then.subscribe();
        let way = *then.wait_for(Option::is_some).await.unwrap();
        match way {
            Some("well") => Ok(json!("well")),
            _ => Err(Error::internal("sent away at the gate")),
        }
    }

    async fn reached_by(&self, count: usize) {
        let mut came = self.came.subscribe();
        let reached = came.wait_for(|came| *came >= count);
        let in_time = tokio::time::timeout(Duration::from_secs(30), reached).await;
        in_time
            .unwrap_or_else(|_| panic!("{} runs came, not {count}", *self.came.borrow()))
            .unwrap();
    }

    fn open(&self, way: &'static str) {
        self.then.send_replace(Some(way));
    }
}

fn gate_of(run: &JobRun) -> Gate {
    Gate::named(run.payload()["gate"].as_str().unwrap())
}

async fn gated(run: JobRun) -> Result<Value> {
    gate_of(&run).pass().await
}

/// Waits with a unit of work open, as long imports do.
async fn holding(run: JobRun) -> Result<Value> {
    let cx = run.begin().await?;
    let passed = gate_of(&run).pass().await;
    cx.rollback().await?;
    run.progress(1, None).await?;
    passed
}

/// Ends as its payload says; the hook writes on the place, and fails while the place has seats.
async fn told(run: JobRun) -> Result<Value> {
    match run.payload()["ends"].as_str() {
        Some("refused") => Err(Error::field(Code::ValidationFailed, "x", "no")),
        Some("well") => Ok(json!("well")),
        _ => Err(Error::internal("not today")),
    }
}

async fn tell(cx: &mut Cx, dead: &DeadJob) -> Result<()> {
    let place: Uuid = dead.payload["place"].as_str().unwrap().parse().unwrap();
    let row = cx.get(&PLACE, place).await?;
    let visits = row["visits"].as_i64().unwrap() + 1;
    let notes = format!("{} {}", dead.state, dead.error["code"].as_str().unwrap());
    cx.set(&PLACE, place, &[("notes", json!(notes)), ("visits", json!(visits))]).await?;
    match row["seats"].as_i64() {
        Some(seats) if seats > 0 => Err(Error::internal("nobody listens yet")),
        _ => Ok(()),
    }
}

async fn enqueue(org: &TestOrg, work: Enqueue) -> Uuid {
    let cx = org.begin().await.unwrap();
    let id = cx.enqueue_with(work).await.unwrap();
    cx.commit().await.unwrap();
    id
}

fn work(gate: &Gate) -> Enqueue {
    Enqueue::new("hall.gated", gate.payload())
}

/// State, attempts, and whether the queue still has it.
async fn row(service: &Service, id: Uuid) -> (String, i64, bool) {
    let tx = service.work().await.unwrap();
    let sql = "select state, attempts, exists (select from job_queue q where q.id = j.id) \
                 from jobs j where id = $1";
    let row = tx.query_one(sql, &[&id]).await.unwrap();
    tx.commit().await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

async fn until(service: &Service, id: Uuid, state: &str) -> i64 {
    let reached = async {
        loop {
            let (now, attempts, _) = row(service, id).await;
            if now == state {
                return attempts;
            }
            tokio::task::yield_now().await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(30), reached).await {
        Ok(attempts) => attempts,
        Err(_) => panic!("{id} is not {state}: {:?}", row(service, id).await),
    }
}

struct Worker(Trigger, JoinHandle<Result<()>>);

impl Worker {
    fn start(service: &Service) -> Self {
        let (trigger, shutdown) = Shutdown::new();
        let jobs = kernel::work::DOMAIN.loops.iter().find(|one| one.name == "jobs").unwrap();
        Self(trigger, tokio::spawn((jobs.run)(service.clone(), shutdown)))
    }

    async fn end(self) {
        self.0.end();
        self.1.await.unwrap().unwrap();
    }
}

async fn alone(purpose: &str) -> (House, TestDb) {
    House::alone(purpose, Arc::new(SystemClock)).await
}

#[tokio::test]
async fn a_database_that_refuses_for_a_while_costs_nobody_their_run() {
    let (house, database) = alone("refuses").await;
    let admin = database.superuser().await.unwrap();
    let gate = Gate::new();
    let id = enqueue(&house.org, work(&gate)).await;
    let worker = Worker::start(&house.service);
    gate.reached_by(1).await;
    admin.batch("revoke update on job_queue from atlvs_work").await.unwrap();
    let failed = async {
        loop {
            let text =
                house.to_internal("GET", "/metrics").send().await.unwrap().text().await.unwrap();
            let line =
                text.lines().find(|line| line.contains("look_failures_total{loop=\"jobs\"}"));
            if line.is_some_and(|line| !line.ends_with(" 0") && !line.ends_with(" 1")) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), failed).await.expect("no look failed");
    admin.batch("grant update on job_queue to atlvs_work").await.unwrap();
    gate.open("well");
    assert_eq!(until(&house.service, id, "done").await, 1);
    assert_eq!(*gate.came.borrow(), 1, "it ran once");
    worker.end().await;
}

#[tokio::test]
async fn a_wrong_clock_takes_no_running_job_and_a_lost_lease_is_taken() {
    let (house, database) = alone("skew").await;
    let gate = Gate::new();
    let id = enqueue(&house.org, work(&gate)).await;
    let worker = Worker::start(&house.service);
    gate.reached_by(1).await;
    // A machine whose clock is a day ahead.
    let ahead = ManualClock::at(SystemClock.now());
    ahead.advance(Duration::from_secs(24 * 3600));
    let other = House::on(&database, Arc::new(ahead), &[]).await;
    assert_eq!(kernel::jobs::drain(&other.service, house.org.id).await.unwrap(), 0);
    // As if the first one had been cut off for longer than its lease.
    let admin = database.superuser().await.unwrap();
    admin.batch("update job_queue set leased_until = clock_timestamp()").await.unwrap();
    let service = other.service.clone();
    let org = house.org.id;
    let taken = tokio::spawn(async move { kernel::jobs::drain(&service, org).await });
    gate.reached_by(2).await;
    gate.open("well");
    assert_eq!(taken.await.unwrap().unwrap(), 1);
    assert_eq!(row(&house.service, id).await, ("done".to_owned(), 2, false));
    worker.end().await;
    assert_eq!(row(&house.service, id).await, ("done".to_owned(), 2, false));
}

#[tokio::test]
async fn a_run_with_an_open_transaction_is_canceled_at_once() {
    let (house, _database) = alone("holding").await;
    let gate = Gate::new();
    let id = enqueue(&house.org, Enqueue::new("hall.holding", gate.payload())).await;
    let worker = Worker::start(&house.service);
    gate.reached_by(1).await;
    house.post(&format!("/jobs/{id}/cancel"), json!({})).await.is(200);
    gate.open("well");
    until(&house.service, id, "canceled").await;
    worker.end().await;
}

#[tokio::test]
async fn who_enqueues_a_running_job_again_has_it_run_again() {
    let (house, _database) = alone("again").await;
    let gate = Gate::new();
    let keyed = || work(&gate).key("wake");
    let id = enqueue(&house.org, keyed()).await;
    assert_eq!(enqueue(&house.org, keyed()).await, id, "one that waits has not begun yet");
    let worker = Worker::start(&house.service);
    gate.reached_by(1).await;
    for _ in 0..3 {
        assert_eq!(enqueue(&house.org, keyed()).await, id);
    }
    gate.open("well");
    gate.reached_by(2).await;
    until(&house.service, id, "done").await;
    worker.end().await;
    assert_eq!(*gate.came.borrow(), 2, "three calls during one run are one more run");
    assert_ne!(enqueue(&house.org, keyed()).await, id, "it has ended");
}

/// Who is told that a waiting job will do may have written what the job has to see.
#[tokio::test]
async fn a_job_that_is_relied_upon_waits_until_what_relies_on_it_is_there() {
    let (house, _database) = alone("relied").await;
    let (gate, other) = (Gate::new(), Gate::new());
    let id = enqueue(&house.org, work(&gate).key("wake")).await;
    let cx = house.org.begin().await.unwrap();
    assert_eq!(cx.enqueue_with(work(&gate).key("wake")).await.unwrap(), id);
    other.open("well");
    let behind = enqueue(&house.org, work(&other)).await;
    let worker = Worker::start(&house.service);
    until(&house.service, behind, "done").await;
    assert_eq!(row(&house.service, id).await, ("queued".to_owned(), 0, true));
    cx.commit().await.unwrap();
    gate.open("well");
    until(&house.service, id, "done").await;
    worker.end().await;
    assert_eq!(*gate.came.borrow(), 1);
}

#[tokio::test]
async fn a_failure_at_the_end_counts_and_a_stop_does_not() {
    let (house, _database) = alone("ending").await;
    let (fails, stays) = (Gate::new(), Gate::new());
    let failed = enqueue(&house.org, work(&fails)).await;
    let stopped = enqueue(&house.org, Enqueue::new("hall.holding", stays.payload())).await;
    let worker = Worker::start(&house.service);
    fails.reached_by(1).await;
    stays.reached_by(1).await;
    let Worker(trigger, task) = worker;
    trigger.end();
    // One fails of itself; the other is still at it when the worker's patience ends.
    fails.open("away");
    task.await.unwrap().unwrap();
    assert_eq!(row(&house.service, failed).await, ("queued".to_owned(), 1, true));
    assert_eq!(row(&house.service, stopped).await, ("queued".to_owned(), 0, true));
}

/// 300 jobs of one organization that do not end, and one of another behind them.
#[tokio::test]
async fn no_organization_and_no_priority_keeps_others_from_their_place() {
    let (house, _database) = alone("fair").await;
    let (flood, urgent, behind) = (Gate::new(), Gate::new(), Gate::new());
    let cx = house.org.begin().await.unwrap();
    for _ in 0..300 {
        cx.enqueue_with(work(&flood)).await.unwrap();
    }
    cx.commit().await.unwrap();
    let worker = Worker::start(&house.service);
    // Four places: half of them are one organization's.
    flood.reached_by(2).await;
    let others = [house.stranger().await, house.stranger().await];
    let patient = enqueue(&others[0], work(&behind)).await;
    behind.open("well");
    until(&house.service, patient, "done").await;
    assert_eq!(*flood.came.borrow(), 2);
    // The third place is taken, the fourth one waits for what somebody waits for.
    let slow = Gate::new();
    enqueue(&others[0], work(&slow)).await;
    slow.reached_by(1).await;
    let waits = enqueue(&others[1], work(&slow)).await;
    let now = enqueue(&others[1], work(&urgent).priority(Priority::High)).await;
    urgent.open("well");
    until(&house.service, now, "done").await;
    assert_eq!(row(&house.service, waits).await.0, "queued");
    slow.open("well");
    until(&house.service, waits, "done").await;
    flood.open("well");
    worker.end().await;
}

#[tokio::test]
async fn whoever_waits_for_a_job_hears_of_its_bad_end_once() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let house = House::with_clock(clock.clone()).await;
    let seen = async |place: &str| {
        let row = house.get(&format!("/places/{place}")).await.is(200).body;
        (row["notes"].clone(), row["visits"].as_i64().unwrap())
    };
    let begin = async |key: &str, ends: &str| {
        let place = house.place(key).await;
        let payload = json!({"place": place, "ends": ends});
        (place, enqueue(&house.org, Enqueue::new("hall.told", payload)).await)
    };
    let (well, _) = begin("well", "well").await;
    let (refused, _) = begin("refused", "refused").await;
    let (dies, died) = begin("dies", "badly").await;
    house.org.work().await.unwrap();
    assert_eq!(seen(&refused).await, (json!("failed validation_failed"), 1));
    assert_eq!(seen(&dies).await, (Value::Null, 0), "it comes again");
    clock.advance(Duration::from_secs(10));
    house.org.work().await.unwrap();
    assert_eq!(seen(&dies).await, (json!("dead internal"), 1));
    assert_eq!(row(&house.service, died).await, ("dead".to_owned(), 2, false));
    assert_eq!(seen(&well).await, (Value::Null, 0));
    // One that waits is canceled by a worker, which tells.
    let (canceled, id) = begin("canceled", "badly").await;
    let path = format!("/jobs/{id}/cancel");
    assert_eq!(house.post(&path, json!({})).await.is(200).body["state"], "queued");
    house.org.work().await.unwrap();
    assert_eq!(seen(&canceled).await, (json!("canceled canceled"), 1));
    assert_eq!(row(&house.service, id).await.0, "canceled");
    // As long as nobody could be told, the job has not ended; in the end it does without.
    let (deaf, id) = begin("deaf", "refused").await;
    house.patch(&format!("/places/{deaf}"), json!({"seats": 1})).await.is(200);
    house.org.work().await.unwrap();
    assert_eq!(
        (row(&house.service, id).await, seen(&deaf).await.1),
        (("queued".to_owned(), 1, true), 0)
    );
    clock.advance(Duration::from_secs(3 * 3600));
    house.patch(&format!("/places/{deaf}"), json!({"seats": 0})).await.is(200);
    house.org.work().await.unwrap();
    assert_eq!((row(&house.service, id).await.0, seen(&deaf).await.1), ("failed".to_owned(), 1));
    let (never, id) = begin("never", "badly").await;
    house.patch(&format!("/places/{never}"), json!({"seats": 1})).await.is(200);
    for _ in 0..20 {
        house.org.work().await.unwrap();
        clock.advance(Duration::from_secs(3 * 3600));
    }
    assert_eq!((row(&house.service, id).await.0, seen(&never).await.1), ("dead".to_owned(), 0));
}

/// Runs of each job that are under way, and those that ended.
static HISTORY: Mutex<BTreeMap<Uuid, (u32, u32)>> = Mutex::new(BTreeMap::new());

pub(crate) const TRACED: Job = Job::new("hall.traced", |run| Box::pin(traced(run)));

async fn traced(run: JobRun) -> Result<Value> {
    let id = run.id();
    let at_once = {
        let mut all = HISTORY.lock().unwrap();
        let one = all.entry(id).or_default();
        one.0 += 1;
        one.0
    };
    assert_eq!(at_once, 1, "{id} is run by two");
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let cx = run.begin().await?;
    {
        let mut all = HISTORY.lock().unwrap();
        let one = all.entry(id).or_default();
        *one = (one.0 - 1, one.1 + 1);
    }
    run.finish(cx, Value::Null).await
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_run_every_job_once_and_none_at_the_same_time() {
    let (house, database) = alone("history").await;
    let others = [house.stranger().await, house.stranger().await];
    let mut ids = Vec::new();
    for org in others.iter().chain([&house.org]) {
        let cx = org.begin().await.unwrap();
        for n in 0..60 {
            let priority = Priority::ALL[n % 3];
            let work = Enqueue::new("hall.traced", json!({})).priority(priority);
            ids.push(cx.enqueue_with(work).await.unwrap());
        }
        cx.commit().await.unwrap();
    }
    // Processes of their own, with pools and clocks of their own.
    let mut houses = Vec::new();
    for hours in 0..3 {
        let clock = ManualClock::at(SystemClock.now());
        clock.advance(Duration::from_secs(hours * 3600));
        houses.push(House::on(&database, Arc::new(clock), &[]).await);
    }
    let workers: Vec<Worker> = houses.iter().map(|one| Worker::start(&one.service)).collect();
    for id in &ids {
        until(&house.service, *id, "done").await;
    }
    for worker in workers {
        worker.end().await;
    }
    let history = HISTORY.lock().unwrap();
    for id in &ids {
        assert_eq!(history.get(id), Some(&(0, 1)), "{id}");
    }
}
