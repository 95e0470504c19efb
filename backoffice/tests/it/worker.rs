//! `backoffice work` and `backoffice serve` in processes of their own, on free ports: what dies by
//! `kill -9`, is measured from outside, or listens to operators. Knows no test.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use kernel::testkit::{CATALOGUE_TOKEN, JOURNAL_TOKEN, TestDb};
use serde_json::Value;

/// One that has not said where it listens by then does not start.
const READY_WAIT: Duration = Duration::from_secs(60);

/// A process of the product; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    said: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// Runs jobs, timers and feeds. `more` stands in its environment beside what every worker has.
    pub(crate) fn work(db: &TestDb, more: &[(&str, &str)]) -> Self {
        Self::start("work", db, more, Stdio::inherit())
    }

    /// Answers requests; what it logs goes to `log`.
    pub(crate) fn serve(db: &TestDb, more: &[(&str, &str)], log: Stdio) -> Self {
        Self::start("serve", db, more, log)
    }

    fn start(command: &str, db: &TestDb, more: &[(&str, &str)], log: Stdio) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_backoffice"))
            .arg(command)
            .env_clear()
            .env("DATABASE_URL", db.app_url.expose())
            .env("DATABASE_PORTAL_URL", db.portal_url.expose())
            .env("DATABASE_WORK_URL", db.work_url.expose())
            .env("BACKOFFICE_PORT", "0")
            .env("BACKOFFICE_INTERNAL_PORT", "0")
            .env("BACKOFFICE_WORK_PORT", "0")
            .env("CATALOGUE_TOKEN", CATALOGUE_TOKEN)
            .env("JOURNAL_TOKEN", JOURNAL_TOKEN)
            .env("ATLVS_MASTER_KEY", data_encoding::BASE64.encode(&[7; 32]))
            .env("LOG_LEVEL", "off")
            .envs(more.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said: Some(said) }
    }

    /// Its first line, which says where it listens.
    pub(crate) async fn ready(&mut self) -> Value {
        let mut said = self.said.take().unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            (line, said)
        });
        let (line, said) =
            tokio::time::timeout(READY_WAIT, read).await.expect("it starts").unwrap();
        // Kept: a process whose words nobody takes would die of the next.
        self.said = Some(said);
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("it does not start: {line:?}"))
    }

    /// The most memory that it has had, in bytes (proc(5), `VmHWM`).
    pub(crate) fn peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: nothing is ended in order.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
