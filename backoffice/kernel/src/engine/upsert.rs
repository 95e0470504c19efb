//! A row by its natural key: changed when it is there, made when it is not. Two at once make one row:
//! the unique key decides, and who loses finds the other's row.
//!
//! A deleted row with that key is left as it is and a new one is made: its deletion was a decision,
//! and bringing it back would bring back values that the caller did not send. Restoring has a verb.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Lock, create, get, patch, standing};
use crate::cx::Cx;
use crate::entity::{self, Entity, Unique};
use crate::error::{Code, Error, Fault, Result};
use crate::kind;
use crate::kind_sql::second_column;
use crate::param::Bound;
use crate::rights::{self, Access};

/// Rounds of looking and inserting; in each one somebody else was faster.
const ROUNDS_MAX: u32 = 3;

/// What a caller knows of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Demand {
    Nothing,
    /// It is not there.
    New,
    /// It is there, with one of these versions when any are said.
    There(Vec<i64>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upserted {
    Created(Uuid),
    Changed(Uuid),
}

/// Asks for the right of what it turns out to be: to change or to make.
pub(crate) async fn upsert(
    cx: &mut Cx,
    entity: &'static Entity,
    body: Map<String, Value>,
    demand: Demand,
) -> Result<Upserted> {
    let key = entity.natural_key().ok_or_else(|| {
        Error::new(Code::MethodNotAllowed, "rows have no natural key to find them by")
    })?;
    let values = key_values(entity, key, &body)?;
    let mut round = 0;
    loop {
        if let Some(id) = find(cx, entity, key, &values).await? {
            let access = rights::may(&cx.actor, entity, "update")?;
            let version = match &demand {
                Demand::Nothing => None,
                Demand::There(versions) => standing::among(cx, entity, id, versions).await?,
                Demand::New => {
                    let text = "a row with this key is there";
                    return Err(Error::new(Code::VersionMismatch, text));
                }
            };
            return change(cx, entity, id, key, body, version, &access)
                .await
                .map(|()| Upserted::Changed(id));
        }
        let access = rights::may(&cx.actor, entity, "create")?;
        if let Demand::There(_) = demand {
            return Err(Error::new(Code::VersionMismatch, "no row with this key is there"));
        }
        // What the insert took (a number of a series) goes back when another was faster.
        cx.savepoint().await?;
        let made = match create::create(cx, entity, body.clone(), &access).await {
            Ok(id) => cx.end_part().await.map(|()| id),
            Err(error) => Err(error),
        };
        match made {
            Ok(id) => return Ok(Upserted::Created(id)),
            Err(error) => {
                cx.undo_savepoint().await?;
                round += 1;
                if !clashes(&error, key) || round >= ROUNDS_MAX {
                    return Err(error);
                }
            }
        }
    }
}

fn clashes(error: &Error, key: &Unique) -> bool {
    let field = key.fields.first().copied().unwrap_or_default();
    error.code() == key.code && error.list().iter().any(|fault| fault.field == field)
}

/// The key's values, read as their kinds; a natural key is given whole.
fn key_values(
    entity: &'static Entity,
    key: &Unique,
    body: &Map<String, Value>,
) -> Result<Vec<Bound>> {
    let mut values = Vec::new();
    let mut faults = Vec::new();
    for name in key.fields {
        let Some(field) = entity.field(name) else {
            return Err(Error::internal(format!("{} has no field {name}", entity.name)));
        };
        match body.get(*name).filter(|value| !value.is_null()) {
            None => {
                let text = "is part of the natural key and must be given";
                faults.push(Fault::new(*name, Code::Required, text));
            }
            Some(value) => match kind::decode(field.kind, value) {
                Ok(value) => values.push(Bound { value, ty: kind::pg_type(field.kind) }),
                Err(refusal) => faults.push(Fault::new(
                    format!("{name}{}", refusal.below),
                    refusal.code,
                    refusal.message,
                )),
            },
        }
    }
    if faults.is_empty() { Ok(values) } else { Err(Error::faults(faults)) }
}

async fn find(
    cx: &Cx,
    entity: &'static Entity,
    key: &Unique,
    values: &[Bound],
) -> Result<Option<Uuid>> {
    let mut params = vec![Bound::uuid(cx.org)];
    let mut place = String::new();
    for (name, value) in key.fields.iter().zip(values) {
        params.push(value.clone());
        place.push_str(&format!(" and \"{name}\" = ${}", params.len()));
    }
    let living = if entity.soft_deletes() { " and deleted_at is null" } else { "" };
    let lock = if entity.log { "" } else { " for update" };
    let sql = format!("select id from \"{}\" where org_id = $1{living}{place}{lock}", entity.name);
    let rows = cx.query_typed(&sql, &params).await?;
    rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Fields that are set once may be given again with the value that they have.
async fn change(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    key: &Unique,
    mut body: Map<String, Value>,
    version: Option<i64>,
    access: &Access,
) -> Result<()> {
    let row = match get::row(cx, entity, id, Lock::None, access).await {
        Ok(row) => row,
        // It is there, but not in the caller's reach: what a create would have been told.
        Err(error) if error.code() == Code::NotFound => {
            let field = key.fields.first().copied().unwrap_or_default();
            return Err(Error::field(key.code, field, key.code.title()));
        }
        Err(error) => return Err(error),
    };
    for name in key.fields {
        body.remove(*name);
    }
    for field in entity.fields.iter().filter(|f| f.access == entity::Access::WriteOnce) {
        if body.get(field.name).is_some_and(|given| same(field, given, row.get(field.name))) {
            body.remove(field.name);
        }
    }
    if body.get("id").is_some_and(|given| given.as_str() == Some(id.to_string().as_str())) {
        body.remove("id");
    }
    patch::update(cx, entity, id, body, version, access).await
}

/// The same value, however it was written: `12.5` and `12.50` of one currency are.
pub(crate) fn same(field: &entity::Field, given: &Value, present: Option<&Value>) -> bool {
    let present = present.unwrap_or(&Value::Null);
    if given.is_null() || present.is_null() {
        return given == present;
    }
    if second_column(field.kind, field.name).is_some() {
        let (a, b) = (kind::decode_pair(field.kind, given), kind::decode_pair(field.kind, present));
        return a.is_ok() && a == b;
    }
    let (a, b) = (kind::decode(field.kind, given), kind::decode(field.kind, present));
    a.is_ok() && a == b
}
