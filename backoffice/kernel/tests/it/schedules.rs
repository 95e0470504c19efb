//! Schedules of organizations: what may be written, as whom they run, that each due time has one run
//! whoever looks, and that expressions mean in every zone what others say.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kernel::clock::ManualClock;
use kernel::cron::Expression;
use kernel::error::Code;
use kernel::schedules::due;
use kernel::service::Shutdown;
use kernel::testkit::{TestDb, python};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::hall::{House, Seen};

const NOON: &str = "2026-11-21T12:00:00Z";
const HOUR: Duration = Duration::from_secs(3_600);

struct Clocked {
    house: House,
    clock: Arc<ManualClock>,
    database: TestDb,
}

/// A house whose clock stands at noon, in a database of its own.
async fn clocked(purpose: &str) -> Clocked {
    let clock = Arc::new(ManualClock::at(NOON.parse().unwrap()));
    let (house, database) = House::alone(purpose, clock.clone()).await;
    Clocked { house, clock, database }
}

impl Clocked {
    async fn made(&self, more: Value) -> String {
        self.house.post("/schedules", body(more)).await.is(201).id()
    }

    async fn row(&self, id: &str) -> Value {
        self.house.get(&format!("/schedules/{id}")).await.is(200).body
    }

    /// Lets come what is due, and runs it; how many runs.
    async fn works(&self) -> usize {
        due(&self.house.service).await.unwrap();
        self.house.org.work().await.unwrap()
    }

    async fn visits(&self, place: &str) -> i64 {
        let place = self.house.get(&format!("/places/{place}")).await.is(200);
        place.body["visits"].as_i64().unwrap()
    }
}

