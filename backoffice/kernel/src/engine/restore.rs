//! A deleted row comes back. Keys that another row has taken since and links to what is gone refuse
//! it; rows that its deletion took along stay deleted, since each of them may have a reason of its
//! own by now.
//!
//! Several rows come back as each would alone, in their order. Where one links to another they are
//! refused together, for the caller to try again with fewer.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::standing::{self, Each, Named, Standing, entangled};
use super::{Writer, links, rules};
use crate::cx::Cx;
use crate::entity::{Entity, Field};
use crate::error::{Code, Error, Result};
use crate::param::{Bound, Param};
use crate::rights::{Access, uuids};
use crate::rule::ChangeOp;

pub(crate) async fn restore(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    version: Option<i64>,
    access: &Access,
) -> Result<()> {
    all(cx, entity, &[Named { id, version }], access).await?.pop().unwrap_or(Ok(()))
}

/// What became of each row. An error is about all of them; of several it may be that they are to be
/// tried apart.
pub(super) async fn all(
    cx: &mut Cx,
    entity: &'static Entity,
    rows: &[Named],
    access: &Access,
) -> Result<Each> {
    let targets: Vec<&'static Field> = cx
        .registry()
        .member(entity.name)
        .map(|member| member.links.iter().map(|link| link.field).collect())
        .unwrap_or_default();
    let names: Vec<&str> = targets.iter().map(|field| field.name).collect();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let found = standing::locked(cx, entity, &ids, access, &names).await?;
    let deleted = |row: &Standing| match row.lives {
        true => Err(Error::new(Code::Conflict, "the row is not deleted")),
        false => Ok(()),
    };
    let (mut each, good) = standing::sort(entity, rows, &found, deleted);
    let lost = lost_links(cx, entity, &targets, &found, &good).await?;
    let mut back = Vec::with_capacity(good.len());
    for (row, outcome) in rows.iter().zip(&mut each).filter(|(_, outcome)| outcome.is_ok()) {
        match lost.get(&row.id) {
            None => back.push(row.id),
            Some(fields) => {
                let faults = fields.iter().map(|field| links::fault(field)).collect();
                *outcome = Err(Error::unknown_references(faults));
            }
        }
    }
    mark(cx, entity, &back).await?;
    Ok(each)
}

/// Of these rows those with links to what is gone, with the links.
async fn lost_links(
    cx: &Cx,
    entity: &'static Entity,
    targets: &[&'static Field],
    found: &BTreeMap<Uuid, Standing>,
    rows: &[Uuid],
) -> Result<BTreeMap<Uuid, Vec<&'static Field>>> {
    let mut lost: BTreeMap<Uuid, Vec<&'static Field>> = BTreeMap::new();
    for (place, field) in targets.iter().enumerate() {
        let mut linked = Vec::new();
        for id in rows {
            let to = found.get(id).map(|row| row.link(place)).transpose()?.flatten();
            linked.extend(to.map(|to| (*id, to)));
        }
        let ids: BTreeSet<Uuid> = linked.iter().map(|(_, to)| *to).collect();
        if ids.is_empty() {
            continue;
        }
        let there = links::there(cx, entity, field, &ids, Writer::Action).await?;
        let itself =
            cx.registry().target(entity, field.name).is_some_and(|to| to.name == entity.name);
        for (id, to) in linked.into_iter().filter(|(_, to)| !there.contains(to)) {
            if itself && 1 < rows.len() && rows.contains(&to) {
                return Err(entangled());
            }
            lost.entry(id).or_default().push(field);
        }
    }
    Ok(lost)
}

async fn mark(cx: &mut Cx, entity: &'static Entity, ids: &[Uuid]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "update \"{}\" set deleted_at = null, updated_at = $3, version = version + 1 \
         where org_id = $1 and id = any($2)",
        entity.name
    );
    let now = Bound { value: Param::Instant(cx.now), ty: Type::TIMESTAMPTZ };
    cx.query_typed(&sql, &[Bound::uuid(cx.org), uuids(ids), now]).await?;
    for id in ids {
        rules::after(cx, entity, *id, ChangeOp::Restore, None).await?;
    }
    Ok(())
}
