//! Neighbours among the operations of a bulk that do the same to different rows: creates and upserts
//! that give the same fields, changes of the same fields, deletions, returns. They are written by set
//! and read by set, with the outcomes that each would have had alone. Actions are not among them:
//! what one does (other rows, calls of other actions, numbers, events) is code of a domain's, which
//! knows one row, and may be looked at by the next.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::perform::Operation;
use super::super::{Answer, route, run};
use super::{Told, alone};
use crate::cx::{Actor, Cx, Named, Patch};
use crate::engine::upsert::{Demand, Upserted};
use crate::engine::{self, Writer};
use crate::entity::Entity;
use crate::error::{Error, Result};
use crate::rights;

pub(super) enum Run {
    Creates(Vec<Map<String, Value>>),
    Updates(Vec<Patch>),
    Upserts(Vec<Map<String, Value>>),
    Deletes(Vec<Named>),
    Restores(Vec<Named>),
    One(Operation),
}

/// The operations in their order, alike ones together.
pub(super) fn runs(cx: &Cx, entity: &'static Entity, operations: Vec<Operation>) -> Vec<Run> {
    // A portal's role reads less than the checks of many rows do.
    let by_set = !matches!(cx.actor, Actor::Portal { .. });
    let offered = entity.operations;
    let creates = by_set && offered.create && route::creates(cx.registry(), entity).is_none();
    let deletes = by_set && offered.delete;
    let mut runs: Vec<Run> = Vec::new();
    for operation in operations {
        let next = match operation {
            Operation::Create(data) if creates => Run::Creates(vec![data]),
            Operation::Update { id, version, data } if by_set && offered.patch => {
                Run::Updates(vec![Patch { id, version, body: data }])
            }
            Operation::Upsert { data, demand: Demand::Nothing }
                if by_set && route::upserts(entity) =>
            {
                Run::Upserts(vec![data])
            }
            Operation::Delete { id, version } if deletes => {
                Run::Deletes(vec![Named { id, version }])
            }
            Operation::Restore { id, version } if deletes && entity.restorable() => {
                Run::Restores(vec![Named { id, version }])
            }
            other => Run::One(other),
        };
        let rest = match runs.last_mut() {
            Some(last) => last.join(next),
            None => Some(next),
        };
        runs.extend(rest);
    }
    runs
}

impl Run {
    /// Takes the next one in where both are alike; else gives it back.
    fn join(&mut self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::Creates(rows), Self::Creates(new)) if joins(rows, &new) => rows.extend(new),
            (Self::Upserts(rows), Self::Upserts(new)) if joins(rows, &new) => rows.extend(new),
            (Self::Updates(rows), Self::Updates(new)) if follows(rows, &new) => rows.extend(new),
            (Self::Deletes(rows), Self::Deletes(new)) if differs(rows, &new) => rows.extend(new),
            (Self::Restores(rows), Self::Restores(new)) if differs(rows, &new) => rows.extend(new),
            (_, next) => return Some(next),
        }
        None
    }

    /// By set there is nothing to win for one, and one statement more to pay.
    fn single(self) -> std::result::Result<Operation, Self> {
        let one = |operation: Option<Operation>, back: Self| operation.ok_or(back);
        match self {
            Self::One(operation) => Ok(operation),
            Self::Creates(mut rows) if rows.len() == 1 => {
                one(rows.pop().map(Operation::Create), Self::Creates(rows))
            }
            Self::Upserts(mut rows) if rows.len() == 1 => {
                let upsert = |data| Operation::Upsert { data, demand: Demand::Nothing };
                one(rows.pop().map(upsert), Self::Upserts(rows))
            }
            Self::Updates(mut rows) if rows.len() == 1 => {
                let update =
                    |Patch { id, version, body }| Operation::Update { id, version, data: body };
                one(rows.pop().map(update), Self::Updates(rows))
            }
            Self::Deletes(rows) if rows.len() == 1 => {
                let delete = |&Named { id, version }: &Named| Operation::Delete { id, version };
                one(rows.first().map(delete), Self::Deletes(rows))
            }
            Self::Restores(rows) if rows.len() == 1 => {
                let restore = |&Named { id, version }: &Named| Operation::Restore { id, version };
                one(rows.first().map(restore), Self::Restores(rows))
            }
            several => Err(several),
        }
    }
}

/// The same fields, and no link to a row that is about to be made beside it.
fn joins(rows: &[Map<String, Value>], next: &[Map<String, Value>]) -> bool {
    let new: BTreeSet<&str> = rows.iter().filter_map(|row| row.get("id")?.as_str()).collect();
    next.iter().all(|next| {
        let alike = rows.first().is_some_and(|first| first.keys().eq(next.keys()));
        let names_new = next.values().filter_map(Value::as_str).any(|text| new.contains(text));
        alike && !names_new
    })
}

