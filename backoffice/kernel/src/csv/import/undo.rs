//! Taking an import back: rows that it made are deleted, rows that it changed get their earlier
//! values from the change log; those that somebody else has changed since stay and are listed with
//! the reason.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::super::entities::IMPORT;
use super::Import;
use super::job::{Chunk, begin, chunks, keep, outcomes, still};
use super::outcome::{Fate, Outcome};
use crate::cx::Cx;
use crate::engine;
use crate::engine::found::Found;
use crate::engine::many::{self, Patch};
use crate::engine::standing::Named;
use crate::entity::Access as Writes;
use crate::error::{Code, Error, Fault, Result};
use crate::jobs::JobRun;
use crate::param::{Bound, Param};
use crate::rights::{self, uuids};

/// The rights to undo what the import may have done.
pub(super) fn permitted(cx: &Cx, import: &Import) -> Result<()> {
    if import.matching.creates() && import.entity.operations.delete {
        rights::may(&cx.actor, import.entity, "delete")?;
    }
    if import.matching.updates() {
        rights::may(&cx.actor, import.entity, "update")?;
    }
    Ok(())
}

/// The last chunk first: what stands below goes before what stands above it. A chunk and what became
/// of its rows commit together, so that a run that is killed goes on where it was.
pub(super) async fn run(job: &JobRun, import: &Import) -> Result<Value> {
    let cx = begin(job, import).await?;
    let all = chunks(&cx, import.id).await;
    let all = cx.finish(all).await?;
    let (mut undone, mut kept) = (0_u64, 0_u64);
    for chunk in all.iter().rev().filter(|chunk| chunk.done) {
        let mut cx = begin(job, import).await?;
        let outcomes = one_back(&mut cx, import, chunk).await;
        let outcomes = cx.finish(outcomes).await?;
        let count = |fate| outcomes.iter().filter(|one| one.fate == fate).count() as u64;
        undone += count(Fate::Undone);
        kept += count(Fate::Kept);
        job.progress(undone + kept, Some(import.rows_total)).await?;
    }
    let mut cx = begin(job, import).await?;
    still(&cx, import.id, "undoing").await?;
    let fields = [
        ("status", json!("undone")),
        ("rows_done", json!(undone)),
        ("finished_at", json!(cx.now.to_string())),
    ];
    cx.set(&IMPORT, import.id, &fields).await?;
    job.finish(cx, json!({"status": "undone", "undone": undone, "kept": kept})).await
}

async fn one_back(cx: &mut Cx, import: &Import, chunk: &Chunk) -> Result<Vec<Outcome>> {
    still(cx, import.id, "undoing").await?;
    let outcomes = chunk_back(cx, import, chunk).await?;
    keep(cx, chunk, &outcomes, true).await?;
    Ok(outcomes)
}

async fn chunk_back(cx: &mut Cx, import: &Import, chunk: &Chunk) -> Result<Vec<Outcome>> {
    let mut all = outcomes(cx, chunk).await?;
    let written = |one: &&mut Outcome| matches!(one.fate, Fate::Create | Fate::Update);
    let touched = touched(cx, import, &all).await?;
    for outcome in all.iter_mut().filter(written) {
        if outcome.id.is_some_and(|id| touched.contains(&id)) {
            let text = "the row was changed or erased since the import";
            stay(outcome, vec![Fault::new("version", Code::VersionMismatch, text)]);
        }
    }
    deleted(cx, import, &mut all).await?;
    restored(cx, import, &mut all).await?;
    Ok(all)
}

