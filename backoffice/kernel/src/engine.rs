//! One engine for every entity: list, get, create, patch, delete from descriptors. Nothing here is
//! generic over an entity and nothing knows HTTP.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod found;
pub(crate) mod get;
pub(crate) mod keys;
mod layout;
pub(crate) mod links;
pub(crate) mod list;
pub(crate) mod many;
mod numbers;
pub(crate) mod patch;
mod prepare;
pub(crate) mod reach;
pub(crate) mod restore;
pub(crate) mod rules;
pub(crate) mod standing;
mod told;
pub(crate) mod upsert;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::ddl;
use crate::entity::{Entity, Kind, Level};
use crate::error::{Error, Result};
use crate::kind_sql::second_column;
use crate::param::Bound;
use crate::rights::{Access, Reach, Shows};

use layout::Layout;
pub(crate) use told::{SEARCHED_CUSTOM, TOLD_FIELDS_MAX, TOLD_ROWS_MAX, Told, tell, tell_named};

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

/// A column that a row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Shown on rows within this reach of the caller only; absent from the others.
    pub(crate) only: Option<Reach>,
    /// Table whose custom fields these are, of the column that holds them.
    pub(crate) custom_of: Option<&'static str>,
}

impl Column {
    pub(crate) const fn standard(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, only: None, custom_of: None }
    }
}

/// What a row shows under this right to read, in order. Secret fields are not among it.
pub(crate) fn shown(entity: &'static Entity, access: &Access) -> Vec<Column> {
    let mut all = vec![Column::standard("id", Kind::Id)];
    let fields = entity.fields.iter().filter(|field| !field.secret);
    all.extend(fields.filter_map(|field| {
        let only = match access.shows(field) {
            Shows::Always => None,
            Shows::Within(reach) => Some(reach),
            Shows::Never => return None,
        };
        Some(Column { only, ..Column::standard(field.name, field.kind) })
    }));
    let readable = || Level::ALL.iter().any(|level| access.shows_level(*level));
    if ddl::has_custom_fields(entity) && readable() {
        let custom = Column::standard("custom", Kind::Json);
        all.push(Column { custom_of: Some(entity.name), ..custom });
    }
    if ddl::is_versioned(entity) {
        all.push(Column::standard("version", VERSION));
    }
    all.push(Column::standard("created_at", Kind::Instant));
    if ddl::is_versioned(entity) {
        all.push(Column::standard("updated_at", Kind::Instant));
    }
    all
}

/// Reaches that columns are bound to, each once: their conditions lead the select list.
fn reaches(columns: &[Column]) -> Vec<Reach> {
    let mut reaches: Vec<Reach> = columns.iter().filter_map(|column| column.only).collect();
    reaches.sort_unstable();
    reaches.dedup();
    reaches
}

/// The select list that `Layout` reads: first, for each narrower reach, whether the row is in
/// it; then the columns. `alias` names the table where the statement gives it another name.
fn select_list(
    columns: &[Column],
    access: &Access,
    alias: Option<&str>,
    params: &mut Vec<Bound>,
) -> String {
    let mut list = String::with_capacity(columns.len() * 24);
    let put = |list: &mut String, parts: &[&str]| {
        list.push_str(if list.is_empty() { "" } else { ", " });
        parts.iter().for_each(|part| list.push_str(part));
    };
    for reach in reaches(columns) {
        put(&mut list, &[&access.within_sql(reach, alias, params)]);
    }
    let (of, dot) = alias.map_or(("", ""), |alias| (alias, "."));
    for Column { name, kind, custom_of, .. } in columns {
        if let Some(table) = custom_of {
            put(&mut list, &[&crate::custom::shown_sql(table, access, alias, params)]);
            continue;
        }
        put(&mut list, &[of, dot, "\"", name, "\""]);
        if let Some(second) = second_column(*kind, name) {
            put(&mut list, &[of, dot, "\"", &second, "\""]);
        }
    }
    list
}

/// Amounts have a currency beside them and are comparable within it only.
pub(crate) fn is_amount(kind: Kind) -> bool {
    matches!(kind, Kind::Money | Kind::Price)
}

/// Numbers that can be added up.
pub(crate) fn is_number(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Integer { .. }
            | Kind::Decimal { .. }
            | Kind::Percent { .. }
            | Kind::Rate
            | Kind::Quantity { .. }
            | Kind::Duration
    )
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
    access.rows_sql(None, &mut sql, params);
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
