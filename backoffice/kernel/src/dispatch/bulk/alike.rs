//! Neighbours among the operations of a bulk that do the same to different rows: creates that give
//! the same fields, changes of the same fields. They are written by set and read by set, with the
//! outcomes that each would have had alone.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::perform::Operation;
use super::super::{route, run};
use super::{Told, alone};
use crate::cx::{Actor, Cx, Patch};
use crate::engine::{self, Writer};
use crate::entity::Entity;
use crate::error::{Error, Result};
use crate::rights;

pub(super) enum Run {
    Creates(Vec<Map<String, Value>>),
    Updates(Vec<Patch>),
    One(Operation),
}

/// The operations in their order, alike ones together.
pub(super) fn runs(cx: &Cx, entity: &'static Entity, operations: Vec<Operation>) -> Vec<Run> {
    // A portal's role reads less than the checks of many rows do.
    let by_set = !matches!(cx.actor, Actor::Portal { .. });
    let creates =
        by_set && entity.operations.create && route::creates(cx.registry(), entity).is_none();
    let updates = by_set && entity.operations.patch;
    let mut runs: Vec<Run> = Vec::new();
    for operation in operations {
        let next = match operation {
            Operation::Create(data) if creates => match runs.last_mut() {
                Some(Run::Creates(rows)) if joins(rows, &data) => {
                    rows.push(data);
                    continue;
                }
                _ => Run::Creates(vec![data]),
            },
            Operation::Update { id, version, data } if updates => {
                let patch = Patch { id, version, body: data };
                match runs.last_mut() {
                    Some(Run::Updates(rows)) if follows(rows, &patch) => {
                        rows.push(patch);
                        continue;
                    }
                    _ => Run::Updates(vec![patch]),
                }
            }
            other => Run::One(other),
        };
        runs.push(next);
    }
    runs
}

/// The same fields, and no link to a row that is about to be made beside it.
fn joins(rows: &[Map<String, Value>], next: &Map<String, Value>) -> bool {
    let alike = rows.first().is_some_and(|first| first.keys().eq(next.keys()));
    let new: BTreeSet<&str> = rows.iter().filter_map(|row| row.get("id")?.as_str()).collect();
    let names_new = next.values().filter_map(Value::as_str).any(|text| new.contains(text));
    alike && !names_new
}

/// The same fields of a row that is not among them.
fn follows(rows: &[Patch], next: &Patch) -> bool {
    let alike = rows.first().is_some_and(|first| first.body.keys().eq(next.body.keys()));
    alike && rows.iter().all(|row| row.id != next.id)
}

/// What became of each operation of the run. An error is about the whole transaction.
pub(super) async fn perform(cx: &mut Cx, entity: &'static Entity, run: Run) -> Result<Vec<Told>> {
    match run {
        Run::One(operation) => Ok(vec![alone(cx, entity, operation).await?]),
        // By set there is nothing to win, and one statement more to pay.
        Run::Creates(mut rows) if rows.len() == 1 => {
            let data = rows.pop().unwrap_or_default();
            Ok(vec![alone(cx, entity, Operation::Create(data)).await?])
        }
        Run::Creates(rows) => creates(cx, entity, rows).await,
        Run::Updates(rows) => match rows.as_slice() {
            [one] => {
                let Patch { id, version, body } = one.clone();
                let operation = Operation::Update { id, version, data: body };
                Ok(vec![alone(cx, entity, operation).await?])
            }
            _ => updates(cx, entity, rows).await,
        },
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
    shown(cx, entity, written, 201).await
}

async fn updates(cx: &mut Cx, entity: &'static Entity, rows: Vec<Patch>) -> Result<Vec<Told>> {
    let written = match rights::may(&cx.actor, entity, "update") {
        Ok(access) => engine::many::update(cx, entity, &rows, &access).await?,
        Err(_) => refused(cx, entity, "update", rows.len()),
    };
    shown(cx, entity, written, 200).await
}

/// The same refusal for each of them.
fn refused(cx: &Cx, entity: &'static Entity, right: &str, count: usize) -> Vec<Result<Uuid>> {
    let told = || rights::may(&cx.actor, entity, right).map(|_| Uuid::nil());
    std::iter::repeat_with(told).take(count).collect()
}

/// Every row that was written, read by one statement.
async fn shown(
    cx: &Cx,
    entity: &'static Entity,
    written: Vec<Result<Uuid>>,
    status: u16,
) -> Result<Vec<Told>> {
    let ids: Vec<Uuid> = written.iter().filter_map(|one| one.as_ref().ok()).copied().collect();
    let mut answers = run::written_many(cx, entity, &ids, status).await?.into_iter();
    let told = written.into_iter().map(|one| {
        let outcome = match one {
            Ok(_) => answers.next().ok_or_else(|| Error::internal("a written row has no answer")),
            Err(error) => Err(error),
        };
        Told { below: ".data", outcome }
    });
    Ok(told.collect())
}
