//! Units of work: all or nothing, again after a serialization failure, and what dispatch promises
//! about actions, flows and work of other services.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kernel::clock::{ManualClock, SystemClock};
use kernel::cx::Actor;
use kernel::error::Code;
use kernel::http::REQUESTS_MAX;
use kernel::service::Shutdown;
use serde_json::json;
use uuid::Uuid;

use crate::hall::{BEATS, DEADLOCKS, House, PLACE, Seen, object};

async fn visits(house: &House, place: &str) -> i64 {
    house.get(&format!("/places/{place}")).await.is(200).body["visits"].as_i64().unwrap()
}

#[tokio::test]
async fn an_error_leaves_nothing_behind() {
    let house = House::open().await;
    let place = house.place("whole").await;
    let hall = house.hall(&place).await;
    let body = json!({"hall_id": hall, "title": "Gala"});
    let booking = house.post("/bookings", body).await.is(201);
    let path = format!("/bookings/{}", booking.id());
    let cancel = house.post(&format!("{path}/cancel"), json!({"reason": "rain"})).await;
    cancel.refuses(Code::Conflict, &[]);
    assert_eq!(house.get(&path).await.body, booking.body);
}

#[tokio::test]
async fn serialization_failures_run_again_three_times() {
    let house = House::open().await;
    let place = house.place("again").await;
    let path = format!("/places/{place}/stumble");
    for times in [0, 1, 3] {
        house.post(&path, json!({"times": times})).await.is(200);
    }
    assert_eq!(visits(&house, &place).await, 3, "each call counts once, however often it ran");
    house.post(&path, json!({"times": 4})).await.refuses(Code::Conflict, &[]);
    assert_eq!(visits(&house, &place).await, 3);
}

