//! The machinery's own care: nobody forges its rows, one failing event or organization holds no
//! other up, rows keep their order, what is past its time leaves, and readiness is cheap to ask.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kernel::clock::{Clock, ManualClock, SystemClock};
use kernel::cx::WorkTx;
use kernel::error::Result;
use kernel::outbox::{Consumer, Event, Failed, Hear};
use kernel::service::Shutdown;
use kernel::testkit::Planter;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::hall::{House, database, registry};

/// Hears of halls by a transaction of role work.
pub(crate) const CLERK: Consumer = Consumer {
    name: "hall.clerk",
    topics: &["halls.insert"],
    run: Hear::Work(|tx, events| Box::pin(note(tx, events))),
};

/// Halls whose event breaks the transaction, unseen by the consumer.
static POISON: Mutex<BTreeSet<Uuid>> = Mutex::new(BTreeSet::new());
/// Halls in the order in which the clerk heard of them.
static HEARD: Mutex<Vec<Uuid>> = Mutex::new(Vec::new());

async fn note(tx: &WorkTx, events: &[Event]) -> Result<Failed> {
    for event in events {
        if POISON.lock().unwrap().contains(&event.row) {
            // A careless consumer: the error is swallowed, and the transaction is lost.
            let broken = tx.execute("select 1 / 0", &[]).await;
            assert!(broken.is_err());
        }
        HEARD.lock().unwrap().push(event.row);
    }
    Ok(Failed::new())
}

fn heard(hall: Uuid) -> Option<usize> {
    HEARD.lock().unwrap().iter().position(|one| *one == hall)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()))
}

async fn hall(house: &House, place: &str) -> Uuid {
    house.hall(place).await.parse().unwrap()
}

/// Deliveries to a consumer that are open in the organization: event's row, attempts, parked.
async fn open(house: &House, consumer: &str) -> Vec<(Uuid, i64, bool)> {
    let tx = house.service.work().await.unwrap();
    let sql = "select row_id, attempts, parked_at is not null from outbox_deliveries \
                where org_id = $1 and consumer = $2 order by event";
    let rows = tx.query(sql, &[&house.org.id, &consumer]).await.unwrap();
    tx.commit().await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test]
async fn a_poisoned_event_is_parked_and_the_others_of_its_batch_are_heard() {
    let clock = clock();
    let house = House::with_clock(clock.clone()).await;
    let place = house.place("poison").await;
    let mut halls = Vec::new();
    for _ in 0..5 {
        halls.push(hall(&house, &place).await);
    }
    POISON.lock().unwrap().insert(halls[2]);
    house.org.hear().await.unwrap();
    assert_eq!(open(&house, CLERK.name).await, [(halls[2], 1, false)]);
    for (place, one) in halls.iter().enumerate().filter(|(place, _)| *place != 2) {
        assert!(heard(*one).is_some(), "{place} was not heard");
    }
    for _ in 0..20 {
        clock.advance(Duration::from_secs(3 * 3600));
        house.org.hear().await.unwrap();
    }
    assert_eq!(open(&house, CLERK.name).await, [(halls[2], 15, true)]);
}

#[tokio::test]
async fn what_follows_a_failed_event_of_its_row_waits_for_it() {
    let clock = clock();
    let house = House::with_clock(clock.clone()).await;
    let body = json!({"name": "bad", "key": "order"});
    let place = house.post("/places", body).await.is(201).id();
    let hall = hall(&house, &place).await;
    house.org.hear().await.unwrap();
    let greeter = "hall.greeter";
    assert_eq!(open(&house, greeter).await.len(), 2, "the place and its hall");
    // The greeter could hear this one now; but it has not heard that there is such a hall.
    house.patch(&format!("/places/{place}"), json!({"name": "better"})).await.is(200);
    house.patch(&format!("/halls/{hall}"), json!({"name": "Renamed"})).await.is(200);
    house.org.hear().await.unwrap();
    let waiting = open(&house, greeter).await;
    assert_eq!(waiting.iter().filter(|(row, ..)| *row == hall).count(), 2, "{waiting:?}");
    clock.advance(Duration::from_secs(60));
    house.org.hear().await.unwrap();
    assert_eq!(open(&house, greeter).await, []);
    let visits = house.get(&format!("/places/{place}")).await.is(200).body["visits"].clone();
    assert_eq!(visits, 3);
}

