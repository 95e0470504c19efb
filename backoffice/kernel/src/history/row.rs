//! The history of one row, and how an entry of the change log is shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::sight::{self, Sight};
use super::values::{self, Side};
use super::{PageQuery, is_kept};
use crate::custom;
use crate::cx::Cx;
use crate::db::Row;
use crate::ddl;
use crate::engine::{self, Told};
use crate::entity::{Entity, Field, Level};
use crate::error::{Error, Result};
use crate::param::Bound;
use crate::rights::{Reach, Shows};

/// What an entry may show of an entity.
#[derive(Debug, Default)]
pub(super) struct Visible {
    pub(super) fields: Vec<&'static Field>,
    /// Keys of custom fields.
    pub(super) custom: Vec<String>,
}

/// Columns of an entry, from `changes c`. Each side travels as text, so that no number loses digits.
pub(super) const ENTRY: &str = "c.id, c.table_name, c.row_id, c.op, c.version, c.actor_kind, \
     c.actor_id, c.at, c.reason, c.request_id, c.erased_at is not null as erased, \
     (select jsonb_object_agg(key, value) from jsonb_each_text(c.before)) as before, \
     (select jsonb_object_agg(key, value) from jsonb_each_text(c.after)) as after";

/// `{"data": […], "page": {"next": …}}`, newest first. Whoever may delete sees a deleted row's too.
pub(crate) async fn history(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    page: PageQuery,
) -> Result<Value> {
    if !is_kept(entity) {
        return Err(Error::not_found("path"));
    }
    let sight = Sight::of(cx, entity)?;
    let seen = sight::seen(cx, &[(&sight, vec![id])]).await?;
    let within = seen.get(&(entity.name, id));
    let within = within.ok_or_else(|| Error::not_found(&format!("row in {}", entity.route())))?;
    let visible = visible(cx, &sight, within).await?;
    let mut params = vec![
        Bound::uuid(cx.org),
        Bound::text(entity.name),
        Bound::uuid(id),
        Bound::int(page.limit.saturating_add(1)),
    ];
    let mut before = "";
    if let Some(last) = page.before {
        params.push(Bound::uuid(last));
        before = " and c.id < $5";
    }
    let sql = format!(
        "select {ENTRY} from changes c where c.org_id = $1 and c.table_name = $2 \
         and c.row_id = $3{before} order by c.id desc limit $4"
    );
    let mut rows = cx.query_typed(&sql, &params).await?;
    let next = cut(&mut rows, page.limit)?;
    let names = names(cx, &rows).await?;
    let data: Result<Vec<Value>> = rows.iter().map(|row| entry(row, &visible, &names)).collect();
    let data = data?;
    let told = data.iter().flat_map(fields);
    engine::tell(cx, entity, &sight.access, Told::Rows(&[id]), told).await?;
    Ok(json!({"data": data, "page": {"next": next}}))
}

/// Cuts what was read to see whether there is more; the cursor behind the rest.
pub(super) fn cut(rows: &mut Vec<Row>, limit: i64) -> Result<Option<Uuid>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if rows.len() <= limit {
        return Ok(None);
    }
    rows.truncate(limit);
    rows.last().map(|row| Ok(row.try_get("id")?)).transpose()
}

/// Fields shown on every row in reach and on rows within these narrower reaches.
pub(super) async fn visible(cx: &Cx, sight: &Sight, within: &[Reach]) -> Result<Visible> {
    let Sight { entity, access, .. } = sight;
    let shown = |field: &&'static Field| {
        !field.secret
            && match access.shows(field) {
                Shows::Always => true,
                Shows::Within(reach) => within.contains(&reach),
                Shows::Never => false,
            }
    };
    let fields = entity.fields.iter().filter(shown).collect();
    let mut custom = Vec::new();
    if ddl::has_custom_fields(entity) {
        let model = custom::load(cx, entity).await?;
        let readable = |level: Level| access.shows_level(level);
        let of_level = model.fields.iter().filter(|field| readable(field.level));
        custom.extend(of_level.map(|field| field.key.clone()));
    }
    Ok(Visible { fields, custom })
}

/// Names of the fields that an entry shows.
pub(super) fn fields(entry: &Value) -> impl Iterator<Item = &str> {
    let all = entry.get("fields").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|one| one.get("field").and_then(Value::as_str))
}

/// Names of the people and tokens that acted.
pub(super) async fn names(cx: &Cx, rows: &[Row]) -> Result<BTreeMap<String, String>> {
    let mut ids = Vec::new();
    for row in rows {
        let actor: Option<&str> = row.try_get("actor_id")?;
        ids.extend(actor.and_then(|text| Uuid::try_parse(text).ok()));
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = cx.query("select id, name from account_names($1)", &[&ids]).await?;
    rows.iter().map(|row| Ok((row.try_get::<_, Uuid>(0)?.to_string(), row.try_get(1)?))).collect()
}

/// One entry, without where it happened.
pub(super) fn entry(
    row: &Row,
    visible: &Visible,
    names: &BTreeMap<String, String>,
) -> Result<Value> {
    let side = |name: &str| -> Result<Side> {
        Ok(match row.try_get::<_, Option<Value>>(name)? {
            Some(Value::Object(side)) => side,
            _ => Map::new(),
        })
    };
    let (before, after) = (side("before")?, side("after")?);
    let mut fields = Vec::new();
    for field in &visible.fields {
        if values::is_told(field, &before) || values::is_told(field, &after) {
            fields.push(json!({
                "field": field.name,
                "before": values::value(field, &before),
                "after": values::value(field, &after),
            }));
        }
    }
    fields.extend(custom_fields(&before, &after, &visible.custom));
    let actor_id: Option<&str> = row.try_get("actor_id")?;
    let actor = json!({
        "kind": row.try_get::<_, &str>("actor_kind")?,
        "id": actor_id,
        "name": actor_id.and_then(|id| names.get(id)),
    });
    Ok(json!({
        "id": row.try_get::<_, Uuid>("id")?,
        "op": row.try_get::<_, &str>("op")?,
        "version": row.try_get::<_, Option<i64>>("version")?,
        "at": row.try_get::<_, Timestamp>("at")?.to_string(),
        "actor": actor,
        "reason": row.try_get::<_, Option<&str>>("reason")?,
        "request_id": row.try_get::<_, Option<Uuid>>("request_id")?,
        "redacted": row.try_get::<_, bool>("erased")?,
        "fields": fields,
    }))
}

/// Differences below `custom`, key by key.
fn custom_fields(before: &Side, after: &Side, keys: &[String]) -> Vec<Value> {
    let read = |side: &Side| -> Map<String, Value> {
        let text = side.get("custom").and_then(Value::as_str).unwrap_or("{}");
        serde_json::from_str(text).unwrap_or_default()
    };
    let (before, after) = (read(before), read(after));
    let differ = keys.iter().filter(|key| before.get(*key) != after.get(*key));
    differ
        .map(|key| {
            json!({
                "field": format!("custom.{key}"),
                "before": before.get(key),
                "after": after.get(key),
            })
        })
        .collect()
}
