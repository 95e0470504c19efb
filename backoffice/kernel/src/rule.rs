//! Rules: what must hold after every write of an entity, whoever wrote it, and what must hold when a
//! unit of work ends. The engine runs them before anything is committed, for create, patch, delete,
//! restore, upsert, bulk, import and actions alike. A rule knows the unit of work and the change,
//! nothing of how the change came about.
//!
//! Rules name their entity as links do, `domain.entity`: it may be another domain's. So a domain
//! guards what it depends on (a period that is closed refuses the bookings of every domain) and
//! neither imports the other. Own rules run first, then those of other domains in the order in which
//! the domains were given.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::action::BoxFuture;
use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::Result;

/// A typed function over one entity's changes, run after each. What a constraint can say belongs into
/// the database; a rule says what takes reading other rows, and may write some itself (their rules
/// run as well). An error undoes the write with everything around it.
pub struct Rule {
    /// Names it in logs: `custom_fields.fit`.
    pub name: &'static str,
    /// `domain.entity`, of any domain.
    pub on: &'static str,
    pub run: for<'a> fn(&'a mut Cx, Change) -> BoxFuture<'a, Result<()>>,
}

/// What single writes may break for a while and none may leave broken: the lines of an entry balance,
/// the shares of an order make the whole. Run once over all that a unit of work touched, when it
/// ends: before the commit of a request, an action or a job, after each operation of a bulk and each
/// part of an import that stands for itself.
pub struct EndRule {
    /// Names it in logs: `journal_lines.balance`.
    pub name: &'static str,
    /// `domain.entity`, of any domain.
    pub on: &'static str,
    /// Field by whose values the rule looks at things: the link to what has to be whole, or `id` for
    /// the rows themselves. The values before and after each write count.
    pub by: &'static str,
    /// Gets the values that were touched, each once, in order. Rows that they name may be gone.
    pub run: for<'a> fn(&'a mut Cx, Vec<Uuid>) -> BoxFuture<'a, Result<()>>,
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

    /// Ids that the field holds before and after, for rules of the end.
    pub(crate) fn ids(&self, field: &str) -> Vec<Uuid> {
        if field == "id" {
            return vec![self.id];
        }
        let id = |row: &Map<String, Value>| Uuid::try_parse(row.get(field)?.as_str()?).ok();
        [&self.before, &self.after].into_iter().flatten().filter_map(id).collect()
    }
}
