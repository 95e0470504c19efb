//! Tables of a reference page: parameters, the members of a schema, answers by status.

use serde_json::Value;

use super::html::{escaped, spans};
use super::pages::Operation;

/// What a `$ref` names, else the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let path = value.get("$ref").and_then(Value::as_str);
    path.and_then(|path| document.pointer(path.trim_start_matches('#'))).unwrap_or(value)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn table(caption: &str, heads: &[&str], rows: &str) -> String {
    let heads: String = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    format!(
        "<section class=\"wide\" tabindex=\"0\" aria-label=\"{0}\">\n<table>\n\
         <caption>{0}</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table>\n</section>\n",
        escaped(caption)
    )
}

pub(super) fn parameters(document: &Value, operation: &Operation<'_>) -> String {
    let all = operation.value.get("parameters").and_then(Value::as_array);
    let rows: String = all
        .into_iter()
        .flatten()
        .map(|parameter| {
            let parameter = resolved(document, parameter);
            let required = parameter.get("required") == Some(&Value::Bool(true));
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            format!(
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(text(parameter, "name")),
                escaped(text(parameter, "in")),
                kind(schema),
                spans(&described(text(parameter, "description"), required)),
            )
        })
        .collect();
    match rows.is_empty() {
        true => rows,
        false => {
            let caption = format!("Parameters of {}", operation.id());
            table(&caption, &["Name", "In", "Type", "Meaning"], &rows)
        }
    }
}

fn described(about: &str, required: bool) -> String {
    match (about.is_empty(), required) {
        (true, true) => "Required.".to_owned(),
        (_, false) => about.to_owned(),
        (false, true) => format!("Required. {about}"),
    }
}

/// The members of an object; nothing for what is none.
pub(super) fn schema(document: &Value, caption: &str, schema: &Value) -> String {
    let object = resolved(document, schema);
    let Some(properties) = object.get("properties").and_then(Value::as_object) else {
        return String::new();
    };
    let listed = object.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| listed.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name)));
    let rows: String = properties
        .iter()
        .map(|(name, property)| {
            format!(
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td></tr>\n",
                escaped(name),
                kind(property),
                spans(&described(text(property, "description"), is_required(name))),
            )
        })
        .collect();
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let caption = name.map_or_else(|| caption.to_owned(), |name| format!("{caption}: {name}"));
    if rows.is_empty() { rows } else { table(&caption, &["Field", "Type", "Meaning"], &rows) }
}

pub(super) fn answers(document: &Value, operation: &Operation<'_>) -> String {
    let all = operation.value.get("responses").and_then(Value::as_object);
    let mut rows = String::new();
    let mut shown = String::new();
    for (status, response) in all.into_iter().flatten() {
        let response = resolved(document, response);
        let content = response.get("content").and_then(Value::as_object);
        let media = content.and_then(|all| all.keys().next()).map(String::as_str);
        rows.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
            escaped(status),
            spans(text(response, "description")),
            media.map(|media| format!("<code>{}</code>", escaped(media))).unwrap_or_default(),
        ));
        let body = response.pointer("/content/application~1json/schema");
        if let (true, Some(body)) = (status.starts_with('2'), body) {
            shown.push_str(&schema(
                document,
                &format!("Answer {status} of {}", operation.id()),
                body,
            ));
        }
    }
    let caption = format!("Answers of {}", operation.id());
    format!("{}{shown}", table(&caption, &["Status", "When", "Form"], &rows))
}

/// A type in few words: `string (date)`, `integer, 1 to 200`, `money or null`.
fn kind(schema: &Value) -> String {
    if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
        return escaped(path.rsplit('/').next().unwrap_or_default());
    }
    if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
        let each: Vec<String> = options.iter().map(kind).collect();
        return each.join(" or ");
    }
    let mut words = match schema.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    };
    if let Some(items) = schema.get("items") {
        words = format!("{words} of {}", kind(items));
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        words.push_str(&format!(" ({format})"));
    }
    if let Some(Value::Array(options)) = schema.get("enum") {
        let each: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
        words.push_str(&format!(": {}", each.join(", ")));
    }
    if let (Some(min), Some(max)) = (schema.get("minimum"), schema.get("maximum")) {
        words.push_str(&format!(", {min} to {max}"));
    }
    if let Some(max) = schema.get("maxLength") {
        words.push_str(&format!(", at most {max} characters"));
    }
    escaped(&words)
}
