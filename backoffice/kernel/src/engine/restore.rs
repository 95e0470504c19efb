//! A deleted row comes back. Keys that another row has taken since and links to what is gone refuse
//! it; rows that its deletion took along stay deleted, since each of them may have a reason of its
//! own by now.

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{links, no_such_row, patch, rules};
use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::{Code, Error, Result};
use crate::param::{Bound, Param};
use crate::rights::Access;
use crate::rule::ChangeOp;

pub(crate) async fn restore(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    version: Option<i64>,
    access: &Access,
) -> Result<()> {
    if !entity.soft_deletes() {
        return Err(Error::internal(format!("rows of {} are never deleted", entity.name)));
    }
    let targets: Vec<_> = cx
        .registry()
        .member(entity.name)
        .map(|member| member.links.iter().map(|link| link.field).collect())
        .unwrap_or_default();
    let mut columns = vec!["\"version\"".to_owned(), "\"deleted_at\" is null".to_owned()];
    columns.extend(targets.iter().map(|field| format!("\"{}\"", field.name)));
    let mut params = vec![Bound::uuid(cx.org), Bound::uuid(id)];
    let mut place = " where \"org_id\" = $1 and \"id\" = $2".to_owned();
    access.rows_sql(None, &mut place, &mut params);
    let sql = format!("select {} from \"{}\"{place} for update", columns.join(", "), entity.name);
    let rows = cx.query_typed(&sql, &params).await?;
    let row = rows.first().ok_or_else(|| no_such_row(entity))?;
    let present: i64 = row.try_get(0)?;
    if row.try_get(1)? {
        return Err(Error::new(Code::Conflict, "the row is not deleted"));
    }
    if version.is_some_and(|version| version != present) {
        return Err(patch::mismatch());
    }
    let mut linked = Vec::new();
    for (index, field) in targets.into_iter().enumerate() {
        let to: Option<Uuid> = row.try_get(index.saturating_add(2))?;
        linked.extend(to.map(|to| (field, to)));
    }
    let unknown = links::unknown(cx, entity, &linked).await?;
    if !unknown.is_empty() {
        return Err(Error::unknown_references(unknown));
    }
    let sql = format!(
        "update \"{}\" set deleted_at = null, updated_at = $3, version = version + 1 \
         where org_id = $1 and id = $2",
        entity.name
    );
    let now = Bound { value: Param::Instant(cx.now), ty: Type::TIMESTAMPTZ };
    cx.query_typed(&sql, &[Bound::uuid(cx.org), Bound::uuid(id), now]).await?;
    rules::after(cx, entity, id, ChangeOp::Restore, None).await
}
