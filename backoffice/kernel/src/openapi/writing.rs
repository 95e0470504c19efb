//! Operations of writing beside create, patch and delete: bulk, upsert, restore, moves that need no
//! action, histories, and the header that makes a repeated request safe.

use serde_json::{Map, Value, json};

use super::operations::{
    Paths, body, described, id_parameter, if_match, put, reference, responses, set, spoken,
};
use crate::dispatch::{self, OPERATIONS_MAX};
use crate::history;
use crate::registry::{Member, Registry};

pub(super) fn schemas() -> Map<String, Value> {
    let mut all = Map::new();
    all.insert("bulk".to_owned(), bulk_input());
    all.insert("bulk_results".to_owned(), bulk_results());
    all.insert("history".to_owned(), feed(false));
    all.insert("activity".to_owned(), feed(true));
    all
}

pub(super) fn parameters() -> Value {
    json!({
        "idempotency_key": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Sent again with the same key, the request has no second effect and the \
                same answer, for 24 hours; with another request, 422.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        },
    })
}

pub(super) fn entity(registry: &Registry, member: &Member, paths: &mut Paths) {
    let entity = member.entity;
    let route = &member.route;
    if dispatch::upserts(entity) {
        let about = format!("Makes or changes one of {}, by its natural key.", spoken(entity));
        let path = format!("/{route}");
        let mut operation = described(member, "PUT", &path, &about);
        let input = reference(&format!("{}.create", entity.name));
        set(&mut operation, "requestBody", body(input));
        let mut answers = responses(200, Some(reference(entity.name)));
        let created = responses(201, Some(reference(entity.name)));
        if let Some(created) = created.get("201") {
            set(&mut answers, "201", created.clone());
        }
        set(&mut operation, "responses", answers);
        set(&mut operation, "parameters", json!([if_match(), if_none_match()]));
        put(paths, &path, "PUT", operation);
    }
    if dispatch::bulks(registry, entity) {
        let about = format!("Writes many of {}: each for itself, or all or none.", spoken(entity));
        let path = format!("/{route}/bulk");
        let mut operation = described(member, "POST", &path, &about);
        set(&mut operation, "requestBody", body(reference("bulk")));
        set(&mut operation, "responses", responses(200, Some(reference("bulk_results"))));
        put(paths, &path, "POST", operation);
    }
    if entity.restorable() {
        let about = format!("Takes the deletion of one of {} back.", spoken(entity));
        verb(member, "restore", &about, paths);
    }
    for name in dispatch::bare_moves(registry, entity) {
        let about = format!("Moves one of {}: {name}.", spoken(entity));
        verb(member, name, &about, paths);
    }
    if history::is_kept(entity) {
        let path = format!("/{route}/{{id}}/history");
        let about = format!("Tells what happened to one of {}.", spoken(entity));
        let mut operation = described(member, "GET", &path, &about);
        let mut parameters = vec![id_parameter()];
        parameters.extend(page_parameters());
        set(&mut operation, "parameters", json!(parameters));
        set(&mut operation, "responses", responses(200, Some(reference("history"))));
        put(paths, &path, "GET", operation);
    }
}

fn if_none_match() -> Value {
    json!({
        "name": "If-None-Match", "in": "header", "schema": {"const": "*"},
        "description": "Makes the row; 412 when one with this key is there.",
    })
}

/// The feed over all entities.
pub(super) fn activity(paths: &mut Paths) {
    let text = |name: &str, about: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}, "description": about});
    let mut parameters = vec![
        text("entity", "Route of an entity, as in paths."),
        text("actor", "Id of who acted."),
        json!({"name": "since", "in": "query", "schema": {"type": "string", "format": "date-time"}}),
    ];
    parameters.extend(page_parameters());
    let operation = json!({
        "summary": "Tells what happened lately, as far as the caller may read it.",
        "description": "A page looks at a bounded number of entries: it may be short, or empty, \
            and have a next one.",
        "operationId": "get_activity",
        "tags": ["accounts"],
        "parameters": parameters,
        "responses": responses(200, Some(reference("activity"))),
    });
    put(paths, "/activity", "GET", operation);
}

/// Every write of entities takes the header.
pub(super) fn add_header(paths: &mut Paths) {
    for item in paths.values_mut() {
        for method in ["post", "put", "patch", "delete"] {
            let Some(operation) = item.get_mut(method).filter(|one| one.get("x-grant").is_some())
            else {
                continue;
            };
            let header = json!({"$ref": "#/components/parameters/idempotency_key"});
            match operation.get_mut("parameters").and_then(Value::as_array_mut) {
                Some(parameters) => parameters.push(header),
                None => set(operation, "parameters", json!([header])),
            }
        }
    }
}