/// The same fields of rows that are not among them.
fn follows(rows: &[Patch], next: &[Patch]) -> bool {
    next.iter().all(|next| {
        let alike = rows.first().is_some_and(|first| first.body.keys().eq(next.body.keys()));
        alike && rows.iter().all(|row| row.id != next.id)
    })
}

fn differs(rows: &[Named], next: &[Named]) -> bool {
    next.iter().all(|next| rows.iter().all(|row| row.id != next.id))
}

/// What became of each operation of the run. An error is about the whole transaction.
pub(super) async fn perform(cx: &mut Cx, entity: &'static Entity, run: Run) -> Result<Vec<Told>> {
    match run.single() {
        Ok(operation) => Ok(vec![alone(cx, entity, operation).await?]),
        Err(Run::Creates(rows)) => creates(cx, entity, rows).await,
        Err(Run::Updates(rows)) => updates(cx, entity, rows).await,
        Err(Run::Upserts(rows)) => upserts(cx, entity, rows).await,
        Err(Run::Deletes(rows)) => deletes(cx, entity, &rows).await,
        Err(Run::Restores(rows)) => restores(cx, entity, &rows).await,
        Err(Run::One(operation)) => Ok(vec![alone(cx, entity, operation).await?]),
    }
}

async fn creates(
    cx: &mut Cx,
    entity: &'static Entity,
    rows: Vec<Map<String, Value>>,
) -> Result<Vec<Told>> {
    let count = rows.len();
    let written = match rights::may(&cx.actor, entity, "create") {
        Ok(access) => engine::many::insert(cx, entity, rows, Writer::Caller, &access).await?,
        Err(_) => refused(cx, entity, "create", count),
    };
    shown(cx, entity, ".data", with(written, 201)).await
}

async fn updates(cx: &mut Cx, entity: &'static Entity, rows: Vec<Patch>) -> Result<Vec<Told>> {
    let written = match rights::may(&cx.actor, entity, "update") {
        Ok(access) => engine::many::update(cx, entity, &rows, &access).await?,
        Err(_) => refused(cx, entity, "update", rows.len()),
    };
    shown(cx, entity, ".data", with(written, 200)).await
}

async fn upserts(
    cx: &mut Cx,
    entity: &'static Entity,
    rows: Vec<Map<String, Value>>,
) -> Result<Vec<Told>> {
    let status = |upserted| match upserted {
        Upserted::Created(id) => (id, 201),
        Upserted::Changed(id) => (id, 200),
    };
    let mut told = Vec::with_capacity(rows.len());
    // Each answer shows what its own operation has left.
    for rows in engine::many::upsert::apart(entity, rows)? {
        let upserted = engine::many::upsert::upsert(cx, entity, rows).await?;
        let written = upserted.into_iter().map(|one| one.map(status)).collect();
        told.extend(shown(cx, entity, ".data", written).await?);
    }
    Ok(told)
}

async fn restores(cx: &mut Cx, entity: &'static Entity, rows: &[Named]) -> Result<Vec<Told>> {
    // Who may delete may take it back.
    let written = match rights::may(&cx.actor, entity, "delete") {
        Ok(access) => engine::many::bring_back(cx, entity, rows, &access).await?,
        Err(_) => refused(cx, entity, "delete", rows.len()),
    };
    shown(cx, entity, "", with(written, 200)).await
}

async fn deletes(cx: &mut Cx, entity: &'static Entity, rows: &[Named]) -> Result<Vec<Told>> {
    let gone = match rights::may(&cx.actor, entity, "delete") {
        Ok(access) => engine::many::remove(cx, entity, rows, &access).await?,
        Err(_) => refused(cx, entity, "delete", rows.len()),
    };
    let told = |one: Result<Uuid>| Told { below: "", outcome: one.map(|_| Answer::nothing()) };
    Ok(gone.into_iter().map(told).collect())
}

/// The same refusal for each of them.
fn refused(cx: &Cx, entity: &'static Entity, right: &str, count: usize) -> Vec<Result<Uuid>> {
    let told = || rights::may(&cx.actor, entity, right).map(|_| Uuid::nil());
    std::iter::repeat_with(told).take(count).collect()
}

/// A written row and the status that tells it.
type Written = Vec<Result<(Uuid, u16)>>;

fn with(written: Vec<Result<Uuid>>, status: u16) -> Written {
    written.into_iter().map(|one| one.map(|id| (id, status))).collect()
}

/// Every row that was written, read by one statement.
async fn shown(
    cx: &Cx,
    entity: &'static Entity,
    below: &'static str,
    written: Written,
) -> Result<Vec<Told>> {
    let rows: Vec<(Uuid, u16)> =
        written.iter().filter_map(|one| one.as_ref().ok()).copied().collect();
    let mut answers = run::written_many(cx, entity, &rows).await?.into_iter();
    let told = written.into_iter().map(|one| {
        let outcome = match one {
            Ok(_) => answers.next().ok_or_else(|| Error::internal("a written row has no answer")),
            Err(error) => Err(error),
        };
        Told { below, outcome }
    });
    Ok(told.collect())
}