fn body(more: Value) -> Value {
    let mut body = json!({"name": "Visits", "job": "hall.visit"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn what_cannot_come_is_refused_by_its_field() {
    let all = clocked("schedules_refused").await;
    let house = &all.house;
    let place = house.place("scheduled").await;
    let input = json!({"place": place});
    let refused = async |more: Value, code, fields: &[&str]| {
        house.post("/schedules", body(more)).await.refuses(code, fields);
    };
    refused(json!({"input": input}), Code::Required, &["cron"]).await;
    let two = json!({"input": input, "cron": "* * * * *", "every_minutes": 5});
    refused(two, Code::ValidationFailed, &["every_minutes"]).await;
    let never = json!({"input": input, "cron": "0 0 30 2 *"});
    refused(never, Code::InvalidValue, &["cron"]).await;
    let zone = json!({"input": input, "cron": "* * * * *", "zone": "Moon/Sea"});
    house.post("/schedules", body(zone)).await.refuses(Code::ValidationFailed, &["zone"]);
    refused(json!({"input": input, "at": NOON}), Code::InvalidValue, &["at"]).await;
    let short = json!({"input": input, "every_minutes": 0});
    refused(short, Code::ValidationFailed, &["every_minutes"]).await;
    refused(json!({"every_minutes": 5}), Code::ValidationFailed, &["input.place"]).await;
    let extra = json!({"input": {"place": place, "who": "x"}, "every_minutes": 5});
    refused(extra, Code::ValidationFailed, &["input.who"]).await;
    let list = json!({"input": [place], "every_minutes": 5});
    refused(list, Code::InvalidValue, &["input"]).await;
    let other = json!({"input": input, "every_minutes": 5, "job": "hall.flaky"});
    let seen =
        house.post("/schedules", body(other)).await.refuses(Code::UnknownReference, &["job"]);
    let text = seen.body["detail"].as_str().unwrap();
    assert!(text.contains("hall.visit") && !text.contains("hall.flaky"), "{text}");
    // A patch is judged as a whole, too.
    let id = all.made(json!({"input": input, "every_minutes": 5})).await;
    let path = format!("/schedules/{id}");
    let both = json!({"cron": "0 6 * * *"});
    house.patch(&path, both).await.refuses(Code::InvalidValue, &["cron"]);
    house
        .patch(&path, json!({"input": {}}))
        .await
        .refuses(Code::ValidationFailed, &["input.place"]);
    let moved = json!({"cron": "0 6 * * *", "zone": "Europe/Berlin", "every_minutes": null});
    let row = house.patch(&path, moved).await.is(200).body;
    assert_eq!(row["next_run_at"], "2026-11-22T05:00:00Z");
    // What only the house writes is not the caller's to say.
    let given = json!({"next_run_at": NOON});
    house.patch(&path, given).await.refuses(Code::ValidationFailed, &["next_run_at"]);
}

#[tokio::test]
async fn a_schedule_comes_by_its_time_until_it_is_stopped() {
    let all = clocked("schedules_come").await;
    let house = &all.house;
    let place = house.place("scheduled").await;
    let input = json!({"place": place});
    let hourly = all.made(json!({"input": input, "every_minutes": 60})).await;
    let once = all.made(json!({"input": input, "at": "2026-11-21T14:30:00Z"})).await;
    assert_eq!(all.row(&hourly).await["next_run_at"], "2026-11-21T13:00:00Z");
    assert_eq!(all.works().await, 0, "nothing is due");
    all.clock.advance(HOUR);
    assert_eq!(all.works().await, 1);
    let row = all.row(&hourly).await;
    let times = [&row["last_due_at"], &row["last_run_at"], &row["next_run_at"], &row["last_state"]];
    let expect = ["2026-11-21T13:00:00Z", "2026-11-21T13:00:00Z", "2026-11-21T14:00:00Z", "done"];
    assert_eq!(times, expect);
    assert_eq!(row["version"], 1, "coming is no change of the schedule");
    let job = house.get(&format!("/jobs/{}", row["last_job_id"].as_str().unwrap())).await.is(200);
    let (job, owner) = (job.body, house.org.owner.to_string());
    assert_eq!((&job["schedule_id"], &job["user_id"]), (&json!(hourly), &json!(owner)));
    // Five hours nobody looked: one run for all of them, and the one-off, which is over then.
    all.clock.advance(HOUR * 5 + Duration::from_secs(1_200));
    assert_eq!(all.works().await, 2);
    assert_eq!(all.row(&hourly).await["next_run_at"], "2026-11-21T19:00:00Z");
    let row = all.row(&once).await;
    assert_eq!((&row["next_run_at"], &row["last_state"]), (&Value::Null, &json!("done")));
    // Stopped, it does not come; started again, it counts from then.
    house.patch(&format!("/schedules/{hourly}"), json!({"active": false})).await.is(200);
    all.clock.advance(HOUR * 3);
    assert_eq!(all.works().await, 0);
    let row = house.patch(&format!("/schedules/{hourly}"), json!({"active": true})).await.is(200);
    assert_eq!(row.body["next_run_at"], "2026-11-21T22:20:00Z");
    // Neither does one that is deleted, and what it missed is not made up for.
    house.delete(&format!("/schedules/{hourly}")).await.is(204);
    all.clock.advance(HOUR * 2);
    assert_eq!(all.works().await, 0);
    house.post(&format!("/schedules/{hourly}/restore"), json!({})).await.is(200);
    assert_eq!(all.works().await, 0);
    assert_eq!(all.row(&hourly).await["next_run_at"], "2026-11-22T00:20:00Z");
    assert_eq!(all.visits(&place).await, 3);
}

/// A run acts with the rights of whoever wrote the schedule last: it is no way to theirs for others.
#[tokio::test]
async fn a_schedule_runs_as_whoever_wrote_it_last() {
    let all = clocked("schedules_rights").await;
    let house = &all.house;
    let place = house.place("scheduled").await;
    let id = all.made(json!({"input": {"place": place}, "every_minutes": 60})).await;
    let narrow = json!([{"grant": "work.schedules", "rights": ["*"], "scope": "all"}]);
    let narrow = house.org.issue(narrow).await.unwrap();
    let patch = async |body: Value| {
        let request = house.plain("PATCH", &format!("/api/v1/schedules/{id}"));
        Seen::of(request.bearer_auth(narrow.expose()).json(&body)).await.is(200)
    };
    patch(json!({"name": "Renamed"})).await;
    all.clock.advance(HOUR);
    all.works().await;
    assert_eq!(all.row(&id).await["last_state"], "done", "a name is nobody's right");
    patch(json!({"every_minutes": 30})).await;
    all.clock.advance(HOUR);
    all.works().await;
    let row = all.row(&id).await;
    assert_eq!((&row["last_state"], &row["actor_kind"]), (&json!("failed"), &json!("token")));
    let job = house.get(&format!("/jobs/{}", row["last_job_id"].as_str().unwrap())).await.is(200);
    assert_eq!(job.body["error"]["code"], "forbidden");
    assert_eq!(all.visits(&place).await, 1);
    // Neither is it seen, nor run, from another organization.
    let stranger = house.stranger().await;
    let theirs = house.plain("GET", &format!("/api/v1/schedules/{id}"));
    Seen::of(theirs.bearer_auth(stranger.token.expose())).await.refuses(Code::NotFound, &[]);
}

#[tokio::test]
async fn what_failed_is_replayed_by_a_schedule() {
    let all = clocked("schedules_replay").await;
    let house = &all.house;
    let cx = house.org.begin().await.unwrap();
    let refused = cx.enqueue("hall.refused", json!({})).await.unwrap();
    cx.commit().await.unwrap();
    let nightly = json!({"name": "Nightly", "job": "work.replay-dead", "cron": "0 2 * * *"});
    let nightly = house.post("/schedules", nightly).await.is(201).id();
    all.works().await;
    all.clock.advance(HOUR * 14);
    assert_eq!(all.works().await, 2, "the replay, and what it replays");
    let row = all.row(&nightly).await;
    let job = house.get(&format!("/jobs/{}", row["last_job_id"].as_str().unwrap())).await.is(200);
    assert_eq!(job.body["result"], json!({"replayed": 1}));
    let seen = house.get(&format!("/jobs/{refused}")).await.is(200);
    assert_eq!(seen.body["state"], "failed");
}

/// Workers that look at the same moment, again and again: as many runs as due times.
#[tokio::test]
async fn each_due_time_has_one_run_however_many_workers_look() {
    const SCHEDULES: usize = 8;
    const TIMES: usize = 6;
    let all = clocked("schedules_many").await;
    let place = all.house.place("scheduled").await;
    for minutes in 0..SCHEDULES {
        let times = json!({"input": {"place": place}, "every_minutes": 60 - minutes % 2});
        all.made(times).await;
    }
    let (trigger, shutdown) = Shutdown::new();
    let looped = kernel::work::DOMAIN.loops.iter().find(|one| one.name == "schedules").unwrap();
    let workers: Vec<_> = (0..3)
        .map(|_| tokio::spawn((looped.run)(all.house.service.clone(), shutdown.clone())))
        .collect();
    let admin = all.database.superuser().await.unwrap();
    for time in 1..=TIMES {
        all.clock.advance(HOUR);
        let came = async {
            loop {
                let looks = (0..4).map(|_| due(&all.house.service));
                futures_util::future::join_all(looks).await.into_iter().for_each(|came| {
                    came.unwrap();
                });
                let now = kernel::clock::Clock::now(&*all.clock);
                let sql = "select count(*) from schedules where next_run_at <= $1";
                if admin.query_one(sql, &[&now]).await.unwrap().get::<_, i64>(0) == 0 {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), came).await.expect("all come");
        all.house.org.work().await.unwrap();
        let sql = "select count(*), count(*) filter (where state = 'done') from jobs \
                    where schedule_id is not null";
        let row = admin.query_one(sql, &[]).await.unwrap();
        let expect = i64::try_from(SCHEDULES * time).unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (expect, expect));
    }
    assert_eq!(all.visits(&place).await, i64::try_from(SCHEDULES * TIMES).unwrap());
    trigger.end();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    admin.close().await;
}

/// Two opinions of others, in every zone and year: `cronsim` says which local times an expression
/// means, Python's `zoneinfo` (PEP 495, the first of two) when the clocks show them; where the hour
/// is `*`, `cronsim` in the zone says it alone.
#[test]
fn expressions_mean_in_every_zone_what_others_say() {
    const CASES: usize = 120;
    const ZONES: &[&str] = &[
        "UTC",
        "Europe/Berlin",
        "Europe/London",
        "America/New_York",
        "America/Sao_Paulo",
        "America/Havana",
        "Africa/Cairo",
        "Asia/Kathmandu",
        "Asia/Tehran",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Auckland",
    ];
    let number = |min: u32, max: u32| {
        prop_oneof![
            2 => Just("*".to_owned()),
            3 => (min..=max).prop_map(|n| n.to_string()),
            1 => (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            1 => (min..=max, min..=max).prop_map(|(a, b)| format!("{a},{b}")),
        ]
    };
    // A few an hour: then the times of a case reach over all changes of the clocks in a year.
    let minute = prop_oneof![
        4 => (0_u32..60).prop_map(|n| n.to_string()),
        1 => (0_u32..60, 0_u32..60).prop_map(|(a, b)| format!("{a},{b}")),
        1 => (15_u32..30).prop_map(|n| format!("*/{n}")),
    ];
    // Where clocks change: by night.
    let hour = prop_oneof![number(0, 4), number(0, 23), (1_u32..12).prop_map(|n| format!("*/{n}"))];
    let years = 631_152_000_i64..2_145_916_800;
    let zone = proptest::sample::select(ZONES);
    let any = (minute, hour, number(1, 28), number(1, 12), number(0, 6), zone, years);
    let mut runner = TestRunner::new(Config::default());
    let mut cases = Vec::new();
    for place in 0..CASES {
        let drawn = any.new_tree(&mut runner).unwrap().current();
        let (minute, hour, day, month, weekday, zone, from) = drawn;
        // Every second one comes daily: only those meet the hours that are skipped or come twice.
        let days = match place % 2 {
            0 => "* * *".to_owned(),
            _ => format!("{day} {month} {weekday}"),
        };
        cases.push((format!("{minute} {hour} {days}"), zone, from));
    }
    let answers = python(OTHERS, &json!(cases).to_string()).unwrap();
    let answers: Vec<Vec<i64>> = serde_json::from_str(&answers).unwrap();
    assert_eq!(answers.len(), cases.len());
    let mut compared = 0;
    for ((text, zone, from), answer) in cases.iter().zip(answers) {
        let expression = Expression::parse(text, zone).unwrap();
        let mut now = Timestamp::from_second(*from).unwrap();
        for second in answer {
            now = expression.next(now).unwrap();
            let expect = Timestamp::from_second(second).unwrap();
            assert_eq!(now, expect, "{text} in {zone} after {from}");
            compared += 1;
        }
    }
    assert!(CASES * 50 < compared, "{compared} times were compared");
}

/// Reads `[[expression, zone, second]…]`; answers the seconds of the next times of each: all within
/// the year that follows, at most 300.
const OTHERS: &str = r#"
import datetime as d, itertools, json, sys
from cronsim import CronSim
from zoneinfo import ZoneInfo
YEAR, MOST = d.timedelta(days=400), 300

def fixed(text, zone, now):
    begin = now.astimezone(zone).replace(tzinfo=None) - d.timedelta(days=2)
    local = itertools.takewhile(lambda t: t < begin + YEAR, CronSim(text, begin))
    # More than are asked for: a skipped time may come behind later ones.
    some = itertools.islice(local, MOST + 3 * 24 * 4)
    utc = sorted({t.replace(tzinfo=zone, fold=0).timestamp() for t in some})
    return [int(t) for t in utc if t > now.timestamp()][:MOST]

def hourly(text, zone, now):
    times = CronSim(text, now.astimezone(zone))
    return [int(t.timestamp()) for t in itertools.islice(times, MOST)]

answers = []
for text, zone, second in json.load(sys.stdin):
    zone, now = ZoneInfo(zone), d.datetime.fromtimestamp(second, d.timezone.utc)
    every = text.split()[1] == "*"
    answers.append(hourly(text, zone, now) if every else fixed(text, zone, now))
print(json.dumps(answers))
"#;
