//! Runs the rules of an entity around a write. Where there are none, nothing is read and no time is
//! lost.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Lock, get};
use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::Result;
use crate::rights::Access;
use crate::rule::{Change, ChangeOp};

/// The row as it is before a write, locked, when a rule wants to know. A row that is not in reach is
/// told by the write itself.
pub(crate) async fn before(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
) -> Result<Option<Map<String, Value>>> {
    if cx.registry().rules(entity.name).is_empty() {
        return Ok(None);
    }
    match get::row(cx, entity, id, Lock::Update, &Access::all()).await {
        Ok(row) => Ok(Some(row)),
        Err(error) if error.code() == crate::error::Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs every rule over the change; the first refusal is the answer.
pub(crate) async fn after(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    op: ChangeOp,
    before: Option<Map<String, Value>>,
) -> Result<()> {
    let registry = cx.registry();
    let rules = registry.rules(entity.name);
    if rules.is_empty() {
        return Ok(());
    }
    let after = match op {
        ChangeOp::Delete => None,
        _ => Some(get::row(cx, entity, id, Lock::None, &Access::all()).await?),
    };
    let change = Change { entity, id, op, before, after };
    for rule in rules {
        cx.enter(rule.name)?;
        let outcome = (rule.run)(cx, change.clone()).await;
        cx.leave();
        outcome.map_err(|error| error.with_context(format!("rule {}", rule.name)))?;
    }
    Ok(())
}
