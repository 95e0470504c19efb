//! What every operation shares: headers, refusals, the organization, an example of the body. Added
//! in one pass over the finished document, so that no operation can lack it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::example;
use crate::error::Code;

const METHODS: &[&str] = &["get", "put", "post", "patch", "delete"];

/// Refusals by status: name below `components/responses` and when it is so.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("400", "malformed", "The request cannot be understood."),
    ("401", "unauthenticated", "Nobody is signed in, or the token is not valid."),
    ("403", "forbidden", "The caller may not do this."),
    ("404", "missing", "There is no such thing, or it is another organization's."),
    ("409", "conflict", "It does not fit the present state."),
    ("412", "changed", "The row was changed since it was read."),
    ("413", "too_large", "The body is too large."),
    ("415", "unsupported", "The body is of another media type."),
    ("422", "invalid", "Fields are not acceptable; `errors` names them all."),
    ("429", "limited", "Too many requests; `Retry-After` says when."),
];

/// Headers of every answer.
const ALWAYS: &[&str] = &["RateLimit", "RateLimit-Policy", "X-Request-Id"];

pub(super) fn headers() -> Value {
    let header = |about: &str, example: &str| json!({"description": about, "schema": {"type": "string", "examples": [example]}});
    json!({
        "ETag": header("Version of what is answered, and to readers a digest of what is shown.", "\"3.5f0c9a1be2d47780\""),
        "Location": header("Where the new row is.", "/api/v1/events/0198…"),
        "RateLimit": header(
            "What is left (draft-ietf-httpapi-ratelimit-headers): r requests, whole again in t s.",
            "\"credential\";r=99;t=1, \"organization\";r=999;t=1",
        ),
        "RateLimit-Policy": header(
            "The limits that were charged: q requests in w seconds.",
            "\"credential\";q=100;w=60, \"organization\";q=1000;w=60",
        ),
        "Retry-After": header("Seconds to wait.", "3"),
        "X-Request-Id": header("Id of the request, in the log and in problems.", "0198c0de-…"),
    })
}

pub(super) fn parameters() -> Value {
    json!({
        "organization": {
            "name": "X-Organization",
            "in": "header",
            "schema": {"type": "string", "format": "uuid"},
            "description": "Organization to work in; needed by a person who is in several.",
        },
    })
}

pub(super) fn responses() -> Value {
    let mut all = Map::new();
    let listed = |status: &str| REFUSALS.iter().any(|(own, ..)| *own == status);
    let others = codes(|status| !listed(status));
    let about = format!("The request was refused or failed. {others}");
    all.insert("problem".to_owned(), refusal(&about, None));
    for (status, name, about) in REFUSALS {
        let about = format!("{about} {}", codes(|own| own == *status));
        all.insert((*name).to_owned(), refusal(&about, Some(status)));
    }
    Value::Object(all)
}

/// Names of the codes with such a status, as a sentence.
fn codes(with: impl Fn(&str) -> bool) -> String {
    let all = Code::ALL.iter().filter(|code| with(&code.status().to_string()));
    let names: Vec<String> = all.map(|code| format!("`{}`", code.name())).collect();
    format!("Codes: {}.", names.join(", "))
}

fn refusal(about: &str, status: Option<&str>) -> Value {
    let mut headers = references(ALWAYS);
    if let (Some("429"), Some(headers)) = (status, headers.as_object_mut()) {
        headers
            .insert("Retry-After".to_owned(), json!({"$ref": "#/components/headers/Retry-After"}));
    }
    let mut media = json!({"schema": {"$ref": "#/components/schemas/problem"}});
    let code = Code::ALL.iter().find(|code| Some(code.status().to_string().as_str()) == status);
    if let (Some(code), Some(media)) = (code, media.as_object_mut()) {
        let example = json!({
            "type": code.type_uri(),
            "title": code.title(),
            "status": code.status(),
            "detail": code.title().to_lowercase(),
            "code": code.name(),
            "errors": [],
            "request_id": "0198c0de-0000-7000-8000-000000000001",
        });
        media.insert("example".to_owned(), example);
    }
    json!({
        "description": about,
        "headers": headers,
        "content": {"application/problem+json": media},
    })
}

fn references(names: &[&str]) -> Value {
    let each = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")})));
    Value::Object(each.collect())
}

