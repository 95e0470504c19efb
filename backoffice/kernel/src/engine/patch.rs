//! Changes to a row: absent fields stay, null empties, the version rises by one.

use serde_json::{Map, Value};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Writer, no_such_row, one, prepare, reach, rules};
use crate::custom::{self, Custom};
use crate::cx::Cx;
use crate::ddl;
use crate::entity::Entity;
use crate::error::{Code, Error, Fault, Result};
use crate::flow;
use crate::param::{Bound, Param};
use crate::rights::Access;
use crate::rule::ChangeOp;
use crate::validate::{Columns, Purpose};

pub(crate) async fn update(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    body: Map<String, Value>,
    version: Option<i64>,
    access: &Access,
) -> Result<()> {
    let narrow = access.for_body(entity, &body)?;
    custom::permitted(cx, entity, &body, access).await?;
    let columns = prepare::columns(cx, entity, &body, Purpose::Patch, Writer::Caller).await?;
    if narrow.is_narrower(access) {
        may_write(cx, entity, id, &body, access, &narrow).await?;
    }
    write(cx, entity, id, columns, version, &narrow).await?;
    reach::demand(cx, entity, &[id], &body, &narrow).await
}

/// Some fields are in reach on fewer rows than the row: 404 where the row is not, 403 where only
/// the fields are not. The row is locked, so that it stays in whose hands it is.
pub(super) async fn may_write(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    body: &Map<String, Value>,
    access: &Access,
    narrow: &Access,
) -> Result<()> {
    let mut params = Vec::new();
    let place = one(entity, cx.org, id, access, &mut params);
    let mut inside = String::from("true");
    narrow.rows_sql(None, &mut inside, &mut params);
    let sql = format!("select {inside} from \"{}\"{place} for update", entity.name);
    let rows = cx.query_typed(&sql, &params).await?;
    let row = rows.first().ok_or_else(|| no_such_row(entity))?;
    if row.try_get::<_, Option<bool>>(0)? == Some(true) {
        return Ok(());
    }
    let text = "the field may be written on other rows only";
    let fields = access.narrow_fields(body).into_iter();
    let faults = fields.map(|name| Fault::new(name, Code::FieldNotPermitted, text)).collect();
    Err(Error::fields(Code::FieldNotPermitted, faults))
}

pub(crate) async fn set(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    fields: &[(&str, Value)],
) -> Result<()> {
    let body = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    flow::demand_move(cx, entity, id, &body).await?;
    let columns = prepare::columns(cx, entity, &body, Purpose::Patch, Writer::Action)
        .await
        .map_err(|error| error.with_context(format!("set on {}", entity.name)))?;
    write(cx, entity, id, columns, None, &Access::all()).await
}

async fn write(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    columns: Columns,
    version: Option<i64>,
    access: &Access,
) -> Result<()> {
    if !ddl::is_versioned(entity) {
        return Err(Error::internal(format!("rows of {} never change", entity.name)));
    }
    if columns.names.is_empty() && columns.custom.is_empty() {
        return present(cx, entity, id, version, access).await;
    }
    let before = rules::before(cx, entity, id).await?;
    let mut params = columns.values;
    let mut sets: Vec<String> = columns
        .names
        .iter()
        .enumerate()
        .map(|(index, name)| format!("\"{name}\" = ${}", index + 1))
        .collect();
    merge_custom(columns.custom, &mut sets, &mut params);
    params.push(Bound { value: Param::Instant(cx.now), ty: Type::TIMESTAMPTZ });
    sets.push(format!("\"updated_at\" = ${}", params.len()));
    sets.push("\"version\" = \"version\" + 1".to_owned());
    let mut place = one(entity, cx.org, id, access, &mut params);
    if let Some(version) = version {
        params.push(Bound::int(version));
        place.push_str(&format!(" and \"version\" = ${}", params.len()));
    }
    let sql =
        format!("update \"{}\" set {}{place} returning \"version\"", entity.name, sets.join(", "));
    if cx.query_typed(&sql, &params).await?.is_empty() {
        // Nothing matched: either there is no such row, or it has another version.
        present(cx, entity, id, version, access).await?;
        return Err(mismatch());
    }
    rules::after(cx, entity, id, ChangeOp::Update, before).await
}

/// Keys that are not named keep their values: two patches of different keys do not undo each other.
fn merge_custom(custom: Custom, sets: &mut Vec<String>, params: &mut Vec<Bound>) {
    if custom.is_empty() {
        return;
    }
    params.push(Bound::json(Value::Object(custom.set)));
    let set = params.len();
    let unset = custom.unset.into_iter().map(Param::Text).collect();
    params.push(Bound { value: Param::List(unset), ty: Type::TEXT_ARRAY });
    sets.push(format!("\"custom\" = (\"custom\" || ${set}) - ${}", params.len()));
}

/// The row is there and has the version that the caller knows.
pub(super) async fn present(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    version: Option<i64>,
    access: &Access,
) -> Result<()> {
    let mut params = Vec::new();
    let place = one(entity, cx.org, id, access, &mut params);
    let sql = format!("select \"version\" from \"{}\"{place}", entity.name);
    let rows = cx.query_typed(&sql, &params).await?;
    let row = rows.first().ok_or_else(|| no_such_row(entity))?;
    let present: i64 = row.try_get(0)?;
    if version.is_some_and(|version| version != present) {
        return Err(mismatch());
    }
    Ok(())
}

#[track_caller]
pub(crate) fn mismatch() -> Error {
    Error::new(Code::VersionMismatch, "the row was changed since it was read: read it again")
}
