//! Where a check writes. A table whose rules the database can judge alone is tried in a temporary
//! copy of the same name, which statements meet first: columns, CHECKs, defaults and unique keys
//! judge, no change is logged and no row of others is locked. A table with triggers or rules of its
//! own is tried in place, and the transaction is undone.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::outcome::{Fate, Outcome};
use super::plan::Draft;
use super::write::links_itself;
use super::{Import, Mode};
use crate::cx::Cx;
use crate::ddl::{self, names};
use crate::entity::{Entity, Scope, Unique};
use crate::error::{Code, Error, Fault, Result};
use crate::param::Bound;
use crate::rights::uuids;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// The table itself: what is written is meant, or undone batch by batch.
    Table,
    /// The table itself, undone as a whole: what must hold at the end is asked of all rows together.
    Whole,
    /// A copy that the end of the transaction drops.
    Copy,
}

/// Triggers, rules, rows that stand above each other and links to what only a foreign key of the
/// table judges (people of the whole house) need the table itself.
pub(super) fn ground(cx: &Cx, import: &Import) -> Ground {
    let (entity, registry) = (import.entity, cx.registry());
    let judged = !entity.constraints.is_empty() || registry.is_ruled(entity);
    let outside = import.mapping.fields().any(|field| {
        registry.target(entity, field.name).is_some_and(|target| target.scope != Scope::Tenant)
    });
    let ends = !registry.end_rules(entity.name).is_empty();
    if ends && import.mode == Mode::All {
        Ground::Whole
    } else if judged || outside || links_itself(cx, entity) || entity.scope != Scope::Tenant {
        Ground::Table
    } else {
        Ground::Copy
    }
}

/// What the end of the unit of work would say to all rows together: rules of the end, and constraints
/// that wait for it. An error is about the trial itself.
pub(super) async fn end(cx: &mut Cx) -> Result<Option<Error>> {
    let mut said = cx.settle().await;
    if said.is_ok() {
        said = cx.execute("set constraints all immediate", &[]).await.map(drop);
    }
    match said {
        Ok(()) => Ok(None),
        Err(error) if error.is_retryable() || error.code().status() >= 500 => Err(error),
        Err(refusal) => Ok(Some(refusal)),
    }
}

/// Begins a part of the trial, which `undo` or `stand` ends. What it has locked is free behind `undo`.
pub(super) async fn mark(cx: &Cx) -> Result<()> {
    cx.execute("savepoint trial", &[]).await.map(drop)
}

pub(super) async fn undo(cx: &Cx) -> Result<()> {
    cx.execute("rollback to savepoint trial", &[]).await?;
    stand(cx).await
}

pub(super) async fn stand(cx: &Cx) -> Result<()> {
    cx.execute("release savepoint trial", &[]).await.map(drop)
}

/// Lays the copy, with the names that the errors of the table have.
pub(super) async fn lay(cx: &Cx, entity: &'static Entity) -> Result<()> {
    let name = entity.name;
    let key = ddl::primary_key(entity).join(", ");
    let mut statements = vec![
        format!(
            "create temp table \"{name}\" (like public.\"{name}\" including defaults \
             including constraints including generated) on commit drop"
        ),
        format!(
            "alter table pg_temp.\"{name}\" add constraint {} primary key ({key})",
            names::primary_key(entity)
        ),
    ];
    let living = if entity.soft_deletes() { " where deleted_at is null" } else { "" };
    statements.extend(entity.uniques.iter().map(|unique| {
        let fields = unique.fields.join(", ");
        format!(
            "create unique index {} on pg_temp.\"{name}\" (org_id, {fields}){living}",
            unique.name
        )
    }));
    for sql in statements {
        cx.query_typed(&sql, &[]).await?;
    }
    Ok(())
}

/// Rows that are to be changed are put into the copy as they are.
pub(super) async fn fetch(cx: &Cx, entity: &'static Entity, drafts: &[Draft]) -> Result<()> {
    let ids: Vec<Uuid> =
        drafts.iter().filter_map(|draft| draft.found.as_ref()).map(|found| found.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let columns: Vec<String> = ddl::columns(entity)
        .into_iter()
        .filter(|column| column.generated.is_none())
        .map(|column| format!("\"{}\"", column.name))
        .collect();
    let (name, list) = (entity.name, columns.join(", "));
    let sql = format!(
        "insert into pg_temp.\"{name}\" ({list}) select {list} from public.\"{name}\" \
         where org_id = $1 and id = any($2) on conflict do nothing"
    );
    cx.query_typed(&sql, &[Bound::uuid(cx.org), uuids(&ids)]).await.map(drop)
}

/// Keys that rows of the table have already: the copy knows the file's rows only, and knows better
/// of those that it has.
pub(super) async fn clashes(
    cx: &Cx,
    entity: &'static Entity,
    outcomes: &mut [Outcome],
) -> Result<()> {
    let written: BTreeMap<Uuid, usize> = outcomes
        .iter()
        .enumerate()
        .filter(|(_, one)| matches!(one.fate, Fate::Create | Fate::Update))
        .filter_map(|(place, one)| Some((one.id?, place)))
        .collect();
    let ids: Vec<Uuid> = written.keys().copied().collect();
    if ids.is_empty() {
        return Ok(());
    }
    for unique in entity.uniques {
        for id in taken(cx, entity, unique, &ids).await? {
            let field = unique.fields.first().copied().unwrap_or_default();
            refuse(outcomes, &written, id, Fault::new(field, unique.code, unique.code.title()));
        }
    }
    let sql =
        format!("select id from public.\"{}\" where org_id = $1 and id = any($2)", entity.name);
    for row in cx.query_typed(&sql, &[Bound::uuid(cx.org), uuids(&ids)]).await? {
        let id: Uuid = row.try_get(0)?;
        let new = written.get(&id).and_then(|place| outcomes.get(*place));
        if new.is_some_and(|one| one.fate == Fate::Create) {
            let code = Code::AlreadyExists;
            refuse(outcomes, &written, id, Fault::new("id", code, code.title()));
        }
    }
    Ok(())
}

async fn taken(cx: &Cx, entity: &Entity, unique: &Unique, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let same: Vec<String> =
        unique.fields.iter().map(|field| format!("p.\"{field}\" = x.\"{field}\"")).collect();
    let living = if entity.soft_deletes() { " and p.deleted_at is null" } else { "" };
    let sql = format!(
        "select distinct x.id from pg_temp.\"{name}\" x join public.\"{name}\" p \
         on p.org_id = x.org_id and {} and p.id <> x.id{living} \
         where x.org_id = $1 and x.id = any($2) and \
         (select true from pg_temp.\"{name}\" moved \
          where moved.org_id = p.org_id and moved.id = p.id) is null",
        same.join(" and "),
        name = entity.name
    );
    let rows = cx.query_typed(&sql, &[Bound::uuid(cx.org), uuids(ids)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn refuse(outcomes: &mut [Outcome], written: &BTreeMap<Uuid, usize>, id: Uuid, fault: Fault) {
    if let Some(outcome) = written.get(&id).and_then(|place| outcomes.get_mut(*place)) {
        let mut faults = std::mem::take(&mut outcome.faults);
        faults.push(fault);
        *outcome = Outcome::faulty(outcome.row, faults);
    }
}
