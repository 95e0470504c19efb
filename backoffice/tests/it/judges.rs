//! Judges that nobody here wrote: schemathesis calls the API by its own description, sqlmap looks for
//! a way into the SQL. Both meet a running server with rows of every entity in it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use kernel::action::On;
use kernel::entity::{Entity, Kind, Scope};
use kernel::registry::Member;
use kernel::testkit::setting;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::stage::Stage;
use crate::{database, registry};

/// Rows of each entity that the judge may use up.
const ROWS: usize = 6;
/// Examples of each operation, beside the boundary cases that the description gives.
const EXAMPLES: &str = "8";
/// A judge that takes longer, in seconds, fails; one that is asked about every operation may take long.
const SECONDS_MAX: &str = "900";
const SECONDS_MAX_ALL: &str = "10800";

/// Attempts of sqlmap at the same time.
const AT_ONCE: usize = 4;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,\
                      every_reply_is_described";

/// An operation of the description.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Operation {
    method: String,
    path: String,
    id: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis() {
    let stage = Stage::open(registry(), database().await).await;
    let seed = setting("ATLVS_JUDGE_SEED").map_or_else(random, |text| text.parse().unwrap());
    let document = stage.server.client.get("/openapi.json").await.unwrap().body;
    let all = operations(&document);
    let every = setting("ATLVS_JUDGE_ALL").is_some();
    let chosen = if every { all.clone() } else { rotation(&all, seed) };
    println!("schemathesis: {} of {} operations, seed {seed}", chosen.len(), all.len());

    let run = Scratch::new("schemathesis");
    let rows = run.0.join("rows.json");
    std::fs::write(&rows, plant(&stage).await.to_string()).unwrap();
    let config = run.0.join("schemathesis.toml");
    std::fs::write(&config, "").unwrap();
    let mut judge = Command::new("timeout");
    judge
        .current_dir(&run.0)
        .env("JUDGE_ROWS", &rows)
        .env("JUDGE_SEEN", run.0.join("seen.json"))
        .env("JUDGE_SEED", seed.to_string())
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", judges())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Interrupted, it still says what it has found.
        .args(["--signal", "INT", "--kill-after", "60"])
        .arg(if every { SECONDS_MAX_ALL } else { SECONDS_MAX })
        .arg(beside_python("st"))
        .args(["--config-file", &config.display().to_string(), "run"])
        .arg(format!("{}/openapi.json", stage.server.url))
        .args(["--header", &format!("Authorization: Bearer {}", stage.ours.token.expose())])
        .args(["--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--checks", CHECKS])
        .args(["--seed", &seed.to_string(), "--workers", "1", "--no-shrink", "--warnings", "off"])
        .args(["--suppress-health-check", "all", "--max-failures", "20"]);
    for operation in &chosen {
        judge.args(["--include-operation-id", &operation.id]);
    }
    let output = wait(judge).await;
    let text = words(&output);
    println!("{text}");
    assert!(output.status.success(), "schemathesis found something, seed {seed}; see above");
    assert!(text.contains("No issues found"), "schemathesis did not say that it found nothing");
    let seen = std::fs::read_to_string(run.0.join("seen.json")).unwrap();
    tell_covered(&chosen, &serde_json::from_str(&seen).unwrap());
}

