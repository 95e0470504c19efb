use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::rights;

const PAGE: &str = include_str!("../../../../../docs/rights.md");

#[test]
fn every_role_is_read_and_keeps_its_name() {
    let keys: BTreeSet<&str> = ROLES.iter().map(|role| role.key).collect();
    assert_eq!((keys.len(), ROLES.len()), (12, 12));
    for role in ROLES {
        let grants = rights::parse(&role.grants(), None).unwrap();
        assert!(!grants.is_empty(), "{} gives nothing", role.key);
    }
}

/// One row of the page's table.
fn row(role: &Role) -> String {
    let mut lines = Vec::new();
    for line in role.lines {
        let grants: Vec<String> = line.grants.iter().map(|grant| format!("`{grant}`")).collect();
        let rights =
            if line.rights == EVERY { "everything".to_owned() } else { line.rights.join(" ") };
        let mut limits = Vec::new();
        if line.scope != "all" {
            limits.push(line.scope.to_owned());
        }
        if !line.levels.is_empty() {
            limits.push(format!("to {}", line.levels[line.levels.len() - 1]));
        }
        if line.logged {
            limits.push("logged".to_owned());
        }
        let limits =
            if limits.is_empty() { String::new() } else { format!(" ({})", limits.join(", ")) };
        lines.push(format!("{}: {rights}{limits}", grants.join(" ")));
    }
    format!("| `{}` | {} | {} |", role.key, role.name, lines.join("<br>"))
}

#[test]
fn the_page_shows_these_roles() {
    let shown: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("| `")).collect();
    let rows: Vec<String> = ROLES.iter().map(row).collect();
    assert_eq!(shown, rows, "docs/rights.md has to show:\n{}", rows.join("\n"));
}

/// Who may give whom: a role is given by those that hold all of it.
#[test]
fn the_owner_gives_every_role_and_an_administrator_those_below() {
    let parsed: BTreeMap<&str, Vec<rights::Grant>> =
        ROLES.iter().map(|role| (role.key, rights::parse(&role.grants(), None).unwrap())).collect();
    let gives = |key: &str| -> Vec<&str> {
        let registry = crate::registry::Registry::new(&[&crate::accounts::DOMAIN]).unwrap().leak();
        let person =
            rights::Person { org: uuid::Uuid::nil(), user: uuid::Uuid::max(), units: Vec::new() };
        let held = rights::Rights::new(registry, person, vec![parsed[key].clone()]);
        ROLES.iter().map(|role| role.key).filter(|role| held.cover(&parsed[role])).collect()
    };
    assert_eq!(gives("owner").len(), ROLES.len());
    let below = ["administrator", "production", "sales_marketing", "box_office", "gate_supervisor"];
    assert_eq!(gives("administrator"), below);
    assert_eq!(gives("crew_member"), ["crew_member"]);
    assert_eq!(gives("auditor"), ["auditor"]);
}
