//! OpenAPI 3.1 from the registry: a schema per entity, operations, problems, security. Nothing is
//! described by hand but the routes of accounts, which dispatch reads from the same table, and the
//! pages for operators. What every operation shares is added in one pass at the end.

mod accounts;
mod example;
mod files;
mod lists;
mod meta;
mod operations;
mod schemas;
mod shared;
mod system;
mod writing;

use serde_json::{Map, Value, json};

use crate::dispatch::ACCOUNT_ROUTES;
use crate::registry::Registry;

/// What a reader has to know before the first call; the pages of `/docs` begin with it.
pub(crate) const INTRODUCTION: &str = "\
Every path answers under /api/v1 and, the same, under /api. HEAD is answered wherever GET is, OPTIONS \
everywhere.\n\n\
**Who calls**: `Authorization: Bearer <token>` with an API token or a session's token, or the \
session's cookie from our own pages. A person in several organizations names one in \
`X-Organization`.\n\n\
**Errors** are RFC 9457 problem documents with a stable `code`, every fault of the input in \
`errors`, and the `request_id` that the log knows. What is another organization's is 404.\n\n\
**Limits**: requests a minute by organization and by credential, told in `RateLimit-Policy` and \
`RateLimit`; one too many is 429 with `Retry-After`.\n\n\
**Versions**: a row's `ETag` begins with its version. Send it in `If-Match` to change only what you have \
read (412 otherwise), in `If-None-Match` to be spared what you have (304).";

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
    system::add(&mut paths, &mut schemas);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ATLVS back office",
            "version": "1",
            "summary": "People, events, tickets, money and everything around them.",
            "description": INTRODUCTION,
            "contact": {"name": "The operator of this installation"},
            "license": {"name": "Proprietary", "identifier": "LicenseRef-ATLVS"},
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"bearer": []}, {"cookie": []}],
        "tags": tags(registry),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": shared::headers(),
            "parameters": parameters(),
            "responses": shared::responses(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token (`atlvs_…`) or a session's token (`sess_…`).",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-session",
                    "description": "Set by signing in. What changes something must come from our \
                        own pages (Fetch Metadata, Origin, or the header X-Requested-With).",
                },
            },
        },
    });
    shared::finish(&mut document);
    document
}

fn parameters() -> Map<String, Value> {
    let mut all = lists::parameters();
    all.extend(crate::kind::object(writing::parameters()).unwrap_or_default());
    all.extend(crate::kind::object(shared::parameters()).unwrap_or_default());
    all
}

/// A tag for each domain that shows anything, and those of the routes that no entity has.
fn tags(registry: &Registry) -> Vec<Value> {
    let mut tags: Vec<Value> = Vec::new();
    for domain in registry.domains() {
        let served = registry.members().iter().filter(|member| {
            member.domain.name == domain.name && crate::dispatch::is_served(registry, member)
        });
        let titles: Vec<String> =
            served.map(|member| crate::meta::labels::title(member.entity).1).collect();
        let description = match (domain.name, titles.is_empty()) {
            ("accounts", _) => "Signing in, organizations, who may what.".to_owned(),
            (_, true) => continue,
            _ => format!("{}.", titles.join(", ")),
        };
        tags.push(json!({"name": domain.name, "description": description}));
    }
    tags.extend(
        system::TAGS.iter().map(|(name, about)| json!({"name": name, "description": about})),
    );
    tags
}

#[cfg(test)]
mod tests;
