//! Reads that are told: which personal and confidential fields of which rows a caller saw, for roles
//! that say so. Written in the transaction that reads, so no answer leaves without its entry.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Column, create};
use crate::accounts::PERSONAL_READ;
use crate::cx::Cx;
use crate::entity::{Entity, Level};
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
    if !access.is_logged() || rows.is_empty() {
        return Ok(());
    }
    let personal =
        |column: &&Column| entity.field(column.name).is_some_and(|field| Level::Open < field.level);
    let fields: Vec<&str> = columns.iter().filter(personal).map(|column| column.name).collect();
    if fields.is_empty() {
        return Ok(());
    }
    let ids: Vec<&Uuid> = rows.iter().take(TOLD_ROWS_MAX as usize).collect();
    let entry = json!({
        "actor_kind": cx.actor.kind(),
        "actor_id": cx.actor.id_text(),
        "request_id": cx.request_id,
        "table_name": entity.name,
        "row_count": rows.len(),
        "row_ids": ids,
        "field_names": fields,
    });
    let entry: Map<String, Value> = crate::kind::object(entry).unwrap_or_default();
    create::note(cx, &PERSONAL_READ, &entry).await.map(drop)
}
