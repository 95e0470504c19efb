//! What portals and links may: not by roles, but by what a descriptor shows to a kind of portal, or by
//! the one thing that a link was made for and its maker may still do.

use super::access::{Access, Pin};
use crate::cx::Actor;
use crate::entity::{Entity, Field, Level, Plan};

/// `None`: nothing.
pub(super) fn access(actor: &Actor, entity: &'static Entity, right: &str) -> Option<Access> {
    match actor {
        Actor::Portal { kind, party, rights, .. } => {
            let portal = entity.portals.iter().find(|portal| portal.kind == *kind)?;
            let fields = match right {
                "read" => portal.read,
                "update" if !portal.write.is_empty() => portal.write,
                _ => return None,
            };
            let pin = Pin { column: portal.field, id: *party, strict: true };
            let visible = |field: &Field| fields.contains(&field.name);
            Some(Access::pinned(rights, entity, pin, visible))
        }
        Actor::Link { table, row, right: own, rights, .. } => {
            if entity.name != *table || right != &**own {
                return None;
            }
            let pin = Pin { column: "id", id: *row, strict: false };
            // A link is passed on: it shows what is nobody's secret.
            let visible = |field: &Field| field.level == Level::Open;
            if rights.is_nobodys() {
                return Some(Access::pinned(rights, entity, pin, visible));
            }
            Some(rights.access(entity, right)?.pinned_to(entity, pin, visible))
        }
        _ => None,
    }
}

/// What the organization of a portal or a link has bought.
pub(super) fn plan(actor: &Actor) -> Option<Plan> {
    match actor {
        Actor::Portal { rights, .. } | Actor::Link { rights, .. } => Some(rights.plan),
        _ => None,
    }
}
