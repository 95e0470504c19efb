//! Rules: what must hold after every write of an entity, whoever wrote it. The engine runs them after
//! the row is written and before anything is committed, for create, patch, delete, restore, upsert,
//! bulk, import and actions alike. A rule knows the unit of work and the change, nothing of how the
//! change came about.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::action::BoxFuture;
use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::Result;

/// A typed function over one entity's changes. What a constraint can say belongs into the database;
/// a rule says what takes reading other rows, and may write some itself (their rules run as well).
/// An error undoes the write with everything around it.
pub struct Rule {
    /// Names it in logs: `custom_fields.fit`.
    pub name: &'static str,
    pub entity: &'static Entity,
    pub run: for<'a> fn(&'a mut Cx, Change) -> BoxFuture<'a, Result<()>>,
}

/// A row before and after a write, as the API shows it to who may read everything.
#[derive(Debug, Clone)]
pub struct Change {
    pub entity: &'static Entity,
    pub id: Uuid,
    pub op: ChangeOp,
    /// Absent for a create.
    pub before: Option<Map<String, Value>>,
    /// Absent for a delete.
    pub after: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOp {
    Create,
    Update,
    Delete,
    Restore,
}

impl Change {
    /// The field has another value than before; true for what a create gives and false for a delete.
    pub fn changes(&self, field: &str) -> bool {
        let Some(after) = &self.after else { return false };
        let after = after.get(field).unwrap_or(&Value::Null);
        let before = self.before.as_ref().and_then(|row| row.get(field)).unwrap_or(&Value::Null);
        after != before
    }
}
