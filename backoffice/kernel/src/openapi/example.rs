//! Examples, composed from those of the properties: what a reader can send as it stands.

use serde_json::{Map, Value, json};

/// Nesting that an example follows; deeper parts are left out.
const DEPTH_MAX: usize = 8;

/// An example of a schema of `document`: its own, or one composed from its required properties and
/// those that have an example of their own. `None` where any value would do.
pub(crate) fn of(document: &Value, schema: &Value) -> Option<Value> {
    compose(document, schema, 0)
}

fn compose(document: &Value, schema: &Value, depth: usize) -> Option<Value> {
    if DEPTH_MAX < depth {
        return None;
    }
    if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
        let target = document.pointer(path.trim_start_matches('#'))?;
        return compose(document, target, depth + 1);
    }
    let first = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|all| all.first());
    if let Some(own) = schema.get("example").or_else(|| first("examples")).or_else(|| first("enum"))
    {
        return Some(own.clone());
    }
    if let Some(own) = schema.get("const").or_else(|| schema.get("default")) {
        return Some(own.clone());
    }
    if let Some(one) = first("anyOf").or_else(|| first("oneOf")) {
        return compose(document, one, depth + 1);
    }
    match kind(schema) {
        Some("object") => object(document, schema, depth),
        Some("array") => {
            let item = schema.get("items").and_then(|items| compose(document, items, depth + 1));
            Some(Value::Array(item.into_iter().collect()))
        }
        Some("boolean") => Some(json!(true)),
        Some("integer" | "number") => Some(schema.get("minimum").cloned().unwrap_or(json!(1))),
        Some("string") => Some(json!("text")),
        _ => None,
    }
}

fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(names) => names.first().and_then(Value::as_str),
        _ => None,
    }
}

/// Required members; where nothing is required, the first two, so that there is something to see.
fn object(document: &Value, schema: &Value, depth: usize) -> Option<Value> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Some(json!({}));
    };
    let listed = schema.get("required").and_then(Value::as_array);
    let required: Vec<&str> =
        listed.map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
    let wanted = |name: &str| required.contains(&name);
    let some = properties.keys().filter(|name| *name != "id").take(2).map(String::as_str);
    let names: Vec<&str> = match required.is_empty() {
        true => some.collect(),
        false => properties.keys().map(String::as_str).filter(|name| wanted(name)).collect(),
    };
    let mut all = Map::new();
    for name in names {
        let value = properties.get(name).and_then(|one| compose(document, one, depth + 1));
        match value {
            Some(value) => drop(all.insert(name.to_owned(), value)),
            None if wanted(name) => drop(all.insert(name.to_owned(), json!({}))),
            None => {}
        }
    }
    Some(Value::Object(all))
}
