//! Conventions that a reader of the repository relies on, each with what to do about a fault.

use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 600;
/// Fewer of a kind means that the listing failed, not that all is well.
const FILES_MIN: usize = 5;

/// Words that belong to a workplace, not to the product, in pieces so that this file passes.
const FOREIGN: &[&[&str]] = &[
    &["/wor", "k/main"],
    &["/tmp/", "plan"],
    &["to", "do!("],
    &["unimpl", "emented!("],
    &["#[ign", "ore"],
    &["FIX", "ME"],
    &["TO", "DO:"],
];

#[test]
fn files_are_rooms() {
    let mut faults = Vec::new();
    for File { name, text, .. } in tracked(&[".rs", ".sql", ".py"]) {
        let lines = text.lines().count();
        // A migration is one document, however long.
        if lines > LINES_MAX && !name.starts_with("migrations/0") {
            faults.push(format!("{name} has {lines} lines: make it two rooms"));
        }
        // Unit tests beside their module are introduced by it.
        let introduced =
            text.starts_with("//!") || text.starts_with("#!") || name.ends_with("/tests.rs");
        if name.ends_with(".rs") && !introduced {
            faults.push(format!("{name} does not open with //!: say what it is and must not know"));
        }
    }
    demand_none(&faults);
}

#[test]
fn axum_is_named_in_http_modules_only() {
    let mut faults = Vec::new();
    for File { name, text, .. } in tracked(&[".rs"]) {
        let may =
            name.starts_with("tests/") || name.ends_with("/http.rs") || name.contains("/http/");
        let names = |line: &str| !line.trim_start().starts_with("//") && line.contains("axum::");
        if !may && text.lines().any(names) {
            faults.push(format!("{name} names axum: keep it behind the http module"));
        }
    }
    demand_none(&faults);
}

/// Statements of actions that find a row by its id and may: file, the statement's beginning. Short by
/// intent; each row was reached under the caller's rights before.
const BY_ID: &[(&str, &str)] = &[
    // A link of the input, which dispatch looks for, or the row of the path.
    ("backoffice/domains/ticketing/src/actions/gate.rs", "select number from events where id = $1"),
    // Among those that `cx.reached` found.
    ("backoffice/domains/ticketing/src/actions/registrations.rs", "where t.event_id = $1 and t.id"),
    // The invitation whose secret was shown, and the token that calls.
    (
        "backoffice/kernel/src/accounts/invitations.rs",
        "where org_id = $1 and id = $2 and token_hash",
    ),
    ("backoffice/kernel/src/accounts/tokens.rs", "select expires_at from api_tokens where org_id"),
    // The portal's session whose mailed secret was shown.
    ("backoffice/kernel/src/accounts/portals.rs", "where org_id = $1 and id = $2 and link_hash"),
    // Under the caller's rights, deleted rows with them; and a job's own row.
    ("backoffice/kernel/src/privacy.rs", "where org_id = $1 and id = $2{place}"),
    (
        "backoffice/kernel/src/privacy.rs",
        "select entity, row_id, status from erasures where org_id",
    ),
];

/// What a caller names is read under their rights, so an action does not look rows up by itself.
#[test]
fn actions_read_the_rows_that_callers_name_under_their_rights() {
    const ACTION_FILES_MIN: usize = 10;
    let acts = |file: &File| {
        let source = file.name.starts_with("backoffice/") && file.name.contains("/src/");
        source
            && !file.name.ends_with("/tests.rs")
            && (file.name.contains("/actions") || file.text.contains("run: |cx, args|"))
    };
    let files: Vec<File> = tracked(&[".rs"]).into_iter().filter(acts).collect();
    assert!(files.len() >= ACTION_FILES_MIN, "only {} files have actions", files.len());
    let mut faults = Vec::new();
    let mut met = 0;
    for File { name, text, .. } in &files {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| finds_by_id(line)) {
            if BY_ID.iter().any(|(file, part)| file == name && line.contains(part)) {
                met += 1;
                continue;
            }
            faults.push(format!(
                "{name}:{}: an action looks a row up by its id: use cx.load or cx.reached",
                number + 1
            ));
        }
    }
    if met != BY_ID.len() {
        faults.push("an exception is no longer needed: take it out of BY_ID".to_owned());
    }
    demand_none(&faults);
    assert!(finds_by_id("where p.id = $1") && finds_by_id("id = any($2)"));
    assert!(!finds_by_id("where event_id = $1") && !finds_by_id("set id = id"));
}

/// SQL that compares a row's own id with a parameter.
fn finds_by_id(line: &str) -> bool {
    ["id = $", "id = any($", "id in (select"].iter().any(|test| {
        line.match_indices(test).any(|(at, _)| {
            let before = line.get(..at).and_then(|head| head.chars().next_back());
            before.is_none_or(|c| c != '_' && !c.is_ascii_alphanumeric())
        })
    })
}

#[test]
fn nothing_is_left_over() {
    let mut faults = Vec::new();
    for File { name, text, .. } in tracked(&[""]) {
        for word in FOREIGN.iter().map(|pieces| pieces.concat()) {
            if let Some(line) = text.lines().position(|line| line.contains(&word)) {
                faults.push(format!("{name}:{}: `{word}` is left over: finish it", line + 1));
            }
        }
    }
    demand_none(&faults);
}

