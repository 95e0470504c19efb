//! What operators see: of a process that only works where it listens, that it lives and is usable,
//! its figures and nothing else; in the log which statements take long.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use kernel::testkit::{Client, TestDb};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::Stage;
use crate::worker::Process;
use crate::{database, registry};

/// What a test waits for comes within this time, or it fails.
const WAIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_process_that_only_works_shows_itself_to_operators() {
    // Its loops would take the work of other tests.
    let db = TestDb::create("operators", &migrations::scripts()).await.unwrap();
    let mut process = Process::work(&db, &[]);
    let said = process.ready().await;
    let client = Client::new(said["internal"].as_str().unwrap()).unwrap();
    assert_eq!(client.get("/health").await.unwrap().body, json!({"status": "alive"}));
    let ready = client.get("/ready").await.unwrap();
    assert_eq!((ready.status, ready.body), (200, json!({"status": "ready"})));
    for path in ["/api/v1/parties", "/internal/v1/catalogue", "/docs"] {
        assert_eq!(client.get(path).await.unwrap().status, 404, "{path}");
    }
    let figures = async {
        loop {
            let (status, text) = client.text("/metrics").await.unwrap();
            assert_eq!(status, 200);
            let beats = ["jobs", "cron", "outbox", "consumers", "figures", "sweep"];
            let beat = |name: &&str| {
                text.contains(&format!(
                    "atlvs_backoffice_loop_beat_timestamp_seconds{{loop=\"{name}\""
                ))
            };
            if beats.iter().all(beat) {
                break;
            }
        }
    };
    tokio::time::timeout(WAIT, figures).await.expect("every loop beats");
}

/// One that waits for a row is told with the request that waited, and without what it was to write.
#[tokio::test]
async fn a_slow_statement_is_told_with_its_request_and_without_its_values() {
    let db = database().await;
    let stage = Stage::open(registry(), db).await;
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("slow-{}", Uuid::new_v4()));
    let more = [("LOG_LEVEL", "warn"), ("LOG_FORMAT", "json"), ("DATABASE_SLOW_MS", "20")];
    let mut process = Process::serve(db, &more, File::create(&log).unwrap().into());
    let url = process.ready().await["listening"].as_str().unwrap().to_owned();
    let client = Client::new(&url).unwrap().with_bearer(stage.ours.token.expose());
    let party = stage.plant(&stage.ours, registry().entity("parties").unwrap()).await;

    let holder = db.superuser().await.unwrap();
    holder.batch("begin").await.unwrap();
    let hold = "select pg_backend_pid() from parties where id = $1 for update";
    let pid: i32 = holder.query_one(hold, &[&party]).await.unwrap().get(0);
    let (path, body) = (format!("/api/v1/parties/{party}"), json!({"name": "Quagga"}));
    let waits = async {
        let waited =
            "select exists (select from pg_stat_activity where $1 = any(pg_blocking_pids(pid))
            and clock_timestamp() - query_start > interval '30 milliseconds')";
        while !stage.admin.query_one(waited, &[&pid]).await.unwrap().get::<_, bool>(0) {
            tokio::task::yield_now().await;
        }
        holder.batch("commit").await.unwrap();
    };
    let (reply, waited) =
        tokio::join!(client.patch(&path, &body), tokio::time::timeout(WAIT, waits));
    waited.expect("the request waits for the row");
    let reply = reply.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);

    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let slow: Vec<Value> = lines
        .filter(|line| line["message"] == "a slow statement")
        .filter(|line| line["request_id"].as_str() == reply.header("x-request-id"))
        .collect();
    let tells = |line: &Value| {
        line["sql"].as_str().unwrap().contains("parties") && line["ms"].as_u64().unwrap() >= 20
    };
    assert!(slow.iter().any(tells), "{text}");
    assert!(!text.contains("Quagga") && !text.contains(&party.to_string()), "{text}");
}
