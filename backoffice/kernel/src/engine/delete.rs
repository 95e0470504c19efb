//! Soft deletion: refused while something living links here, unless that goes along.

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{no_such_row, one, rules};
use crate::action::BoxFuture;
use crate::cx::Cx;
use crate::entity::{Entity, Kind, OnDelete, Scope};
use crate::error::{Code, Error, Result};
use crate::param::{Bound, Param};
use crate::rights::{Access, uuids};
use crate::rule::ChangeOp;

/// Rows that one deletion may take along, on all levels together.
const CASCADE_ROWS_MAX: usize = 10_000;

pub(crate) async fn remove(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    version: Option<i64>,
    access: &Access,
) -> Result<()> {
    if !entity.soft_deletes() {
        return Err(Error::internal(format!("rows of {} are never deleted", entity.name)));
    }
    // FOR UPDATE conflicts with the FOR KEY SHARE of whoever is about to link here.
    let mut params = Vec::new();
    let place = one(entity, cx.org, id, access, &mut params);
    let sql = format!("select \"version\" from \"{}\"{place} for update", entity.name);
    let rows = cx.query_typed(&sql, &params).await?;
    let row = rows.first().ok_or_else(|| no_such_row(entity))?;
    let present: i64 = row.try_get(0)?;
    if version.is_some_and(|version| version != present) {
        return Err(Error::new(Code::VersionMismatch, "the row was changed since it was read"));
    }
    let mut left = CASCADE_ROWS_MAX;
    bury(cx, entity, vec![id], &mut left).await
}

/// Deletes these rows and, before them, what goes along.
fn bury<'a>(
    cx: &'a mut Cx,
    entity: &'static Entity,
    ids: Vec<Uuid>,
    left: &'a mut usize,
) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        *left = left.checked_sub(ids.len()).ok_or_else(|| {
            Error::new(Code::InUse, format!("more than {CASCADE_ROWS_MAX} rows depend on it"))
        })?;
        for member in cx.registry().members() {
            let child = member.entity;
            let links = member.links.iter().filter(|link| link.target.name == entity.name);
            for link in links.filter(|_| child.scope == Scope::Tenant) {
                let cascade =
                    matches!(link.field.kind, Kind::Link { on_delete: OnDelete::Cascade, .. });
                // What never dies (a log) is no obstacle where it was said to go along.
                if cascade && !child.soft_deletes() {
                    continue;
                }
                let rows = dependants(cx, child, link.field.name, &ids, cascade).await?;
                if rows.is_empty() {
                    continue;
                }
                if !cascade {
                    let text = format!("rows in {} still refer to it", member.route);
                    return Err(Error::new(Code::InUse, text));
                }
                bury(cx, child, rows, left).await?;
            }
        }
        mark(cx, entity, &ids).await
    })
}

async fn dependants(
    cx: &Cx,
    child: &'static Entity,
    field: &str,
    ids: &[Uuid],
    cascade: bool,
) -> Result<Vec<Uuid>> {
    let living = if child.soft_deletes() { " and deleted_at is null" } else { "" };
    let tail = if cascade { " for update" } else { " limit 1" };
    let sql = format!(
        "select id from \"{}\" where org_id = $1 and \"{field}\" = any($2){living}{tail}",
        child.name
    );
    let rows = cx.query_typed(&sql, &[Bound::uuid(cx.org), uuids(ids)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn mark(cx: &mut Cx, entity: &'static Entity, ids: &[Uuid]) -> Result<()> {
    let mut before = Vec::new();
    for id in ids {
        before.push((*id, rules::before(cx, entity, *id).await?));
    }
    let sql = format!(
        "update \"{}\" set deleted_at = $3, updated_at = $3, version = version + 1 \
         where org_id = $1 and id = any($2) and deleted_at is null",
        entity.name
    );
    let now = Bound { value: Param::Instant(cx.now), ty: Type::TIMESTAMPTZ };
    cx.query_typed(&sql, &[Bound::uuid(cx.org), uuids(ids), now]).await?;
    for (id, row) in before {
        rules::after(cx, entity, id, ChangeOp::Delete, row).await?;
    }
    Ok(())
}
