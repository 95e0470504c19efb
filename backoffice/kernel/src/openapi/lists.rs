//! Lists: their parameters and what they answer.

use serde_json::{Map, Value, json};

use super::schemas;
use crate::engine;
use crate::entity::{Entity, Kind, View};
use crate::filter;
use crate::page::group::{FIGURES_MAX, Function, GROUPS_WITH_ROWS_MAX, KEYS_MAX, ROWS_MAX};
use crate::page::{INCLUDES_MAX, LIMIT_DEFAULT, LIMIT_MAX, SEARCH_CHARS_MAX, TREE_DEPTH_MAX};
use crate::registry::{Member, Registry};
use crate::rights::Access;

/// Parameters that all lists share.
pub(super) fn parameters() -> Map<String, Value> {
    let parameter = |(name, schema, about): (&str, Value, String)| {
        let one = json!({"name": name, "in": "query", "schema": schema, "description": about});
        (format!("list_{name}"), one)
    };
    of_rows().into_iter().chain(of_views()).map(parameter).collect()
}

fn text(name: &'static str, about: impl Into<String>) -> (&'static str, Value, String) {
    (name, json!({"type": "string"}), about.into())
}

fn one_of(name: &'static str, options: &[&str], about: &str) -> (&'static str, Value, String) {
    (name, json!({"type": "string", "enum": options}), about.to_owned())
}

fn whole(name: &'static str, max: u32, about: &str) -> (&'static str, Value, String) {
    (name, json!({"type": "integer", "minimum": 1, "maximum": max}), about.to_owned())
}

fn of_rows() -> Vec<(&'static str, Value, String)> {
    let limit = json!({
        "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT,
    });
    let search = json!({"type": "string", "maxLength": SEARCH_CHARS_MAX});
    let words = "Words; the last one as a beginning, \"a phrase\", -without.";
    let limited = format!("Rows, or groups, of a page; {GROUPS_WITH_ROWS_MAX} groups with rows.");
    vec![
        text(
            "where",
            "Tests as JSON: {\"status\": \"draft\"}, {\"seats\": {\"gte\": 100}}, \
             {\"or\": [{…}, {…}]}, and, not.",
        ),
        text("zone", "IANA zone in which days, weeks and months begin; UTC when absent."),
        text("saved_view", "Id of a saved view; parameters of the request win over its own."),
        ("q", search, words.to_owned()),
        one_of(
            "deleted",
            &["with", "only"],
            "Deleted rows too, or only these; needs the right to delete.",
        ),
        text(
            "sort",
            "Fields by comma, - in front for descending: -created_at,name. \
             Nulls are last when ascending, first when descending.",
        ),
        ("limit", limit, limited),
        text("cursor", "From page.next of the page before; fits the same list only."),
        one_of(
            "count",
            &["exact", "estimate", "none"],
            "How page.count is found; when absent exact up to a bound, then estimated.",
        ),
        text("fields", "Fields by comma that rows show; id and version always."),
        text(
            "include",
            format!(
                "Links by comma, {INCLUDES_MAX} at most, whose rows stand in each row, \
                 named without _id."
            ),
        ),
    ]
}

fn of_views() -> Vec<(&'static str, Value, String)> {
    let figures: Vec<&str> = Function::NAMES.iter().map(|(name, _)| *name).collect();
    let figures = figures.join(", ");
    let root = json!({"type": "string", "format": "uuid"});
    vec![
        one_of("view", &["tree"], "Rows below one another."),
        ("root", root, "With view=tree: the row at the top.".to_owned()),
        one_of(
            "shape",
            &["nested", "flat"],
            "With view=tree: children in each row, or rows with depth and path.",
        ),
        whole("depth", TREE_DEPTH_MAX, "With view=tree: levels."),
        text(
            "group",
            format!(
                "Fields by comma, {KEYS_MAX} at most; dates by field:day, week, month, quarter \
                 or year."
            ),
        ),
        text(
            "aggregate",
            format!(
                "Figures by comma, {FIGURES_MAX} at most: {figures}, each but count as \
                 figure:field."
            ),
        ),
        whole("per_group", ROWS_MAX, "First rows to show of each group, in the order of sort."),
    ]
}

