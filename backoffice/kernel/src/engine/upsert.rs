//! A row by its natural key: changed when it is there, made when it is not. Two at once make one row:
//! the unique key decides, and who loses finds the other's row.
//!
//! A deleted row with that key is left as it is and a new one is made: its deletion was a decision,
//! and bringing it back would bring back values that the caller did not send. Restoring has a verb.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Lock, create, get, keys, patch, standing};
use crate::cx::Cx;
use crate::entity::{self, Entity, Field, Unique};
use crate::error::{Code, Error, Fault, Result};
use crate::kind;
use crate::kind_sql::second_column;
use crate::param::Param;
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

impl Upserted {
    pub(crate) fn id(self) -> Uuid {
        match self {
            Self::Created(id) | Self::Changed(id) => id,
        }
    }
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
    let parts = parts(entity, key)?;
    let values = [key_values(&parts, &body)?];
    let mut round = 0;
    loop {
        let found = keys::find(cx, entity, &parts, &values, &Access::all(), Lock::Update).await?;
        if let Some(Some(id)) = found.first().copied() {
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

pub(super) fn clashes(error: &Error, key: &Unique) -> bool {
    let field = key.fields.first().copied().unwrap_or_default();
    error.code() == key.code && error.list().iter().any(|fault| fault.field == field)
}

/// The fields of a key.
pub(super) fn parts(entity: &'static Entity, key: &Unique) -> Result<Vec<&'static Field>> {
    let no_such = |name| Error::internal(format!("{} has no field {name}", entity.name));
    key.fields.iter().map(|name| entity.field(name).ok_or_else(|| no_such(name))).collect()
}

/// The key's values, read as their kinds; a natural key is given whole.
pub(super) fn key_values(
    parts: &[&'static Field],
    body: &Map<String, Value>,
) -> Result<Vec<Param>> {
    let mut values = Vec::new();
    let mut faults = Vec::new();
    for field in parts {
        let name = field.name;
        match body.get(name).filter(|value| !value.is_null()) {
            None => {
                let text = "is part of the natural key and must be given";
                faults.push(Fault::new(name, Code::Required, text));
            }
            Some(value) => match kind::decode(field.kind, value) {
                Ok(value) => values.push(value),
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

async fn change(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    key: &Unique,
    body: Map<String, Value>,
    version: Option<i64>,
    access: &Access,
) -> Result<()> {
    let row = match get::row(cx, entity, id, Lock::None, access).await {
        Ok(row) => row,
        // It is there, but not in the caller's reach: what a create would have been told.
        Err(error) if error.code() == Code::NotFound => return Err(taken(key)),
        Err(error) => return Err(error),
    };
    let body = changes(entity, id, key, body, &row);
    patch::update(cx, entity, id, body, version, access).await
}

/// What who may not reach the row with the key is told.
#[track_caller]
pub(super) fn taken(key: &Unique) -> Error {
    let field = key.fields.first().copied().unwrap_or_default();
    Error::field(key.code, field, key.code.title())
}

/// Of a body what changes a row that is there: not its key. Fields that are set once may be given
/// again with the value that they have.
pub(super) fn changes(
    entity: &'static Entity,
    id: Uuid,
    key: &Unique,
    mut body: Map<String, Value>,
    row: &Map<String, Value>,
) -> Map<String, Value> {
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
    body
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
