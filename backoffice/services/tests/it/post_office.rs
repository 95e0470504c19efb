//! `server.py` as a child process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use kernel::testkit::setting;
use serde_json::Value;

pub(crate) struct PostOffice {
    child: Child,
    /// The server lives as long as this is open.
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
    ports: Value,
    /// Files of certificates: the server's authority, and another.
    pub(crate) ca: String,
    pub(crate) stranger: String,
}

impl PostOffice {
    /// `PYTHON` names an interpreter with `tests/requirements.txt`.
    pub(crate) fn open() -> Self {
        let program = setting("PYTHON").unwrap_or_else(|| "python3".to_owned());
        let mut child = Command::new(&program)
            .args(["-B", "-c", include_str!("server.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|cause| panic!("cannot start {program} (set PYTHON): {cause}"));
        let input = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let first = next(&mut lines).expect("the server did not start: see tests/requirements.txt");
        let text = |name: &str| first[name].as_str().unwrap().to_owned();
        let (ca, stranger) = (text("ca"), text("stranger"));
        Self { child, input, lines, ports: first["ports"].clone(), ca, stranger }
    }

    pub(crate) fn url(&self, scheme: &str, port: &str, login: &str) -> String {
        format!("{scheme}://{login}127.0.0.1:{}", self.ports[port])
    }

    /// The next mail that was taken; there is one.
    pub(crate) fn taken(&mut self) -> Value {
        next(&mut self.lines).expect("the server ended")
    }

    /// Ends the server; what it took and nobody asked for.
    pub(crate) fn close(mut self) -> Vec<Value> {
        drop(self.input.take());
        let mut left = Vec::new();
        while let Some(line) = next(&mut self.lines) {
            left.push(line);
        }
        left
    }
}

impl Drop for PostOffice {
    fn drop(&mut self) {
        drop(self.input.take());
        let ended = self.child.kill().and_then(|()| self.child.wait());
        drop(ended);
    }
}

fn next(lines: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut line = String::new();
    let read = lines.read_line(&mut line).expect("the server's output can be read");
    (read != 0).then(|| serde_json::from_str(&line).expect("the server says JSON"))
}
