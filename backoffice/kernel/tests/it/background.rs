//! What follows a commit: consumers, seals, schedules; and that the log cannot be rewritten unseen.

use std::sync::Arc;
use std::time::Duration;

use kernel::audit::{self, Fault};
use kernel::clock::{ManualClock, SystemClock};
use kernel::cron::{Cron, Every, Expression};
use kernel::cx::Cx;
use kernel::db::Admin;
use kernel::error::{Error, Result};
use kernel::outbox::{Consumer, Event, Hear};
use kernel::service::Shutdown;
use kernel::testkit::{TestDb, python};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use uuid::Uuid;

use crate::hall::House;

/// Consumers of the small registry.
pub(crate) static CONSUMERS: &[Consumer] = &[
    Consumer {
        name: "hall.greeter",
        topics: &["places.insert", "halls.*"],
        run: Hear::Organization(|cx, events| Box::pin(greet(cx, events))),
    },
    Consumer {
        name: "hall.echo",
        topics: &["places.update"],
        run: Hear::Organization(|cx, events| Box::pin(echo(cx, events))),
    },
    crate::machinery::CLERK,
];

pub(crate) static CRONS: &[Cron] =
    &[Cron { name: "hall.hourly", every: Every::Minutes(60), job: "hall.flaky" }];

/// Counts a visit for each event of a place or its halls; a place named "bad" cannot be greeted.
async fn greet(cx: &mut Cx, events: &[Event]) -> Result<()> {
    for event in events {
        let place = match event.table() {
            "halls" => {
                let sql = "select place_id from halls where org_id = $1 and id = $2";
                let row = cx.query_one(sql, &[&event.org, &event.row]).await?;
                row.try_get(0)?
            }
            _ => event.row,
        };
        let sql = "update places set visits = visits + 1 where org_id = $1 and id = $2 \
                   returning name";
        let row = cx.query_one(sql, &[&event.org, &place]).await?;
        if row.try_get::<_, &str>(0)? == "bad" {
            return Err(Error::internal("bad places are not greeted"));
        }
    }
    Ok(())
}

/// Answers every change of a loud place with another one: a loop, if nobody stops it.
async fn echo(cx: &mut Cx, events: &[Event]) -> Result<()> {
    for event in events {
        let sql = "update places set seats = coalesce(seats, 0) + 1 \
                    where org_id = $1 and id = $2 and name = 'loud'";
        cx.execute(sql, &[&event.org, &event.row]).await?;
    }
    Ok(())
}

async fn place(house: &House, name: &str, key: &str) -> Uuid {
    let body = json!({"name": name, "key": key});
    house.post("/places", body).await.is(201).id().parse().unwrap()
}

async fn field(house: &House, place: Uuid, name: &str) -> i64 {
    let path = format!("/places/{place}");
    house.get(&path).await.is(200).body[name].as_i64().unwrap_or_default()
}

#[tokio::test]
async fn each_consumer_hears_its_topics_once_and_a_failing_event_stops_no_other() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let house = House::with_clock(clock.clone()).await;
    let (good, bad) = (place(&house, "good", "good").await, place(&house, "bad", "bad").await);
    let hall = house.hall(&good.to_string()).await;
    house.org.hear().await.unwrap();
    assert_eq!(field(&house, good, "visits").await, 2, "the place and its hall");
    assert_eq!(field(&house, bad, "visits").await, 0);
    house.patch(&format!("/halls/{hall}"), json!({"name": "Other"})).await.is(200);
    house.org.hear().await.unwrap();
    assert_eq!(field(&house, good, "visits").await, 3);
    // It comes again until it is parked, and once more when an operator says so.
    for _ in 0..30 {
        clock.advance(Duration::from_secs(3 * 3600));
        house.org.hear().await.unwrap();
    }
    let tx = house.service.work().await.unwrap();
    let sql = "select attempts, parked_at is not null, error from outbox_deliveries \
                where org_id = $1";
    let row = tx.query_one(sql, &[&house.org.id]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (15, true));
    assert!(row.get::<_, &str>(2).contains("bad places are not greeted"));
    house.patch(&format!("/places/{bad}"), json!({"name": "better"})).await.is(200);
    kernel::outbox::replay(&tx, Some("hall.greeter")).await.unwrap();
    tx.commit().await.unwrap();
    house.org.hear().await.unwrap();
    assert_eq!(field(&house, bad, "visits").await, 1);
    assert_eq!(house.org.hear().await.unwrap(), 0);
}

