//! Background work: enqueued with its transaction, run under its caller's rights of now, retried,
//! canceled, replayed; ended together with what it did.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kernel::action::BoxFuture;
use kernel::clock::{ManualClock, SystemClock};
use kernel::cx::Cx;
use kernel::entity::id;
use kernel::error::{Code, Error, Result};
use kernel::jobs::{Enqueue, Job, JobRun, Priority};
use kernel::service::Shutdown;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hall::{House, PLACE, Seen};

/// Jobs of the small registry.
pub(crate) static JOBS: &[Job] = &[
    Job::new("hall.visit", |run| boxed(visit(run))).schedulable(&[id("place").required()]),
    Job::new("hall.flaky", |run| boxed(flaky(run))).attempts(3),
    Job::new("hall.refused", |run| boxed(refused(run))),
    Job::new("hall.burst", |run| boxed(burst(run))).attempts(1),
    Job::new("hall.slow", |run| boxed(slow(run))).attempts(1).time(SignedDuration::from_millis(20)),
    Job::new("hall.steps", |run| boxed(steps(run))),
    Job::new("hall.loses", |run| boxed(loses(run))),
    crate::workers::GATED,
    crate::workers::HOLDING,
    crate::workers::TOLD,
    crate::workers::TRACED,
];

fn boxed(
    run: impl Future<Output = Result<Value>> + Send + 'static,
) -> BoxFuture<'static, Result<Value>> {
    Box::pin(run)
}

fn place_of(run: &JobRun) -> Uuid {
    run.payload()["place"].as_str().unwrap().parse().unwrap()
}

/// Counts a visit under the caller's rights, in the transaction that ends the job.
async fn visit(run: JobRun) -> Result<Value> {
    let mut cx = run.begin().await?;
    let id = place_of(&run);
    let place = cx.load(&PLACE, id, "update").await?;
    let visits = place["visits"].as_i64().unwrap() + 1;
    cx.set(&PLACE, id, &[("visits", json!(visits))]).await?;
    let who = json!({"actor": cx.actor.kind(), "visits": visits});
    run.finish(cx, who).await
}

/// Fails as long as the payload says.
async fn flaky(run: JobRun) -> Result<Value> {
    let fails = run.payload()["fails"].as_u64().unwrap_or_default();
    match u64::from(run.attempt()) <= fails {
        true => Err(Error::internal("not yet, and this stays in the log")),
        false => Ok(json!({"attempt": run.attempt()})),
    }
}

async fn refused(_: JobRun) -> Result<Value> {
    Err(Error::field(Code::OutOfRange, "seats", "no hall has so many"))
}

async fn burst(_: JobRun) -> Result<Value> {
    panic!("a bug, on purpose");
}

async fn slow(_: JobRun) -> Result<Value> {
    std::future::pending().await
}

/// Steps until somebody cancels it.
async fn steps(run: JobRun) -> Result<Value> {
    for step in 1.. {
        run.progress(step, Some(1_000_000)).await?;
    }
    Ok(Value::Null)
}

/// Another process takes the job while this one still works on it.
async fn loses(run: JobRun) -> Result<Value> {
    let mut cx = run.begin().await?;
    cx.set(&PLACE, place_of(&run), &[("visits", json!(99))]).await?;
    let tx = run.service().work().await?;
    let sql = "update job_queue set attempts = attempts + 1 where id = $1";
    tx.execute(sql, &[&run.id()]).await?;
    tx.commit().await?;
    run.finish(cx, Value::Null).await
}

async fn enqueue(house: &House, job: &'static str, payload: Value) -> Uuid {
    let cx = house.org.begin().await.unwrap();
    let id = cx.enqueue(job, payload).await.unwrap();
    cx.commit().await.unwrap();
    id
}

async fn job(house: &House, id: Uuid) -> Value {
    house.get(&format!("/jobs/{id}")).await.is(200).body
}

async fn visits(house: &House, place: &str) -> i64 {
    house.get(&format!("/places/{place}")).await.is(200).body["visits"].as_i64().unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()))
}

