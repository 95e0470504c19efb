//! What was seeded before: a reference of the system `demo` for each row, so that a second run finds
//! it whatever people renamed since.

use kernel::cx::Cx;
use kernel::entity::Entity;
use kernel::error::{Error, Result};
use serde_json::{Value, json};
use uuid::Uuid;

const SYSTEM: &str = "demo";

/// The row that was seeded under `key`, made from `body` where there is none.
pub(crate) async fn ensure(cx: &mut Cx, table: &str, key: &str, body: Value) -> Result<Uuid> {
    if let Some(row) = find(cx, table, key).await? {
        return Ok(row);
    }
    let entity = entity(cx, table)?;
    let row = cx.create(entity, super::object(body)?).await?;
    let reference = json!({
        "system": SYSTEM,
        "external_id": key,
        "table_name": table,
        "row_id": row,
    });
    let references = self::entity(cx, "external_refs")?;
    cx.insert(references, super::object(reference)?).await?;
    Ok(row)
}

async fn find(cx: &Cx, table: &str, key: &str) -> Result<Option<Uuid>> {
    let row = cx
        .query_opt(
            "select row_id from external_refs where system = $1 and table_name = $2 \
                and external_id = $3 and deleted_at is null",
            &[&SYSTEM, &table, &key],
        )
        .await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

pub(crate) fn entity(cx: &Cx, table: &str) -> Result<&'static Entity> {
    cx.registry()
        .entity(table)
        .ok_or_else(|| Error::internal(format!("the seed names {table}, which no domain has")))
}
