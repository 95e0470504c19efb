//! OpenAPI 3.1 from the registry: a schema per entity, operations, problems, security. Nothing is
//! described by hand but the routes of accounts, which dispatch reads from the same table.

mod lists;
mod operations;
mod schemas;
mod writing;

use serde_json::{Map, Value, json};

use crate::dispatch::ACCOUNT_ROUTES;
use crate::registry::Registry;

pub fn document(registry: &Registry) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.extend(schemas::common());
    schemas.extend(writing::schemas());
    for member in registry.members() {
        operations::entity(registry, member, &mut paths, &mut schemas);
    }
    for route in ACCOUNT_ROUTES {
        operations::account(route, &mut paths);
    }
    writing::activity(&mut paths);
    writing::add_header(&mut paths);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ATLVS back office",
            "version": "1",
            "description": "Every path answers under /api/v1 and, the same, under /api.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"bearer": []}, {"cookie": []}],
        "tags": tags(registry),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "parameters": parameters(),
            "responses": {"problem": operations::problem_response()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "__Host-session"},
            },
        },
    })
}

fn parameters() -> Map<String, Value> {
    let mut all = lists::parameters();
    all.extend(crate::kind::object(writing::parameters()).unwrap_or_default());
    all
}

fn tags(registry: &Registry) -> Vec<Value> {
    registry.domains().iter().map(|domain| json!({"name": domain.name})).collect()
}

#[cfg(test)]
mod tests;
