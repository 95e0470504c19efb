//! Targets of links must be there, alive and of this organization. Each is locked against deletion
//! until the transaction ends (FOR KEY SHARE), so the check and the write cannot be parted. A
//! foreign tenant's row, a deleted one and an unknown id are the same fault.

use std::collections::BTreeSet;

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::cx::Cx;
use crate::entity::{Entity, Field, Scope};
use crate::error::{Code, Error, Fault, Result};
use crate::param::{Bound, Param};

/// A fault for each link that leads to nothing.
pub(crate) async fn unknown(
    cx: &Cx,
    entity: &'static Entity,
    links: &[(&'static Field, Uuid)],
) -> Result<Vec<Fault>> {
    let mut params = vec![Bound::uuid(cx.org)];
    let mut checked = Vec::new();
    let mut probes = Vec::new();
    for (field, id) in links {
        let Some(target) = cx.registry().target(entity, field.name) else {
            return Err(Error::internal(format!("{} has no target", field.name)));
        };
        // Global tables are not ours to read: their foreign key alone decides.
        if target.scope != Scope::Tenant {
            continue;
        }
        params.push(Bound::uuid(*id));
        let living = if target.soft_deletes() { " and deleted_at is null" } else { "" };
        let lock = if target.log || cx.is_trial() { "" } else { " for key share" };
        probes.push(format!(
            "(select true from \"{}\" where org_id = $1 and id = ${}{living}{lock})",
            target.name,
            params.len()
        ));
        checked.push(*field);
    }
    if probes.is_empty() {
        return Ok(Vec::new());
    }
    let rows = cx.query_typed(&format!("select {}", probes.join(", ")), &params).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a probe of links gave no row"))?;
    let mut faults = Vec::new();
    for (index, field) in checked.iter().enumerate() {
        let there: Option<bool> = row.try_get(index)?;
        if there.is_none() {
            faults.push(fault(field.name));
        }
    }
    Ok(faults)
}

/// Like `unknown` for many rows: of these ids, the ones that are there. One query a field, whatever
/// the number of rows.
pub(crate) async fn there(
    cx: &Cx,
    entity: &'static Entity,
    field: &'static Field,
    ids: &BTreeSet<Uuid>,
) -> Result<BTreeSet<Uuid>> {
    let Some(target) = cx.registry().target(entity, field.name) else {
        return Err(Error::internal(format!("{} has no target", field.name)));
    };
    if target.scope != Scope::Tenant {
        return Ok(ids.clone());
    }
    let living = if target.soft_deletes() { " and deleted_at is null" } else { "" };
    // In one order, so that two batches over the same targets wait and do not lock each other out.
    let lock = if target.log || cx.is_trial() { "" } else { " order by id for key share" };
    let sql = format!(
        "select id from \"{}\" where org_id = $1 and id = any($2){living}{lock}",
        target.name
    );
    let list = Param::List(ids.iter().copied().map(Param::Uuid).collect());
    let params = [Bound::uuid(cx.org), Bound { value: list, ty: Type::UUID_ARRAY }];
    let rows = cx.query_typed(&sql, &params).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub(crate) fn fault(field: &str) -> Fault {
    Fault::new(field, Code::UnknownReference, Code::UnknownReference.title())
}