/// Each swap locks its first place before the other: two opposite ones can stop each other for good.
#[tokio::test]
async fn deadlocks_run_again() {
    let house = House::open().await;
    for round in 0..2 {
        let one = house.place(&format!("one{round}")).await;
        let two = house.place(&format!("two{round}")).await;
        let swap = |from: &str, to: &str| {
            let path = format!("/places/{from}/swap");
            let body = json!({"with_id": to});
            let house = &house;
            async move { house.post(&path, body).await }
        };
        let before = DEADLOCKS.load(Ordering::SeqCst);
        let (there, back) = tokio::join!(swap(&one, &two), swap(&two, &one));
        there.is(200);
        back.is(200);
        assert!(DEADLOCKS.load(Ordering::SeqCst) > before, "the two sides never met");
        assert_eq!(visits(&house, &one).await, 2);
        assert_eq!(visits(&house, &two).await, 2);
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_and_rolls_back() {
    let house = House::open().await;
    let place = house.place("burst").await;
    let seen = house.post(&format!("/places/{place}/burst"), json!({})).await;
    seen.refuses(Code::Internal, &[]);
    assert_eq!(visits(&house, &place).await, 0);
    // The pool of four is not used up by broken connections.
    for _ in 0..6 {
        house.post(&format!("/places/{place}/burst"), json!({})).await.is(500);
    }
    house.post(&format!("/places/{place}/stumble"), json!({"times": 0})).await.is(200);
}

#[tokio::test]
async fn a_dropped_unit_of_work_rolls_back_and_gives_its_place_free() {
    let house = House::open().await;
    let place: Uuid = house.place("dropped").await.parse().unwrap();
    for _ in 0..8 {
        let mut cx = house.org.begin().await.unwrap();
        cx.set(&PLACE, place, &[("name", json!("changed"))]).await.unwrap();
        drop(cx);
    }
    // The lock went with the connection, so this does not wait.
    let seen = house.patch(&format!("/places/{place}"), json!({"seats": 3})).await.is(200);
    assert_eq!(seen.body["name"], "dropped");
    assert_eq!(seen.body["version"], 2);
}

#[tokio::test]
async fn a_commit_after_a_failed_statement_is_an_error() {
    let house = House::open().await;
    let place: Uuid = house.place("failed").await.parse().unwrap();
    let mut cx = house.org.begin().await.unwrap();
    cx.set(&PLACE, place, &[("name", json!("changed"))]).await.unwrap();
    assert!(cx.query("select 1 / 0", &[]).await.is_err());
    assert_eq!(cx.commit().await.unwrap_err().code(), Code::Internal);
    let seen = house.get(&format!("/places/{place}")).await;
    assert_eq!(seen.body["name"], "failed");
}

#[tokio::test]
async fn settings_end_with_the_transaction_and_reading_cannot_write() {
    let house = House::open().await;
    let place: Uuid = house.place("read").await.parse().unwrap();
    let actor = || Actor::Service("test");
    let mut reading = house.service.read(actor(), house.org.id).await.unwrap();
    assert_eq!(reading.get(&PLACE, place).await.unwrap()["name"], "read");
    let error = reading.set(&PLACE, place, &[("name", json!("changed"))]).await.unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    reading.rollback().await.unwrap();
    // A connection that served one organization knows nothing of it in the next transaction.
    for _ in 0..8 {
        let nobody = house.service.read(Actor::Public, Uuid::nil()).await.unwrap();
        let row = nobody.query_one("select count(*) from places", &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 0);
        nobody.commit().await.unwrap();
    }
}

#[tokio::test]
async fn the_change_log_says_who_and_in_which_request() {
    let house = House::open().await;
    let seen = house.post("/places", json!({"name": "n", "key": "n"})).await.is(201);
    let cx = house.org.begin().await.unwrap();
    let sql = "select actor_kind, actor_id, request_id from changes where row_id = $1";
    let id: Uuid = seen.id().parse().unwrap();
    let row = cx.query_one(sql, &[&id]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "token");
    assert!(row.get::<_, &str>(1).parse::<Uuid>().is_ok());
    assert_eq!(row.get::<_, Uuid>(2).to_string(), seen.header("x-request-id"));
    cx.rollback().await.unwrap();
    let mut cx = house.org.begin().await.unwrap();
    cx.because("moved out").await.unwrap();
    cx.delete(&PLACE, id).await.unwrap();
    cx.commit().await.unwrap();
    let cx = house.org.begin().await.unwrap();
    let sql =
        "select actor_kind, actor_id, reason from changes where row_id = $1 and op = 'delete'";
    let row = cx.query_one(sql, &[&id]).await.unwrap();
    let told: [&str; 3] = [row.get(0), row.get(1), row.get(2)];
    assert_eq!(told, ["service", "test", "moved out"]);
}

#[tokio::test]
async fn rows_have_the_time_of_their_unit_of_work() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00.000001Z".parse().unwrap()));
    let house = House::with_clock(clock.clone()).await;
    let path = format!("/places/{}", house.place("timed").await);
    clock.advance(Duration::from_secs(60));
    let seen = house.patch(&path, json!({"seats": 1})).await.is(200);
    assert_eq!(seen.body["created_at"], "2026-11-21T12:00:00.000001Z");
    assert_eq!(seen.body["updated_at"], "2026-11-21T12:01:00.000001Z");
}

#[tokio::test]
async fn a_flow_allows_its_moves_and_nothing_else() {
    let house = House::open().await;
    let hall = house.hall(&house.place("flow").await).await;
    let body = json!({"hall_id": hall, "title": "Gala"});
    let booking = house.post("/bookings", body.clone()).await.is(201);
    assert_eq!(booking.body["status"], "draft");
    let path = format!("/bookings/{}", booking.id());
    let patch = house.patch(&path, json!({"status": "confirmed"})).await;
    patch.refuses(Code::ValidationFailed, &["status"]);
    let mut with_status = body;
    with_status["status"] = json!("confirmed");
    let create = house.post("/bookings", with_status).await;
    create.refuses(Code::ValidationFailed, &["status"]);
    let confirm = house.post(&format!("{path}/confirm"), json!({})).await.is(200);
    assert_eq!(confirm.body["status"], "confirmed");
    assert_eq!(confirm.header("etag"), "\"2\"");
    let again = house.post(&format!("{path}/confirm"), json!({})).await;
    again.refuses(Code::InvalidTransition, &["status"]);
    let odd = house.post(&format!("{path}/cancel"), json!({"reasons": 1})).await;
    odd.refuses(Code::ValidationFailed, &["reasons", "reason"]);
    let nowhere = format!("/bookings/{}/confirm", Uuid::nil());
    house.post(&nowhere, json!({})).await.refuses(Code::NotFound, &[]);
    let old = house.request("POST", &format!("{path}/cancel")).header("if-match", "\"1\"");
    Seen::of(old.json(&json!({"reason": "x"}))).await.refuses(Code::VersionMismatch, &[]);
}

#[tokio::test]
async fn work_of_another_service_is_awaited() {
    let house = House::open().await;
    let place = house.place("outside").await;
    let path = format!("/places/{place}/outside");
    let done = house.post(&path, json!({"ends": "done"})).await.is(200);
    assert_eq!(done.id(), place);
    let failed = house.post(&path, json!({"ends": "failed"})).await.refuses(Code::SoldOut, &[]);
    assert_eq!(failed.body["detail"], "Nothing left.");
    let pending = house.post(&path, json!({"ends": "never"})).await.is(202);
    let location = pending.header("location").trim_start_matches("/api/v1").to_owned();
    let operation = house.get(&location).await.is(200);
    assert_eq!(operation.body["status"], "pending");
}

#[tokio::test]
async fn actions_are_called_by_name_in_the_same_transaction() {
    let house = House::open().await;
    let place = house.place("called").await;
    let mut cx = house.org.begin().await.unwrap();
    let input = json!({"id": place, "note": "from afar"});
    cx.call("hall.touch", input.clone()).await.unwrap();
    let unknown = cx.call("hall.nothing", json!({})).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Internal);
    let faulty = cx.call("hall.touch", json!({"id": place})).await.unwrap_err();
    assert_eq!(faulty.list()[0].field, "note");
    cx.commit().await.unwrap();
    let path = format!("/places/{place}");
    assert_eq!(house.get(&path).await.body["notes"], "from afar");
    // Internal actions have no door.
    house.post(&format!("{path}/touch"), input).await.refuses(Code::NotFound, &[]);
    assert_eq!(house.post("/places/count", json!({})).await.is(200).body, json!({"places": 1}));
}

