//! Lines of roles and tokens from JSON. With a registry, names that mean nothing here are refused;
//! stored rows are read without one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::compile;
use super::grant::{Grant, Levels, Reach};
use crate::entity::{Entity, Level};
use crate::error::{Code, Error, Fault, Result};
use crate::registry::Registry;

/// Entries of one role or token; more are refused.
const GRANTS_MAX: usize = 200;
/// Rights of one entry.
const RIGHTS_MAX: usize = 50;
/// Hidden or fixed fields of one entry.
const FIELDS_MAX: usize = 100;
/// Members of an entry.
const MEMBERS: &[&str] = &["grant", "rights", "scope", "levels", "hidden", "fixed", "logged"];
/// Rights that every grant may be given for, whatever its entities offer today.
const OPERATIONS: &[&str] = &["read", "create", "update", "delete"];

/// Reads `[{"grant", "rights": […], "scope"?, "levels"?, "hidden"?, "fixed"?, "logged"?}]`. All
/// faults at once, as `grants[2].rights[0]`.
pub fn parse(value: &Value, registry: Option<&Registry>) -> Result<Vec<Grant>> {
    let Value::Array(items) = value else {
        return Err(Error::field(Code::WrongType, "grants", "must be a list"));
    };
    if items.len() > GRANTS_MAX {
        let text = format!("has at most {GRANTS_MAX} items");
        return Err(Error::field(Code::TooLong, "grants", text));
    }
    let mut grants = Vec::with_capacity(items.len());
    let mut faults = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut line = Line { place: format!("grants[{index}]"), item, faults: &mut faults };
        let Some(grant) = line.read() else { continue };
        if let Some(registry) = registry {
            line.fits(&grant, registry);
        }
        grants.push(grant);
    }
    if faults.is_empty() { Ok(grants) } else { Err(Error::faults(faults)) }
}

struct Line<'a> {
    place: String,
    item: &'a Value,
    faults: &'a mut Vec<Fault>,
}

impl Line<'_> {
    fn fault(&mut self, member: &str, text: impl Into<String>) {
        let dot = if member.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{member}", self.place);
        self.faults.push(Fault::new(path, Code::InvalidValue, text));
    }

    fn read(&mut self) -> Option<Grant> {
        let before = self.faults.len();
        let grant = self.item.get("grant").and_then(Value::as_str).map(str::to_owned);
        if grant.is_none() {
            self.fault("grant", "a grant is required");
        }
        let rights = self.names("rights", RIGHTS_MAX);
        if rights.is_empty() && self.item.get("rights").is_none_or(Value::is_array) {
            self.fault("rights", format!("must be 1 to {RIGHTS_MAX} names"));
        }
        let reach = self.reach();
        let levels = self.levels();
        let hidden = self.names("hidden", FIELDS_MAX);
        let fixed = self.names("fixed", FIELDS_MAX);
        let logged = match self.item.get("logged") {
            None => false,
            Some(Value::Bool(logged)) => *logged,
            Some(_) => {
                self.fault("logged", "must be true or false");
                false
            }
        };
        let members = self.item.as_object().into_iter().flat_map(|item| item.keys());
        if members.into_iter().any(|name| !MEMBERS.contains(&name.as_str())) {
            self.fault("", format!("has {} and nothing else", MEMBERS.join(", ")));
        }
        let grant = grant.filter(|_| self.faults.len() == before)?;
        Some(Grant { grant, rights, reach, levels, hidden, fixed, logged })
    }

    /// Only an absent scope means all: one that is misspelled must not widen a right.
    fn reach(&mut self) -> Reach {
        let Some(scope) = self.item.get("scope") else { return Reach::All };
        if let Some(reach) = scope.as_str().and_then(Reach::parse) {
            return reach;
        }
        let names: Vec<&str> = Reach::EVERY.iter().map(|reach| reach.name()).collect();
        self.fault("scope", format!("must be one of {}", names.join(", ")));
        Reach::Own
    }

    fn levels(&mut self) -> Levels {
        if self.item.get("levels").is_none() {
            return Levels::USUAL;
        }
        let mut levels = Levels::NONE;
        for (index, name) in self.names("levels", Level::ALL.len()).iter().enumerate() {
            match Level::ALL.iter().find(|level| level.name() == name) {
                Some(level) => levels = levels.with(*level),
                None => {
                    let names: Vec<&str> = Level::ALL.iter().map(|level| level.name()).collect();
                    let text = format!("must be one of {}", names.join(", "));
                    self.fault(&format!("levels[{index}]"), text);
                }
            }
        }
        levels
    }

    /// A list of texts; an absent one is empty.
    fn names(&mut self, member: &str, most: usize) -> Vec<String> {
        let Some(value) = self.item.get(member) else { return Vec::new() };
        let names = value.as_array().filter(|names| names.len() <= most);
        let names = names.and_then(|names| {
            names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        names.unwrap_or_else(|| {
            self.fault(member, format!("must be a list of at most {most} names"));
            Vec::new()
        })
    }

    /// Why a line cannot be configured here.
    fn fits(&mut self, line: &Grant, registry: &Registry) {
        let grants: Vec<&str> =
            registry.grants().into_iter().filter(|grant| line.names(grant)).collect();
        if grants.is_empty() {
            return self.fault("", format!("{} names no grant", line.grant));
        }
        let named = |entity: &&'static Entity| grants.contains(&entity.grant);
        let entities: Vec<&'static Entity> = registry.entities().filter(named).collect();
        let carried = entities.iter().any(|one| compile::carries(registry, one, line.reach));
        if line.reach != Reach::All && !carried {
            let text = format!("no row of {} is anybody's in this scope", line.grant);
            self.fault("scope", text);
        }
        let mut known: BTreeSet<&str> = OPERATIONS.iter().copied().chain(["*"]).collect();
        known.extend(entities.iter().flat_map(|entity| registry.rights(entity)));
        for (index, right) in line.rights.iter().enumerate() {
            if !known.contains(right.as_str()) {
                let text = format!("{} has no such right", line.grant);
                self.fault(&format!("rights[{index}]"), text);
            }
        }
        for (member, names) in [("hidden", &line.hidden), ("fixed", &line.fixed)] {
            for (index, name) in names.iter().enumerate() {
                if entities.iter().all(|entity| entity.field(name).is_none()) {
                    let text = format!("{} has no such field", line.grant);
                    self.fault(&format!("{member}[{index}]"), text);
                }
            }
        }
    }
}
