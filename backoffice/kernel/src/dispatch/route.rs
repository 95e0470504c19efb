//! Which entity or action a path names, from the registry alone.

use uuid::Uuid;

use crate::action::{Action, On, Reading, Verb};
use crate::csv;
use crate::dispatch::Method;
use crate::entity::Entity;
use crate::error::{Code, Error, Result};
use crate::flow;
use crate::history;
use crate::registry::{Child, Member, Registry};

/// The row above a child collection.
#[derive(Clone, Copy)]
pub(crate) struct Above {
    pub(crate) entity: &'static Entity,
    pub(crate) id: Uuid,
    pub(crate) child: Child,
}

pub(crate) enum Target {
    List {
        entity: &'static Entity,
        above: Option<Above>,
    },
    Create {
        entity: &'static Entity,
        above: Option<Above>,
    },
    Get {
        entity: &'static Entity,
        id: Uuid,
    },
    Patch {
        entity: &'static Entity,
        id: Uuid,
    },
    Delete {
        entity: &'static Entity,
        id: Uuid,
    },
    Restore {
        entity: &'static Entity,
        id: Uuid,
    },
    /// `PUT /<route>`: by natural key.
    Upsert {
        entity: &'static Entity,
    },
    Bulk {
        entity: &'static Entity,
    },
    Act {
        entity: &'static Entity,
        verb: Verb,
        id: Option<Uuid>,
        above: Option<Above>,
    },
    /// `GET /<route>/{id}/history`
    History {
        entity: &'static Entity,
        id: Uuid,
    },
    /// `GET /activity`, of all entities.
    Activity,
    /// `GET /<route>/export`
    Export {
        entity: &'static Entity,
    },
    /// `POST /<route>/import`
    Import {
        entity: &'static Entity,
    },
    /// What a row tells beside its fields: `GET /<route>/{id}/<name>`.
    Read {
        reading: &'static Reading,
        id: Uuid,
    },
}

impl Target {
    /// The entity in question; none for what is about all of them.
    pub(crate) fn entity(&self) -> Option<&'static Entity> {
        Some(match self {
            Self::List { entity, .. }
            | Self::Create { entity, .. }
            | Self::Get { entity, .. }
            | Self::Patch { entity, .. }
            | Self::Delete { entity, .. }
            | Self::Restore { entity, .. }
            | Self::Upsert { entity }
            | Self::Bulk { entity }
            | Self::Act { entity, .. }
            | Self::History { entity, .. }
            | Self::Export { entity }
            | Self::Import { entity } => entity,
            Self::Read { reading, .. } => reading.entity,
            Self::Activity => return None,
        })
    }
}

pub(crate) fn resolve(registry: &Registry, method: Method, path: &[String]) -> Result<Target> {
    let (route, rest) = path.split_first().ok_or_else(no_such_path)?;
    if route == ACTIVITY && rest.is_empty() {
        return match method {
            Method::Get => Ok(Target::Activity),
            _ => Err(not_allowed(&[(true, "GET")])),
        };
    }
    let member =
        registry.route(route).filter(|m| is_served(registry, m)).ok_or_else(no_such_path)?;
    match rest {
        [] => collection(registry, method, member.entity, None),
        [segment] => one(registry, method, member, segment),
        [id, name] => below(registry, method, member, id, name),
        _ => Err(no_such_path()),
    }
}

/// Whether the API shows the entity at all.
pub(crate) fn is_served(registry: &Registry, member: &Member) -> bool {
    let operations = member.entity.operations;
    operations.read
        || operations.create
        || operations.patch
        || operations.delete
        || actions(registry, member.entity).any(|action| action.on != On::Internal)
}

pub(crate) fn actions<'a>(
    registry: &'a Registry,
    entity: &'static Entity,
) -> impl Iterator<Item = &'static Action> + 'a {
    registry.actions().filter(move |action| action.entity.name == entity.name)
}

/// The feed over all entities; no entity's route may have this name.
pub(crate) const ACTIVITY: &str = "activity";
/// What stands behind a route or a row by itself; no action or child collection may be named so.
pub(crate) const RESERVED: &[&str] = &["bulk", "import", "export", "history", "restore", ACTIVITY];

/// The action that stands in for the engine's create.
pub(crate) fn creates(registry: &Registry, entity: &'static Entity) -> Option<Verb> {
    actions(registry, entity).find(|action| action.on == On::Create).map(Verb::Listed)
}

/// An action on a row or a move of the flow, by its path segment.
pub(crate) fn on_row(registry: &Registry, entity: &'static Entity, name: &str) -> Option<Verb> {
    let listed = actions(registry, entity).find(|a| a.on == On::Row && a.name == name);
    listed.map(Verb::Listed).or_else(|| flow::named(entity, name).map(Verb::Move))
}

pub(crate) fn on_collection(
    registry: &Registry,
    entity: &'static Entity,
    name: &str,
) -> Option<Verb> {
    let listed = actions(registry, entity).find(|a| a.on == On::Collection && a.name == name);
    listed.map(Verb::Listed)
}

/// Moves of the flow that no action is listed for.
pub(crate) fn bare_moves(registry: &Registry, entity: &'static Entity) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for one in entity.flow.map_or(&[] as &[_], |flow| flow.moves) {
        let bare = matches!(on_row(registry, entity, one.action), Some(Verb::Move(_)));
        if bare && !names.contains(&one.action) {
            names.push(one.action);
        }
    }
    names
}