/// A judge that met refusals alone has judged little.
fn tell_covered(chosen: &[Operation], seen: &Value) {
    let good = |statuses: &Value| {
        let mut statuses = statuses.as_object().into_iter().flatten();
        statuses.any(|(status, _)| status.starts_with('2'))
    };
    let asked = chosen.iter().filter(|one| seen[&one.id].is_object()).count();
    let refused: Vec<&str> =
        chosen.iter().filter(|one| !good(&seen[&one.id])).map(|one| one.id.as_str()).collect();
    println!("schemathesis: {asked} asked; only refusals from {}: {refused:?}", refused.len());
    assert_eq!(asked, chosen.len(), "an operation was not asked at all");
    assert!(
        refused.len() * 2 <= chosen.len(),
        "more than half of the operations did nothing but refuse"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlmap() {
    let door = Door::open();
    let control = Attempt { url: door.url("/?name=Ada"), parameter: "name", ..Attempt::default() };
    let control = inject(control, "SQLite").await;
    assert!(control.contains("is vulnerable") || control.contains("injectable"), "{control}");
    assert!(control.contains("identified the following injection point"), "{control}");

    let stage = Stage::open(registry(), database().await).await;
    plant(&stage).await;
    let client = stage.client(&stage.ours);
    let first = client.get("/api/v1/parties?limit=1&sort=name").await.unwrap().body;
    let cursor = first["page"]["next"].as_str().unwrap().to_owned();
    let token = stage.ours.token.expose();
    let url = format!("{}/api/v1/parties", stage.server.url);
    let mut attempts: Vec<Attempt> = probes(&cursor)
        .into_iter()
        .map(|(parameter, query)| {
            let url = format!("{url}?{query}");
            Attempt { url, parameter, token: token.to_owned(), body: "" }
        })
        .collect();
    let body = r#"{"kind": "person", "name": "Ada*"}"#;
    attempts.push(Attempt { url, parameter: "body", token: token.to_owned(), body });
    let tried = attempts.len();
    let mut running = JoinSet::new();
    while let Some(attempt) = attempts.pop() {
        // The judge mostly waits for answers.
        if running.len() == AT_ONCE {
            holds(running.join_next().await.unwrap().unwrap());
        }
        running.spawn(async move { (attempt.parameter, inject(attempt, "PostgreSQL").await) });
    }
    running.join_all().await.into_iter().for_each(holds);
    println!("sqlmap: {tried} parameters, a member of a body among them");
}

/// The judge tried and found nothing.
#[track_caller]
fn holds((parameter, text): (&str, String)) {
    println!("sqlmap: {parameter}: {} lines", text.lines().count());
    assert!(text.contains("do not appear to be injectable"), "{parameter}:\n{text}");
    assert!(!text.contains("identified the following injection point"), "{parameter}:\n{text}");
}

/// Every parameter of a list whose value comes near SQL, with a whole query around it.
fn probes(cursor: &str) -> Vec<(&'static str, String)> {
    vec![
        ("filter[name][contains]", "filter[name][contains]=name".to_owned()),
        ("where", "where=%7B%22name%22%3A%7B%22contains%22%3A%22name%22%7D%7D".to_owned()),
        ("q", "q=name".to_owned()),
        ("sort", "sort=name".to_owned()),
        ("fields", "fields=name".to_owned()),
        ("cursor", format!("limit=1&sort=name&cursor={cursor}")),
    ]
}

#[derive(Default)]
struct Attempt {
    url: String,
    parameter: &'static str,
    token: String,
    /// JSON with a star where to try, in place of the parameter.
    body: &'static str,
}

async fn inject(attempt: Attempt, dbms: &str) -> String {
    let run = Scratch::new("sqlmap");
    let mut judge = Command::new("timeout");
    judge
        .current_dir(&run.0)
        .arg(SECONDS_MAX)
        .arg(beside_python("sqlmap"))
        .args(["--batch", "--flush-session", "--disable-coloring", "--level", "2", "--risk", "1"])
        .args(["--threads", "2", "--time-sec", "2", "--dbms", dbms, "-u", &attempt.url])
        .args(["--output-dir", &run.0.display().to_string()]);
    let mut headers = String::new();
    if attempt.body.is_empty() {
        judge.args(["-p", attempt.parameter]);
    } else {
        judge.args(["--data", attempt.body, "--method", "POST"]);
        headers.push_str("Content-Type: application/json\n");
    }
    if !attempt.token.is_empty() {
        headers.push_str(&format!("Authorization: Bearer {}", attempt.token));
        judge.args(["--headers", &headers, "--ignore-code", "400,422"]);
    }
    words(&wait(judge).await)
}

/// Rows of every tenant entity: by route, and by name for links.
async fn plant(stage: &Stage) -> Value {
    let (mut routes, mut links) = (BTreeMap::new(), BTreeMap::new());
    for member in stage.registry.members().iter().filter(|m| m.entity.scope == Scope::Tenant) {
        let mut planter = stage.planter(&stage.ours);
        let mut ids = Vec::new();
        for _ in 0..ROWS {
            // An entity of which an organization has one is there after the first.
            match planter.row(member.entity).await {
                Ok(id) => ids.push(id),
                Err(_) if !ids.is_empty() => break,
                Err(error) => panic!("{} cannot be planted: {error:?}", member.entity.name),
            }
        }
        routes.insert(member.route.clone(), json!(ids));
        links.insert(member.qualified.clone(), json!(ids));
    }
    links.insert("accounts.users".to_owned(), json!([stage.ours.owner]));
    json!({"routes": routes, "links": links})
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if let Some(id) = operation["operationId"].as_str() {
                let (method, path) = (method.to_uppercase(), path.clone());
                all.push(Operation { method, path, id: id.to_owned() });
            }
        }
    }
    all
}

