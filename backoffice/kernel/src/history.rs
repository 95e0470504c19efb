//! What happened to a row, and what happened lately: read from the change log, with the fields that
//! the caller may read. Newest first, in pages. Knows no HTTP.

mod feed;
mod query;
mod row;
mod sight;
mod values;

pub(crate) use feed::activity;
pub(crate) use query::{ActivityQuery, LIMIT_DEFAULT, LIMIT_MAX, PageQuery};
pub(crate) use row::history;
pub(crate) use sight::among;

use crate::entity::{Entity, Scope};

/// Rows of the entity have a history that can be read.
pub(crate) fn is_kept(entity: &Entity) -> bool {
    entity.scope == Scope::Tenant && !entity.log && entity.operations.read
}
