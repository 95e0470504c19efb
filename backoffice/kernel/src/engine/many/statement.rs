//! The statements over arrays: one parameter a column, one element a row.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Item;
use crate::ddl;
use crate::engine::reach;
use crate::entity::{Entity, Kind};
use crate::kind;
use crate::param::{Bound, Param};
use crate::rights::Access;

/// A column of the rows: its name, an array of values, and how an element becomes a value.
pub(super) struct Array {
    name: String,
    values: Bound,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    /// A list travels as JSON: `unnest` would take arrays of arrays apart.
    List,
}

pub(super) fn texts(name: &str, texts: Vec<String>) -> Array {
    let list = Param::List(texts.into_iter().map(Param::Text).collect());
    Array {
        name: name.to_owned(),
        values: Bound { value: list, ty: Type::TEXT_ARRAY },
        form: Form::Plain,
    }
}

/// The columns that all of these rows name.
pub(super) fn columns(entity: &'static Entity, items: &[Item]) -> Vec<Array> {
    let Some(first) = items.first() else { return Vec::new() };
    let mut arrays = Vec::new();
    for (index, (name, bound)) in first.columns.names.iter().zip(&first.columns.values).enumerate()
    {
        let of_row = |item: &Item| {
            item.columns.values.get(index).map_or(Param::Null, |bound| bound.value.clone())
        };
        let list =
            entity.field(name).is_some_and(|field| matches!(field.kind, Kind::TextList { .. }));
        let (values, ty, form) = if list {
            (
                items.iter().map(|item| as_json(of_row(item))).collect(),
                Type::JSONB_ARRAY,
                Form::List,
            )
        } else {
            (items.iter().map(of_row).collect(), kind::array_type(&bound.ty), Form::Plain)
        };
        let values = Bound { value: Param::List(values), ty };
        arrays.push(Array { name: name.to_string(), values, form });
    }
    arrays
}

fn as_json(value: Param) -> Param {
    let Param::List(items) = value else { return Param::Null };
    let texts = items.into_iter().filter_map(|item| match item {
        Param::Text(text) => Some(Value::String(text)),
        _ => None,
    });
    Param::Json(Value::Array(texts.collect()))
}

/// Arrays that every statement carries, then those of the columns; `x_0`, `x_1`, … in SQL.
struct Rows {
    params: Vec<Bound>,
    names: Vec<String>,
}

impl Rows {
    fn add(&mut self, values: Bound) -> String {
        self.params.push(values);
        let name = format!("x_{}", self.names.len());
        self.names.push(name.clone());
        name
    }

    /// `unnest($1, $2, …) as x (x_0, x_1, …)`.
    fn unnest_sql(&self) -> String {
        let places: Vec<String> = (1..=self.params.len()).map(|n| format!("${n}")).collect();
        format!("unnest({}) as x ({})", places.join(", "), self.names.join(", "))
    }
}

fn element(name: &str, form: Form) -> String {
    match form {
        Form::Plain => format!("x.{name}"),
        Form::List => format!(
            "case when x.{name} is null then null else \
             array(select jsonb_array_elements_text(x.{name})) end"
        ),
    }
}

fn list(items: &[Item], ty: Type, value: impl Fn(&Item) -> Param) -> Bound {
    Bound { value: Param::List(items.iter().map(value).collect()), ty }
}

pub(super) fn insert(
    entity: &'static Entity,
    org: Uuid,
    now: Timestamp,
    items: &[Item],
    arrays: Vec<Array>,
) -> (String, Vec<Bound>) {
    let mut rows = Rows { params: Vec::new(), names: Vec::new() };
    let id = rows.add(list(items, Type::UUID_ARRAY, |item| Param::Uuid(item.id)));
    let mut names = vec!["\"id\"".to_owned()];
    let mut values = vec![format!("x.{id}")];
    for array in arrays {
        names.push(format!("\"{}\"", array.name));
        let name = rows.add(array.values);
        values.push(element(&name, array.form));
    }
    if ddl::has_custom_fields(entity) {
        let custom = |item: &Item| Param::Json(Value::Object(item.columns.custom.set.clone()));
        names.push("\"custom\"".to_owned());
        let name = rows.add(list(items, Type::JSONB_ARRAY, custom));
        values.push(format!("x.{name}"));
    }
    let from = rows.unnest_sql();
    let mut params = rows.params;
    params.push(Bound::uuid(org));
    names.push("\"org_id\"".to_owned());
    values.push(format!("${}", params.len()));
    params.push(Bound { value: Param::Instant(now), ty: Type::TIMESTAMPTZ });
    let stamps: &[&str] =
        if ddl::is_versioned(entity) { &["created_at", "updated_at"] } else { &["created_at"] };
    for stamp in stamps {
        names.push(format!("\"{stamp}\""));
        values.push(format!("${}", params.len()));
    }
    let sql = format!(
        "insert into \"{}\" ({}) select {} from {from}",
        entity.name,
        names.join(", "),
        values.join(", ")
    );
    (sql, params)
}

pub(super) fn update(
    entity: &'static Entity,
    org: Uuid,
    now: Timestamp,
    items: &[Item],
    access: &Access,
) -> (String, Vec<Bound>) {
    let mut rows = Rows { params: Vec::new(), names: Vec::new() };
    let id = rows.add(list(items, Type::UUID_ARRAY, |item| Param::Uuid(item.id)));
    let version = rows
        .add(list(items, Type::INT8_ARRAY, |item| item.version.map_or(Param::Null, Param::Int)));
    let mut sets = Vec::new();
    for array in columns(entity, items) {
        let name = rows.add(array.values);
        sets.push(format!("\"{}\" = {}", array.name, element(&name, array.form)));
    }
    if items.iter().any(|item| !item.columns.custom.is_empty()) {
        let set = |item: &Item| Param::Json(Value::Object(item.columns.custom.set.clone()));
        let unset = |item: &Item| {
            let keys = item.columns.custom.unset.iter().cloned().map(Value::String);
            Param::Json(Value::Array(keys.collect()))
        };
        let set = rows.add(list(items, Type::JSONB_ARRAY, set));
        let unset = rows.add(list(items, Type::JSONB_ARRAY, unset));
        let unset = element(&unset, Form::List);
        sets.push(format!("\"custom\" = (\"custom\" || x.{set}) - {unset}"));
    }
    let from = rows.unnest_sql();
    let mut params = rows.params;
    params.push(Bound { value: Param::Instant(now), ty: Type::TIMESTAMPTZ });
    sets.push(format!("\"updated_at\" = ${}", params.len()));
    sets.push("\"version\" = \"version\" + 1".to_owned());
    let place = reach(entity, org, access, &mut params);
    let sql = format!(
        "update \"{}\" set {} from {from}{place} and \"id\" = x.{id} \
         and (x.{version} is null or \"version\" = x.{version}) returning \"id\"",
        entity.name,
        sets.join(", ")
    );
    (sql, params)
}
