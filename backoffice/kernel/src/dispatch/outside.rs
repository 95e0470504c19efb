//! Which doors are open at all to those whom no role speaks of: a link does its one thing, a portal
//! shows and changes rows. What they see behind an open door is for `rights` to say.

use super::route::Target;
use crate::cx::Actor;
use crate::error::{Code, Error, Result};

/// 403 for whatever a link was not made for, and for what no portal has.
pub(super) fn admit(actor: &Actor, target: &Target) -> Result<()> {
    let open = match actor {
        Actor::Link { table, right, .. } => link(target, table, right),
        Actor::Portal { .. } => match target {
            Target::List { .. }
            | Target::Get { .. }
            | Target::Patch { .. }
            | Target::Bulk { .. }
            | Target::Export { .. } => true,
            Target::Create { .. }
            | Target::Delete { .. }
            | Target::Restore { .. }
            | Target::Upsert { .. }
            | Target::Act { .. }
            | Target::History { .. }
            | Target::Activity
            | Target::Import { .. }
            | Target::Read { .. } => false,
        },
        _ => true,
    };
    if open { Ok(()) } else { Err(closed(actor)) }
}

/// Its row by its own path, or its action on the row: which row that is, the right itself says.
fn link(target: &Target, table: &str, right: &str) -> bool {
    match target {
        Target::Get { entity, .. } => right == "read" && entity.name == table,
        Target::Act { entity, verb, id, .. } => {
            id.is_some() && entity.name == table && verb.name() == right
        }
        _ => false,
    }
}

/// What the API tells of itself is for consoles, which a link opens none of.
pub(super) fn admit_to_meta(actor: &Actor) -> Result<()> {
    match actor {
        Actor::Link { .. } => Err(closed(actor)),
        _ => Ok(()),
    }
}

fn closed(actor: &Actor) -> Error {
    let text = match actor {
        Actor::Link { .. } => "a link is for the one thing that it was made for",
        _ => "portals have no such thing",
    };
    Error::new(Code::Forbidden, text)
}
