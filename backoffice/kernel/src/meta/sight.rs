//! What one caller may do with one entity and see of it, asked of `rights` and of nobody else.

use crate::actor::Actor;
use crate::entity::{Access as Writes, Entity, Field, Level};
use crate::registry::Registry;
use crate::rights::{self, Access, Shows};

/// Rights of one caller on one entity.
pub(super) struct Sight {
    permitted: Vec<&'static str>,
    read: Option<Access>,
    create: Option<Access>,
    update: Option<Access>,
}

/// What the caller may do with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldSight {
    /// `always`, `sometimes` (on some of the rows in reach) or `never`.
    pub(super) read: &'static str,
    /// Lists may filter, sort, group and search by it.
    pub(super) queried: bool,
    pub(super) create: bool,
    pub(super) update: bool,
}

impl Sight {
    pub(super) fn of(registry: &Registry, actor: &Actor, entity: &'static Entity) -> Self {
        let permitted = rights::permitted(registry, actor, entity);
        let access = |right: &str| {
            let access = permitted.contains(&right).then(|| rights::may(actor, entity, right));
            access.and_then(|access| access.ok())
        };
        let (read, create, update) = (access("read"), access("create"), access("update"));
        Self { permitted, read, create, update }
    }

    /// Operations, moves and actions that the caller may, on some rows at least.
    pub(super) fn permitted(&self) -> &[&'static str] {
        &self.permitted
    }

    pub(super) fn may(&self, right: &str) -> bool {
        self.permitted.contains(&right)
    }

    /// Whether the organization's own fields of this level show on every row.
    pub(super) fn shows_level(&self, level: Level) -> bool {
        self.read.as_ref().is_some_and(|access| access.shows_level(level))
    }

    /// Whether the caller may write the organization's own fields of this level with this right,
    /// `create` or `update`.
    pub(super) fn writes_level(&self, right: &str, level: Level) -> bool {
        let access = if right == "create" { &self.create } else { &self.update };
        access.as_ref().is_some_and(|access| access.shows_level(level))
    }

    /// Whether a search with `q` looks into the field for this caller.
    pub(super) fn searches(&self, field: &Field) -> bool {
        field.search.is_some() && self.field(field).queried
    }

    pub(super) fn field(&self, field: &Field) -> FieldSight {
        let read = match self.read.as_ref().map(|access| access.shows(field)) {
            Some(Shows::Always) => "always",
            Some(Shows::Within(_)) => "sometimes",
            Some(Shows::Never) | None => "never",
        };
        let may = |access: &Option<Access>| {
            access.as_ref().is_some_and(|access| access.writable(field).is_ok())
        };
        FieldSight {
            read,
            queried: read == "always",
            create: matches!(field.access, Writes::Writable | Writes::WriteOnce)
                && may(&self.create),
            update: field.access == Writes::Writable && may(&self.update),
        }
    }
}
