//! Custom fields: what an organization adds to an entity. Definitions are rows of `custom_fields`,
//! values stand in the column `custom` and in the member `custom` of a row. A kind never changes and
//! a key is never given again, so a stored value always fits its definition.
//!
//! Definitions are read in the unit of work that uses them (one indexed query an entity, kept until
//! it ends): nothing can be older than what was committed when the work began, and no process has
//! to hear of another's change.

mod entities;
mod model;
mod value;

pub(crate) use entities::CUSTOM_FIELD;
pub(crate) use entities::RULE;
pub(crate) use model::{CustomField, Model, load, shown_sql};
pub(crate) use value::{Custom, body, permitted};

/// Definitions of one entity, retired ones with them; more are refused.
pub(crate) const FIELDS_MAX: usize = 100;
/// Characters of a custom text.
pub(crate) const TEXT_CHARS_MAX: u32 = 2_000;
