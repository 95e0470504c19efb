//! The activity feed: what happened in the organization, as far as the caller may read it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::row::{self, ENTRY, Visible};
use super::{ActivityQuery, is_kept};
use crate::cx::Cx;
use crate::engine;
use crate::entity::Entity;
use crate::error::Result;
use crate::param::{Bound, Param};
use crate::rights::{self, Access};

/// Entries that one page looks at. A page may be short, or even empty, and still have a next one:
/// what a rare filter costs is bounded, and the caller goes on.
const SCAN_MAX: i64 = 5_000;

/// `{"data": […], "page": {"next": …}}`, newest first.
pub(crate) async fn activity(cx: &Cx, query: &ActivityQuery) -> Result<Value> {
    let readable = readable(cx, query)?;
    let mut params = vec![Bound::uuid(cx.org)];
    let mut window = String::from("c.org_id = $1");
    if let Some(last) = query.page.before {
        params.push(Bound::uuid(last));
        window.push_str(&format!(" and c.id < ${}", params.len()));
    }
    if let Some(since) = query.since {
        params.push(Bound { value: Param::Instant(since), ty: Type::TIMESTAMPTZ });
        let n = params.len();
        window.push_str(&format!(" and c.id >= uuid7_floor(${n}) and c.at >= ${n}"));
    }
    let end = end_of_window(cx, &window, &params).await?;
    if let Some(end) = end {
        params.push(Bound::uuid(end));
        window.push_str(&format!(" and c.id >= ${}", params.len()));
    }
    if let Some(actor) = &query.actor {
        params.push(Bound::text(actor));
        window.push_str(&format!(" and c.actor_id = ${}", params.len()));
    }
    let readable_sql = readable_sql(&readable, &mut params);
    params.push(Bound::int(query.page.limit.saturating_add(1)));
    let sql = format!(
        "select {ENTRY} from changes c where {window} and ({readable_sql}) \
         order by c.id desc limit ${}",
        params.len()
    );
    let mut rows = cx.query_typed(&sql, &params).await?;
    let next = row::cut(&mut rows, query.page.limit)?.or(end);
    let names = row::names(cx, &rows).await?;
    let mut seen: BTreeMap<String, Visible> = BTreeMap::new();
    let mut told: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    let mut data = Vec::with_capacity(rows.len());
    for one in &rows {
        let table: &str = one.try_get("table_name")?;
        let Some((entity, access)) = readable.iter().find(|(entity, _)| entity.name == table)
        else {
            continue;
        };
        if !seen.contains_key(table) {
            let visible = row::visible(cx, entity, access, &[]).await?;
            seen.insert(table.to_owned(), visible);
        }
        let Some(visible) = seen.get(table) else { continue };
        let mut entry = row::entry(one, visible, &names)?;
        let row_id: Uuid = one.try_get("row_id")?;
        if let Value::Object(map) = &mut entry {
            map.insert("entity".to_owned(), json!(entity.route()));
            map.insert("row_id".to_owned(), json!(row_id));
        }
        data.push(entry);
        told.entry(table.to_owned()).or_default().push(row_id);
    }
    for (entity, access) in &readable {
        if let (Some(rows), Some(visible)) = (told.get(entity.name), seen.get(entity.name)) {
            engine::tell_fields(cx, entity, rows, &visible.fields, access).await?;
        }
    }
    Ok(json!({"data": data, "page": {"next": next}}))
}

/// The last entry that this page looks at, if there are more behind it.
async fn end_of_window(cx: &Cx, window: &str, params: &[Bound]) -> Result<Option<Uuid>> {
    let sql = format!(
        "select c.id from changes c where {window} order by c.id desc offset {} limit 1",
        SCAN_MAX - 1
    );
    let rows = cx.query_typed(&sql, params).await?;
    rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Entities of the feed with what the caller may read of each. One that is asked for by name must be
/// readable; the others are left out in silence.
fn readable(cx: &Cx, query: &ActivityQuery) -> Result<Vec<(&'static Entity, Access)>> {
    let mut all = Vec::new();
    for entity in cx.registry().entities().filter(|entity| is_kept(entity)) {
        if query.entity.is_some_and(|name| name != entity.name) {
            continue;
        }
        match rights::may(&cx.actor, entity, "read") {
            Ok(access) => all.push((entity, access)),
            Err(error) if query.entity.is_some() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(all)
}

/// Tables whose rows are all in reach stand in one list; each other one asks for its row.
fn readable_sql(readable: &[(&'static Entity, Access)], params: &mut Vec<Bound>) -> String {
    let mut whole = Vec::new();
    let mut parts = Vec::new();
    for (entity, access) in readable {
        let mut place = String::new();
        access.rows_sql(Some("t"), &mut place, params);
        if place.is_empty() {
            whole.push(Param::Text(entity.name.to_owned()));
            continue;
        }
        let name = entity.name;
        parts.push(format!(
            "c.table_name = '{name}' and exists (select from \"{name}\" as t \
             where t.org_id = $1 and t.id = c.row_id{place})"
        ));
    }
    params.push(Bound { value: Param::List(whole), ty: Type::TEXT_ARRAY });
    parts.push(format!("c.table_name = any(${})", params.len()));
    parts.join(" or ")
}
