//! `ops/bench edit` changes a source file for a while: however it ends, the file is as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use system::until;

/// What the figure edits, in a repository of the test's own.
const EDITED: &str = "backoffice/domains/events/src/lib.rs";
const SOURCE: &str = "//! Events.\n";

struct Repository(PathBuf);

impl Repository {
    /// Its `cargo` stands still when something is built after the edit, and ends as `go` says.
    fn new(name: &str) -> Self {
        let top = std::env::temp_dir().join(format!("atlvs-edit-{}-{name}", std::process::id()));
        fs::create_dir_all(top.join("ops")).expect("a directory");
        for file in ["ops/bench", "ops/lib.sh"] {
            fs::copy(system::root().join(file), top.join(file)).expect("a copy");
        }
        let edited = top.join(EDITED);
        fs::create_dir_all(edited.parent().expect("a parent")).expect("a directory");
        fs::write(&edited, SOURCE).expect("a source");
        let cargo = top.join("cargo");
        let script = format!(
            "#!/bin/sh\ngrep -q edited_at {EDITED} || exit 0\ntouch edited\n\
             read status <go\nexit $status\n"
        );
        fs::write(&cargo, script).expect("a cargo");
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("a program");
        let pipe = Command::new("mkfifo").arg(top.join("go")).status().expect("mkfifo runs");
        assert!(pipe.success());
        Self(top)
    }

    /// The status of a run that gets `signal` while it builds, which ends with `built`.
    #[expect(clippy::disallowed_methods, reason = "a program is put in front of those there are")]
    async fn edit(&self, signal: Option<&str>, built: &str) -> Option<i32> {
        let path = std::env::var("PATH").expect("a path");
        let mut run = Command::new(self.0.join("ops/bench"))
            .arg("edit")
            .env("PATH", format!("{}:{path}", self.0.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ops/bench runs");
        until("the file is edited", async || self.0.join("edited").exists()).await;
        assert_ne!(fs::read_to_string(self.0.join(EDITED)).expect("the source"), SOURCE);
        if let Some(signal) = signal {
            let pid = run.id().to_string();
            let sent = Command::new("kill").args(["-s", signal, &pid]).status();
            assert!(sent.expect("kill runs").success());
        }
        fs::write(self.0.join("go"), format!("{built}\n")).expect("it goes on");
        run.wait().expect("it ends").code()
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[tokio::test]
async fn an_edit_is_taken_back_however_the_run_ends() {
    for (signal, built, status) in
        [(Some("TERM"), "0", 143), (Some("INT"), "0", 130), (None, "101", 1)]
    {
        let repository = Repository::new(signal.unwrap_or("none"));
        assert_eq!(repository.edit(signal, built).await, Some(status), "{signal:?}");
        let left = fs::read_to_string(repository.0.join(EDITED)).expect("the source");
        assert_eq!(left, SOURCE, "{signal:?}");
    }
}
