//! The activity feed: what happened in the organization, as far as the caller may read it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::row::{self, ENTRY, Visible};
use super::sight::{self, Sight};
use super::{ActivityQuery, is_kept};
use crate::cx::Cx;
use crate::engine::{self, Told};
use crate::error::Result;
use crate::page::limit_bound;
use crate::param::{Bound, Param};
use crate::rights::{Reach, uuids};

/// Entries that one page looks at. A page may be short, or even empty, and still have a next one:
/// what a rare filter costs is bounded, and the caller goes on.
const SCAN_MAX: i64 = 5_000;
/// Entries whose rows are looked for by one statement.
const BATCH_ROWS: usize = 500;

/// `{"data": […], "page": {"next": …}}`, newest first.
pub(crate) async fn activity(cx: &Cx, query: &ActivityQuery) -> Result<Value> {
    let sights = readable(cx, query)?;
    let window = window(cx, query, &sights).await?;
    let mut found = visible(cx, query, &sights, &window).await?;
    let limit = usize::try_from(query.page.limit).unwrap_or(usize::MAX);
    let next = if found.len() > limit {
        found.truncate(limit);
        found.last().map(|one| one.id)
    } else {
        window.end
    };
    let data = entries(cx, &sights, &found).await?;
    Ok(json!({"data": data, "page": {"next": next}}))
}

/// The entries that a page looks at.
struct Window {
    /// Condition on `changes c`.
    sql: String,
    params: Vec<Bound>,
    /// The last of them, if there are more behind it.
    end: Option<Uuid>,
}

async fn window(cx: &Cx, query: &ActivityQuery, sights: &[Sight]) -> Result<Window> {
    let mut params = vec![Bound::uuid(cx.org)];
    let mut sql = String::from("c.org_id = $1");
    if let Some(last) = query.page.before {
        params.push(Bound::uuid(last));
        sql.push_str(&format!(" and c.id < ${}", params.len()));
    }
    if let Some(since) = query.since {
        params.push(Bound { value: Param::Instant(since), ty: Type::TIMESTAMPTZ });
        let n = params.len();
        sql.push_str(&format!(" and c.id >= uuid7_floor(${n}) and c.at >= ${n}"));
    }
    let end = end_of_window(cx, &sql, &params).await?;
    if let Some(end) = end {
        params.push(Bound::uuid(end));
        sql.push_str(&format!(" and c.id >= ${}", params.len()));
    }
    if let Some(actor) = &query.actor {
        params.push(Bound::text(actor));
        sql.push_str(&format!(" and c.actor_id = ${}", params.len()));
    }
    params.push(sight::tables(sights));
    sql.push_str(&format!(" and c.table_name = any(${})", params.len()));
    Ok(Window { sql, params, end })
}

async fn end_of_window(cx: &Cx, window: &str, params: &[Bound]) -> Result<Option<Uuid>> {
    let sql = format!(
        "select c.id from changes c where {window} order by c.id desc offset {} limit 1",
        SCAN_MAX - 1
    );
    let rows = cx.query_typed(&sql, params).await?;
    rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
}

/// An entry of a row in sight.
struct Found {
    id: Uuid,
    row: Uuid,
    /// Of the entity, among those that may be read.
    place: usize,
    reaches: Vec<Reach>,
}

