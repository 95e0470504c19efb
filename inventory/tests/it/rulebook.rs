//! The book of rules knows every code that the rules know, and no other. That the tests it names are
//! there is looked at with the other documents.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use inventory::command::{Reason, RefusalCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Fewer codes mean that the tables were not read.
const CODES_MIN: usize = 30;
/// Decided before the rules, by the gate: the file that has their words.
const BEFORE: &[&str] = &["invalid", "unknown_key", "wrong_event", "revoked", "store_unavailable"];
const BEFORE_IN: &str = "gate/src/message.rs";

#[test]
fn every_code_stands_in_the_book_and_no_other() {
    let mut known: BTreeSet<String> = BEFORE.iter().map(|code| (*code).to_owned()).collect();
    let words = fs::read_to_string(top().join(BEFORE_IN)).unwrap();
    for code in BEFORE {
        assert!(words.contains(&format!("\"{code}\"")), "{BEFORE_IN} does not know {code}");
    }
    for name in variants("Reason") {
        let reason: Reason = read(&name);
        known.insert(reason.code().to_owned());
        known.extend(reason.rule().map(str::to_owned));
    }
    for name in variants("RefusalCode") {
        let _: RefusalCode = read(&name);
        known.insert(name);
    }
    let told = told();
    let missing: Vec<&String> = known.difference(&told).collect();
    let unknown: Vec<&String> = told.difference(&known).collect();
    assert!(missing.is_empty(), "docs/rules.md lacks {missing:?}: say which rule has this code");
    assert!(unknown.is_empty(), "docs/rules.md names {unknown:?}, which no rule has");
    assert!(CODES_MIN < told.len(), "only {} codes: the tables are not read", told.len());
}

/// Codes of the tables: what stands in backticks in the second column.
fn told() -> BTreeSet<String> {
    let text = fs::read_to_string(top().join("docs/rules.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule"));
    let cells = rows.map(|row| row.split(" | ").nth(1).expect("a row has three columns"));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The variants of an enum of this crate, as the wire spells them.
fn variants(name: &str) -> Vec<String> {
    let head = format!("pub enum {name} {{");
    let text = sources(&top().join("inventory/src"))
        .into_iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .find(|text| text.contains(&head))
        .unwrap_or_else(|| panic!("there is no {head}"));
    let body = text.split_once(&head).unwrap().1.split_once("\n}").unwrap().0;
    let variants = body.lines().filter_map(|line| line.trim().strip_suffix(','));
    let names: Vec<String> =
        variants.filter(|v| v.chars().all(char::is_alphanumeric)).map(snake).collect();
    assert!(names.len() > 5, "the variants of {name} are not read: {names:?}");
    names
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(Value::String(name.to_owned())).unwrap()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
