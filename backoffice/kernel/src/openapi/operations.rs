//! Operations: what each path takes and answers.

use serde_json::{Map, Value, json};

use super::{files, lists, schemas, writing};
use crate::action::{Action, Answers, On};
use crate::dispatch::{self, AccountRoute};
use crate::entity::{Entity, Plan};
use crate::registry::{Member, Registry};

pub(super) type Paths = Map<String, Value>;

pub(super) fn entity(
    registry: &Registry,
    member: &Member,
    paths: &mut Paths,
    schemas: &mut Map<String, Value>,
) {
    if !dispatch::is_served(registry, member) {
        return;
    }
    let entity = member.entity;
    schemas.insert(entity.name.to_owned(), schemas::row(entity));
    if entity.operations.read {
        schemas.insert(format!("{}.listed", entity.name), lists::row(registry, member));
    }
    if entity.operations.create {
        schemas.insert(format!("{}.create", entity.name), schemas::create(entity));
    }
    if entity.operations.patch {
        schemas.insert(format!("{}.patch", entity.name), schemas::patch(entity));
    }
    collection(registry, member, &format!("/{}", member.route), &[], paths);
    one(member, paths);
    for action in dispatch::actions(registry, entity) {
        act(member, action, paths);
    }
    writing::entity(registry, member, paths);
    files::entity(registry, member, paths);
    for child in registry.children(entity) {
        let Some(below) = registry.member(child.entity.name) else { continue };
        if entity.operations.read && dispatch::is_served(registry, below) {
            let path = format!("/{}/{{id}}/{}", member.route, below.route);
            let mut above = vec![id_parameter()];
            let links = below.links.iter().filter(|link| link.target.name == entity.name);
            let links: Vec<&str> = links.map(|link| link.field.name).collect();
            if links.len() > 1 {
                above.push(lists::via(&links));
            }
            collection(registry, below, &path, &above, paths);
        }
    }
}

pub(super) fn account(route: &AccountRoute, paths: &mut Paths) {
    let mut operation = json!({
        "summary": route.about,
        "operationId": id_of(route.method.name(), &format!("/{}", route.path)),
        "tags": ["accounts"],
        "responses": responses(route.status, super::accounts::answer(route)),
    });
    if route.path.contains("{id}") {
        set(&mut operation, "parameters", json!([id_parameter()]));
    }
    if !route.input.is_empty() {
        set(&mut operation, "requestBody", body(schemas::input(route.input.iter())));
    }
    if route.public {
        set(&mut operation, "security", json!([]));
    }
    put(paths, &format!("/{}", route.path), route.method.name(), operation);
}

fn collection(
    registry: &Registry,
    member: &Member,
    path: &str,
    above: &[Value],
    paths: &mut Paths,
) {
    let entity = member.entity;
    if entity.operations.read {
        let mut parameters = above.to_vec();
        parameters.extend(lists::of(entity));
        let page = lists::page(entity);
        let mut operation = described(member, "GET", path, &format!("Lists {}.", spoken(entity)));
        set(&mut operation, "x-right", json!("read"));
        set(&mut operation, "parameters", json!(parameters));
        set(&mut operation, "responses", responses(200, Some(page)));
        put(paths, path, "GET", operation);
    }
    let creates = dispatch::actions(registry, entity).find(|action| action.on == On::Create);
    let input = match creates {
        Some(action) => schemas::input(action.input.iter()),
        None if entity.operations.create => reference(&format!("{}.create", entity.name)),
        None => return,
    };
    let about = creates
        .map_or_else(|| format!("Creates one of {}.", spoken(entity)), |a| a.about.to_owned());
    let mut operation = described(member, "POST", path, &about);
    set(&mut operation, "x-right", json!("create"));
    if let Some(id) = above.first() {
        set(&mut operation, "parameters", json!([id]));
    }
    set(&mut operation, "requestBody", body(input));
    let answer = creates.map_or_else(|| Some(reference(entity.name)), answer);
    let responses = responses(201, answer);
    let responses = if creates.is_some() { accepted(responses) } else { responses };
    set(&mut operation, "responses", responses);
    put(paths, path, "POST", operation);
}

