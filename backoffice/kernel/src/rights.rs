//! "May I": roles as data → grants × right × scope. One function answers; dispatch and `Cx` ask it.
//! Knows neither HTTP nor SQL.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::cx::Actor;
use crate::entity::{Entity, Field, Kind};
use crate::error::{Code, Error, Fault, Result};
use crate::param::Bound;
use crate::registry::Registry;

/// Entries of one role or token; more are refused.
const GRANTS_MAX: usize = 200;
/// Rights of one entry.
const RIGHTS_MAX: usize = 50;
/// What the scope `own` compares with the caller.
const USERS: &str = "accounts.users";

/// Which rows a right reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Own,
    All,
}

/// What a right reaches on one entity: which rows, ready for SQL. The one value that the engine
/// takes; it never looks at grants itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    rows: RowScope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowScope {
    All,
    /// Rows whose field holds this user.
    Own {
        field: &'static str,
        user: Uuid,
    },
}

impl Access {
    /// Everything: for services, and for rows that dispatch has reached already.
    pub(crate) fn all() -> Self {
        Self { rows: RowScope::All }
    }

    /// Appends ` and …` for the rows in reach.
    pub(crate) fn rows_sql(&self, sql: &mut String, params: &mut Vec<Bound>) {
        if let RowScope::Own { field, user } = self.rows {
            params.push(Bound::uuid(user));
            sql.push_str(&format!(" and \"{field}\" = ${}", params.len()));
        }
    }
}

/// One line of a role: on `grant` (`events.events`, `events.*` or `*`) these rights (`read`,
/// `create`, `update`, `delete`, action names, or `*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub grant: String,
    pub rights: Vec<String>,
    pub reach: Reach,
}

impl Grant {
    /// As roles store it and the API shows it.
    pub(crate) fn show(&self) -> Value {
        let scope = match self.reach {
            Reach::All => "all",
            Reach::Own => "own",
        };
        json!({"grant": self.grant, "rights": self.rights, "scope": scope})
    }

    fn reaches(&self, grant: &str, right: &str) -> Option<Reach> {
        let named = match self.grant.strip_suffix('*') {
            Some(prefix) => grant.starts_with(prefix),
            None => self.grant == grant,
        };
        let given = self.rights.iter().any(|own| own == "*" || own == right);
        (named && given).then_some(self.reach)
    }
}

/// What a caller may: every layer must allow. A user has one layer (the union of the roles); a
/// token has a second one of its own, so that it never exceeds who made it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    layers: Vec<Vec<Grant>>,
}

impl Rights {
    pub fn new(layers: Vec<Vec<Grant>>) -> Self {
        Self { layers }
    }

    /// The narrowest reach over all layers; `None` when a layer does not give the right.
    pub fn reach(&self, grant: &str, right: &str) -> Option<Reach> {
        if self.layers.is_empty() {
            return None;
        }
        let mut narrowest = Reach::All;
        for layer in &self.layers {
            let widest = layer.iter().filter_map(|line| line.reaches(grant, right));
            match widest.fold(None, wider)? {
                Reach::All => {}
                Reach::Own => narrowest = Reach::Own,
            }
        }
        Some(narrowest)
    }

    /// Whether these rights hold everything that `grants` would give, judged on the registry's
    /// grants and the rights that `grants` names: nobody gives what they do not have.
    pub fn cover(&self, grants: &[Grant], registry: &Registry) -> bool {
        grants.iter().all(|line| {
            registry.grants().into_iter().all(|grant| {
                line.rights.iter().all(|right| match line.reaches(grant, right) {
                    None => true,
                    Some(reach) => self
                        .reach(grant, right)
                        .is_some_and(|own| own == Reach::All || reach == Reach::Own),
                })
            })
        })
    }
}

fn wider(best: Option<Reach>, next: Reach) -> Option<Reach> {
    match best {
        Some(Reach::All) => best,
        _ => Some(next),
    }
}

/// The one answer to "may I": the rows it reaches, or 401 or 403.
pub(crate) fn may(actor: &Actor, entity: &Entity, right: &str) -> Result<Access> {
    let (rights, user) = match (actor, actor.rights(), actor.own_id()) {
        (Actor::Service(_), ..) => return Ok(Access::all()),
        (Actor::Public, ..) => {
            return Err(Error::new(Code::Unauthenticated, "sign in or send a valid token"));
        }
        (_, Some(rights), Some(own)) => (rights, own),
        // No role gives a portal or a link anything.
        _ => return Err(Error::new(Code::Forbidden, "the caller may not do this")),
    };
    match (rights.reach(entity.grant, right), owner_field(entity)) {
        (Some(Reach::All), _) => Ok(Access::all()),
        (Some(Reach::Own), Some(field)) => {
            Ok(Access { rows: RowScope::Own { field: field.name, user } })
        }
        (Some(Reach::Own), None) | (None, _) => Err(Error::new(
            Code::Forbidden,
            format!("the right {right} on {} is missing", entity.grant),
        )),
    }
}