/// Parameters of a list of this entity.
pub(super) fn of(entity: &'static Entity) -> Vec<Value> {
    let tree = entity.views.iter().any(|view| matches!(view, View::Tree(_)));
    let searched = entity.fields.iter().any(|field| field.search.is_some());
    let fits = |name: &str| match name {
        "list_view" | "list_root" | "list_shape" | "list_depth" => tree,
        "list_q" => searched,
        "list_deleted" => entity.soft_deletes(),
        _ => true,
    };
    let names = parameters().into_iter().map(|(name, _)| name).filter(|name| fits(name));
    let mut all: Vec<Value> =
        names.map(|name| json!({"$ref": format!("#/components/parameters/{name}")})).collect();
    all.extend(engine::shown(entity, &Access::all()).iter().map(|column| {
        let (name, kind) = (column.name, column.kind);
        let operators = filter::operators(kind);
        let names: Vec<&str> = operators.iter().map(|one| one.name()).collect();
        let plain = if operators.first() == Some(&filter::Operator::Eq) {
            format!("filter[{name}]=value, or ")
        } else {
            String::new()
        };
        let linked = if matches!(kind, Kind::Link { .. }) {
            format!(" filter[{name}.field] tests the linked row.")
        } else {
            String::new()
        };
        let names = names.join(", ");
        json!({
            "name": format!("filter[{name}]"),
            "in": "query",
            "style": "deepObject",
            "schema": {"type": ["object", "string"]},
            "description": format!("{plain}filter[{name}][operator]=value with: {names}.{linked}"),
        })
    }));
    all
}

/// One of the shared parameters.
pub(super) fn shared(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/list_{name}")})
}

/// `via` of a child collection that several links lead to.
pub(super) fn via(links: &[&str]) -> Value {
    json!({
        "name": "via",
        "in": "query",
        "schema": {"type": "string", "enum": links},
        "description": "The link that leads to the row above; the first one when absent.",
    })
}

/// A row of a list: a part of its fields, linked rows, and what the view adds.
pub(super) fn row(registry: &Registry, member: &Member) -> Value {
    let entity = member.entity;
    let mut schema = schemas::row(entity);
    let Some(map) = schema.as_object_mut() else { return schema };
    map.insert("required".to_owned(), json!(["id"]));
    let Some(properties) = map.get_mut("properties").and_then(Value::as_object_mut) else {
        return schema;
    };
    for link in &member.links {
        let name = link.field.name.strip_suffix("_id").unwrap_or(link.field.name);
        let followed = filter::followed(registry, entity, link.field);
        if let (Some(target), false) = (followed, properties.contains_key(name)) {
            let row = reference(&format!("{}.listed", target.name));
            properties.insert(name.to_owned(), json!({"anyOf": [row, {"type": "null"}]}));
        }
    }
    let mut put = |name: &str, schema: Value| {
        properties.insert(name.to_owned(), schema);
    };
    if entity.soft_deletes() {
        put("deleted_at", json!({"type": ["string", "null"], "format": "date-time"}));
    }
    if entity.views.iter().any(|view| matches!(view, View::Tree(_))) {
        let own = reference(&format!("{}.listed", entity.name));
        put("children", json!({"type": "array", "items": own}));
        put("matches", json!({"type": "boolean"}));
        put("depth", json!({"type": "integer"}));
        put("path", json!({"type": "array", "items": {"type": "string", "format": "uuid"}}));
    }
    schema
}

/// A page of rows, or of groups.
pub(super) fn page(entity: &'static Entity) -> Value {
    let row = reference(&format!("{}.listed", entity.name));
    let group = json!({
        "allOf": [reference("figures")],
        "type": "object",
        "required": ["group"],
        "properties": {
            "group": {"type": "object"},
            "rows": {"type": "array", "items": row},
        },
    });
    json!({
        "type": "object",
        "required": ["data", "page"],
        "properties": {
            "data": {"anyOf": [
                {"type": "array", "items": row},
                {"type": "array", "items": group},
            ]},
            "totals": reference("figures"),
            "page": reference("page"),
        },
    })
}

/// What `aggregate` asks for.
pub(super) fn figures() -> Value {
    let amounts = json!({"type": "array", "items": reference("money")});
    let of_fields = json!({
        "type": "object",
        "additionalProperties": {"anyOf": [
            {"type": ["number", "string", "null"]}, amounts,
        ]},
    });
    json!({
        "type": "object",
        "properties": {
            "count": {"type": "integer"},
            "count_distinct": of_fields,
            "sum": of_fields,
            "avg": of_fields,
            "min": of_fields,
            "max": of_fields,
        },
    })
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}
