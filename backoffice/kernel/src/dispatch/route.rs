//! Which entity or action a path names, from the registry alone.

use uuid::Uuid;

use crate::action::{Action, On};
use crate::dispatch::Method;
use crate::entity::Entity;
use crate::error::{Code, Error, Result};
use crate::registry::{Child, Member, Registry};

/// The row above a child collection.
#[derive(Clone, Copy)]
pub(crate) struct Above {
    pub(crate) entity: &'static Entity,
    pub(crate) id: Uuid,
    pub(crate) child: Child,
}

pub(crate) enum Target {
    List { entity: &'static Entity, above: Option<Above> },
    Create { entity: &'static Entity, above: Option<Above> },
    Get { entity: &'static Entity, id: Uuid },
    Patch { entity: &'static Entity, id: Uuid },
    Delete { entity: &'static Entity, id: Uuid },
    Action { action: &'static Action, id: Option<Uuid>, above: Option<Above> },
}

impl Target {
    pub(crate) fn entity(&self) -> &'static Entity {
        match self {
            Self::List { entity, .. }
            | Self::Create { entity, .. }
            | Self::Get { entity, .. }
            | Self::Patch { entity, .. }
            | Self::Delete { entity, .. } => entity,
            Self::Action { action, .. } => action.entity,
        }
    }
}

pub(crate) fn resolve(registry: &Registry, method: Method, path: &[String]) -> Result<Target> {
    let (route, rest) = path.split_first().ok_or_else(no_such_path)?;
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

fn collection(
    registry: &Registry,
    method: Method,
    entity: &'static Entity,
    above: Option<Above>,
) -> Result<Target> {
    let creates = actions(registry, entity).find(|action| action.on == On::Create);
    match (method, creates) {
        (Method::Get, _) if entity.operations.read => Ok(Target::List { entity, above }),
        (Method::Post, Some(action)) => Ok(Target::Action { action, id: None, above }),
        (Method::Post, None) if entity.operations.create => Ok(Target::Create { entity, above }),
        _ => Err(not_allowed(&[
            (entity.operations.read, "GET"),
            (creates.is_some() || entity.operations.create, "POST"),
        ])),
    }
}

fn one(registry: &Registry, method: Method, member: &Member, segment: &str) -> Result<Target> {
    let entity = member.entity;
    let named = actions(registry, entity)
        .find(|action| action.on == On::Collection && action.name == segment);
    if let Some(action) = named {
        return match method {
            Method::Post => Ok(Target::Action { action, id: None, above: None }),
            _ => Err(not_allowed(&[(true, "POST")])),
        };
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

fn below(
    registry: &Registry,
    method: Method,
    member: &Member,
    parent: &str,
    name: &str,
) -> Result<Target> {
    let named = actions(registry, member.entity).find(|a| a.on == On::Row && a.name == name);
    if let Some(action) = named {
        return match method {
            Method::Post => Ok(Target::Action { action, id: Some(id(parent)?), above: None }),
            _ => Err(not_allowed(&[(true, "POST")])),
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