#[tokio::test]
async fn a_job_runs_once_and_says_how_it_ended() {
    let house = House::open().await;
    let place = house.place("job").await;
    let id = enqueue(&house, "hall.visit", json!({"place": place})).await;
    assert_eq!(job(&house, id).await["state"], "queued");
    assert_eq!(visits(&house, &place).await, 0);
    assert_eq!(house.org.work().await.unwrap(), 1);
    let seen = job(&house, id).await;
    assert_eq!(seen["state"], "done");
    assert_eq!(seen["result"], json!({"actor": "service", "visits": 1}));
    assert_eq!(seen["attempts"], 1);
    assert!(seen.get("payload").is_none(), "{seen}");
    assert_eq!(visits(&house, &place).await, 1);
    assert_eq!(house.org.work().await.unwrap(), 0);
}

#[tokio::test]
async fn a_job_is_there_if_its_transaction_commits() {
    let house = House::open().await;
    let cx = house.org.begin().await.unwrap();
    let id = cx.enqueue("hall.flaky", json!({"fails": 0})).await.unwrap();
    cx.rollback().await.unwrap();
    house.get(&format!("/jobs/{id}")).await.refuses(Code::NotFound, &[]);
    assert_eq!(house.org.work().await.unwrap(), 0);
    let cx = house.org.begin().await.unwrap();
    let error = cx.enqueue("hall.nothing", json!({})).await.unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    let large = json!({"text": "x".repeat(70_000)});
    let error = cx.enqueue("hall.flaky", large).await.unwrap_err();
    assert_eq!((error.code(), error.list()[0].field.as_str()), (Code::InvalidValue, "payload"));
}

/// The actor of the job is the token that called, and its rights are those of the moment.
#[tokio::test]
async fn a_job_acts_for_whoever_enqueued_it_with_the_rights_of_now() {
    let house = House::open().await;
    let place = house.place("rights").await;
    let by_token = async |token: &str| {
        let request = house.plain("POST", "/api/v1/places/send").bearer_auth(token);
        let seen = Seen::of(request.json(&json!({"place": place}))).await.is(200);
        let id: Uuid = seen.body["job"].as_str().unwrap().parse().unwrap();
        (id, seen.header("x-request-id").to_owned())
    };
    let (id, request) = by_token(house.org.token.expose()).await;
    house.org.work().await.unwrap();
    let seen = job(&house, id).await;
    assert_eq!(seen["result"]["actor"], "token");
    assert_eq!(seen["request_id"], request);
    assert_eq!(seen["user_id"], house.org.owner.to_string());
    let cx = house.org.begin().await.unwrap();
    let sql = "select actor_kind, request_id::text from changes \
                where row_id = $1 and after ? 'visits' and op = 'update'";
    let row = cx.query_one(sql, &[&place.parse::<Uuid>().unwrap()]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("token", request.as_str()));
    cx.rollback().await.unwrap();
    // One that may not change places any more by the time its job runs.
    let narrow = json!([{"grant": "hall.places", "rights": ["read", "send"], "scope": "all"}]);
    let narrow = house.org.issue(narrow).await.unwrap();
    let (id, _) = by_token(narrow.expose()).await;
    house.org.work().await.unwrap();
    let seen = job(&house, id).await;
    assert_eq!((&seen["state"], &seen["error"]["code"]), (&json!("failed"), &json!("forbidden")));
    assert_eq!(visits(&house, &place).await, 1);
}

/// An action that leaves the work to a job.
pub(crate) async fn send(cx: &mut Cx, place: Value) -> Result<Value> {
    let id = cx.enqueue("hall.visit", json!({"place": place})).await?;
    Ok(json!({"job": id}))
}

