//! Rows by many ids at once, whole: for code of ours that compares before it writes.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Layout, as_map, reach, select_list, shown};
use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::Result;
use crate::param::Bound;
use crate::rights::{Access, uuids};

/// A row among others, with what a write of it needs.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: Uuid,
    pub(crate) version: i64,
    pub(crate) row: Map<String, Value>,
}

/// Those of these rows that are there and in reach, whole, in the order of their ids. Locked unless
/// this is a trial; in one order, so that two who lock the same rows wait and do not lock each other
/// out.
pub(crate) async fn several(
    cx: &Cx,
    entity: &'static Entity,
    ids: &[Uuid],
    access: &Access,
) -> Result<Vec<Found>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut params = Vec::new();
    let mut place = reach(entity, cx.org, access, &mut params);
    params.push(uuids(ids));
    let lock = if cx.is_trial() { "" } else { " for update" };
    place.push_str(&format!(" and \"id\" = any(${}) order by \"id\"{lock}", params.len()));
    from_source(cx, entity, &format!("public.\"{0}\" as \"{0}\"{place}", entity.name), &params)
        .await
}

/// Whole rows of the entity's shape from any source: code of ours, which has asked for rights.
pub(crate) async fn from_source(
    cx: &Cx,
    entity: &'static Entity,
    source: &str,
    params: &[Bound],
) -> Result<Vec<Found>> {
    let columns = shown(entity, &Access::all());
    let mut params = params.to_vec();
    let list = select_list(&columns, &Access::all(), None, &mut params);
    let rows = cx.query_typed(&format!("select {list} from {source}"), &params).await?;
    let mut found = Vec::with_capacity(rows.len());
    let mut out = Vec::with_capacity(512);
    let layout = Layout::new(&columns)?;
    for row in &rows {
        out.clear();
        layout.row(row, &mut out)?;
        let (id, version) = (row.try_get("id")?, row.try_get("version")?);
        found.push(Found { id, version, row: as_map(&out)? });
    }
    Ok(found)
}
