//! Rows under lock, whether they live or not, with the versions that a caller says they have: what a
//! deletion and a return begin with.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use uuid::Uuid;

use super::{no_such_row, patch};
use crate::cx::Cx;
use crate::ddl;
use crate::entity::Entity;
use crate::error::{Code, Error, Result};
use crate::param::Bound;
use crate::rights::{Access, uuids};

/// Of these rows those in reach, with the columns that are asked for, locked in the order of their
/// ids. FOR UPDATE conflicts with the FOR KEY SHARE of whoever is about to link here.
pub(super) async fn locked(
    cx: &Cx,
    entity: &'static Entity,
    ids: &[Uuid],
    access: &Access,
    columns: &[&str],
) -> Result<BTreeMap<Uuid, Standing>> {
    if !entity.soft_deletes() {
        return Err(Error::internal(format!("rows of {} are never deleted", entity.name)));
    }
    let mut list = vec!["\"id\", \"version\", \"deleted_at\" is null".to_owned()];
    list.extend(columns.iter().map(|name| format!("\"{name}\"")));
    let mut params = vec![Bound::uuid(cx.org), uuids(ids)];
    let mut place = " where \"org_id\" = $1 and \"id\" = any($2)".to_owned();
    access.rows_sql(None, &mut place, &mut params);
    let list = list.join(", ");
    let sql = format!("select {list} from \"{}\"{place} order by \"id\" for update", entity.name);
    let rows = cx.query_typed(&sql, &params).await?;
    let standing = |row: Row| {
        let (id, version, lives) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok((id, Standing { row, lives, version }))
    };
    rows.into_iter().map(standing).collect()
}

pub(super) struct Standing {
    row: Row,
    pub(super) lives: bool,
    version: i64,
}

impl Standing {
    /// 412 unless the row has the version that was said.
    pub(super) fn demand_version(&self, said: Option<i64>) -> Result<()> {
        if said.is_none_or(|said| said == self.version) { Ok(()) } else { Err(patch::mismatch()) }
    }

    /// A column that was asked for, by its place among them.
    pub(super) fn link(&self, place: usize) -> Result<Option<Uuid>> {
        Ok(self.row.try_get(place.saturating_add(3))?)
    }
}

/// A row that one of many writes names, with the version that it must still have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    pub id: Uuid,
    pub version: Option<i64>,
}

/// What has become of each row of a write over many, in their order.
pub(super) type Each = Vec<Result<()>>;

/// Splits rows into those that a write is for and the refusals of the others: 404 out of reach or
/// where `stands` says so, 412 at another version.
pub(super) fn sort(
    entity: &Entity,
    rows: &[Named],
    found: &BTreeMap<Uuid, Standing>,
    stands: impl Fn(&Standing) -> Result<()>,
) -> (Each, Vec<Uuid>) {
    let mut good = Vec::new();
    let judged = rows.iter().map(|row| {
        let standing = found.get(&row.id).ok_or_else(|| no_such_row(entity))?;
        stands(standing)?;
        standing.demand_version(row.version)?;
        good.push(row.id);
        Ok(())
    });
    let each = judged.collect();
    (each, good)
}

/// A write over several rows cannot tell what each of them would have been told alone, since one
/// stands in the way of another or takes it along: it is tried again with fewer of them.
#[track_caller]
pub(super) fn entangled() -> Error {
    Error::new(Code::Conflict, "the rows are to be written one after the other")
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
