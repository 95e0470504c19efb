//! One row, or several by their ids.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Layout, Lock, Told, as_map, no_such_row, one, reach, select_list, shown, told};
use crate::cx::Cx;
use crate::ddl;
use crate::entity::Entity;
use crate::error::Result;
use crate::rights::{Access, uuids};

/// A row as the API shows it.
pub(crate) struct Shown {
    pub(crate) json: Vec<u8>,
    /// Absent for logs, whose rows never change.
    pub(crate) version: Option<i64>,
}

/// The row as JSON text, or 404.
pub(crate) async fn json(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    lock: Lock,
    access: &Access,
) -> Result<Vec<u8>> {
    Ok(shown_row(cx, entity, id, lock, access).await?.json)
}

pub(crate) async fn shown_row(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    lock: Lock,
    access: &Access,
) -> Result<Shown> {
    let columns = shown(entity, access);
    let mut params = Vec::new();
    let list = select_list(&columns, access, None, &mut params);
    let place = one(entity, cx.org, id, access, &mut params);
    // Rows without a version are not the caller's to change: there is no privilege to lock them.
    let lock = if lock == Lock::Update && ddl::is_versioned(entity) { " for update" } else { "" };
    let sql = format!("select {list} from \"{}\"{place}{lock}", entity.name);
    let rows = cx.query_typed(&sql, &params).await?;
    let row = rows.first().ok_or_else(|| no_such_row(entity))?;
    let mut out = Vec::with_capacity(512);
    Layout::new(&columns)?.row(row, &mut out)?;
    let names = columns.iter().map(|column| column.name);
    told::tell(cx, entity, access, Told::Rows(&[id]), names).await?;
    let version = if ddl::is_versioned(entity) { Some(row.try_get("version")?) } else { None };
    Ok(Shown { json: out, version })
}

/// Those of these rows that are there and in reach, each as `shown_row` gives it, by one statement.
pub(crate) async fn shown_rows(
    cx: &Cx,
    entity: &'static Entity,
    ids: &[Uuid],
    access: &Access,
) -> Result<BTreeMap<Uuid, Shown>> {
    let columns = shown(entity, access);
    let mut params = Vec::new();
    let list = select_list(&columns, access, None, &mut params);
    let mut place = reach(entity, cx.org, access, &mut params);
    params.push(uuids(ids));
    place.push_str(&format!(" and \"id\" = any(${})", params.len()));
    let sql = format!("select {list} from \"{}\"{place}", entity.name);
    let layout = Layout::new(&columns)?;
    let mut found = BTreeMap::new();
    for row in cx.query_typed(&sql, &params).await? {
        let mut json = Vec::with_capacity(512);
        layout.row(&row, &mut json)?;
        let version = if ddl::is_versioned(entity) { Some(row.try_get("version")?) } else { None };
        found.insert(row.try_get("id")?, Shown { json, version });
    }
    let seen: Vec<Uuid> = found.keys().copied().collect();
    let names = columns.iter().map(|column| column.name);
    told::tell(cx, entity, access, Told::Rows(&seen), names).await?;
    Ok(found)
}

pub(crate) async fn row(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    lock: Lock,
    access: &Access,
) -> Result<Map<String, Value>> {
    as_map(&json(cx, entity, id, lock, access).await?)
}