#[tokio::test]
async fn an_organization_with_much_to_tell_lets_others_have_their_say() {
    let (house, _database) = House::alone("said", Arc::new(SystemClock)).await;
    let place: Uuid = house.place("much").await.parse().unwrap();
    let other = house.stranger().await;
    let cx = house.org.begin().await.unwrap();
    let sql = "insert into halls (place_id, name) select $1, 'Hall ' || n \
                 from generate_series(1, 1100) n returning id";
    let many: Vec<Uuid> =
        cx.query(sql, &[&place]).await.unwrap().iter().map(|row| row.get(0)).collect();
    cx.commit().await.unwrap();
    let cx = other.begin().await.unwrap();
    let sql = "insert into places (name, key) values ('p', 'p') returning id";
    let theirs: Uuid = cx.query_one(sql, &[]).await.unwrap().get(0);
    let sql = "insert into halls (place_id, name) values ($1, 'Only') returning id";
    let only: Uuid = cx.query_one(sql, &[&theirs]).await.unwrap().get(0);
    cx.commit().await.unwrap();
    let (trigger, shutdown) = Shutdown::new();
    let outbox = kernel::work::DOMAIN.loops.iter().find(|one| one.name == "outbox").unwrap();
    let task = tokio::spawn((outbox.run)(house.service.clone(), shutdown));
    let tx = house.service.work().await.unwrap();
    while tx.query_one("select count(*) from outbox", &[]).await.unwrap().get::<_, i64>(0) > 0 {
        tokio::task::yield_now().await;
    }
    tx.commit().await.unwrap();
    trigger.end();
    task.await.unwrap().unwrap();
    let all_heard = async {
        let (trigger, shutdown) = Shutdown::new();
        let loops = kernel::work::DOMAIN.loops;
        let consumers = loops.iter().find(|one| one.name == "consumers").unwrap();
        let task = tokio::spawn((consumers.run)(house.service.clone(), shutdown));
        while many.iter().any(|hall| heard(*hall).is_none()) || heard(only).is_none() {
            tokio::task::yield_now().await;
        }
        trigger.end();
        task.await.unwrap().unwrap();
    };
    tokio::time::timeout(Duration::from_secs(60), all_heard).await.expect("all are heard");
    let heard = HEARD.lock().unwrap();
    let before = heard.iter().take_while(|hall| **hall != only).filter(|hall| many.contains(hall));
    let before = before.count();
    assert!(before <= 100, "{before} of the other organization were heard first");
}

#[tokio::test]
async fn an_organization_whose_chain_is_broken_stays_behind_alone() {
    let (house, database) = House::alone("chain", Arc::new(SystemClock)).await;
    let admin = database.superuser().await.unwrap();
    let broken = house.org.id;
    admin
        .batch(&format!(
            "create function refuse() returns trigger language plpgsql as \
             $$ begin raise exception 'no seal here'; end $$; \
             create trigger refuse before insert on change_seals for each row \
               when (new.org_id = '{broken}') execute function refuse()"
        ))
        .await
        .unwrap();
    house.place("broken").await;
    let other = House::on(&database, Arc::new(SystemClock), &[]).await;
    other.place("whole").await;
    let count = async |table: &str, org: Uuid| -> i64 {
        let sql = format!("select count(*) from {table} where org_id = $1");
        admin.query_one(&sql, &[&org]).await.unwrap().get(0)
    };
    let (trigger, shutdown) = Shutdown::new();
    let outbox = kernel::work::DOMAIN.loops.iter().find(|one| one.name == "outbox").unwrap();
    let task = tokio::spawn((outbox.run)(house.service.clone(), shutdown));
    let told = async {
        while count("outbox", other.org.id).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), told).await.expect("the other goes on");
    assert!(count("change_seals", other.org.id).await > 0);
    assert!(count("outbox", broken).await > 0);
    trigger.end();
    task.await.unwrap().unwrap();
    admin.batch("drop trigger refuse on change_seals").await.unwrap();
    house.org.hear().await.unwrap();
    assert_eq!(count("outbox", broken).await, 0);
    let report = kernel::audit::verify(&database.migrate_url, Some(broken)).await.unwrap();
    assert!(report.is_whole(), "{:?}", report.organizations);
}

