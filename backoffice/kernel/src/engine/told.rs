//! Reads that are told: which personal and confidential fields of which rows a caller saw, for roles
//! that say so. Written in the transaction that reads, so no answer leaves without its entry.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Column, create};
use crate::accounts::PERSONAL_READ;
use crate::cx::Cx;
use crate::entity::{Entity, Field, Level};
use crate::error::Result;
use crate::rights::Access;

/// Row ids that one entry names: a page has no more. Beyond, only the number of rows is told.
pub(crate) const TOLD_ROWS_MAX: u32 = 200;
/// Field names that one entry names; no entity has more.
pub(crate) const TOLD_FIELDS_MAX: u32 = 200;

pub(super) async fn tell(
    cx: &Cx,
    entity: &'static Entity,
    rows: &[Uuid],
    columns: &[Column],
    access: &Access,
) -> Result<()> {
    let fields: Vec<&Field> =
        columns.iter().filter_map(|column| entity.field(column.name)).collect();
    tell_fields(cx, entity, rows, &fields, access).await
}

/// Whoever shows rows by another way than a list or a get says so here.
pub(crate) async fn tell_fields(
    cx: &Cx,
    entity: &'static Entity,
    rows: &[Uuid],
    fields: &[&Field],
    access: &Access,
) -> Result<()> {
    if !access.is_logged() || rows.is_empty() {
        return Ok(());
    }
    let named = rows.get(..rows.len().min(TOLD_ROWS_MAX as usize)).unwrap_or_default();
    entry(cx, entity, rows.len(), named, fields).await
}

/// A whole list as a file: rows are counted, not named.
pub(crate) async fn tell_file(
    cx: &Cx,
    entity: &'static Entity,
    rows: i64,
    columns: &[Column],
    access: &Access,
) -> Result<()> {
    if !access.is_logged() || rows == 0 {
        return Ok(());
    }
    let fields: Vec<&Field> =
        columns.iter().filter_map(|column| entity.field(column.name)).collect();
    entry(cx, entity, usize::try_from(rows).unwrap_or_default(), &[], &fields).await
}

async fn entry(
    cx: &Cx,
    entity: &'static Entity,
    rows: usize,
    ids: &[Uuid],
    fields: &[&Field],
) -> Result<()> {
    let personal = fields.iter().filter(|field| Level::Open < field.level);
    let fields: Vec<&str> = personal.map(|field| field.name).collect();
    if fields.is_empty() {
        return Ok(());
    }
    let entry = json!({
        "actor_kind": cx.actor.kind(),
        "actor_id": cx.actor.id_text(),
        "request_id": cx.request_id,
        "table_name": entity.name,
        "row_count": rows,
        "row_ids": ids,
        "field_names": fields,
    });
    let entry: Map<String, Value> = crate::kind::object(entry).unwrap_or_default();
    create::note(cx, &PERSONAL_READ, &entry).await.map(drop)
}
