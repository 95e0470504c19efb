//! Both services as a person starts them: `ops/up` on a directory of its own, and a client.
//! Knows processes and HTTP; nothing of how the services work inside.

#![allow(clippy::expect_used, reason = "part of the tests: a house that does not start fails them")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Gate, back office and their stores, started by `ops/up`; stopped and removed when dropped.
pub struct House {
    pub run: PathBuf,
    pub transcript: String,
    pub client: Client,
    store: &'static str,
    /// One house at a time: it takes the ports that it prefers, and both cores.
    _turn: File,
}

/// An answer: status, headers, text as it came and as JSON (null where it is none).
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    pub body: Value,
}

/// Longest wait for a condition; reaching it fails the test.
pub const WAIT: Duration = Duration::from_secs(60);
/// Pause between two questions of a wait.
pub const TICK: Duration = Duration::from_millis(50);

/// Asks twenty times a second until the condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let asked = tokio::time::timeout(WAIT, async {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            if holds().await {
                return;
            }
        }
    });
    assert!(asked.await.is_ok(), "waited {} s until {what}", WAIT.as_secs());
}

impl House {
    /// A new house on a fresh directory. `arguments` go to `ops/up` beside `--detach`.
    pub fn up(store: &'static str, arguments: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let run =
            std::env::temp_dir().join(format!("atlvs-system-{}-{number}", std::process::id()));
        let turn =
            File::create(std::env::temp_dir().join("atlvs-system.lock")).expect("a lock file");
        turn.lock().expect("this house's turn");
        let mut house =
            Self { run, transcript: String::new(), client: client(), store, _turn: turn };
        house.start(arguments);
        house
    }

    /// Starts what is stopped, on the same state.
    pub fn start(&mut self, arguments: &[&str]) {
        let output = self.ops("up", &[&["--detach", "--store", self.store], arguments].concat());
        // Connections to a service that was killed are of no use.
        self.client = client();
        self.transcript = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "ops/up failed\n{}\n{}",
            self.transcript,
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub fn stop(&self) {
        let output = self.ops("down", &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Kills a service (`gate`, `backoffice`) without a word; comes back when it is gone.
    pub fn kill(&self, service: &str) {
        let pid = fs::read_to_string(self.run.join(format!("{service}.pid"))).expect("pid file");
        let status = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("kill runs");
        assert!(status.success(), "{service} was not running");
        let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        let ended = || fs::read_to_string(&stat).map_or(true, |line| line.contains(") Z "));
        let deadline = Instant::now() + WAIT;
        while !ended() {
            assert!(Instant::now() < deadline, "{service} outlived its kill");
            std::thread::yield_now();
        }
    }

    /// Runs a command of `ops/` on this house to its end.
    pub fn ops(&self, command: &str, arguments: &[&str]) -> Output {
        self.command(command, arguments).output().expect("ops commands run")
    }

    /// A command of `ops/` on this house's directory, with the binaries of this build.
    pub fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut built = Command::new(root().join("ops").join(command));
        built
            .args(arguments)
            .env("ATLVS_RUN", &self.run)
            .env("ATLVS_BIN_DIR", binaries())
            .env_remove("GATE_PORT")
            .env_remove("BACKOFFICE_PORT");
        built
    }

    /// A value of `demo.json`.
    pub fn demo(&self, name: &str) -> String {
        let text = fs::read_to_string(self.run.join("demo.json")).expect("demo.json");
        let demo: Value = serde_json::from_str(&text).expect("demo.json is JSON");
        match &demo[name] {
            Value::String(text) => text.clone(),
            Value::Null => panic!("demo.json has no {name}"),
            other => other.to_string(),
        }
    }

    /// A request to a service (`gate_url`, `gate_internal_url`, `backoffice_url`,
    /// `backoffice_internal_url`).
    pub async fn ask(
        &self,
        service: &str,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.demo(service)));
        if !token.is_empty() {
            request = request.header("Authorization", token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("the service answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, body }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let output = self.ops("down", &["--quiet"]);
        if output.status.success() && !std::thread::panicking() {
            // A directory that is left behind fails no test: the next run makes its own.
            drop(fs::remove_dir_all(&self.run));
        }
    }
}

fn client() -> Client {
    Client::builder().timeout(Duration::from_secs(30)).build().expect("a client")
}

/// Directory of the binaries that this test run was built with.
fn binaries() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let dir = test.ancestors().nth(2).expect("target/<profile>").to_path_buf();
    for name in ["gate", "backoffice", "keys"] {
        assert!(dir.join(name).exists(), "{name} is not built: run ./ops/test, which builds it");
    }
    dir
}