#[tokio::test]
async fn requests_forge_no_row_of_the_machinery() {
    let house = House::open().await;
    let app = database().await.app().await.unwrap();
    app.batch(&format!("select set_config('app.org_id', '{}', false)", house.org.id))
        .await
        .unwrap();
    for table in [
        "change_seals",
        "outbox_deliveries",
        "job_queue",
        "jobs",
        "cron_ticks",
        "outbox",
        "idempotency_keys",
    ] {
        let refused = app.batch(&format!("insert into {table} default values")).await;
        let error = refused.expect_err(table).log_text();
        assert!(error.contains("permission denied for table"), "{table}: {error}");
    }
}

/// Table, what an old row and a young one have, as columns with the age of their time in hours, and
/// the column that an old one loses (empty: it is gone).
type Case = (
    &'static str,
    &'static [(&'static str, i64)],
    &'static [(&'static str, i64)],
    &'static str,
    &'static str,
);

const DAY: i64 = 24;

static CASES: &[Case] = &[
    ("sessions", &[("expires_at", 31 * DAY)], &[("expires_at", 29 * DAY)], "{}", ""),
    ("proofs", &[("expires_at", 31 * DAY)], &[("expires_at", 29 * DAY)], "{}", ""),
    ("links", &[("expires_at", 31 * DAY)], &[("expires_at", 29 * DAY)], "{}", ""),
    ("invitations", &[("expires_at", 91 * DAY)], &[("expires_at", 89 * DAY)], "{}", ""),
    (
        "portal_sessions",
        &[("link_expires_at", 31 * DAY)],
        &[("link_expires_at", 29 * DAY)],
        "{}",
        "",
    ),
    (
        "portal_sessions",
        &[("link_expires_at", 60 * DAY), ("expires_at", 31 * DAY)],
        &[("link_expires_at", 60 * DAY), ("expires_at", 29 * DAY)],
        "{}",
        "",
    ),
    ("idempotency_keys", &[("expires_at", 1)], &[("expires_at", -1)], "{}", ""),
    ("messages", &[("sent_at", 31 * DAY)], &[("sent_at", 29 * DAY)], r#"{"status": "sent"}"#, ""),
    ("messages", &[("created_at", 25)], &[("created_at", 23)], r#"{"status": "dropped"}"#, ""),
    (
        "messages",
        &[("created_at", 9 * DAY)],
        &[("created_at", 7 * DAY)],
        r#"{"status": "queued"}"#,
        "",
    ),
    (
        "jobs",
        &[("finished_at", 31 * DAY)],
        &[("finished_at", 29 * DAY)],
        r#"{"state": "done"}"#,
        "",
    ),
    ("jobs", &[("due_at", 91 * DAY)], &[("due_at", 89 * DAY)], "{}", ""),
    ("job_queue", &[("due_at", 91 * DAY)], &[("due_at", 89 * DAY)], "{}", ""),
    ("outbox_deliveries", &[("parked_at", 91 * DAY)], &[("parked_at", 89 * DAY)], "{}", ""),
    ("outbox_deliveries", &[("at", 121 * DAY)], &[("at", 119 * DAY)], "{}", ""),
    ("imports", &[("finished_at", 401 * DAY)], &[("finished_at", 399 * DAY)], "{}", ""),
    ("import_chunks", &[("created_at", 46 * DAY)], &[("created_at", 44 * DAY)], "{}", ""),
    (
        "import_chunks",
        &[("created_at", 9 * DAY)],
        &[("created_at", 7 * DAY)],
        r#"{"records": "\\x61"}"#,
        "records",
    ),
];

#[tokio::test]
async fn what_is_past_its_time_leaves_and_nothing_else() {
    let (house, database) = House::alone("sweep", Arc::new(SystemClock)).await;
    let admin = database.superuser().await.unwrap();
    let other = house.stranger().await;
    let now = SystemClock.now();
    let mut planted = Vec::new();
    let mut number = 0;
    for (table, old, young, given, loses) in CASES {
        for org in [house.org.id, other.id] {
            for (times, leaves) in [(*old, true), (*young, false)] {
                let mut planter =
                    Planter { registry: registry(), admin: &admin, org, number, hints: &[] };
                let entity = registry().entity(table).unwrap();
                let id = planter.row_with(entity, row(now, times, given)).await.unwrap();
                number = planter.number;
                planted.push((*table, id, leaves, *loses));
            }
        }
    }
    let swept = kernel::sweep::sweep_once(&house.service).await;
    assert!(swept >= 2 * u64::try_from(CASES.len()).unwrap(), "{swept} rows");
    for (table, id, leaves, loses) in planted {
        let what =
            if loses.is_empty() { "true".to_owned() } else { format!("{loses} is not null") };
        let sql = format!("select count(*) from {table} where id = $1 and {what}");
        let left: i64 = admin.query_one(&sql, &[&id]).await.unwrap().get(0);
        assert_eq!(left, i64::from(!leaves), "{table} {id} {loses}");
        if !loses.is_empty() {
            let sql = format!("select count(*) from {table} where id = $1");
            assert_eq!(admin.query_one(&sql, &[&id]).await.unwrap().get::<_, i64>(0), 1);
        }
    }
    assert_eq!(kernel::sweep::sweep_once(&house.service).await, 0);
}

fn row(now: Timestamp, times: &[(&str, i64)], given: &str) -> Map<String, Value> {
    let mut row: Map<String, Value> = serde_json::from_str(given).unwrap();
    for (column, hours) in times {
        let at = now.saturating_sub(SignedDuration::from_hours(*hours)).unwrap();
        row.insert((*column).to_owned(), json!(at.to_string()));
    }
    row
}

/// A thousand rows of one rule are a batch, and a round takes many.
#[tokio::test]
async fn a_sweep_goes_on_where_a_batch_ends() {
    let (house, database) = House::alone("batches", Arc::new(SystemClock)).await;
    let admin = database.superuser().await.unwrap();
    let sql = "insert into idempotency_keys (org_id, request_hash, rights_hash, expires_at) \
               select $1, sha256(n::text::bytea), sha256('rights'), now() - interval '1 day' \
                 from generate_series(1, 2500) n";
    admin.execute(sql, &[&house.org.id]).await.unwrap();
    assert_eq!(kernel::sweep::sweep_once(&house.service).await, 2_500);
}

#[tokio::test]
async fn readiness_costs_the_database_one_look_a_second_whoever_asks() {
    let house = House::open().await;
    let begun = std::time::Instant::now();
    for _ in 0..4 {
        let asks = (0..50).map(|_| house.plain("GET", "/ready").send());
        for answer in futures_util::future::join_all(asks).await {
            assert_eq!(answer.unwrap().status().as_u16(), 200);
        }
    }
    let text = house.to_internal("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    let looks =
        text.lines().find_map(|line| line.strip_prefix("atlvs_backoffice_ready_looks_total "));
    let looks: u64 = looks.unwrap().parse().unwrap();
    assert!((1..=begun.elapsed().as_secs() + 2).contains(&looks), "{looks} looks");
}
