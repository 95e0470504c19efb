//! What no entity and no account route says: what the API tells of itself, and the pages for
//! operators and readers.

use serde_json::{Map, Value, json};

use super::meta;

/// Tags of these operations.
pub(super) const TAGS: &[(&str, &str)] = &[
    ("meta", "What the API tells of itself: entities, fields, views, and what the caller may."),
    ("system", "For operators and tools: alive, usable, figures, this description."),
];

pub(super) fn add(paths: &mut Map<String, Value>, schemas: &mut Map<String, Value>) {
    schemas.insert("meta".to_owned(), meta::index());
    schemas.insert("meta.entity".to_owned(), meta::entity());
    let told = |about: &str, id: &str, schema: &str| {
        json!({
            "summary": about,
            "operationId": id,
            "tags": ["meta"],
            "responses": {
                "200": {
                    "description": "Done.",
                    "content": {"application/json": {
                        "schema": {"$ref": format!("#/components/schemas/{schema}")},
                    }},
                },
                "304": {"description": "The caller has it already (If-None-Match)."},
                "default": {"$ref": "#/components/responses/problem"},
            },
        })
    };
    let all = told("Lists the entities that the caller may do anything with.", "get_meta", "meta");
    let mut one = told("Tells one entity whole.", "get_meta_entity", "meta.entity");
    if let Some(operation) = one.as_object_mut() {
        let about = "Route of the entity: `ticket-types`.";
        let schema = json!({"type": "string", "examples": ["events"]});
        let parameter = json!({
            "name": "entity", "in": "path", "required": true, "schema": schema, "description": about,
        });
        operation.insert("parameters".to_owned(), json!([parameter]));
    }
    paths.insert("/meta".to_owned(), json!({"get": all}));
    paths.insert("/meta/{entity}".to_owned(), json!({"get": one}));
    for (path, id, about, media, more) in PAGES {
        paths.insert((*path).to_owned(), page(id, about, media, *more));
    }
}

type Page = (&'static str, &'static str, &'static str, &'static str, Option<&'static str>);

/// Path, operation, what it says, media type, and when it is 503.
const PAGES: &[Page] = &[
    ("/health", "get_health", "Says that the process answers.", "application/json", None),
    (
        "/ready",
        "get_ready",
        "Says whether the service is usable.",
        "application/json",
        Some("Something is missing; the body names it."),
    ),
    ("/openapi.json", "get_openapi", "This document.", "application/json", None),
    ("/docs", "get_docs", "This document for people.", "text/html; charset=utf-8", None),
];

/// Beside the API's paths, without signing in.
fn page(id: &str, about: &str, media: &str, unavailable: Option<&str>) -> Value {
    let schema = match media {
        "application/json" => json!({"type": "object"}),
        _ => json!({"type": "string"}),
    };
    let answer =
        |about: &str| json!({"description": about, "content": {media: {"schema": schema}}});
    let mut responses = Map::new();
    responses.insert("200".to_owned(), answer("Done."));
    responses.extend(unavailable.map(|about| ("503".to_owned(), answer(about))));
    responses.insert("default".to_owned(), json!({"$ref": "#/components/responses/problem"}));
    json!({
        "servers": [{"url": "/"}],
        "get": {
            "summary": about,
            "operationId": id,
            "tags": ["system"],
            "security": [],
            "responses": responses,
        },
    })
}