/// Completes every operation.
pub(super) fn finish(document: &mut Value) {
    let Some(Value::Object(mut paths)) = document.get_mut("paths").map(Value::take) else { return };
    for (path, item) in &mut paths {
        let outside = item.get("servers").is_some();
        for method in METHODS {
            let Some(operation) = item.get_mut(*method).and_then(Value::as_object_mut) else {
                continue;
            };
            describe(operation);
            if !outside {
                organization(operation);
                refusals(operation, path, method);
            }
            success(operation, outside);
            body(document, operation);
        }
    }
    if let Some(document) = document.as_object_mut() {
        document.insert("paths".to_owned(), Value::Object(paths));
    }
    while prune(document) {}
}

/// Takes out components that nothing refers to; whether there were any. What they referred to is
/// taken by the next turn.
fn prune(document: &mut Value) -> bool {
    let mut used = BTreeSet::new();
    references_of(document, &mut used);
    let Some(Value::Object(components)) = document.get_mut("components") else { return false };
    let mut pruned = false;
    for (section, members) in components.iter_mut().filter(|(name, _)| *name != "securitySchemes") {
        let Some(members) = members.as_object_mut() else { continue };
        let before = members.len();
        members.retain(|name, _| used.contains(&format!("#/components/{section}/{name}")));
        pruned |= members.len() < before;
    }
    pruned
}

fn references_of(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Object(all) => {
            used.extend(all.get("$ref").and_then(Value::as_str).map(str::to_owned));
            all.values().for_each(|value| references_of(value, used));
        }
        Value::Array(all) => all.iter().for_each(|value| references_of(value, used)),
        _ => {}
    }
}

/// A reader finds more than the summary: the right and the plan that are needed.
fn describe(operation: &mut Map<String, Value>) {
    if operation.contains_key("description") {
        return;
    }
    let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
    let (summary, grant, right) = (text("summary"), text("x-grant"), text("x-right"));
    let mut description = match (grant, right) {
        ("", _) | (_, "") => summary.to_owned(),
        _ => format!("{summary} Needs the right `{right}` on `{grant}`."),
    };
    let plan = text("x-plan");
    if !plan.is_empty() {
        let code = Code::PlanRequired.name();
        description.push_str(&format!(" Needs the plan `{plan}`, else 403 `{code}`."));
    }
    operation.insert("description".to_owned(), Value::String(description));
}

fn is_public(operation: &Map<String, Value>) -> bool {
    operation.get("security").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

fn organization(operation: &mut Map<String, Value>) {
    if is_public(operation) {
        return;
    }
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(json!({"$ref": "#/components/parameters/organization"}));
    }
}

fn refusals(operation: &mut Map<String, Value>, path: &str, method: &str) {
    let public = is_public(operation);
    let sends = operation.contains_key("requestBody");
    let matches = operation.get("parameters").and_then(Value::as_array).is_some_and(|all| {
        all.iter().any(|one| one.get("name").and_then(Value::as_str) == Some("If-Match"))
    });
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, name, _) in REFUSALS {
        let applies = match *status {
            "401" | "403" => !public || path == "/sessions",
            "404" => path.contains('{'),
            "409" => method != "get",
            "412" => matches,
            "413" | "415" | "422" => sends,
            _ => true,
        };
        if applies && !responses.contains_key(*status) {
            let reference = json!({"$ref": format!("#/components/responses/{name}")});
            responses.insert((*status).to_owned(), reference);
        }
    }
}

/// Headers of the good answers: those of all, the version with a row, the place of a new one.
fn success(operation: &mut Map<String, Value>, outside: bool) {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, response) in responses {
        if !status.starts_with('2') {
            continue;
        }
        let schema = response.pointer("/content/application~1json/schema/$ref");
        let row = schema.and_then(Value::as_str).is_some();
        let mut names = if outside { vec!["X-Request-Id"] } else { ALWAYS.to_vec() };
        names.extend((row && !outside).then_some("ETag"));
        names.extend((status == "201" && row).then_some("Location"));
        let Some(response) = response.as_object_mut() else { continue };
        let headers = response.entry("headers").or_insert_with(|| json!({}));
        let (Some(headers), Value::Object(more)) = (headers.as_object_mut(), references(&names))
        else {
            continue;
        };
        for (name, reference) in more {
            headers.entry(name).or_insert(reference);
        }
    }
}

fn body(document: &Value, operation: &mut Map<String, Value>) {
    let Some(content) = operation.get_mut("requestBody").and_then(|body| body.get_mut("content"))
    else {
        return;
    };
    let Some(media) = content.get_mut("application/json").and_then(Value::as_object_mut) else {
        return;
    };
    if media.contains_key("example") || media.contains_key("examples") {
        return;
    }
    let made = media.get("schema").and_then(|schema| example::of(document, schema));
    if let Some(made) = made {
        media.insert("example".to_owned(), made);
    }
}
