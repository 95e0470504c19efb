//! Taking an import back: rows that it made are deleted, rows that it changed and nobody else since
//! get their earlier values from the change log, the others stay and are listed with the reason.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::super::entities::IMPORT;
use super::Import;
use super::job::{Chunk, begin, chunks, keep, outcomes, still};
use super::outcome::{self, Fate, Outcome};
use crate::cx::Cx;
use crate::engine;
use crate::engine::many::{self, Patch};
use crate::entity::Access as Writes;
use crate::error::{Code, Error, Fault, Result};
use crate::jobs::JobRun;
use crate::param::{Bound, Param};
use crate::rights;

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
        still(&cx, import.id, "undoing").await?;
        let outcomes = chunk_back(&mut cx, import, chunk).await?;
        keep(&cx, chunk, &outcome::write(&outcomes), true).await?;
        cx.commit().await?;
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

async fn chunk_back(cx: &mut Cx, import: &Import, chunk: &Chunk) -> Result<Vec<Outcome>> {
    let mut all = outcomes(cx, chunk).await?;
    for outcome in all.iter_mut().rev().filter(|one| one.fate == Fate::Create) {
        deleted(cx, import, outcome).await?;
    }
    restored(cx, import, &mut all).await?;
    Ok(all)
}

async fn deleted(cx: &mut Cx, import: &Import, outcome: &mut Outcome) -> Result<()> {
    let entity = import.entity;
    let Some(id) = outcome.id else { return Ok(()) };
    if !entity.soft_deletes() {
        let text = "rows of this kind are never deleted";
        stay(outcome, vec![Fault::new("id", Code::Immutable, text)]);
        return Ok(());
    }
    let access = rights::may(&cx.actor, entity, "delete")?;
    cx.savepoint().await?;
    match engine::delete::remove(cx, entity, id, None, &access).await {
        Ok(()) => {
            cx.release_savepoint().await?;
            outcome.fate = Fate::Undone;
        }
        Err(error) if error.is_retryable() || error.code().status() >= 500 => return Err(error),
        Err(error) => {
            cx.undo_savepoint().await?;
            if error.code() == Code::NotFound {
                // Somebody deleted it before.
                outcome.fate = Fate::Undone;
            } else {
                stay(outcome, told(&error));
            }
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
        .filter_map(|one| one.id.zip(one.version))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let access = rights::may(&cx.actor, import.entity, "update")?;
    let mut earlier = earlier(cx, import, &changed).await?;
    let mut patches = Vec::new();
    for (id, version) in &changed {
        if let Some(body) = earlier.remove(id) {
            patches.push(Patch { id: *id, version: Some(*version), body });
        }
    }
    let written = many::update(cx, import.entity, &patches, &access).await?;
    let mut ended: BTreeMap<Uuid, Result<Uuid>> =
        patches.iter().map(|patch| patch.id).zip(written).collect();
    for outcome in all.iter_mut().filter(|one| one.fate == Fate::Update) {
        match outcome.id.and_then(|id| ended.remove(&id)) {
            Some(Ok(_)) => outcome.fate = Fate::Undone,
            Some(Err(error)) => stay(outcome, told(&error)),
            None => {
                let text = "the row was changed or erased since the import";
                stay(outcome, vec![Fault::new("version", Code::VersionMismatch, text)]);
            }
        }
    }
    Ok(())
}

/// The imported fields as they were before, for rows that still have the import's version: the
/// change of that version laid over the row, read back by the table's own types.
async fn earlier(
    cx: &Cx,
    import: &Import,
    changed: &[(Uuid, i64)],
) -> Result<BTreeMap<Uuid, Map<String, Value>>> {
    let entity = import.entity;
    let source = format!(
        "(select (jsonb_populate_record(null::\"{name}\", to_jsonb(t) \
             || coalesce((select jsonb_object_agg(key, null::text) from jsonb_object_keys(c.after) key), '{{}}') \
             || coalesce(c.before, '{{}}'))).* \
           from unnest($2::uuid[], $3::bigint[]) as w(id, version) \
           join changes c on c.org_id = $1 and c.table_name = '{name}' and c.row_id = w.id \
                and c.version = w.version and c.erased_at is null and c.op = 'update' \
           join \"{name}\" t on t.org_id = $1 and t.id = w.id and t.version = w.version) as \"{name}\"",
        name = entity.name
    );
    let (ids, versions) = changed.iter().map(|(id, v)| (Param::Uuid(*id), Param::Int(*v))).unzip();
    let params = [
        Bound::uuid(cx.org),
        Bound { value: Param::List(ids), ty: Type::UUID_ARRAY },
        Bound { value: Param::List(versions), ty: Type::INT8_ARRAY },
    ];
    let rows = engine::found::from_source(cx, entity, &source, &params).await?;
    let fields: Vec<&str> = import
        .mapping
        .fields()
        .filter(|field| field.access == Writes::Writable)
        .map(|field| field.name)
        .collect();
    let body = |mut row: Map<String, Value>| {
        row.retain(|name, _| fields.contains(&name.as_str()));
        row
    };
    Ok(rows.into_iter().map(|found| (found.id, body(found.row))).collect())
}
