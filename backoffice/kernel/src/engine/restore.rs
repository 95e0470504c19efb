//! A deleted row comes back. Keys that another row has taken since and links to what is gone refuse
//! it; rows that its deletion took along stay deleted, since each of them may have a reason of its
//! own by now.

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Writer, links, rules, standing};
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
    let targets: Vec<_> = cx
        .registry()
        .member(entity.name)
        .map(|member| member.links.iter().map(|link| link.field).collect())
        .unwrap_or_default();
    let names: Vec<&str> = targets.iter().map(|field| field.name).collect();
    let row = standing::locked(cx, entity, id, version, access, &names).await?;
    if row.lives {
        return Err(Error::new(Code::Conflict, "the row is not deleted"));
    }
    row.demand_version()?;
    let mut linked = Vec::new();
    for (index, field) in targets.into_iter().enumerate() {
        linked.extend(row.link(index)?.map(|to| (field, to)));
    }
    let unknown = links::unknown(cx, entity, &linked, Writer::Action).await?;
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