/// The field that says whose a row is: the first link to a user.
pub(crate) fn owner_field(entity: &Entity) -> Option<&'static Field> {
    entity.fields.iter().find(|field| matches!(field.kind, Kind::Link { to: USERS, .. }))
}

/// Like `may`, for what is not about a row: a reach of one's own rows is no answer there.
pub(crate) fn may_without_row(actor: &Actor, entity: &Entity, right: &str) -> Result<()> {
    match may(actor, entity, right)?.rows {
        RowScope::All => Ok(()),
        RowScope::Own { .. } => Err(Error::new(
            Code::Forbidden,
            format!("the right {right} on {} reaches own rows only", entity.grant),
        )),
    }
}

/// Keeps a body within the reach: who makes or changes own rows only makes none of another's. A new
/// row without an owner is the caller's.
pub(crate) fn keep_own(access: &Access, body: &mut Map<String, Value>, new: bool) -> Result<()> {
    let RowScope::Own { field, user } = access.rows else { return Ok(()) };
    let own = Value::String(user.to_string());
    match body.get(field) {
        Some(given) if *given != own => {
            Err(Error::field(Code::Forbidden, field, "only the caller's own rows are in reach"))
        }
        None if new => {
            body.insert(field.to_owned(), own);
            Ok(())
        }
        Some(_) | None => Ok(()),
    }
}

/// Reads `[{"grant", "rights": […], "scope"}]`; with a registry, unknown grants and scopes that an
/// entity cannot carry are refused. Stored rows are read without one.
pub fn parse(value: &Value, registry: Option<&Registry>) -> Result<Vec<Grant>> {
    let Value::Array(items) = value else {
        return Err(Error::field(Code::WrongType, "grants", "must be a list"));
    };
    if items.len() > GRANTS_MAX {
        return Err(Error::field(
            Code::TooLong,
            "grants",
            format!("has at most {GRANTS_MAX} items"),
        ));
    }
    let mut grants = Vec::with_capacity(items.len());
    let mut faults = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match line(item) {
            Ok(grant) => {
                faults.extend(
                    registry.and_then(|all| unfit(&grant, all)).map(|text| {
                        Fault::new(format!("grants[{index}]"), Code::InvalidValue, text)
                    }),
                );
                grants.push(grant);
            }
            Err((part, text)) => {
                let dot = if part.is_empty() { "" } else { "." };
                let path = format!("grants[{index}]{dot}{part}");
                faults.push(Fault::new(path, Code::InvalidValue, text));
            }
        }
    }
    if faults.is_empty() { Ok(grants) } else { Err(Error::faults(faults)) }
}

fn line(item: &Value) -> std::result::Result<Grant, (&'static str, String)> {
    let text = |name: &'static str| item.get(name).and_then(Value::as_str);
    let grant = text("grant").ok_or(("grant", "a grant is required".to_owned()))?;
    let rights: Option<Vec<String>> = item
        .get("rights")
        .and_then(Value::as_array)
        .filter(|rights| (1..=RIGHTS_MAX).contains(&rights.len()))
        .and_then(|rights| rights.iter().map(|r| r.as_str().map(str::to_owned)).collect());
    let rights = rights.ok_or(("rights", format!("must be 1 to {RIGHTS_MAX} names")))?;
    // Only an absent scope means all: one that is misspelled must not widen a right.
    let reach = match (item.get("scope"), text("scope")) {
        (None, _) | (_, Some("all")) => Reach::All,
        (_, Some("own")) => Reach::Own,
        _ => return Err(("scope", "must be all or own".to_owned())),
    };
    let known = ["grant", "rights", "scope"];
    let stranger =
        item.as_object().and_then(|o| o.keys().find(|key| !known.contains(&key.as_str())));
    if stranger.is_some() {
        return Err(("", format!("has {} and nothing else", known.join(", "))));
    }
    Ok(Grant { grant: grant.to_owned(), rights, reach })
}

/// Why a line cannot be configured here.
fn unfit(line: &Grant, registry: &Registry) -> Option<String> {
    let named = |entity: &&'static Entity| {
        !entity.grant.is_empty()
            && line.rights.iter().any(|r| line.reaches(entity.grant, r).is_some())
    };
    let entities: Vec<&Entity> = registry.entities().filter(named).collect();
    if entities.is_empty() {
        let names = |grant| line.rights.iter().any(|r| line.reaches(grant, r).is_some());
        if line.reach == Reach::All && registry.grants().into_iter().any(names) {
            return None;
        }
        return Some(format!("{} names no grant", line.grant));
    }
    let ownerless = entities.iter().find(|entity| owner_field(entity).is_none());
    match (line.reach, ownerless) {
        (Reach::Own, Some(entity)) => Some(format!("{} has no owner", entity.name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
