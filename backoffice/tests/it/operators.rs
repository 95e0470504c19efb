//! What operators see of a process that only works: where it listens, that it lives and is usable,
//! its figures, and nothing else.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kernel::testkit::{Client, TestDb};
use serde_json::{Value, json};

/// A process that is killed with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_process_that_only_works_shows_itself_to_operators() {
    // Its loops would take the work of other tests.
    let db = TestDb::create("operators", &migrations::scripts()).await.unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_backoffice"))
        .arg("work")
        .env_clear()
        .env("DATABASE_URL", db.app_url.expose())
        .env("DATABASE_WORK_URL", db.work_url.expose())
        .env("BACKOFFICE_WORK_PORT", "0")
        .env("LOG_LEVEL", "off")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut process = Process(child);
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
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