/// Rows can be made or changed by their natural key.
pub(crate) fn upserts(entity: &Entity) -> bool {
    entity.operations.create && entity.operations.patch && entity.natural_key().is_some()
}

/// Something can be written, so a bulk of it makes sense.
pub(crate) fn bulks(registry: &Registry, entity: &'static Entity) -> bool {
    let operations = entity.operations;
    operations.create
        || operations.patch
        || operations.delete
        || entity.flow.is_some()
        || actions(registry, entity).any(|action| action.on != On::Internal)
}

fn collection(
    registry: &Registry,
    method: Method,
    entity: &'static Entity,
    above: Option<Above>,
) -> Result<Target> {
    let creates = creates(registry, entity);
    match (method, creates) {
        (Method::Get, _) if entity.operations.read => Ok(Target::List { entity, above }),
        (Method::Post, Some(verb)) => Ok(Target::Act { entity, verb, id: None, above }),
        (Method::Post, None) if entity.operations.create => Ok(Target::Create { entity, above }),
        (Method::Put, _) if above.is_none() && upserts(entity) => Ok(Target::Upsert { entity }),
        _ => Err(not_allowed(&[
            (entity.operations.read, "GET"),
            (creates.is_some() || entity.operations.create, "POST"),
            (above.is_none() && upserts(entity), "PUT"),
        ])),
    }
}

fn one(registry: &Registry, method: Method, member: &Member, segment: &str) -> Result<Target> {
    let entity = member.entity;
    let named = match on_collection(registry, entity, segment) {
        Some(verb) => Some(Target::Act { entity, verb, id: None, above: None }),
        None => (segment == "bulk" && bulks(registry, entity)).then_some(Target::Bulk { entity }),
    };
    if let Some(target) = named {
        return match method {
            Method::Post => Ok(target),
            _ => Err(not_allowed(&[(true, "POST")])),
        };
    }
    if let Some(found) = file(registry, method, entity, segment) {
        return found;
    }
    let operations = entity.operations;
    match method {
        Method::Get if operations.read => Ok(Target::Get { entity, id: id(segment)? }),
        Method::Patch if operations.patch => Ok(Target::Patch { entity, id: id(segment)? }),
        Method::Delete if operations.delete => Ok(Target::Delete { entity, id: id(segment)? }),
        _ => Err(not_allowed(&[
            (operations.read, "GET"),
            (operations.patch, "PATCH"),
            (operations.delete, "DELETE"),
        ])),
    }
}

/// Whether files of rows are taken: the entity allows it, and imports themselves are served.
pub(crate) fn imports(registry: &Registry, entity: &Entity) -> bool {
    entity.takes_imports() && csv::import::is_served(registry)
}

/// Rows as a file, out and in.
fn file(
    registry: &Registry,
    method: Method,
    entity: &'static Entity,
    segment: &str,
) -> Option<Result<Target>> {
    let takes = imports(registry, entity);
    match (segment, method) {
        ("export", Method::Get) if entity.operations.read => Some(Ok(Target::Export { entity })),
        ("export", _) if entity.operations.read => Some(Err(not_allowed(&[(true, "GET")]))),
        ("import", Method::Post) if takes => Some(Ok(Target::Import { entity })),
        ("import", _) if takes => Some(Err(not_allowed(&[(true, "POST")]))),
        _ => None,
    }
}

fn below(
    registry: &Registry,
    method: Method,
    member: &Member,
    parent: &str,
    name: &str,
) -> Result<Target> {
    let entity = member.entity;
    let restores = name == "restore" && entity.restorable();
    if let Some(verb) = on_row(registry, entity, name) {
        return match method {
            Method::Post => Ok(Target::Act { entity, verb, id: Some(id(parent)?), above: None }),
            _ => Err(not_allowed(&[(true, "POST")])),
        };
    }
    if let Some(reading) = registry.readings(entity).find(|reading| reading.name == name) {
        return match method {
            Method::Get => Ok(Target::Read { reading, id: id(parent)? }),
            _ => Err(not_allowed(&[(true, "GET")])),
        };
    }
    if restores {
        return match method {
            Method::Post => Ok(Target::Restore { entity, id: id(parent)? }),
            _ => Err(not_allowed(&[(true, "POST")])),
        };
    }
    if name == "history" && history::is_kept(entity) {
        return match method {
            Method::Get => Ok(Target::History { entity, id: id(parent)? }),
            _ => Err(not_allowed(&[(true, "GET")])),
        };
    }
    let below = registry.route(name).filter(|below| is_served(registry, below));
    let child = below.and_then(|below| {
        registry.children(member.entity).into_iter().find(|c| c.entity.name == below.entity.name)
    });
    let child = child.filter(|_| member.entity.operations.read).ok_or_else(no_such_path)?;
    let above = Above { entity: member.entity, id: id(parent)?, child };
    collection(registry, method, child.entity, Some(above))
}

fn id(text: &str) -> Result<Uuid> {
    let id = if text.len() == 36 { Uuid::try_parse(text).ok() } else { None };
    id.ok_or_else(|| Error::field(Code::InvalidId, "id", "the id in the path is not a UUID"))
}

fn no_such_path() -> Error {
    Error::not_found("path")
}

/// The methods that would do stand in the detail and in the header `Allow`.
fn not_allowed(methods: &[(bool, &'static str)]) -> Error {
    let allowed: Vec<&'static str> =
        methods.iter().filter(|(yes, _)| *yes).map(|(_, name)| *name).collect();
    Error::new(Code::MethodNotAllowed, "the path does not take this method").allow(allowed)
}
