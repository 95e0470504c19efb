//! Runs the rules of an entity around a write, and those of the end over what was touched. Where
//! there are none, nothing is read and no time is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Lock, get};
use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::{Error, Result};
use crate::rights::Access;
use crate::rule::{Change, ChangeOp, EndRule};

/// Rules of the end may write, which touches more; beyond these rounds they never come to rest.
const ROUNDS_MAX: u32 = 8;

/// The row as it is before a write, locked, when a rule wants to know. A row that is not in reach is
/// told by the write itself.
pub(crate) async fn before(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
) -> Result<Option<Map<String, Value>>> {
    if !cx.registry().is_ruled(entity) {
        return Ok(None);
    }
    match get::row(cx, entity, id, Lock::Update, &Access::all()).await {
        Ok(row) => Ok(Some(row)),
        Err(error) if error.code() == crate::error::Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs every rule over the change, the first refusal is the answer; and notes what it touched for
/// the rules of the end.
pub(crate) async fn after(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    op: ChangeOp,
    before: Option<Map<String, Value>>,
) -> Result<()> {
    let registry = cx.registry();
    if !registry.is_ruled(entity) {
        return Ok(());
    }
    let after = match op {
        ChangeOp::Delete => None,
        _ => Some(get::row(cx, entity, id, Lock::None, &Access::all()).await?),
    };
    let change = Change { entity, id, op, before, after };
    for rule in registry.end_rules(entity.name) {
        cx.touched.note(rule, change.ids(rule.by));
    }
    for rule in registry.rules(entity.name) {
        cx.enter(rule.name)?;
        let outcome = (rule.run)(cx, change.clone()).await;
        cx.leave();
        outcome.map_err(|error| error.with_context(format!("rule {}", rule.name)))?;
    }
    Ok(())
}

/// Runs the rules of the end over what the open part has touched, until nothing is left to look at.
pub(crate) async fn end(cx: &mut Cx) -> Result<()> {
    for _ in 0..ROUNDS_MAX {
        let due = cx.touched.take();
        if due.is_empty() {
            return Ok(());
        }
        for (rule, ids) in due {
            cx.enter(rule.name)?;
            let outcome = (rule.run)(cx, ids).await;
            cx.leave();
            outcome.map_err(|error| error.with_context(format!("rule {}", rule.name)))?;
        }
    }
    if cx.touched.take().is_empty() {
        return Ok(());
    }
    Err(Error::internal("the rules of the end touch each other's rows without end"))
}

// === What was touched ===

type Marks = BTreeMap<&'static str, (&'static EndRule, BTreeSet<Uuid>)>;

/// What rules of the end have to look at, by parts: what a part touched is forgotten when the part is
/// undone. The first layer is the unit of work itself.
#[derive(Default)]
pub(crate) struct Touched {
    layers: Mutex<Vec<Marks>>,
}

impl Touched {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<Marks>) -> T) -> T {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if layers.is_empty() {
            layers.push(Marks::new());
        }
        work(&mut layers)
    }

    fn note(&self, rule: &'static EndRule, ids: Vec<Uuid>) {
        self.with(|layers| {
            if let Some(top) = layers.last_mut() {
                top.entry(rule.name).or_insert((rule, BTreeSet::new())).1.extend(ids);
            }
        });
    }

    fn take(&self) -> Vec<(&'static EndRule, Vec<Uuid>)> {
        let due = self.with(|layers| layers.last_mut().map(std::mem::take).unwrap_or_default());
        due.into_values().map(|(rule, ids)| (rule, ids.into_iter().collect())).collect()
    }

    pub(crate) fn open_part(&self) {
        self.with(|layers| layers.push(Marks::new()));
    }

    /// What is left of a part becomes the business of what is around it.
    pub(crate) fn keep_part(&self) {
        let part = self.pop();
        for (rule, ids) in part.into_values() {
            self.note(rule, ids.into_iter().collect());
        }
    }

    pub(crate) fn drop_part(&self) {
        drop(self.pop());
    }

    fn pop(&self) -> Marks {
        self.with(|layers| if layers.len() > 1 { layers.pop() } else { None }).unwrap_or_default()
    }
}