/// The newest entries whose rows are in sight: one more than the page has, if there are so many.
async fn visible(
    cx: &Cx,
    query: &ActivityQuery,
    sights: &[Sight],
    window: &Window,
) -> Result<Vec<Found>> {
    let limit = usize::try_from(query.page.limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut last: Option<Uuid> = None;
    loop {
        let batch = batch(cx, sights, window, last).await?;
        let mut ids: BTreeMap<usize, BTreeSet<Uuid>> = BTreeMap::new();
        for one in &batch {
            ids.entry(one.place).or_default().insert(one.row);
        }
        let asked: Vec<(&Sight, Vec<Uuid>)> = ids
            .into_iter()
            .filter_map(|(place, ids)| Some((sights.get(place)?, ids.into_iter().collect())))
            .collect();
        let seen = sight::seen(cx, &asked).await?;
        last = batch.last().map(|one| one.id);
        let full = batch.len() == BATCH_ROWS;
        for mut one in batch {
            let table = sights.get(one.place).map_or("", |sight| sight.entity.name);
            if let Some(reaches) = seen.get(&(table, one.row)) {
                one.reaches.clone_from(reaches);
                found.push(one);
            }
        }
        if !full || limit < found.len() {
            return Ok(found);
        }
    }
}

/// The next entries of the window, whether their rows are in sight or not.
async fn batch(
    cx: &Cx,
    sights: &[Sight],
    window: &Window,
    last: Option<Uuid>,
) -> Result<Vec<Found>> {
    let (mut sql, mut params) = (window.sql.clone(), window.params.clone());
    if let Some(last) = last {
        params.push(Bound::uuid(last));
        sql.push_str(&format!(" and c.id < ${}", params.len()));
    }
    params.push(limit_bound(i64::try_from(BATCH_ROWS).unwrap_or(i64::MAX)));
    let sql = format!(
        "select c.id, c.table_name, c.row_id from changes c where {sql} \
         order by c.id desc limit ${}",
        params.len()
    );
    let rows = cx.query_typed(&sql, &params).await?;
    let mut batch = Vec::with_capacity(rows.len());
    for row in &rows {
        let table: &str = row.try_get("table_name")?;
        let place = sights.iter().position(|sight| sight.entity.name == table);
        // The statement asks for these tables only.
        let Some(place) = place else { continue };
        let (id, row) = (row.try_get("id")?, row.try_get("row_id")?);
        batch.push(Found { id, row, place, reaches: Vec::new() });
    }
    Ok(batch)
}

/// What each of these shows; reads are told where the roles say so.
async fn entries(cx: &Cx, sights: &[Sight], found: &[Found]) -> Result<Vec<Value>> {
    let ids: Vec<Uuid> = found.iter().map(|one| one.id).collect();
    let sql = format!(
        "select {ENTRY} from changes c where c.org_id = $1 and c.id = any($2) order by c.id desc"
    );
    let rows = cx.query_typed(&sql, &[Bound::uuid(cx.org), uuids(&ids)]).await?;
    let names = row::names(cx, &rows).await?;
    let mut shapes: BTreeMap<(usize, &[Reach]), Visible> = BTreeMap::new();
    let mut told: BTreeMap<usize, (BTreeSet<Uuid>, BTreeSet<String>)> = BTreeMap::new();
    let mut data = Vec::with_capacity(rows.len());
    for one in &rows {
        let id: Uuid = one.try_get("id")?;
        let Some(place) = found.iter().find(|found| found.id == id) else { continue };
        let Some(sight) = sights.get(place.place) else { continue };
        let key = (place.place, place.reaches.as_slice());
        let visible = match shapes.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(row::visible(cx, sight, &place.reaches).await?),
        };
        let mut entry = row::entry(one, visible, &names)?;
        let (ids, fields) = told.entry(place.place).or_default();
        ids.insert(place.row);
        fields.extend(row::fields(&entry).map(str::to_owned));
        if let Value::Object(map) = &mut entry {
            map.insert("entity".to_owned(), json!(sight.entity.route()));
            map.insert("row_id".to_owned(), json!(place.row));
        }
        data.push(entry);
    }
    for (place, (ids, fields)) in &told {
        let Some(sight) = sights.get(*place) else { continue };
        let ids: Vec<Uuid> = ids.iter().copied().collect();
        let names = fields.iter().map(String::as_str);
        engine::tell(cx, sight.entity, &sight.access, Told::Rows(&ids), names).await?;
    }
    Ok(data)
}

/// Entities of the feed with what the caller may see of each. One that is asked for by name must be
/// readable; the others are left out in silence.
fn readable(cx: &Cx, query: &ActivityQuery) -> Result<Vec<Sight>> {
    let mut all = Vec::new();
    for entity in cx.registry().entities().filter(|entity| is_kept(entity)) {
        if query.entity.is_some_and(|name| name != entity.name) {
            continue;
        }
        match Sight::of(cx, entity) {
            Ok(sight) => all.push(sight),
            Err(error) if query.entity.is_some() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(all)
}
