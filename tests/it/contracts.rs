//! What both services say of themselves, judged by parties that nobody here wrote: the OpenAPI
//! documents by a validator in Python, the metrics by promtool.

use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};
use system::House;

const SERVICES: &[&str] = &["gate_url", "backoffice_url"];

#[tokio::test]
async fn documents_and_metrics_are_well_formed() {
    let house = House::up("file", &[]);
    let mut documents = Vec::new();
    let mut metrics = Vec::new();
    for service in SERVICES {
        for probe in ["/health", "/ready"] {
            let answer = house.ask(service, Method::GET, probe, "", None).await;
            assert_eq!(answer.status, StatusCode::OK, "{service}{probe}");
        }
        let document = house.ask(service, Method::GET, "/openapi.json", "", None).await;
        assert_eq!(document.status, StatusCode::OK, "{service}");
        assert_eq!(document.body["openapi"].as_str().map(|it| &it[..4]), Some("3.1."), "{service}");
        documents.push(document.text);
        // The back office shows its figures to operators only.
        let figures = if *service == "gate_url" { service } else { "backoffice_internal_url" };
        let figures = house.ask(figures, Method::GET, "/metrics", "", None).await;
        assert_eq!(figures.status, StatusCode::OK, "{service}");
        metrics.push(prometheus_text(&figures.text));
    }
    drop(house);
    let python = python();
    for (document, figures) in documents.iter().zip(&metrics) {
        judge("promtool", &["check", "metrics"], figures);
        judge(&python, &["-m", "openapi_spec_validator", "-"], document);
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests' one setting of their own")]
fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".into())
}

/// promtool reads the older text format: no end mark, and a counter's family has its samples' name.
fn prometheus_text(open_metrics: &str) -> String {
    let counters: Vec<_> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::new();
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let (mark, about, family) = (words.next(), words.next(), words.next());
        match family.filter(|family| mark == Some("#") && counters.contains(family)) {
            Some(family) => {
                let rest = words.next().unwrap_or_default();
                text.push_str(&format!("# {} {family}_total {rest}\n", about.unwrap_or_default()));
            }
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

/// Gives `text` to a program on its standard input; it must find nothing.
#[track_caller]
fn judge(program: &str, arguments: &[&str], text: &str) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|cause| panic!("{program}: {cause}; ./ops/test installs it"));
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("the program reads");
    let output = child.wait_with_output().expect("the program ends");
    assert!(
        output.status.success(),
        "{program} {arguments:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
