//! Rows by the values of a key, many keys by one statement.

use uuid::Uuid;

use super::Lock;
use crate::cx::Cx;
use crate::entity::{Entity, Field};
use crate::error::Result;
use crate::kind;
use crate::param::{Bound, Param};
use crate::rights::Access;

/// For each key the living row in reach that has it, if there is one: `select … from unnest(keys)
/// join rows`. A key has a value for each part, of the part's kind.
pub(crate) async fn find(
    cx: &Cx,
    entity: &'static Entity,
    parts: &[&'static Field],
    keys: &[Vec<Param>],
    access: &Access,
    lock: Lock,
) -> Result<Vec<Option<Uuid>>> {
    let mut found = vec![None; keys.len()];
    if keys.is_empty() {
        return Ok(found);
    }
    let mut params = vec![Bound::uuid(cx.org)];
    let (mut arrays, mut names, mut on) = (Vec::new(), Vec::new(), Vec::new());
    for (place, part) in parts.iter().enumerate() {
        let values = keys.iter().filter_map(|values| values.get(place).cloned()).collect();
        params.push(Bound { value: Param::List(values), ty: kind::pg_array_type(part.kind) });
        arrays.push(format!("${}", params.len()));
        names.push(format!("k{place}"));
        on.push(format!("t.\"{}\" = r.k{place}", part.name));
    }
    let mut tail = String::new();
    if entity.soft_deletes() {
        tail.push_str(" and t.deleted_at is null");
    }
    access.rows_sql(Some("t"), &mut tail, &mut params);
    if lock == Lock::Update && !entity.log {
        // In one order, so that two over the same rows wait and do not lock each other out.
        tail.push_str(" order by t.id for update of t");
    }
    let sql = format!(
        "select r.n, t.id from unnest({}) with ordinality as r({}, n) \
         join public.\"{}\" t on {} where t.org_id = $1{tail}",
        arrays.join(", "),
        names.join(", "),
        entity.name,
        on.join(" and ")
    );
    for row in cx.query_typed(&sql, &params).await? {
        let place: i64 = row.try_get(0)?;
        let place = usize::try_from(place).unwrap_or_default().checked_sub(1);
        if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
            *slot = Some(row.try_get(1)?);
        }
    }
    Ok(found)
}
