//! The gate's interface as OpenAPI 3.1: paths from the route table, shapes from
//! `openapi/schemas.json`, problem codes from the error table.

use serde_json::{Map, Value, json};

use crate::problem::Code;
use crate::routes::{Auth, Class, Content, Listener, ROUTES, Route};

/// Shapes of bodies, written by hand.
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// The whole document. Public paths are listed under `/api/v1`; `/api` answers the same.
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let Some(path) = route.paths().into_iter().next() else { continue };
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(route.method.name().to_ascii_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gate",
            "version": "1",
            "description": "Sale and admission. Every path under /api/v1 also answers under /api. \
                            Paths under /internal are on the internal listener.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "device": {"type": "http", "scheme": "bearer",
                           "description": "Token of a check-in device"},
                "staff": {"type": "http", "scheme": "bearer",
                          "description": "Session or API token of the back office"},
                "journal": {"type": "http", "scheme": "bearer",
                            "description": "Token of the back office"},
                "order": {"type": "apiKey", "in": "header", "name": "Authorization",
                          "description": "Order <secret>; a wrong one is answered with 404"},
            },
        },
    })
}

fn schemas() -> Value {
    let mut schemas: Value = serde_json::from_str(SCHEMAS).unwrap_or_default();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.wire()).collect();
    if let Some(code) = schemas.pointer_mut("/Problem/properties/code") {
        *code = json!({"enum": codes});
    }
    schemas
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [tag(route)],
        "parameters": parameters(route),
        "responses": responses(route),
    });
    let Some(map) = operation.as_object_mut() else { return operation };
    let security = match route.auth {
        Auth::None => json!([]),
        Auth::Device => json!([{"device": []}]),
        Auth::DeviceOrStaff => json!([{"device": []}, {"staff": []}]),
        Auth::Order => json!([{"order": []}]),
        Auth::Journal => json!([{"journal": []}]),
    };
    map.insert("security".to_owned(), security);
    if let Some(body) = route.body {
        let content = content(Content::Json(body.schema));
        let request = json!({"required": body.required, "content": content});
        map.insert("requestBody".to_owned(), request);
    }
    operation
}

/// `GetEvent` → `getEvent`.
fn operation_id(route: &Route) -> String {
    let name = format!("{:?}", route.operation);
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_ascii_lowercase(), chars.as_str())
    })
}

fn tag(route: &Route) -> &'static str {
    match (route.class, route.listener) {
        (Class::Scan | Class::Upload | Class::Figures, _) => "check-in",
        (Class::Shop, _) => "shop",
        (Class::Feed, _) | (_, Listener::Internal) => "feeds",
        (Class::System, _) => "system",
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut parameters = Vec::new();
    if route.path.contains("{id}") {
        let numbered = route.path.contains("/tickets/") || route.path.contains("/scans/");
        let schema = match numbered {
            true => json!({"type": "string", "pattern": "^[0-9]+-[0-9]+$"}),
            false => json!({"type": "string", "format": "uuid"}),
        };
        parameters.push(json!({"name": "id", "in": "path", "required": true, "schema": schema}));
    }
    for (name, kind, description, required) in route.query {
        let schema = match *kind {
            "uuid" => json!({"type": "string", "format": "uuid"}),
            kind => json!({"type": kind, "minimum": 0}),
        };
        parameters.push(json!({"name": name, "in": "query", "required": required,
                   "description": description, "schema": schema}));
    }
    if route.idempotent {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "description": "A repeated request is answered from the first one's decision",
            "schema": {"type": "string", "minLength": 16, "maxLength": 128},
        }));
    }
    parameters
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for reply in route.replies {
        let mut response = json!({"description": reply.1});
        if let (Some(map), true) = (response.as_object_mut(), reply.2 != Content::Nothing) {
            map.insert("content".to_owned(), content(reply.2));
        }
        responses.insert(reply.0.to_string(), response);
    }
    for status in problem_statuses(route) {
        let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
        responses.entry(status.to_string()).or_insert_with(|| {
            json!({"description": "Problem (RFC 9457)",
                   "content": {"application/problem+json": problem}})
        });
    }
    Value::Object(responses)
}

/// Every problem status that a route can answer with, the door's own included.
pub fn problem_statuses(route: &Route) -> Vec<u16> {
    let mut statuses = route.problems.to_vec();
    if route.class != Class::System {
        statuses.extend([408, 500, 503]);
    }
    if route.path.contains("{id}") || route.auth == Auth::Order {
        statuses.push(404);
    }
    if matches!(route.auth, Auth::Device | Auth::DeviceOrStaff | Auth::Journal) {
        statuses.push(401);
    }
    if matches!(route.class, Class::Scan | Class::Upload | Class::Shop | Class::Figures) {
        statuses.push(429);
    }
    if !route.query.is_empty() || route.idempotent {
        statuses.push(400);
    }
    if route.body.is_some() {
        statuses.extend([400, 413, 415]);
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn content(content: Content) -> Value {
    match content {
        Content::Nothing => json!({}),
        Content::Json(schema) => {
            json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
        }
        Content::Media(media) => json!({media: {}}),
    }
}

#[cfg(test)]
mod tests;
