//! Conventions that a reader of the repository relies on, each with what to do about a fault.

use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 600;

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
    for path in tracked() {
        let name = display(&path);
        // A migration is one document, however long.
        let written = [".rs", ".sql", ".py"].iter().any(|ending| name.ends_with(ending));
        if !written || name.starts_with("migrations/0") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let lines = text.lines().count();
        if lines > LINES_MAX {
            faults.push(format!("{name} has {lines} lines: make it two rooms"));
        }
        // Unit tests beside their module are introduced by it.
        let introduced =
            text.starts_with("//!") || text.starts_with("#!") || name.ends_with("/tests.rs");
        if name.ends_with(".rs") && !introduced {
            faults.push(format!("{name} does not open with //!: say what it is and must not know"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn axum_is_named_in_http_modules_only() {
    let mut faults = Vec::new();
    for path in tracked() {
        let name = display(&path);
        if !name.ends_with(".rs") || name.starts_with("tests/") {
            continue;
        }
        let http = name.ends_with("/http.rs") || name.contains("/http/");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if !http
            && text
                .lines()
                .any(|line| !line.trim_start().starts_with("//") && line.contains("axum::"))
        {
            faults.push(format!("{name} names axum: keep it behind the http module"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn nothing_is_left_over() {
    let mut faults = Vec::new();
    for path in tracked() {
        let name = display(&path);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for pieces in FOREIGN {
            let word = pieces.concat();
            if let Some(line) = text.lines().position(|line| line.contains(&word)) {
                faults.push(format!("{name}:{}: `{word}` is left over: finish it", line + 1));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn documents_have_one_title() {
    let mut faults = Vec::new();
    for path in tracked() {
        let name = display(&path);
        if !name.ends_with(".md") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
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
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for path in tracked() {
        let name = display(&path);
        if !name.ends_with(".md") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let parent = path.parent().unwrap_or(Path::new("."));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let outside =
                target.contains("://") || target.starts_with('#') || target.starts_with('/');
            if !outside && !file.is_empty() && !parent.join(file).exists() {
                faults.push(format!("{name} links to {target}, which is not there"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Files that git tracks.
fn tracked() -> Vec<PathBuf> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(system::root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let files: Vec<_> = listing
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(|name| system::root().join(name))
        .collect();
    assert!(files.len() > 50, "git lists only {} files", files.len());
    files
}

fn display(path: &Path) -> String {
    path.strip_prefix(system::root()).unwrap_or(path).display().to_string()
}