#[test]
fn documents_have_one_title() {
    let mut faults = Vec::new();
    for File { name, text, .. } in tracked(&[".md"]) {
        let mut fenced = false;
        let mut titles = 0;
        for line in text.lines() {
            fenced ^= line.starts_with("```");
            titles += usize::from(!fenced && line.starts_with("# "));
        }
        if titles != 1 {
            faults.push(format!("{name} has {titles} titles: give it one `# `"));
        }
    }
    demand_none(&faults);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for File { name, path, text } in tracked(&[".md"]) {
        let parent = path.parent().unwrap_or(Path::new("."));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let outside = target.contains("://") || target.starts_with(['#', '/']);
            if !outside && !file.is_empty() && !parent.join(file).exists() {
                faults.push(format!("{name} links to {target}, which is not there"));
            }
        }
    }
    demand_none(&faults);
}

/// What answers a threat, and what a rule demands, is shown by tests that are there.
#[test]
fn threats_and_rules_are_answered_by_tests() {
    const ANSWERS_MIN: usize = 20;
    let sources = tracked(&[".rs"]);
    let mut faults = Vec::new();
    let mut answers = 0;
    let told = |file: &File| {
        file.name.ends_with("threat-model.md") || file.name.ends_with("docs/rules.md")
    };
    for File { name, text, .. } in tracked(&[".md"]).into_iter().filter(told) {
        let headed = |line: &&str| line.starts_with("| threat") || line.starts_with("| rule");
        let table = text.lines().filter(|line| line.starts_with("| ") && !headed(line));
        for line in table {
            let cell = line.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap_or_default();
            let shown: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
            if shown.is_empty() {
                faults.push(format!("{name}: no test shows the answer of: {line}"));
            }
            for test in shown {
                answers += 1;
                if !sources.iter().any(|file| holds(file, test)) {
                    faults.push(format!("{name} names the test {test}, which is not there"));
                }
            }
        }
    }
    assert!(answers >= ANSWERS_MIN, "only {answers} tests are named: the tables are not read");
    demand_none(&faults);
}

/// What the kernel promises is shown by tests that are there: those of the second column the kernel's,
/// those of the third the back office's.
#[test]
fn promises_are_shown_by_tests() {
    const PROMISES_MIN: usize = 40;
    let sources = tracked(&[".rs"]);
    let homes = ["backoffice/kernel/", "backoffice/tests/"];
    let mut faults = Vec::new();
    let page = fs::read_to_string(system::root().join("docs/testing.md")).expect("the page");
    let (_, table) = page.split_once("| promise |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut promises = 0;
    for row in rows.filter(|row| !row.starts_with("| **")) {
        promises += 1;
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let mut shown = 0;
        for (home, cell) in homes.iter().zip(cells.iter().skip(1)) {
            for test in cell.split('`').skip(1).step_by(2) {
                shown += 1;
                if !sources.iter().any(|file| file.name.starts_with(home) && holds(file, test)) {
                    faults.push(format!("docs/testing.md: {test} is not there below {home}"));
                }
            }
        }
        if cells.len() != 3 || shown == 0 {
            faults.push(format!("docs/testing.md: no test shows: {row}"));
        }
    }
    assert!(promises >= PROMISES_MIN, "only {promises} promises: the table is not read");
    demand_none(&faults);
}

/// Whether the file has the test `module::test`. Modules are folders and files of its path;
/// `tests.rs` and the folders of every crate need not be said.
fn holds(file: &File, test: &str) -> bool {
    let Some((modules, function)) = test.rsplit_once("::") else { return false };
    let path: Vec<&str> = file.name.trim_end_matches(".rs").split('/').collect();
    let named: Vec<&str> =
        path.into_iter().filter(|part| !["src", "tests", "it"].contains(part)).collect();
    let modules: Vec<&str> = modules.split("::").collect();
    if !named.ends_with(&modules) {
        return false;
    }
    let is_it = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").is_some_and(|rest| rest.split('(').next() == Some(function))
    };
    let lines: Vec<&str> = file.text.lines().collect();
    let Some(at) = lines.iter().position(|line| is_it(line)) else { return false };
    let attributes = lines.iter().take(at).rev().map(|line| line.trim());
    let mut attributes =
        attributes.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    attributes.any(|line| line == "#[test]" || line.starts_with("#[tokio::test"))
}

#[track_caller]
fn demand_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

struct File {
    /// Path from the repository's top.
    name: String,
    path: PathBuf,
    text: String,
}

/// Text files that git tracks, with one of these endings.
fn tracked(endings: &[&str]) -> Vec<File> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(system::root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let files: Vec<_> = listing
        .split('\0')
        .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
        .filter_map(|name| {
            let path = system::root().join(name);
            let text = fs::read_to_string(&path).ok()?;
            Some(File { name: name.to_owned(), path, text })
        })
        .collect();
    assert!(files.len() >= FILES_MIN, "git lists only {} files of {endings:?}", files.len());
    files
}
