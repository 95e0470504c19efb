//! After a write: rows made or moved by somebody whose reach is narrower than all are still in it.
//! The database is asked, since a row's hands may be its parents'.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::{Code, Error, Fault, Result};
use crate::param::Bound;
use crate::rights::{Access, uuids};

/// 403 unless every one of these rows is in reach. The caller of the transaction rolls it back.
pub(crate) async fn demand(
    cx: &Cx,
    entity: &'static Entity,
    ids: &[Uuid],
    body: &Map<String, Value>,
    access: &Access,
) -> Result<()> {
    if access.is_everywhere() {
        return Ok(());
    }
    let mut params = vec![Bound::uuid(cx.org), uuids(ids)];
    let mut sql = format!(
        "select count(*) from \"{}\" where \"org_id\" = $1 and \"id\" = any($2)",
        entity.name
    );
    access.rows_sql(None, &mut sql, &mut params);
    let rows = cx.query_typed(&sql, &params).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a count gave no row"))?;
    if usize::try_from(row.try_get::<_, i64>(0)?) == Ok(ids.len()) {
        return Ok(());
    }
    let text = "the row would be out of the caller's reach";
    let given = access.hands().into_iter().filter(|name| body.contains_key(*name));
    let faults: Vec<Fault> = given.map(|name| Fault::new(name, Code::Forbidden, text)).collect();
    if faults.is_empty() {
        return Err(Error::new(Code::Forbidden, text));
    }
    Err(Error::fields(Code::Forbidden, faults))
}
