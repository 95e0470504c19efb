//! Who may know whom, read from `cargo metadata`: the table below is the only place that says so.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Each crate of ours, and the crates of ours that its code (not its tests) may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("keys", &[]),
    ("inventory", &["keys"]),
    ("gate", &["inventory", "keys"]),
    ("kernel", &[]),
    ("contracts", &[]),
    ("services", &["kernel"]),
    ("identity", &["contracts", "kernel"]),
    ("events", &["contracts", "kernel"]),
    ("ticketing", &["contracts", "inventory", "kernel", "keys"]),
    ("migrations", &["kernel"]),
    ("seeds", &["contracts", "kernel"]),
    (
        "backoffice",
        &[
            "contracts",
            "events",
            "identity",
            "kernel",
            "migrations",
            "seeds",
            "services",
            "ticketing",
        ],
    ),
    ("system", &["inventory", "keys"]),
    ("benches", &["gate", "inventory", "kernel", "keys"]),
];

/// Outside crates that only the named ones may use, whatever for.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("tokio-postgres", &["kernel"]),
    ("deadpool-postgres", &["kernel"]),
    // The figures measure the gate against a program that does the bare minimum on the same crates.
    ("redis", &["inventory", "benches"]),
    ("bb8", &["inventory"]),
    ("axum", &["gate", "kernel", "benches"]),
    ("ed25519-dalek", &["keys"]),
    ("lettre", &["services"]),
];

struct Crate {
    uses: Vec<(String, bool)>,
    features: BTreeMap<String, Vec<String>>,
}

#[test]
fn crates_use_only_what_their_room_may_know() {
    let crates = workspace();
    let mut faults = Vec::new();
    for (name, found) in &crates {
        let Some((_, may)) = MAY_USE.iter().find(|(listed, _)| listed == name) else {
            faults.push(format!("{name} is not in MAY_USE: say what it may know"));
            continue;
        };
        for (used, for_tests) in &found.uses {
            if crates.contains_key(used)
                && used != name
                && !for_tests
                && !may.contains(&used.as_str())
            {
                faults
                    .push(format!("{name} uses {used}: go through a contract, or argue the edge"));
            }
            if let Some((_, owners)) = ONLY_IN.iter().find(|(outside, _)| outside == used)
                && !owners.contains(&name.as_str())
            {
                faults.push(format!("{name} uses {used}, which belongs to {owners:?}"));
            }
        }
    }
    for (name, _) in MAY_USE {
        if !crates.contains_key(*name) {
            faults.push(format!("{name} is in MAY_USE but is no crate of the workspace"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_back_office_reads_the_journal_without_its_stores() {
    let crates = workspace();
    let store = &crates["inventory"].features["store"];
    for heavy in ["dep:redis", "dep:tokio"] {
        assert!(store.iter().any(|dep| dep == heavy), "{heavy} is not behind the feature `store`");
    }
    let metadata = metadata();
    let ticketing = package(&metadata, "ticketing");
    let edge = dependencies(ticketing)
        .find(|dep| dep["name"] == "inventory" && dep["kind"].is_null())
        .expect("ticketing reads the journal through inventory");
    assert_eq!(
        edge["uses_default_features"], false,
        "ticketing takes inventory's default features"
    );
    assert_eq!(edge["features"], serde_json::json!([]), "ticketing asks for features of inventory");
}

fn workspace() -> BTreeMap<String, Crate> {
    let metadata = metadata();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let uses = dependencies(package)
                .map(|dep| (text(&dep["name"]), dep["kind"] == "dev"))
                .collect();
            let features = serde_json::from_value(package["features"].clone()).expect("features");
            (text(&package["name"]), Crate { uses, features })
        })
        .collect()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .current_dir(system::root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn package<'a>(metadata: &'a Value, name: &str) -> &'a Value {
    metadata["packages"]
        .as_array()
        .and_then(|all| all.iter().find(|package| package["name"] == name))
        .unwrap_or_else(|| panic!("no package {name}"))
}

fn dependencies(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