#[tokio::test]
async fn failed_runs_come_again_later_and_then_are_dead_letters() {
    let clock = clock();
    let house = House::with_clock(clock.clone()).await;
    let again = enqueue(&house, "hall.flaky", json!({"fails": 2})).await;
    let dead = enqueue(&house, "hall.flaky", json!({"fails": 9})).await;
    assert_eq!(house.org.work().await.unwrap(), 2);
    let seen = job(&house, again).await;
    assert_eq!((&seen["state"], &seen["attempts"]), (&json!("queued"), &json!(1)));
    let error = json!({"code": "internal", "detail": "an internal error happened", "errors": []});
    assert_eq!(seen["error"], error, "what only the log may say stays there");
    assert_eq!(house.org.work().await.unwrap(), 0, "not before its pause is over");
    for _ in 0..2 {
        clock.advance(Duration::from_secs(10));
        assert_eq!(house.org.work().await.unwrap(), 2);
    }
    let seen = job(&house, again).await;
    assert_eq!((&seen["state"], &seen["result"]["attempt"]), (&json!("done"), &json!(3)));
    assert_eq!(seen["error"], Value::Null);
    assert_eq!(job(&house, dead).await["state"], "dead");
    clock.advance(Duration::from_secs(7200));
    assert_eq!(house.org.work().await.unwrap(), 0);
    // Replayed with all its attempts: one, and all.
    let path = format!("/jobs/{dead}/replay");
    assert_eq!(house.post(&path, json!({})).await.is(200).body["state"], "queued");
    house.post(&path, json!({})).await.refuses(Code::InvalidTransition, &["state"]);
    for _ in 0..3 {
        assert_eq!(house.org.work().await.unwrap(), 1);
        clock.advance(Duration::from_secs(10));
    }
    assert_eq!(job(&house, dead).await["state"], "dead");
    let all = house.post("/jobs/replay-dead", json!({"name": "hall.other"})).await.is(200);
    assert_eq!(all.body, json!({"replayed": 0}));
    let all = house.post("/jobs/replay-dead", json!({"name": "hall.flaky"})).await.is(200);
    assert_eq!(all.body, json!({"replayed": 1}));
    assert_eq!(house.org.work().await.unwrap(), 1);
}

#[tokio::test]
async fn a_refusal_is_final_and_a_panic_or_a_slow_run_counts() {
    let house = House::open().await;
    let refused = enqueue(&house, "hall.refused", json!({})).await;
    let burst = enqueue(&house, "hall.burst", json!({})).await;
    let slow = enqueue(&house, "hall.slow", json!({})).await;
    assert_eq!(house.org.work().await.unwrap(), 3);
    let seen = job(&house, refused).await;
    assert_eq!((&seen["state"], &seen["attempts"]), (&json!("failed"), &json!(1)));
    assert_eq!(seen["error"]["errors"][0]["field"], "seats");
    assert_eq!(job(&house, burst).await["state"], "dead");
    let seen = job(&house, slow).await;
    assert_eq!((&seen["state"], &seen["error"]["code"]), (&json!("dead"), &json!("timed_out")));
}

#[tokio::test]
async fn a_key_has_one_unfinished_job() {
    let house = House::open().await;
    let cx = house.org.begin().await.unwrap();
    let work = || Enqueue::new("hall.flaky", json!({"fails": 0})).key("only");
    let first = cx.enqueue_with(work()).await.unwrap();
    assert_eq!(cx.enqueue_with(work()).await.unwrap(), first);
    assert_ne!(cx.enqueue_with(work().key("other")).await.unwrap(), first);
    cx.commit().await.unwrap();
    // Callers at the same moment agree on one.
    let races = (0..6).map(|_| async {
        let cx = house.org.begin().await.unwrap();
        let id = cx.enqueue_with(work().key("race")).await.unwrap();
        cx.commit().await.unwrap();
        id
    });
    let ids = futures_util::future::join_all(races).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(house.org.work().await.unwrap(), 3);
    let cx = house.org.begin().await.unwrap();
    assert_ne!(cx.enqueue_with(work()).await.unwrap(), first, "the first one has ended");
    assert!(cx.cancel_job("hall.flaky", "only").await.unwrap().is_some());
    assert!(cx.cancel_job("hall.flaky", "only").await.unwrap().is_none());
    cx.commit().await.unwrap();
    assert_eq!(house.org.work().await.unwrap(), 0);
    // Another organization has keys of its own.
    let stranger = house.stranger().await;
    let cx = stranger.begin().await.unwrap();
    let theirs = cx.enqueue_with(work().key("race")).await.unwrap();
    assert_ne!(theirs, ids[0]);
    cx.commit().await.unwrap();
    let path = format!("/jobs/{theirs}");
    house.get(&path).await.refuses(Code::NotFound, &[]);
    house.post(&format!("{path}/cancel"), json!({})).await.refuses(Code::NotFound, &[]);
    house.post(&format!("{path}/replay"), json!({})).await.refuses(Code::NotFound, &[]);
}