/// Rows of the import that somebody else has changed since, or whose values were erased. They are
/// locked first, so that it stays true. What is deleted is not among them.
async fn touched(cx: &Cx, import: &Import, all: &[Outcome]) -> Result<BTreeSet<Uuid>> {
    let entity = import.entity;
    let written: Vec<(Uuid, i64)> = all.iter().filter_map(|one| one.id.zip(one.version)).collect();
    if written.is_empty() {
        return Ok(BTreeSet::new());
    }
    if entity.soft_deletes() || entity.operations.patch {
        let ids: Vec<Uuid> = written.iter().map(|(id, _)| *id).collect();
        let sql = format!(
            "select from \"{}\" where org_id = $1 and id = any($2) order by id for update",
            entity.name
        );
        cx.query_typed(&sql, &[Bound::uuid(cx.org), uuids(&ids)]).await?;
    }
    let sql = format!(
        "select w.id from unnest($2::uuid[], $3::bigint[]) as w(id, version) \
         join \"{name}\" t on t.org_id = $1 and t.id = w.id{living} where exists \
         (select from changes c where c.org_id = $1 and c.table_name = '{name}' and c.row_id = w.id \
          and (c.version > w.version and c.reason is distinct from $4 \
               or c.erased_at is not null))",
        name = entity.name,
        living = if entity.soft_deletes() { " and t.deleted_at is null" } else { "" },
    );
    let (ids, versions) = written.iter().map(|(id, v)| (Param::Uuid(*id), Param::Int(*v))).unzip();
    let params = [
        Bound::uuid(cx.org),
        Bound { value: Param::List(ids), ty: Type::UUID_ARRAY },
        Bound { value: Param::List(versions), ty: Type::INT8_ARRAY },
        Bound { value: Param::Text(import.reason()), ty: Type::TEXT },
    ];
    let rows = cx.query_typed(&sql, &params).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// What the import made goes, the last row first.
async fn deleted(cx: &mut Cx, import: &Import, all: &mut [Outcome]) -> Result<()> {
    let entity = import.entity;
    let made = |one: &&mut Outcome| one.fate == Fate::Create && one.id.is_some();
    if !entity.soft_deletes() {
        for outcome in all.iter_mut().filter(made) {
            let text = "rows of this kind are never deleted";
            stay(outcome, vec![Fault::new("id", Code::Immutable, text)]);
        }
        return Ok(());
    }
    let mut last_first: Vec<&mut Outcome> = all.iter_mut().rev().filter(made).collect();
    let named = last_first.iter().filter_map(|one| one.id);
    let named: Vec<Named> = named.map(|id| Named { id, version: None }).collect();
    if named.is_empty() {
        return Ok(());
    }
    let access = rights::may(&cx.actor, entity, "delete")?;
    let gone = many::remove(cx, entity, &named, &access).await?;
    for (outcome, gone) in last_first.iter_mut().zip(gone) {
        match gone {
            // Where there is none, somebody deleted it before.
            Err(error) if error.code() != Code::NotFound => stay(outcome, told(&error)),
            _ => outcome.fate = Fate::Undone,
        }
    }
    Ok(())
}

fn stay(outcome: &mut Outcome, faults: Vec<Fault>) {
    outcome.fate = Fate::Kept;
    outcome.faults = faults;
}

fn told(error: &Error) -> Vec<Fault> {
    match error.list() {
        [] => vec![Fault::new("", error.code(), error.detail())],
        list => list.to_vec(),
    }
}

async fn restored(cx: &mut Cx, import: &Import, all: &mut [Outcome]) -> Result<()> {
    let changed: Vec<(Uuid, i64)> = all
        .iter()
        .filter(|one| one.fate == Fate::Update)
        .filter_map(|one| one.id.zip(one.before))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let access = rights::may(&cx.actor, import.entity, "update")?;
    let earlier = earlier(cx, import, &changed).await?;
    let patches: Vec<Patch> = earlier
        .into_iter()
        .map(|found| Patch {
            id: found.id,
            version: Some(found.version),
            body: given(import, found.row),
        })
        .collect();
    let written = many::update(cx, import.entity, &patches, &access).await?;
    let mut ended: BTreeMap<Uuid, Result<Uuid>> =
        patches.iter().map(|patch| patch.id).zip(written).collect();
    for outcome in all.iter_mut().filter(|one| one.fate == Fate::Update) {
        match outcome.id.and_then(|id| ended.remove(&id)) {
            Some(Ok(_)) => outcome.fate = Fate::Undone,
            Some(Err(error)) => stay(outcome, told(&error)),
            None => {
                let text = "the row is not there any more";
                stay(outcome, vec![Fault::new("id", Code::NotFound, text)]);
            }
        }
    }
    Ok(())
}

/// Rows with the values that they had before the import: the first value of each field that it
/// changed (a rule may have changed it again within the import), read by the table's own types.
async fn earlier(cx: &Cx, import: &Import, changed: &[(Uuid, i64)]) -> Result<Vec<Found>> {
    let entity = import.entity;
    let source = format!(
        "(select (jsonb_populate_record(null::\"{name}\", to_jsonb(t) || first.fields)).* \
           from unnest($2::uuid[], $3::bigint[]) as w(id, version) \
           join \"{name}\" t on t.org_id = $1 and t.id = w.id, \
           lateral (select coalesce(jsonb_object_agg(f.key, f.value), '{{}}') as fields from \
             (select distinct on (k.key) k.key, coalesce(c.before -> k.key, 'null') as value \
                from changes c, jsonb_object_keys(coalesce(c.before, '{{}}') \
                     || coalesce(c.after, '{{}}')) as k(key) \
               where c.org_id = $1 and c.table_name = '{name}' and c.row_id = w.id \
                 and c.version > w.version and c.op = 'update' and c.reason = $4 \
               order by k.key, c.version) as f) as first \
          ) as \"{name}\"{living}",
        name = entity.name,
        living = if entity.soft_deletes() { " where deleted_at is null" } else { "" },
    );
    let (ids, versions) = changed.iter().map(|(id, v)| (Param::Uuid(*id), Param::Int(*v))).unzip();
    let params = [
        Bound::uuid(cx.org),
        Bound { value: Param::List(ids), ty: Type::UUID_ARRAY },
        Bound { value: Param::List(versions), ty: Type::INT8_ARRAY },
        Bound { value: Param::Text(import.reason()), ty: Type::TEXT },
    ];
    engine::found::from_source(cx, entity, &source, &params).await
}

/// Of an earlier row, what the file gave: fields, and custom fields key by key.
fn given(import: &Import, mut row: Map<String, Value>) -> Map<String, Value> {
    let custom = row.remove("custom").unwrap_or_default();
    let mut body: Map<String, Value> = import
        .mapping
        .fields()
        .filter(|field| field.access == Writes::Writable)
        .filter_map(|field| row.remove_entry(field.name))
        .collect();
    let keys = import.mapping.custom_fields().map(|field| field.key.as_str());
    let keys: Map<String, Value> =
        keys.map(|key| (key.to_owned(), custom.get(key).cloned().unwrap_or_default())).collect();
    if !keys.is_empty() {
        body.insert("custom".to_owned(), Value::Object(keys));
    }
    body
}
