//! A row under lock, whether it lives or not, with the version that a caller says it has: what a
//! deletion and a return begin with.

use tokio_postgres::Row;
use uuid::Uuid;

use super::{no_such_row, patch};
use crate::cx::Cx;
use crate::ddl;
use crate::entity::Entity;
use crate::error::{Error, Result};
use crate::param::Bound;
use crate::rights::Access;

/// The row's columns behind `version`, `lives` and those that are asked for; 404 out of reach, 412
/// when its version is another one. FOR UPDATE conflicts with the FOR KEY SHARE of whoever is about
/// to link here.
pub(super) async fn locked(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    version: Option<i64>,
    access: &Access,
    columns: &[&str],
) -> Result<Standing> {
    if !entity.soft_deletes() {
        return Err(Error::internal(format!("rows of {} are never deleted", entity.name)));
    }
    let mut list = vec!["\"version\"".to_owned(), "\"deleted_at\" is null".to_owned()];
    list.extend(columns.iter().map(|name| format!("\"{name}\"")));
    let mut params = vec![Bound::uuid(cx.org), Bound::uuid(id)];
    let mut place = " where \"org_id\" = $1 and \"id\" = $2".to_owned();
    access.rows_sql(None, &mut place, &mut params);
    let sql = format!("select {} from \"{}\"{place} for update", list.join(", "), entity.name);
    let row = cx.query_typed(&sql, &params).await?.pop().ok_or_else(|| no_such_row(entity))?;
    let (present, lives): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Standing { row, lives, current: version.is_none_or(|version| version == present) })
}

pub(super) struct Standing {
    row: Row,
    pub(super) lives: bool,
    current: bool,
}

impl Standing {
    /// 412 unless the row has the version that was said.
    pub(super) fn demand_version(&self) -> Result<()> {
        if self.current { Ok(()) } else { Err(patch::mismatch()) }
    }

    /// A column that was asked for, by its place among them.
    pub(super) fn link(&self, place: usize) -> Result<Option<Uuid>> {
        Ok(self.row.try_get(place.saturating_add(2))?)
    }
}

/// Of the versions that a caller would take, the one that the row has; where it has none of them, one
/// that it has not, so that the write refuses: whatever the answer here, the write compares again.
pub(crate) async fn among(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    versions: &[i64],
) -> Result<Option<i64>> {
    let (Some(first), true) = (versions.first(), ddl::is_versioned(entity) && 1 < versions.len())
    else {
        return Ok(versions.first().copied());
    };
    let sql = format!("select \"version\" from \"{}\" where org_id = $1 and id = $2", entity.name);
    let rows = cx.query_typed(&sql, &[Bound::uuid(cx.org), Bound::uuid(id)]).await?;
    let present: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?;
    Ok(present.filter(|present| versions.contains(present)).or(Some(*first)))
}
