//! Targets of links must be there, alive and of this organization. Each is locked against deletion
//! until the transaction ends (FOR KEY SHARE), so the check and the write cannot be parted. A
//! foreign tenant's row, a deleted one and an unknown id are the same fault.

use uuid::Uuid;

use crate::cx::Cx;
use crate::entity::{Entity, Field, Scope};
use crate::error::{Code, Error, Fault, Result};
use crate::param::Bound;

pub(crate) async fn check(
    cx: &Cx,
    entity: &'static Entity,
    links: &[(&'static Field, Uuid)],
) -> Result<()> {
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
        let lock = if target.log { "" } else { " for key share" };
        probes.push(format!(
            "(select true from \"{}\" where org_id = $1 and id = ${}{living}{lock})",
            target.name,
            params.len()
        ));
        checked.push(*field);
    }
    if probes.is_empty() {
        return Ok(());
    }
    let rows = cx.query_typed(&format!("select {}", probes.join(", ")), &params).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a probe of links gave no row"))?;
    let mut faults = Vec::new();
    for (index, field) in checked.iter().enumerate() {
        let there: Option<bool> = row.try_get(index)?;
        if there.is_none() {
            faults.push(unknown(field.name));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::unknown_references(faults)) }
}

fn unknown(field: &str) -> Fault {
    Fault::new(field, Code::UnknownReference, Code::UnknownReference.title())
}
