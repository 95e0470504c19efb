//! Which rows' changes a caller sees, one answer for the history of a row and for the feed: those of
//! rows that a list would show them now, and of deleted ones that they may delete. The database says
//! so with its policies in force, row by row; a change tells nothing of a row that is out of reach.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::Result;
use crate::param::{Bound, Param};
use crate::rights::{self, Access, Reach, Shows};

/// What a caller may see of one entity.
pub(super) struct Sight {
    pub(super) entity: &'static Entity,
    /// Of the right to read.
    pub(super) access: Access,
    /// Of the right to delete, where rows are deleted at all.
    deleted: Option<Access>,
}

/// Rows in sight, each with the narrower reaches that it is in.
pub(super) type Seen = BTreeMap<(&'static str, Uuid), Vec<Reach>>;

impl Sight {
    /// 403 where the caller may not read the entity.
    pub(super) fn of(cx: &Cx, entity: &'static Entity) -> Result<Self> {
        let access = rights::may(&cx.actor, entity, "read")?;
        let deletes = entity.soft_deletes().then(|| rights::may(&cx.actor, entity, "delete").ok());
        Ok(Self { entity, access, deleted: deletes.flatten() })
    }

    /// Reaches in which fields are shown that the other rows do not show.
    fn narrower(&self) -> Vec<Reach> {
        let mut all: Vec<Reach> = Vec::new();
        for field in self.entity.fields {
            if let Shows::Within(reach) = self.access.shows(field)
                && !all.contains(&reach)
            {
                all.push(reach);
            }
        }
        all
    }

    /// `select <n>, id, reaches` of those of these rows that are in sight; `$1` is the organization.
    fn sql(&self, n: usize, ids: &[Uuid], params: &mut Vec<Bound>) -> String {
        let reach = |reach: Reach, params: &mut Vec<Bound>| {
            let within = self.access.within_sql(reach, Some("t"), params);
            format!("case when {within} then '{}' end", reach.name())
        };
        let reaches: Vec<String> =
            self.narrower().into_iter().map(|one| reach(one, params)).collect();
        params.push(rights::uuids(ids));
        let mut place = format!("t.org_id = $1 and t.id = any(${})", params.len());
        self.access.rows_sql(Some("t"), &mut place, params);
        if self.entity.soft_deletes() {
            place.push_str(" and (t.deleted_at is null");
            if let Some(deleted) = &self.deleted {
                place.push_str(" or (true");
                deleted.rows_sql(Some("t"), &mut place, params);
                place.push(')');
            }
            place.push(')');
        }
        format!(
            "select {n}::bigint as entity, t.id, array_remove(array[{}]::text[], null) as reaches \
             from \"{}\" as t where {place}",
            reaches.join(", "),
            self.entity.name
        )
    }
}

/// Of these rows those that are in sight: one statement, however many entities.
pub(super) async fn seen(cx: &Cx, asked: &[(&Sight, Vec<Uuid>)]) -> Result<Seen> {
    if asked.is_empty() {
        return Ok(Seen::new());
    }
    let mut params = vec![Bound::uuid(cx.org)];
    let parts = asked.iter().enumerate();
    let parts: Vec<String> =
        parts.map(|(n, (sight, ids))| sight.sql(n, ids, &mut params)).collect();
    let rows = cx.query_typed(&parts.join(" union all "), &params).await?;
    let mut seen = Seen::new();
    for row in &rows {
        let place = usize::try_from(row.try_get::<_, i64>("entity")?).unwrap_or(usize::MAX);
        let Some((sight, _)) = asked.get(place) else { continue };
        let names: Vec<&str> = row.try_get("reaches")?;
        let reaches = names.into_iter().filter_map(Reach::parse).collect();
        seen.insert((sight.entity.name, row.try_get("id")?), reaches);
    }
    Ok(seen)
}

/// Of these rows of one entity those in sight; none where the caller may not read the entity.
pub(crate) async fn among(
    cx: &Cx,
    entity: &'static Entity,
    ids: Vec<Uuid>,
) -> Result<BTreeSet<Uuid>> {
    let Ok(sight) = Sight::of(cx, entity) else { return Ok(BTreeSet::new()) };
    let seen = seen(cx, &[(&sight, ids)]).await?;
    Ok(seen.into_keys().map(|(_, id)| id).collect())
}

/// Names of entities, as a parameter.
pub(super) fn tables(sights: &[Sight]) -> Bound {
    let names = sights.iter().map(|sight| Param::Text(sight.entity.name.to_owned())).collect();
    Bound { value: Param::List(names), ty: Type::TEXT_ARRAY }
}