fn one(member: &Member, paths: &mut Paths) {
    let entity = member.entity;
    let path = format!("/{}/{{id}}", member.route);
    let operations = entity.operations;
    let mut add = |allowed: bool, method: &str, about: &str, status: u16, input: Option<Value>| {
        if !allowed {
            return;
        }
        let right = match method {
            "GET" => "read",
            "PATCH" => "update",
            _ => "delete",
        };
        let mut operation = described(member, method, &path, about);
        set(&mut operation, "x-right", json!(right));
        let mut parameters = vec![id_parameter()];
        if method == "GET" {
            parameters.extend(["fields", "include"].map(lists::shared));
        } else {
            parameters.push(if_match());
        }
        set(&mut operation, "parameters", json!(parameters));
        if let Some(input) = input {
            set(&mut operation, "requestBody", body(input));
        }
        let shown = if method == "GET" { ".listed" } else { "" };
        let answer = (status == 200).then(|| reference(&format!("{}{shown}", entity.name)));
        set(&mut operation, "responses", responses(status, answer));
        put(paths, &path, method, operation);
    };
    let patch = reference(&format!("{}.patch", entity.name));
    let spoken = spoken(entity);
    add(operations.read, "GET", &format!("Shows one of {spoken}."), 200, None);
    add(
        operations.patch,
        "PATCH",
        &format!("Changes fields of one of {spoken}."),
        200,
        Some(patch),
    );
    add(operations.delete, "DELETE", &format!("Deletes one of {spoken}."), 204, None);
}

fn act(member: &Member, action: &Action, paths: &mut Paths) {
    let (path, parameters) = match action.on {
        On::Row => {
            let path = format!("/{}/{{id}}/{}", member.route, action.name);
            (path, vec![id_parameter(), if_match()])
        }
        On::Collection => (format!("/{}/{}", member.route, action.name), Vec::new()),
        // Create stands with the collection; internal ones are not served.
        On::Create | On::Internal => return,
    };
    let mut operation = described(member, "POST", &path, action.about);
    set(&mut operation, "x-right", json!(action.name));
    if !parameters.is_empty() {
        set(&mut operation, "parameters", json!(parameters));
    }
    if !action.input.is_empty() {
        set(&mut operation, "requestBody", body(schemas::input(action.input.iter())));
    }
    let answer = answer(action);
    let status = if answer.is_none() { 204 } else { 200 };
    set(&mut operation, "responses", accepted(responses(status, answer)));
    put(paths, &path, "POST", operation);
}

/// An action may leave work to another service and answer before it is done.
fn accepted(mut responses: Value) -> Value {
    let pending = json!({
        "description": "Another service finishes; Location is the operation to look at.",
        "headers": {"Location": {"schema": {"type": "string"}}},
        "content": {"application/json": {"schema": {
            "type": "object",
            "required": ["id", "status", "location"],
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "status": {"type": "string", "enum": ["pending"]},
                "location": {"type": "string"},
            },
        }}},
    });
    set(&mut responses, "202", pending);
    responses
}

fn answer(action: &Action) -> Option<Value> {
    match action.answers {
        Answers::Row => Some(reference(action.entity.name)),
        Answers::Object(fields) => Some(schemas::input(fields.iter())),
        Answers::Nothing => None,
    }
}

pub(super) fn described(member: &Member, method: &str, path: &str, about: &str) -> Value {
    let mut operation = json!({
        "summary": about,
        "operationId": id_of(method, path),
        "tags": [member.domain.name],
        "x-grant": member.entity.grant,
    });
    if member.entity.plan != Plan::Core {
        set(&mut operation, "x-plan", json!(member.entity.plan.name()));
    }
    operation
}

/// `GET /events/{id}/ticket-types` is `get_events_id_ticket_types`.
fn id_of(method: &str, path: &str) -> String {
    let path: String = path
        .chars()
        .filter(|c| !matches!(c, '{' | '}'))
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .collect();
    format!("{}{path}", method.to_lowercase())
}

pub(super) fn id_parameter() -> Value {
    json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}})
}

pub(super) fn if_match() -> Value {
    json!({
        "name": "If-Match", "in": "header", "schema": {"type": "string"},
        "description": "ETag of the row as it was read, or several of which one must be the row's; 412 when it was changed since.",
    })
}

pub(super) fn responses(status: u16, schema: Option<Value>) -> Value {
    let good = match schema {
        Some(schema) => json!({
            "description": "Done.",
            "content": {"application/json": {"schema": schema}},
        }),
        None => json!({"description": "Done; there is nothing to show."}),
    };
    let mut all = Map::new();
    all.insert(status.to_string(), good);
    all.insert("default".to_owned(), json!({"$ref": "#/components/responses/problem"}));
    Value::Object(all)
}

pub(super) fn body(schema: Value) -> Value {
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}

pub(super) fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

pub(super) fn spoken(entity: &Entity) -> String {
    entity.name.replace('_', " ")
}

pub(super) fn set(operation: &mut Value, key: &str, value: Value) {
    if let Some(map) = operation.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

pub(super) fn put(paths: &mut Paths, path: &str, method: &str, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    set(item, &method.to_lowercase(), operation);
}