/// Every hand-written operation; of each operation that the engine serves one entity, and where kinds
/// matter so many that every kind of field is among theirs, in an order that the seed decides.
fn rotation(all: &[Operation], seed: u64) -> Vec<Operation> {
    let members: BTreeMap<&str, &'static Member> =
        registry().members().iter().map(|member| (member.route.as_str(), member)).collect();
    let mut chosen = BTreeSet::new();
    let mut served: BTreeMap<String, Vec<(u64, &'static Entity, Operation)>> = BTreeMap::new();
    for operation in all {
        let parts: Vec<&str> = operation.path.trim_matches('/').split('/').collect();
        let Some(member) = members.get(parts[0]) else {
            chosen.insert(operation.clone());
            continue;
        };
        match engine_serves(member, operation, &parts) {
            None => {
                chosen.insert(operation.clone());
            }
            Some(shape) => {
                let turn = mix(seed, &operation.id);
                served.entry(shape).or_default().push((turn, member.entity, operation.clone()));
            }
        }
    }
    for (shape, candidates) in &mut served {
        // Kinds show in what is listed and matter in what is written; the rest treats them alike.
        let by_kind = matches!(shape.as_str(), "GET /{e}" | "POST /{e}" | "PATCH /{e}/{id}");
        candidates.sort_by_key(|(turn, _, _)| *turn);
        let mut seen = BTreeSet::new();
        for (_, entity, operation) in candidates {
            let kinds = kinds(entity);
            if seen.is_empty() || (by_kind && !kinds.is_subset(&seen)) {
                seen.extend(kinds);
                chosen.insert(operation.clone());
            }
        }
    }
    chosen.into_iter().collect()
}

/// What the engine's operation is called for every entity: `GET /{e}/{id}`; none for an action that
/// somebody wrote.
fn engine_serves(member: &Member, operation: &Operation, parts: &[&str]) -> Option<String> {
    let last = parts.last().copied().unwrap_or_default();
    let actions = || registry().actions().filter(|a| a.entity.name == member.entity.name);
    let post = operation.method == "POST";
    if post && actions().any(|action| action.name == last && action.on != On::Internal) {
        return None;
    }
    if post && parts.len() == 1 && actions().any(|action| action.on == On::Create) {
        return None;
    }
    let shape: Vec<&str> = parts
        .iter()
        .enumerate()
        .map(|(place, part)| match place {
            0 => "{e}",
            2 if registry().members().iter().any(|child| child.route == *part) => "{child}",
            2 if member.entity.flow.is_some_and(|f| f.moves.iter().any(|m| m.action == *part)) => {
                "{move}"
            }
            _ => part,
        })
        .collect();
    Some(format!("{} /{}", operation.method, shape.join("/")))
}

/// Kinds of an entity's fields, by the first word of their names.
fn kinds(entity: &Entity) -> BTreeSet<String> {
    let word = |kind: Kind| -> String {
        format!("{kind:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
    };
    entity.fields.iter().filter(|field| !field.secret).map(|field| word(field.kind)).collect()
}

/// FNV-1a over seed and name: the same order for the same seed, on every machine.
fn mix(seed: u64, name: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn random() -> u64 {
    u64::from(Uuid::new_v4().as_fields().0)
}

/// The judges' own files.
fn judges() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/judges")
}

/// A program of the Python environment that the tests run with.
fn beside_python(program: &str) -> PathBuf {
    let python = setting("PYTHON").expect("PYTHON is not set: run ./ops/test");
    Path::new(&python).with_file_name(program)
}

async fn wait(mut judge: Command) -> Output {
    judge.stdin(Stdio::null());
    tokio::task::spawn_blocking(move || judge.output().expect("the judge does not start"))
        .await
        .unwrap()
}

fn words(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// A directory that goes with its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(purpose: &str) -> Self {
        let name = format!("atlvs-judge-{purpose}-{}", Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind lies in a directory for what may be lost.
        if let Err(cause) = std::fs::remove_dir_all(&self.0) {
            let _ = writeln!(std::io::stderr(), "{}: {cause}", self.0.display());
        }
    }
}

/// A server that can be broken into: the judge has to find it.
struct Door {
    server: Child,
    port: u16,
}

impl Door {
    fn open() -> Self {
        let mut server = Command::new(beside_python("python"))
            .arg(judges().join("open_door.py"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { port: line.trim().parse().unwrap(), server }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
