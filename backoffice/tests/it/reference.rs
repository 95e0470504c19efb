//! The API's description and its pages, judged by parties that nobody here wrote: spectral for the
//! document, html-validate (with its rules of accessibility) and axe-core in a browser for the pages.

use std::path::PathBuf;
use std::process::{Command, Output};

use kernel::testkit::{TestServer, setting};
use serde_json::Value;

use crate::{database, registry};

/// A browser that has not judged the pages by then fails, in seconds.
const SECONDS_MAX: &str = "300";

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

/// Without a server and a database.
#[tokio::test]
async fn the_command_writes_what_the_service_serves() {
    let server = TestServer::start(registry(), database().await).await.unwrap();
    let (status, served) = server.client.text("/openapi.json").await.unwrap();
    assert_eq!(status, 200);
    let written =
        Command::new(env!("CARGO_BIN_EXE_backoffice")).arg("openapi").env_clear().output().unwrap();
    assert!(written.status.success(), "{}", told(&written));
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(read(&String::from_utf8_lossy(&written.stdout)), read(&served));
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

/// All pages are made by the same code: the first, and of each shape a short one.
const PAGES: &[&str] =
    &["/docs", "/docs/sessions", "/docs/meta", "/docs?q=session", "/docs?q=zebra"];

/// What the browser's judge has to find: its rule, what is right, what stands in its place, and what
/// it shows under, where not always.
const FAULTS: &[(&str, &str, &str, &str)] = &[
    ("color-contrast", "--ink:#e8ebef", "--ink:#39414a", " (dark 360 px, dark 1280 px)"),
    (
        "reflow",
        "@media(max-width:48rem){",
        "@media(max-width:48rem){h1{width:50rem}",
        " (light 360 px, dark 360 px)",
    ),
    ("label", "<label for=\"q\">Search operations</label>", "", ""),
    ("html-has-lang", "<html lang=\"en\">", "<html>", ""),
    ("target-size", "nav li a{display:block;padding:.15rem 0}", "", ""),
    ("keyboard", "<button type=\"submit\">", "<button type=\"submit\" tabindex=\"-1\">", ""),
    ("focus-visible", "a{color:", "a:focus{outline:0}a{color:", ""),
];

/// In a browser, as people with other eyes and hands meet them.
#[tokio::test(flavor = "multi_thread")]
async fn the_pages_are_accessible() {
    let server = TestServer::start(registry(), database().await).await.unwrap();
    let urls: Vec<String> = PAGES.iter().map(|path| format!("{}{path}", server.url)).collect();
    let (_, mut page) = server.client.text("/docs/meta").await.unwrap();
    for (rule, right, wrong, _) in FAULTS {
        assert!(page.contains(right), "{rule}: the page has no {right}");
        page = page.replacen(right, wrong, 1);
    }
    let file = scratch("inaccessible.html");
    std::fs::write(&file, page).unwrap();
    let spoiled = vec![format!("file://{}", file.display())];
    let (clean, found) =
        tokio::task::spawn_blocking(move || (axe(&urls), axe(&spoiled))).await.unwrap();
    let said = told(&clean);
    assert!(clean.status.success(), "{said}");
    assert!(said.contains(&format!("axe: {} pages, 0 faults", PAGES.len())), "{said}");
    let said = told(&found);
    assert_eq!(found.status.code(), Some(1), "{said}");
    for (rule, _, _, under) in FAULTS {
        let tells = |line: &str| line.contains(&format!(" | {rule} | ")) && line.ends_with(under);
        assert!(said.lines().any(tells), "{rule}{under} is not found:\n{said}");
    }
}

fn axe(urls: &[String]) -> Output {
    Command::new("timeout")
        .arg(SECONDS_MAX)
        .arg("node")
        .arg(root().join("tests/node/axe.mjs"))
        .args(urls)
        .env("NODE_TOOLS", tools())
        .output()
        .unwrap()
}

/// A program of `tests/node`, installed by `ops/test`.
fn judge(program: &str, arguments: &[&str]) -> Command {
    let program = tools().join(program);
    assert!(program.exists(), "{} is not there; ./ops/test installs it", program.display());
    let mut command = Command::new(program);
    command.args(arguments).env("NO_COLOR", "1").env("SCARF_ANALYTICS", "false");
    command
}

fn tools() -> PathBuf {
    setting("NODE_TOOLS")
        .map_or_else(|| root().join(".run/test/node/node_modules/.bin"), PathBuf::from)
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
