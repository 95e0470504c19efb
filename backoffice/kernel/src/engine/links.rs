//! Targets of links must be there, alive and of this organization. Each is locked against deletion
//! until the transaction ends (FOR KEY SHARE), so the check and the write cannot be parted. A
//! foreign tenant's row, a deleted one and an unknown id are the same fault; so is a person who is no
//! member of the organization, for a caller who links to one.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Writer, one, reach};
use crate::cx::Cx;
use crate::entity::{Entity, Field, Kind, Scope};
use crate::error::{Code, Error, Fault, Result};
use crate::param::{Bound, Param};
use crate::rights::{self, compile, uuids};

/// A fault for each link that leads to nothing.
pub(crate) async fn unknown(
    cx: &Cx,
    entity: &'static Entity,
    links: &[(&'static Field, Uuid)],
    writer: Writer,
) -> Result<Vec<Fault>> {
    let mut params = vec![Bound::uuid(cx.org)];
    let mut checked = Vec::new();
    let mut probes = Vec::new();
    for (field, id) in links {
        let Some(target) = cx.registry().target(entity, field.name) else {
            return Err(Error::internal(format!("{} has no target", field.name)));
        };
        if is_person(field) && writer == Writer::Caller {
            probes.push(member_sql(*id, cx, &mut params));
            checked.push(*field);
            continue;
        }
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
    missing(cx, &checked, &probes, &params).await
}

/// A fault for each field whose probe finds nothing.
async fn missing(
    cx: &Cx,
    fields: &[&'static Field],
    probes: &[String],
    params: &[Bound],
) -> Result<Vec<Fault>> {
    if probes.is_empty() {
        return Ok(Vec::new());
    }
    let rows = cx.query_typed(&format!("select {}", probes.join(", ")), params).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a probe of links gave no row"))?;
    let mut faults = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let there: Option<bool> = row.try_get(index)?;
        if there.is_none() {
            faults.push(fault(field));
        }
    }
    Ok(faults)
}

/// Of the links in an action's input: each row must be in the caller's reach to read, each person a
/// member. Without the right to read there the refusal is 403, whatever the id is.
pub(crate) async fn reached(
    cx: &Cx,
    fields: &'static [Field],
    input: &Map<String, Value>,
) -> Result<()> {
    let mut params = vec![Bound::uuid(cx.org)];
    let mut checked = Vec::new();
    let mut probes = Vec::new();
    for field in fields {
        let Kind::Link { to, .. } = field.kind else { continue };
        let given = input.get(field.name).and_then(Value::as_str);
        let Some(id) = given.and_then(|text| Uuid::try_parse(text).ok()) else { continue };
        let target = cx.registry().qualified(to);
        let target = target.ok_or_else(|| Error::internal(format!("no entity {to}")))?;
        if is_person(field) {
            probes.push(member_sql(id, cx, &mut params));
            checked.push(field);
            continue;
        }
        if target.scope != Scope::Tenant {
            continue;
        }
        let access = rights::may(&cx.actor, target, "read")
            .map_err(|error| Error::field(error.code(), field.name, error.detail()))?;
        probes.push(format!("(select true from \"{}\"", target.name));
        let place = one(target, cx.org, id, &access, &mut params);
        if let Some(probe) = probes.last_mut() {
            probe.push_str(&place);
            probe.push(')');
        }
        checked.push(field);
    }
    let faults = missing(cx, &checked, &probes, &params).await?;
    if faults.is_empty() { Ok(()) } else { Err(Error::unknown_references(faults)) }
}

/// Of these rows those that the caller reaches under a right.
pub(crate) async fn among(
    cx: &Cx,
    entity: &'static Entity,
    ids: &[Uuid],
    right: &str,
) -> Result<BTreeSet<Uuid>> {
    let access = rights::may(&cx.actor, entity, right)?;
    let mut params = Vec::new();
    let mut place = reach(entity, cx.org, &access, &mut params);
    params.push(uuids(ids));
    place.push_str(&format!(" and \"id\" = any(${})", params.len()));
    let rows =
        cx.query_typed(&format!("select id from \"{}\"{place}", entity.name), &params).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn is_person(field: &Field) -> bool {
    matches!(field.kind, Kind::Link { to: compile::USERS, .. })
}

/// True or null, as the probes of rows are.
fn member_sql(id: Uuid, cx: &Cx, params: &mut Vec<Bound>) -> String {
    params.push(Bound::uuid(id));
    let user = params.len();
    params.push(Bound { value: Param::Instant(cx.now), ty: Type::TIMESTAMPTZ });
    format!("nullif(is_member(${user}, ${}), false)", params.len())
}

/// Like `unknown` for many rows: of these ids, the ones that are there. One query a field, whatever
/// the number of rows.
pub(crate) async fn there(
    cx: &Cx,
    entity: &'static Entity,
    field: &'static Field,
    ids: &BTreeSet<Uuid>,
    writer: Writer,
) -> Result<BTreeSet<Uuid>> {
    let list = Param::List(ids.iter().copied().map(Param::Uuid).collect());
    let ids_bound = Bound { value: list, ty: Type::UUID_ARRAY };
    if is_person(field) && writer == Writer::Caller {
        let sql = "select person from unnest($1) as person where is_member(person, $2)";
        let now = Bound { value: Param::Instant(cx.now), ty: Type::TIMESTAMPTZ };
        let rows = cx.query_typed(sql, &[ids_bound, now]).await?;
        return rows.iter().map(|row| Ok(row.try_get(0)?)).collect();
    }
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
    let rows = cx.query_typed(&sql, &[Bound::uuid(cx.org), ids_bound]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub(crate) fn fault(field: &Field) -> Fault {
    let text = match is_person(field) {
        true => "names nobody who is a member of the organization",
        false => Code::UnknownReference.title(),
    };
    Fault::new(field.name, Code::UnknownReference, text)
}
