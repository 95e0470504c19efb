//! What operators see of a process that only works: where it listens, that it lives and is usable,
//! its figures, and nothing else.

use std::time::Duration;

use kernel::testkit::{Client, TestDb};
use serde_json::json;

use crate::worker::Process;

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
    tokio::time::timeout(Duration::from_secs(60), figures).await.expect("every loop beats");
}