#[tokio::test]
async fn loops_begin_again_after_an_error_and_end_with_the_service() {
    let (house, _database) = House::alone("loops", Arc::new(SystemClock)).await;
    let (trigger, shutdown) = Shutdown::new();
    let service = house.service.clone();
    let runner = tokio::spawn(async move { service.run_loops(shutdown).await });
    // It fails, panics, returns, and then stays.
    let mut seen = BEATS.subscribe();
    seen.wait_for(|beats| *beats >= 4).await.unwrap();
    assert!(!runner.is_finished());
    trigger.end();
    runner.await.unwrap().unwrap();
    let text = house.to_internal("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("atlvs_backoffice_loop_restarts_total{loop=\"beat\"} 3"), "{text}");
}

#[tokio::test]
async fn more_than_the_house_holds_is_refused_at_once() {
    // Each caller has an address of its own, as a proxy says; what one address may hold is bounded
    // before, and has tests of its own.
    let connections = (4 * REQUESTS_MAX).to_string();
    let given =
        [("CONNECTIONS_PER_ADDRESS", connections.as_str()), ("TRUSTED_PROXIES", "127.0.0.1/32")];
    let house = House::with(Arc::new(SystemClock), &given).await;
    let place = house.place("crowded").await;
    let id: Uuid = place.parse().unwrap();
    let cx = house.org.begin().await.unwrap();
    cx.query("select id from places where id = $1 for update", &[&id]).await.unwrap();
    let path = format!("/places/{place}");
    let calls = (0..REQUESTS_MAX + 30).map(|n| {
        let from = format!("10.0.{}.{}", n / 250, n % 250 + 1);
        let request = house.request("PATCH", &path).header("x-forwarded-for", from);
        Seen::of(request.json(&json!({"seats": 1})))
    });
    let calls = futures_util::future::join_all(calls);
    // The row is free as soon as one refusal was counted; the database gives up before we do.
    let release = async {
        let counted = async || {
            let text =
                house.to_internal("GET", "/metrics").send().await.unwrap().text().await.unwrap();
            !text.contains("requests_shed_total 0")
        };
        while !counted().await {
            tokio::task::yield_now().await;
        }
        cx.rollback().await.unwrap();
    };
    let release = tokio::time::timeout(Duration::from_secs(20), release);
    let (answers, released) = tokio::join!(calls, release);
    released.expect("nothing was refused");
    let shed: Vec<&Seen> = answers.iter().filter(|seen| seen.status == 503).collect();
    assert!(!shed.is_empty());
    for seen in shed {
        assert_eq!(seen.header("retry-after"), "1", "{}", seen.body);
        assert_eq!(seen.body["code"], Code::Overloaded.name());
    }
    house.patch(&path, json!({"seats": 2})).await.is(200);
}

#[tokio::test]
async fn writers_at_once_lose_nothing() {
    let house = House::open().await;
    let place = house.place("busy").await;
    let path = format!("/places/{place}/stumble");
    let calls = (0..12).map(|_| house.post(&path, json!({"times": 0})));
    for seen in futures_util::future::join_all(calls).await {
        seen.is(200);
    }
    assert_eq!(visits(&house, &place).await, 12);
    let mut body = object(json!({"name": "x"}));
    body.insert("key".to_owned(), json!("same"));
    let creates = (0..6).map(|_| house.post("/places", json!(body)));
    let made = futures_util::future::join_all(creates).await;
    assert_eq!(made.iter().filter(|seen| seen.status == 201).count(), 1);
    assert_eq!(made.iter().filter(|seen| seen.status == 409).count(), 5);
}
