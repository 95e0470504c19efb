//! The API's description and its pages, judged by parties that nobody here wrote: spectral for the
//! document, html-validate (with its rules of accessibility) for the pages.

use std::path::PathBuf;
use std::process::{Command, Output};

use kernel::testkit::{TestServer, setting};
use serde_json::Value;

use crate::{database, registry};

/// Both judges find nothing on what is right, and do find what is wrong.
#[test]
fn the_description_is_clean() {
    let document = kernel::openapi::document(registry());
    let clean = lint("clean", &document);
    assert!(clean.status.success(), "{}", told(&clean));
    let mut spoiled = document;
    let faults = [
        ("every-failure-is-a-problem", "/paths/~1events/post/responses", "default"),
        ("every-call-is-limited", "/paths/~1events/get/responses", "429"),
        ("good-answers-have-an-id", "/paths/~1events/get/responses/200/headers", "X-Request-Id"),
        (
            "bodies-have-an-example",
            "/paths/~1events/post/requestBody/content/application~1json",
            "example",
        ),
        ("operation-description", "/paths/~1events/post", "description"),
        ("operation-ids-are-words", "/paths/~1events/post", "operationId"),
    ];
    for (_, place, member) in faults {
        let all = spoiled.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
        assert!(all.remove(member).is_some(), "{place} has no {member}");
    }
    let id = spoiled.pointer_mut("/paths/~1events/post").unwrap();
    id["operationId"] = "createEvent".into();
    let found = lint("spoiled", &spoiled);
    assert!(!found.status.success());
    for (rule, ..) in faults {
        assert!(told(&found).contains(rule), "{rule} is not found: {}", told(&found));
    }
}

fn lint(name: &str, document: &Value) -> Output {
    let file = scratch(&format!("{name}.json"));
    std::fs::write(&file, document.to_string()).unwrap();
    let rules = root().join("tests/spectral.yaml");
    judge("spectral", &["lint", "--fail-severity", "hint", "-f", "text", "-r"])
        .arg(rules)
        .arg(file)
        .output()
        .unwrap()
}

#[tokio::test]
async fn the_pages_are_clean() {
    let server = TestServer::start(registry(), database().await).await.unwrap();
    let mut files = Vec::new();
    for path in ["/docs", "/docs/events", "/docs/meta", "/docs?q=ticket", "/docs?q=%3Cb%3E%22zebra"]
    {
        let (status, page) = server.client.text(path).await.unwrap();
        assert_eq!(status, 200, "{path}");
        assert!(page.starts_with("<!DOCTYPE html>"), "{path}");
        let file = scratch(&format!("{}.html", files.len()));
        std::fs::write(&file, page).unwrap();
        files.push(file);
    }
    let (status, _) = server.client.text("/docs/nothing").await.unwrap();
    assert_eq!(status, 404);
    // Beside the repository's own tree nothing configures the judge: its standard rules hold.
    let clean =
        judge("html-validate", &["--preset", "standard,a11y"]).args(&files).output().unwrap();
    assert!(clean.status.success(), "{}", told(&clean));
    let spoiled = scratch("spoiled.html");
    let page = std::fs::read_to_string(&files[0]).unwrap();
    std::fs::write(&spoiled, page.replace("<button type=\"submit\">Search</button>", "")).unwrap();
    let found =
        judge("html-validate", &["--preset", "standard,a11y"]).arg(spoiled).output().unwrap();
    assert!(!found.status.success() && told(&found).contains("wcag/h32"), "{}", told(&found));
}

/// A program of `tests/node`, installed by `ops/test`.
fn judge(program: &str, arguments: &[&str]) -> Command {
    let tools = setting("NODE_TOOLS")
        .map_or_else(|| root().join(".run/test/node/node_modules/.bin"), PathBuf::from);
    let program = tools.join(program);
    assert!(program.exists(), "{} is not there; ./ops/test installs it", program.display());
    let mut command = Command::new(program);
    command.args(arguments).env("NO_COLOR", "1").env("SCARF_ANALYTICS", "false");
    command
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of this process, in the directory that cargo gives to tests.
fn scratch(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("reference");
    std::fs::create_dir_all(&directory).unwrap();
    directory.join(name)
}