#[tokio::test]
async fn a_loop_of_effects_is_cut() {
    let house = House::open().await;
    let loud = place(&house, "loud", "loud").await;
    house.patch(&format!("/places/{loud}"), json!({"notes": "x"})).await.is(200);
    house.org.hear().await.unwrap();
    // The greeter's visit is one effect, the caller's change has none before it: of both chains the
    // link that would be the ninth is parked.
    let seats = field(&house, loud, "seats").await;
    assert!((8..=16).contains(&seats), "{seats} effects");
    let tx = house.service.work().await.unwrap();
    let sql = "select count(*), min(causation) from outbox_deliveries \
                where org_id = $1 and parked_at is not null";
    let row = tx.query_one(sql, &[&house.org.id]).await.unwrap();
    assert!(row.get::<_, i64>(0) > 0);
    assert_eq!(row.get::<_, i64>(1), 8);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_schedule_is_claimed_once_by_many_workers_and_missed_runs_come_once() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let (house, _database) = House::alone("cron", clock.clone()).await;
    let (trigger, shutdown) = Shutdown::new();
    let tick = kernel::work::DOMAIN.loops.iter().find(|one| one.name == "cron").unwrap();
    let workers: Vec<_> =
        (0..3).map(|_| tokio::spawn((tick.run)(house.service.clone(), shutdown.clone()))).collect();
    let tx = house.service.work().await.unwrap();
    let count = async || -> i64 {
        let sql = "select count(*) from jobs where name = 'hall.flaky'";
        tx.query_one(sql, &[]).await.unwrap().get(0)
    };
    let next_at = async || -> String {
        let sql = "select coalesce(max(next_at)::text, '') from cron_ticks";
        tx.query_one(sql, &[]).await.unwrap().get(0)
    };
    let until = async |time: &str| {
        let reached = async {
            while !next_at().await.contains(time) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached).await.expect(time);
    };
    until("13:00:00").await;
    assert_eq!(count().await, 0);
    clock.advance(Duration::from_secs(3600));
    until("14:00:00").await;
    assert_eq!(count().await, 1);
    kernel::jobs::drain(&house.service, kernel::jobs::SYSTEM).await.unwrap();
    // Nobody looked for five hours.
    clock.advance(Duration::from_secs(5 * 3600 + 60));
    until("19:01:00").await;
    assert_eq!(count().await, 2);
    // The one before is not finished: no second one waits beside it.
    clock.advance(Duration::from_secs(3600));
    until("20:01:00").await;
    assert_eq!(count().await, 2);
    trigger.end();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
}

/// Against croniter, on expressions without the corners where crontabs differ.
#[test]
fn expressions_mean_what_croniter_says() {
    let number = |min: u32, max: u32| {
        prop_oneof![
            3 => Just("*".to_owned()),
            2 => (min..=max).prop_map(|n| n.to_string()),
            // Not from a number to itself: croniter reads `5-5` as every number.
            1 => (min..max)
                .prop_flat_map(move |a| (Just(a), a + 1..=max))
                .prop_map(|(a, b)| format!("{a}-{b}")),
            1 => (min..=max, min..=max).prop_map(|(a, b)| format!("{a},{b}")),
        ]
    };
    let step = prop_oneof![2 => number(0, 59), 1 => (1_u32..30).prop_map(|n| format!("*/{n}"))];
    let days = number(1, 28);
    let any = (step, number(0, 23), days, number(1, 12), number(0, 6), 0_i64..2_000_000_000);
    let mut runner = TestRunner::new(Config::default());
    let mut cases = Vec::new();
    for _ in 0..300 {
        let (minute, hour, day, month, weekday, from) =
            any.new_tree(&mut runner).unwrap().current();
        cases.push((format!("{minute} {hour} {day} {month} {weekday}"), from));
    }
    let script = "import sys, json\nfrom croniter import croniter\n\
        for e, t in json.load(sys.stdin): print(int(croniter(e, t).get_next(float)))";
    let answers = python(script, &json!(cases).to_string()).unwrap();
    let answers: Vec<i64> = answers.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    for ((expression, from), answer) in cases.iter().zip(answers) {
        let from = jiff::Timestamp::from_second(*from).unwrap();
        let ours = Expression::parse(expression, "UTC").unwrap().next(from).unwrap();
        assert_eq!(ours.as_second(), answer, "{expression} after {from}");
    }
}

/// An organization with some changes, all sealed; its report.
async fn sealed(house: &House, database: &TestDb) -> audit::OrgReport {
    house.org.hear().await.unwrap();
    let mut report = audit::verify(&database.migrate_url, Some(house.org.id)).await.unwrap();
    report.organizations.remove(0)
}