#[tokio::test]
async fn jobs_run_by_priority_and_not_before_their_time() {
    let clock = clock();
    let house = House::with_clock(clock.clone()).await;
    let cx = house.org.begin().await.unwrap();
    let later = cx.now.saturating_add(SignedDuration::from_hours(1)).unwrap();
    let work = || Enqueue::new("hall.flaky", json!({"fails": 0}));
    let low = cx.enqueue_with(work().priority(Priority::Low)).await.unwrap();
    let high = cx.enqueue_with(work().priority(Priority::High)).await.unwrap();
    let timer = cx.enqueue_with(work().priority(Priority::High).at(later)).await.unwrap();
    cx.commit().await.unwrap();
    let (service, org) = (&house.service, house.org.id);
    assert_eq!(kernel::jobs::drain(service, org).await.unwrap(), 2);
    let (low, high) = (job(&house, low).await, job(&house, high).await);
    assert_eq!(low["finished_at"], high["finished_at"], "the clock stands");
    assert_eq!(job(&house, timer).await["state"], "queued");
    clock.advance(Duration::from_secs(3599));
    assert_eq!(house.org.work().await.unwrap(), 0);
    clock.advance(Duration::from_secs(1));
    assert_eq!(house.org.work().await.unwrap(), 1);
    assert_eq!(job(&house, timer).await["state"], "done");
}

#[tokio::test]
async fn a_worker_that_lost_its_job_leaves_nothing_behind() {
    let house = House::open().await;
    let place = house.place("lost").await;
    let id = enqueue(&house, "hall.loses", json!({"place": place})).await;
    assert_eq!(house.org.work().await.unwrap(), 1);
    assert_eq!(visits(&house, &place).await, 0);
    assert_eq!(job(&house, id).await["state"], "running", "it is the other worker's");
}

#[tokio::test]
async fn workers_share_the_queue_and_stop_what_was_canceled() {
    let (house, _database) = House::alone("workers", Arc::new(SystemClock)).await;
    let place = house.place("shared").await;
    let steps = enqueue(&house, "hall.steps", json!({})).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(enqueue(&house, "hall.visit", json!({"place": place})).await);
    }
    let (trigger, shutdown) = Shutdown::new();
    let work = kernel::work::DOMAIN.loops.iter().find(|one| one.name == "jobs").unwrap();
    let workers: Vec<_> =
        (0..2).map(|_| tokio::spawn((work.run)(house.service.clone(), shutdown.clone()))).collect();
    let until = async |id: Uuid, state: &str| {
        let reached = async {
            while job(&house, id).await["state"] != state {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), reached).await.is_err() {
            panic!("{id} is not {state}: {}", job(&house, id).await);
        }
    };
    until(steps, "running").await;
    for id in ids {
        until(id, "done").await;
    }
    assert_eq!(visits(&house, &place).await, 20);
    house.post(&format!("/jobs/{steps}/cancel"), json!({})).await.is(200);
    until(steps, "canceled").await;
    assert!(job(&house, steps).await["done"].as_i64().unwrap() > 0);
    // One that runs at the end goes back to the queue with its attempt.
    let again = enqueue(&house, "hall.steps", json!({})).await;
    until(again, "running").await;
    trigger.end();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    let seen = job(&house, again).await;
    assert_eq!((&seen["state"], &seen["attempts"]), (&json!("queued"), &json!(0)));
}
