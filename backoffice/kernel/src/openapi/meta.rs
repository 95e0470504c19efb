//! The shape of what the API tells of itself: every member, its type, and whether it can be missing.
//! A test holds the answers against it, so a console can be made from it alone.

use serde_json::{Map, Value, json};

use crate::meta::VIEW_KINDS;

/// `GET /meta`.
pub(super) fn index() -> Value {
    let mut head = head();
    put(&mut head, "views", texts());
    object(
        &json!({
            "version": text("The same for the same content."),
            "groups": list(&named()),
            "domains": list(&named()),
            "entities": list(&object(&head, &[])),
            "currency_digits": object(
                &json!({
                    "default": {"type": "integer"},
                    "others": {"type": "object", "additionalProperties": {"type": "integer"}},
                }),
                &[],
            ),
            "pages": object(
                &json!({"limit_default": {"type": "integer"}, "limit_max": {"type": "integer"}}),
                &[],
            ),
        }),
        &[],
    )
}

/// `GET /meta/{entity}`.
pub(super) fn entity() -> Value {
    let mut all = head();
    let more = json!({
        "version": text("The same for the same content."),
        "about": {"type": "string"},
        "append_only": flag("Rows are never changed."),
        "restorable": flag("A deletion can be taken back."),
        "importable": flag("Rows may come from files."),
        "searchable": flag("The caller may look for words with `q`."),
        "upsertable": flag("`PUT` makes or changes a row by the natural key."),
        "bulk": flag("Many rows may be written in one request."),
        "history": flag("Changes of a row are kept."),
        "plan": {"type": "string", "enum": crate::entity::Plan::NAMES},
        "portals": list(&json!({"type": "string", "enum": crate::actor::PortalKind::NAMES})),
        "fields": list(&field()),
        "custom_fields": list(&custom_field()),
        "keys": list(&object(&json!({"name": {"type": "string"}, "fields": texts()}), &[])),
        "natural_key": texts(),
        "flow": nullable(flow()),
        "actions": list(&action()),
        "children": list(&object(
            &json!({
                "route": {"type": "string"},
                "entity": {"type": "string"},
                "field": text("The child's link to the row."),
                "title": {"type": "string"},
            }),
            &[],
        )),
        "views": list(&view()),
    });
    add(&mut all, &more);
    object(&all, &[])
}

/// What names an entity, with what the caller may.
fn head() -> Value {
    json!({
        "name": {"type": "string"},
        "domain": {"type": "string"},
        "qualified": text("As links name it: `events.events`."),
        "route": {"type": "string"},
        "group": {"type": "string", "enum": crate::entity::Group::ALL.iter().map(|one| one.name()).collect::<Vec<_>>()},
        "grant": {"type": "string"},
        "title": object(
            &json!({"singular": {"type": "string"}, "plural": {"type": "string"}}),
            &[],
        ),
        "label_field": {"type": ["string", "null"]},
        "operations": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Operations, moves and actions that the caller may.",
        },
    })
}

/// What describes a value wherever it stands: a field, an input, an answer.
fn described() -> Value {
    json!({
        "name": {"type": "string"},
        "label": {"type": "string"},
        "kind": {"type": "string"},
        "widget": text("What a console draws."),
        "about": {"type": "string"},
        "required": {"type": "boolean"},
        "default": {"description": "Null where there is none or the database computes it."},
        "personal": {"type": "boolean"},
        "level": level(),
        "limits": limits(),
        "options": list(&option()),
        "link": object(
            &json!({
                "to": text("`domain.table`"),
                "route": {"type": ["string", "null"]},
                "label_field": {"type": ["string", "null"]},
            }),
            &[],
        ),
    })
}

/// Members that only some fields have: choices, links, and what the generator's own columns lack.
const OF_SOME: &[&str] = &[
    "options", "link", "default", "personal", "level", "limits", "in_key", "searched", "numbered",
    "aliases",
];