/// Does to the log what only somebody with the whole database can do.
async fn tamper(admin: &Admin, sql: &str) {
    admin.batch("set session_replication_role = replica").await.unwrap();
    admin.batch(sql).await.unwrap();
    admin.batch("set session_replication_role = origin").await.unwrap();
}

#[tokio::test]
async fn the_log_cannot_be_rewritten_unseen() {
    let (house, database) = House::alone("audit", Arc::new(SystemClock)).await;
    let admin = database.superuser().await.unwrap();
    for round in 0..5 {
        let id = place(&house, "sealed", &format!("k{round}")).await;
        house.patch(&format!("/places/{id}"), json!({"seats": round})).await.is(200);
        let report = sealed(&house, &database).await;
        assert_eq!(report.fault, None);
    }
    let before = sealed(&house, &database).await;
    assert!(before.seals >= 5 && before.changes > 10, "{before:?}");
    assert_eq!((before.redacted, before.pending), (0, 0));
    let org = house.org.id;
    let pick = |which: &str| {
        format!("(select id from changes where org_id = '{org}' order by id {which} limit 1)")
    };
    let (first, last) = (pick("offset 3"), pick("desc"));
    admin.batch("create table kept_changes as select * from changes").await.unwrap();
    admin.batch("create table kept_seals as select * from change_seals").await.unwrap();
    let digest = "digest = change_digest(changes)";
    let cases = [
        ("altered", format!("update changes set actor_id = 'nobody' where id = {first}")),
        ("altered", format!("update changes set after = '{{}}' where id = {last}")),
        ("missing", format!("delete from changes where id = {first}")),
        (
            "broken_seal",
            format!(
                "update changes set actor_id = 'x' where id = {first}; \
                 update changes set {digest} where id = {first}"
            ),
        ),
        (
            "inserted",
            format!(
                "insert into changes (org_id, table_name, row_id, op, actor_kind, salt, values_digest, digest) \
                 values ('{org}', 'places', uuid7(), 'insert', 'system', 'x', sha256('x'), sha256('x'))"
            ),
        ),
        ("broken_chain", format!("delete from change_seals where org_id = '{org}' and number = 3")),
        (
            "broken_seal",
            format!(
                "update change_seals set members = substring(members from 17 for 16) || \
                   substring(members from 1 for 16) || substring(members from 33) \
                  where org_id = '{org}' and octet_length(members) > 16"
            ),
        ),
    ];
    for (fault, sql) in cases {
        tamper(&admin, &sql).await;
        let report = sealed(&house, &database).await;
        let found = match report.fault {
            Some(Fault::Altered { .. }) => "altered",
            Some(Fault::Missing { .. }) => "missing",
            Some(Fault::BrokenSeal { .. }) => "broken_seal",
            Some(Fault::BrokenChain { .. }) => "broken_chain",
            Some(Fault::Inserted { .. }) => "inserted",
            Some(Fault::Emptied) => "emptied",
            Some(Fault::Rewritten { .. }) => "rewritten",
            None => "nothing",
        };
        assert_eq!(found, fault, "{sql}");
        tamper(
            &admin,
            "delete from changes; insert into changes select * from kept_changes; \
             delete from change_seals; insert into change_seals select * from kept_seals",
        )
        .await;
        assert_eq!(sealed(&house, &database).await.fault, None, "after {sql}");
    }
}

#[tokio::test]
async fn erased_values_show_as_redacted_and_the_chain_holds() {
    let (house, database) = House::alone("erased", Arc::new(SystemClock)).await;
    let id = place(&house, "erased", "erased").await;
    house.patch(&format!("/places/{id}"), json!({"contact": "ann@example.org"})).await.is(200);
    let before = sealed(&house, &database).await;
    let cx = house.org.begin().await.unwrap();
    cx.query("select erase_changes('places', $1)", &[&id]).await.unwrap();
    cx.commit().await.unwrap();
    let after = sealed(&house, &database).await;
    assert_eq!((after.fault, after.redacted), (None, 3), "insert, visit by the greeter, update");
    let one_more = "what was redacted is told by an entry";
    assert_eq!(after.changes + after.redacted, before.changes + before.redacted + 1, "{one_more}");
}

#[tokio::test]
async fn seals_stay_as_they_were_made() {
    let house = House::open().await;
    place(&house, "kept", "kept").await;
    house.org.hear().await.unwrap();
    for sql in ["update change_seals set number = number", "delete from change_seals"] {
        let tx = house.service.work().await.unwrap();
        assert!(tx.execute(sql, &[]).await.is_err(), "{sql}");
    }
}
