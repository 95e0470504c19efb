//! `ops/bench edit` changes a source file for a while: however it ends, the file is as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// What the figure edits, in a repository of the test's own.
const EDITED: &str = "backoffice/domains/events/src/lib.rs";
const SOURCE: &str = "//! Events.\n";

struct Repository(PathBuf);

impl Repository {
    /// With a `cargo` that does this when something is built after the edit.
    fn with_cargo(name: &str, then: &str) -> Self {
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
            "#!/bin/sh\ngrep -q edited_at {EDITED} || exit 0\ntouch was-edited\n{then}\n"
        );
        fs::write(&cargo, script).expect("a cargo");
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("a program");
        Self(top)
    }

    fn edit(&self) -> Output {
        let path = std::env::var("PATH").expect("a path");
        Command::new(self.0.join("ops/bench"))
            .arg("edit")
            .env("PATH", format!("{}:{path}", self.0.display()))
            .output()
            .expect("ops/bench runs")
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn an_edit_is_taken_back_however_the_run_ends() {
    for (name, then, status) in [
        // The shell is two processes above: the one between changes the directory.
        ("term", "kill -TERM $(ps -o ppid= -p $PPID)", 143),
        ("int", "kill -INT $(ps -o ppid= -p $PPID)", 130),
        ("broken", "exit 101", 1),
    ] {
        let repository = Repository::with_cargo(name, then);
        let output = repository.edit();
        assert_eq!(output.status.code(), Some(status), "{name}: {output:?}");
        assert!(repository.0.join("was-edited").exists(), "{name}: nothing was edited");
        let left = fs::read_to_string(repository.0.join(EDITED)).expect("the source");
        assert_eq!(left, SOURCE, "{name}");
    }
}
