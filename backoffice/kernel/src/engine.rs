//! One engine for every entity: list, get, create, patch, delete from descriptors. Nothing here is
//! generic over an entity and nothing knows HTTP.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod links;
pub(crate) mod list;
pub(crate) mod patch;

use serde_json::{Map, Value};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::ddl;
use crate::entity::{Entity, Kind};
use crate::error::{Error, Result};
use crate::kind;
use crate::kind_sql::second_column;
use crate::param::Bound;
use crate::rights::Access;

/// Who writes: a caller through create and patch, or code that may write any field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    Caller,
    Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    None,
    Update,
}

const VERSION: Kind = Kind::Integer { min: 0, max: i64::MAX };

/// What a row shows, in order. Secret fields are not among it.
pub(crate) fn shown(entity: &'static Entity) -> Vec<(&'static str, Kind)> {
    let mut all = vec![("id", Kind::Id)];
    let fields = entity.fields.iter().filter(|field| !field.secret);
    all.extend(fields.map(|field| (field.name, field.kind)));
    if ddl::is_versioned(entity) {
        all.push(("version", VERSION));
    }
    all.push(("created_at", Kind::Instant));
    if ddl::is_versioned(entity) {
        all.push(("updated_at", Kind::Instant));
    }
    all
}

/// The select list for `shown`.
fn select_list(shown: &[(&'static str, Kind)]) -> String {
    let mut columns = Vec::with_capacity(shown.len());
    for (name, kind) in shown {
        columns.push(format!("\"{name}\""));
        if let Some(second) = second_column(*kind, name) {
            columns.push(format!("\"{second}\""));
        }
    }
    columns.join(", ")
}

/// One row as a JSON object.
fn write_row(row: &Row, shown: &[(&'static str, Kind)], out: &mut Vec<u8>) -> Result<()> {
    let mut index = 0;
    out.push(b'{');
    for (place, (name, kind)) in shown.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        kind::write_text(out, name)?;
        out.push(b':');
        index += kind::encode(row, index, *kind, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn as_map(json: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(json)
        .map_err(|cause| Error::internal(format!("the engine wrote broken JSON: {cause}")))
}

/// ` where …` for the organization's living rows within the caller's reach. Row-level security says
/// the organization again; saying it here gives the planner its index.
fn reach(entity: &Entity, org: Uuid, access: &Access, params: &mut Vec<Bound>) -> String {
    params.push(Bound::uuid(org));
    let mut sql = format!(" where \"org_id\" = ${}", params.len());
    if entity.soft_deletes() {
        sql.push_str(" and \"deleted_at\" is null");
    }
    access.rows_sql(&mut sql, params);
    sql
}

/// Like `reach`, for one row.
fn one(entity: &Entity, org: Uuid, id: Uuid, access: &Access, params: &mut Vec<Bound>) -> String {
    let mut sql = reach(entity, org, access, params);
    params.push(Bound::uuid(id));
    sql.push_str(&format!(" and \"id\" = ${}", params.len()));
    sql
}

/// What an unknown, deleted, foreign or unreachable row answers.
#[track_caller]
fn no_such_row(entity: &Entity) -> Error {
    Error::not_found(&format!("row in {}", entity.route()))
}
