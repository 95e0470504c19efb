//! Rows that link to rows of a deletion: those that go along with it, and those that stand in its
//! way. Each question is one statement over all links, with one branch a link.

use uuid::Uuid;

use super::{CASCADE_ROWS_MAX, Doomed};
use crate::cx::Cx;
use crate::entity::{Entity, Field, Kind, OnDelete, Scope};
use crate::error::{Code, Error, Fault, Result};
use crate::param::Bound;
use crate::registry::Member;
use crate::rights::{self, uuids};

/// Referring rows are counted up to here; beyond, there are more.
const REFERRING_ROWS_COUNTED: i64 = 1_000;

/// A link into a table of the deletion.
struct Into {
    child: &'static Member,
    field: &'static Field,
    target: &'static Entity,
    goes_along: bool,
}

fn links_into(cx: &Cx, target: &'static Entity) -> Vec<Into> {
    let members = cx.registry().members().iter().filter(|m| m.entity.scope == Scope::Tenant);
    members
        .flat_map(|child| child.links.iter().map(move |link| (child, link)))
        .filter(|(_, link)| link.target.name == target.name)
        .map(|(child, link)| {
            let goes_along =
                matches!(link.field.kind, Kind::Link { on_delete: OnDelete::Cascade, .. });
            Into { child, field: link.field, target, goes_along }
        })
        .collect()
}

fn living(entity: &Entity) -> &'static str {
    if entity.soft_deletes() { " and deleted_at is null" } else { "" }
}

/// Living rows whose links say that they go along with one of these, locked in the order of their
/// ids. What never dies (a log) is passed over: it was said to go along, and stays.
pub(super) async fn that_go_along(
    cx: &Cx,
    level: &[(&'static Entity, Vec<Uuid>)],
) -> Result<Vec<(&'static Entity, Vec<Uuid>)>> {
    let mut params = vec![Bound::uuid(cx.org)];
    let (mut branches, mut children) = (Vec::new(), Vec::new());
    for (target, ids) in level {
        params.push(uuids(ids));
        let ids = params.len();
        let links = links_into(cx, target);
        for link in links.iter().filter(|l| l.goes_along && l.child.entity.soft_deletes()) {
            // One more than may go along is enough to refuse.
            branches.push(format!(
                "select * from (select {place}::int8, id from \"{child}\" where org_id = $1 \
                 and \"{field}\" = any(${ids}){living} order by id limit {limit} for update) x{place}",
                place = children.len(),
                child = link.child.entity.name,
                field = link.field.name,
                living = living(link.child.entity),
                limit = CASCADE_ROWS_MAX.saturating_add(1),
            ));
            children.push(link.child.entity);
        }
    }
    let mut found: Vec<(&'static Entity, Vec<Uuid>)> =
        children.into_iter().map(|child| (child, Vec::new())).collect();
    if branches.is_empty() {
        return Ok(found);
    }
    for row in cx.query_typed(&branches.join(" union all "), &params).await? {
        let place: i64 = row.try_get(0)?;
        let child = usize::try_from(place).ok().and_then(|place| found.get_mut(place));
        if let Some((_, ids)) = child {
            ids.push(row.try_get(1)?);
        }
    }
    Ok(found)
}

/// 409 naming who else refers to a row of the deletion, by table and link, and how often. Of several
/// named rows one may stand in another's way, so nothing is passed over.
pub(super) async fn demand_none(cx: &Cx, doomed: &Doomed) -> Result<()> {
    let mut params = vec![Bound::uuid(cx.org)];
    let (mut branches, mut links) = (Vec::new(), Vec::new());
    for target in &doomed.tables {
        for link in links_into(cx, target).into_iter().filter(|link| !link.goes_along) {
            params.push(uuids(&doomed.of(link.target)));
            let to = params.len();
            let mut others = String::new();
            if !doomed.several {
                params.push(uuids(&doomed.of(link.child.entity)));
                others = format!(" and not (id = any(${}))", params.len());
            }
            branches.push(format!(
                "(select count(*) from (select 1 from \"{child}\" where org_id = $1 \
                 and \"{field}\" = any(${to}){others}{living} limit {limit}) x)",
                child = link.child.entity.name,
                field = link.field.name,
                living = living(link.child.entity),
                limit = REFERRING_ROWS_COUNTED.saturating_add(1),
            ));
            links.push(link);
        }
    }
    if branches.is_empty() {
        return Ok(());
    }
    // One row of counts; tables that nobody links from cost nothing but their branch.
    let sql = format!("select array[{}]", branches.join(", "));
    let rows = cx.query_typed(&sql, &params).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a count gave no row"))?;
    let counts: Vec<i64> = row.try_get(0)?;
    let faults: Vec<Fault> = links
        .iter()
        .zip(counts)
        .filter(|(_, count)| 0 < *count)
        .map(|(link, count)| told(cx, link, count))
        .collect();
    match faults.first() {
        None => Ok(()),
        Some(first) => {
            let detail = first.message.clone();
            Err(Error::refusals(Code::InUse, detail, faults))
        }
    }
}

/// How many there are is told to who reads all of them; that there are some cannot be kept from
/// whoever may delete the row.
fn told(cx: &Cx, link: &Into, count: i64) -> Fault {
    let reads = rights::may(&cx.actor, link.child.entity, "read");
    let counted = reads.is_ok_and(|access| access.is_everywhere());
    let number = match count {
        _ if !counted => "rows".to_owned(),
        1 => "1 row".to_owned(),
        _ if REFERRING_ROWS_COUNTED < count => format!("more than {REFERRING_ROWS_COUNTED} rows"),
        _ => format!("{count} rows"),
    };
    let (route, field) = (&link.child.route, link.field.name);
    let text = format!("{number} in {route} still refer to it by {field}");
    Fault::new(format!("{}.{field}", link.child.entity.name), Code::InUse, text)
}