fn verb(member: &Member, name: &str, about: &str, paths: &mut Paths) {
    let path = format!("/{}/{{id}}/{name}", member.route);
    let mut operation = described(member, "POST", &path, about);
    set(&mut operation, "parameters", json!([id_parameter(), if_match()]));
    set(&mut operation, "responses", responses(200, Some(reference(member.entity.name))));
    put(paths, &path, "POST", operation);
}

fn page_parameters() -> [Value; 2] {
    [
        json!({"name": "limit", "in": "query", "schema": {
            "type": "integer", "minimum": 1, "maximum": history::LIMIT_MAX,
            "default": history::LIMIT_DEFAULT,
        }}),
        json!({
            "name": "cursor", "in": "query", "schema": {"type": "string", "format": "uuid"},
            "description": "From page.next of the page before.",
        }),
    ]
}

fn bulk_input() -> Value {
    let id = json!({"type": "string", "format": "uuid"});
    let version =
        json!({"type": "integer", "description": "As If-Match: 412 unless it still has it."});
    let data = json!({"type": "object"});
    let one = |op: &str, required: &[&str], members: Value| {
        let mut properties = members;
        set(&mut properties, "op", json!({"const": op}));
        let mut all = vec!["op"];
        all.extend(required);
        json!({
            "type": "object", "required": all, "properties": properties,
            "additionalProperties": false,
        })
    };
    json!({
        "type": "object",
        "required": ["mode", "operations"],
        "additionalProperties": false,
        "properties": {
            "mode": {"type": "string", "enum": ["all", "each"], "description":
                "all: everything or nothing, with every fault of every operation; each: what can be \
                 done is done, with a result per operation."},
            "operations": {"type": "array", "minItems": 1, "maxItems": OPERATIONS_MAX, "items": {
                "oneOf": [
                    one("create", &["data"], json!({"data": data})),
                    one("upsert", &["data"], json!({"data": data})),
                    one("update", &["id", "data"], json!({"id": id, "version": version, "data": data})),
                    one("delete", &["id"], json!({"id": id, "version": version})),
                    one("restore", &["id"], json!({"id": id, "version": version})),
                    one("action", &["action"], json!({
                        "action": {"type": "string"}, "id": id, "version": version,
                        "input": {"type": "object"},
                    })),
                ],
            }},
        },
    })
}

fn bulk_results() -> Value {
    json!({
        "type": "object",
        "required": ["results"],
        "properties": {"results": {"type": "array", "items": {
            "type": "object",
            "required": ["status"],
            "properties": {
                "status": {"type": "integer", "description": "As the single request would answer."},
                "data": {},
                "error": reference("problem"),
            },
        }}},
    })
}

fn feed(of_all: bool) -> Value {
    let text = json!({"type": "string"});
    let maybe = json!({"type": ["string", "null"]});
    let id = json!({"type": "string", "format": "uuid"});
    let mut entry = json!({
        "id": id,
        "op": {"type": "string", "enum": ["insert", "update", "delete", "restore", "erase"]},
        "version": {"type": ["integer", "null"]},
        "at": {"type": "string", "format": "date-time"},
        "actor": {
            "type": "object",
            "required": ["kind", "id", "name"],
            "properties": {"kind": text, "id": maybe, "name": maybe},
        },
        "reason": maybe,
        "request_id": {"type": ["string", "null"], "format": "uuid"},
        "redacted": {"type": "boolean", "description": "The values were erased with a person."},
        "fields": {"type": "array", "items": {
            "type": "object",
            "required": ["field", "before", "after"],
            "properties": {"field": text, "before": {}, "after": {}},
        }},
    });
    if of_all {
        set(&mut entry, "entity", json!({"type": "string", "description": "Route of the entity."}));
        set(&mut entry, "row_id", id);
    }
    let required: Vec<String> =
        entry.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
    json!({
        "type": "object",
        "required": ["data", "page"],
        "properties": {
            "data": {"type": "array", "items": {
                "type": "object", "required": required, "properties": entry,
            }},
            "page": {
                "type": "object",
                "required": ["next"],
                "properties": {"next": {"type": ["string", "null"]}},
            },
        },
    })
}