fn field() -> Value {
    let mut all = described();
    let more = json!({
        "access": {"type": "string", "enum": ["writable", "once", "by_action", "computed", "system"]},
        "in_key": flag("A part of a unique key."),
        "searched": flag("Its words are found by `q`."),
        "numbered": {"type": ["string", "null"], "description": "Series that fills it."},
        "aliases": texts(),
        "read": {"type": "string", "enum": ["always", "sometimes", "never"]},
        "create": {"type": "boolean"},
        "update": {"type": "boolean"},
    });
    add(&mut all, &more);
    add(&mut all, &listed());
    object(&all, OF_SOME)
}

/// What lists can do with a field.
fn listed() -> Value {
    json!({
        "filter": texts(),
        "sortable": {"type": "boolean"},
        "groupable": {"type": "boolean"},
        "group_by": texts(),
        "aggregates": texts(),
    })
}

fn add(all: &mut Value, more: &Value) {
    for (name, schema) in more.as_object().into_iter().flatten() {
        put(all, name, schema.clone());
    }
}

fn custom_field() -> Value {
    let mut all = json!({
        "name": {"type": "string"},
        "label": {"type": "string"},
        "kind": {"type": "string"},
        "widget": {"type": "string"},
        "required": {"type": "boolean"},
        "level": level(),
        "searched": flag("Its words are found by `q`."),
        "create": {"type": "boolean"},
        "update": {"type": "boolean"},
        "limits": limits(),
        "options": list(&option()),
    });
    add(&mut all, &listed());
    object(&all, &[])
}

fn action() -> Value {
    let values = list(&object(&described(), &["options", "link"]));
    object(
        &json!({
            "name": {"type": "string"},
            "label": {"type": "string"},
            "about": {"type": "string"},
            "on": {"type": "string", "enum": ["row", "collection", "create"]},
            "input": values,
            "answers": {
                "description": "The row, members of an object, or nothing.",
                "anyOf": [{"const": "row"}, values, {"type": "null"}],
            },
            "permitted": {"type": "boolean"},
        }),
        &[],
    )
}

fn flow() -> Value {
    let one = object(
        &json!({
            "action": {"type": "string"},
            "label": {"type": "string"},
            "from": texts(),
            "to": {"type": "string"},
            "required": texts(),
            "permitted": {"type": "boolean"},
        }),
        &[],
    );
    object(
        &json!({
            "field": {"type": "string"},
            "initial": {"type": "string"},
            "states": list(&option()),
            "moves": list(&one),
        }),
        &[],
    )
}

/// `fields` names what the view is drawn by; which members it has depends on the kind.
fn view() -> Value {
    object(
        &json!({
            "kind": {"type": "string", "enum": VIEW_KINDS},
            "fields": {
                "type": "object",
                "additionalProperties": {"anyOf": [{"type": ["string", "null"]}, texts()]},
            },
            "suggested": {"type": "boolean"},
        }),
        &[],
    )
}

fn option() -> Value {
    object(&json!({"value": {"type": "string"}, "label": {"type": "string"}}), &[])
}

fn named() -> Value {
    object(&json!({"name": {"type": "string"}, "label": {"type": "string"}}), &[])
}

fn level() -> Value {
    let names: Vec<&str> = crate::entity::Level::ALL.iter().map(|one| one.name()).collect();
    json!({"type": "string", "enum": names})
}

/// Bounds of a value, as far as its kind has them.
fn limits() -> Value {
    let names = ["characters_max", "items_max", "bytes_max", "scale", "min", "max"];
    let each = names.iter().map(|name| ((*name).to_owned(), json!({"type": "integer"})));
    object(&Value::Object(each.collect()), &names)
}

fn text(about: &str) -> Value {
    json!({"type": "string", "description": about})
}

fn flag(about: &str) -> Value {
    json!({"type": "boolean", "description": about})
}

fn texts() -> Value {
    list(&json!({"type": "string"}))
}

fn list(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

fn nullable(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn put(properties: &mut Value, name: &str, schema: Value) {
    if let Some(properties) = properties.as_object_mut() {
        properties.insert(name.to_owned(), schema);
    }
}

/// Everything is there but what `optional` names.
fn object(properties: &Value, optional: &[&str]) -> Value {
    let names = properties.as_object().map(Map::keys).into_iter().flatten();
    let required: Vec<&String> = names.filter(|name| !optional.contains(&name.as_str())).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty()
        && let Some(schema) = schema.as_object_mut()
    {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}
