//! Soft deletion: refused while something living links here, unless that goes along. First all that
//! goes along is found, one statement a level; then, in one statement, what stands in the way. Rows
//! that go along stand in nobody's way, and rows that link to each other are met once.
//!
//! Several rows go as each would go alone, in their order. Where the order counts (one of them links
//! to another, or takes it along) they are refused together, for the caller to try again with fewer.

mod dependants;

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::standing::{self, Each, Named, entangled};
use super::{no_such_row, rules};
use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::{Code, Error, Result};
use crate::param::{Bound, Param};
use crate::rights::{Access, uuids};
use crate::rule::ChangeOp;

/// Rows that one deletion may take along, on all levels together.
const CASCADE_ROWS_MAX: usize = 10_000;

/// Rows of a deletion by table. Tables stand in the order in which they were met, so that what goes
/// along goes before what takes it along.
#[derive(Default)]
struct Doomed {
    tables: Vec<&'static Entity>,
    rows: BTreeMap<&'static str, BTreeSet<Uuid>>,
    /// Several rows were named: what links them is nobody's to pass over.
    several: bool,
}

impl Doomed {
    /// Those of the rows that are new here.
    fn add(&mut self, entity: &'static Entity, ids: Vec<Uuid>) -> Vec<Uuid> {
        let rows = self.rows.entry(entity.name).or_default();
        if rows.is_empty() {
            self.tables.push(entity);
        }
        ids.into_iter().filter(|id| rows.insert(*id)).collect()
    }

    fn of(&self, entity: &Entity) -> Vec<Uuid> {
        self.rows.get(entity.name).into_iter().flatten().copied().collect()
    }

    fn len(&self) -> usize {
        self.rows.values().map(BTreeSet::len).sum()
    }
}

pub(crate) async fn remove(
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
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let found = standing::locked(cx, entity, &ids, access, &[]).await?;
    let lives =
        |row: &standing::Standing| if row.lives { Ok(()) } else { Err(no_such_row(entity)) };
    let (each, good) = standing::sort(entity, rows, &found, lives);
    if !good.is_empty() {
        let doomed = closure(cx, entity, good, &ids).await?;
        dependants::demand_none(cx, &doomed).await?;
        for entity in doomed.tables.iter().rev() {
            mark(cx, entity, &doomed.of(entity)).await?;
        }
    }
    Ok(each)
}

/// The rows and, level by level, all that goes along with them, locked. Of all that were `named`, those
/// that are refused count too: what one of them is told depends on whether it goes along before.
async fn closure(
    cx: &Cx,
    entity: &'static Entity,
    roots: Vec<Uuid>,
    named: &[Uuid],
) -> Result<Doomed> {
    let mut doomed = Doomed { several: 1 < named.len(), ..Doomed::default() };
    let named: BTreeSet<Uuid> = named.iter().copied().collect();
    let mut level = vec![(entity, doomed.add(entity, roots))];
    while !level.is_empty() {
        let below = dependants::that_go_along(cx, &level).await?;
        level = Vec::new();
        for (child, ids) in below {
            let is_root = |id: &Uuid| child.name == entity.name && named.contains(id);
            if doomed.several && ids.iter().any(is_root) {
                return Err(entangled());
            }
            let new = doomed.add(child, ids);
            if !new.is_empty() {
                level.push((child, new));
            }
        }
        if CASCADE_ROWS_MAX < doomed.len() {
            let text = format!("more than {CASCADE_ROWS_MAX} rows depend on it");
            return Err(Error::new(Code::InUse, text));
        }
    }
    Ok(doomed)
}

async fn mark(cx: &mut Cx, entity: &'static Entity, ids: &[Uuid]) -> Result<()> {
    let mut before = Vec::new();
    for id in ids {
        before.push((*id, rules::before(cx, entity, *id).await?));
    }
    let sql = format!(
        "update \"{}\" set deleted_at = $3, updated_at = $3, version = version + 1 \
         where org_id = $1 and id = any($2) and deleted_at is null",
        entity.name
    );
    let now = Bound { value: Param::Instant(cx.now), ty: Type::TIMESTAMPTZ };
    cx.query_typed(&sql, &[Bound::uuid(cx.org), uuids(ids), now]).await?;
    for (id, row) in before {
        rules::after(cx, entity, id, ChangeOp::Delete, row).await?;
    }
    Ok(())
}
