//! The pages: all operations at a glance, and those of one resource with their parameters, bodies,
//! answers and a call to copy.

use serde_json::Value;

use super::html::{self, escaped, marked, spans};
use super::tables;
use crate::openapi;

/// Operations of one search that are shown.
const FOUND_MAX: usize = 200;
const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];

/// An operation in its place.
pub(super) struct Operation<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    pub(super) value: &'a Value,
    /// Below the API's root, or beside it.
    pub(super) below: bool,
}

impl Operation<'_> {
    fn text(&self, name: &str) -> &str {
        self.value.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn id(&self) -> &str {
        self.text("operationId")
    }

    fn tag(&self) -> &str {
        self.value.pointer("/tags/0").and_then(Value::as_str).unwrap_or_default()
    }

    /// First segment of the path: the page that it stands on.
    fn resource(&self) -> &str {
        self.path.trim_start_matches('/').split('/').next().unwrap_or_default()
    }

    pub(super) fn whole_path(&self) -> String {
        let root = if self.below { "/api/v1" } else { "" };
        format!("{root}{}", self.path)
    }
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        let below = item.get("servers").is_none();
        for method in METHODS {
            let Some(value) = item.get(*method) else { continue };
            all.push(Operation { method, path, value, below });
        }
    }
    all
}

/// The introduction and every operation, or those that were searched for.
pub(super) fn index(document: &Value, query: &str) -> String {
    let all = operations(document);
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let fits = |operation: &&Operation<'_>| {
        let text = format!(
            "{} {} {} {}",
            operation.method,
            operation.path,
            operation.text("summary"),
            operation.tag()
        );
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word.as_str()))
    };
    let mut main = match words.is_empty() {
        true => format!("<h1>API reference</h1>\n{}", marked(openapi::INTRODUCTION)),
        false => format!("<h1>Operations with “{}”</h1>\n", escaped(query)),
    };
    let found: Vec<&Operation<'_>> = all.iter().filter(fits).collect();
    if !words.is_empty() {
        let count = found.len();
        main.push_str(&format!("<p role=\"status\">{count} found.</p>\n"));
    }
    if words.is_empty() {
        main.push_str(&tagged(document, &all));
    } else {
        main.push_str(&list(found.iter().take(FOUND_MAX).copied()));
    }
    let navigation = navigation(document, &all);
    html::page(&html::Page { title: "API reference", query, navigation: &navigation, main: &main })
}

/// All operations below their tags.
fn tagged(document: &Value, all: &[Operation<'_>]) -> String {
    let mut out = String::new();
    for tag in document.get("tags").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        out.push_str(&format!("<h2 id=\"tag-{0}\">{0}</h2>\n", escaped(name)));
        out.push_str(&format!("<p class=\"dim\">{}</p>\n", spans(text("description"))));
        out.push_str(&list(all.iter().filter(|operation| operation.tag() == name)));
    }
    out
}

fn list<'a>(operations: impl Iterator<Item = &'a Operation<'a>>) -> String {
    let mut out = String::from("<ul>\n");
    let mut any = false;
    for operation in operations {
        any = true;
        out.push_str(&format!(
            "<li><a href=\"/docs/{}#{}\"><span class=\"method {}\">{}</span><code>{}</code></a> \
             {}</li>\n",
            escaped(operation.resource()),
            escaped(operation.id()),
            operation.method,
            operation.method.to_uppercase(),
            escaped(operation.path),
            spans(operation.text("summary")),
        ));
    }
    out.push_str("</ul>\n");
    // An empty list is no list to those who hear it.
    if any { out } else { String::from("<p>None.</p>\n") }
}

fn navigation(document: &Value, all: &[Operation<'_>]) -> String {
    let mut out = String::new();
    for tag in document.get("tags").and_then(Value::as_array).into_iter().flatten() {
        let name = tag.get("name").and_then(Value::as_str).unwrap_or_default();
        let mut seen = Vec::new();
        for operation in all.iter().filter(|operation| operation.tag() == name) {
            if !seen.contains(&operation.resource()) {
                seen.push(operation.resource());
            }
        }
        if seen.is_empty() {
            continue;
        }
        out.push_str(&format!("<h2>{}</h2>\n<ul>\n", escaped(name)));
        for resource in seen {
            out.push_str(&format!("<li><a href=\"/docs/{0}\">{0}</a></li>\n", escaped(resource)));
        }
        out.push_str("</ul>\n");
    }
    out
}

/// One resource whole; `None` when no path begins with it.
pub(super) fn resource(document: &Value, name: &str) -> Option<String> {
    let all = operations(document);
    let own: Vec<&Operation<'_>> = all.iter().filter(|one| one.resource() == name).collect();
    if own.is_empty() {
        return None;
    }
    let mut main = format!("<h1>{}</h1>\n{}", escaped(name), list(own.iter().copied()));
    for operation in own {
        main.push_str(&section(document, operation));
    }
    let navigation = navigation(document, &all);
    let title = format!("{name} – API reference");
    Some(html::page(&html::Page { title: &title, query: "", navigation: &navigation, main: &main }))
}

fn section(document: &Value, operation: &Operation<'_>) -> String {
    let (id, method) = (escaped(operation.id()), operation.method);
    let path = escaped(&operation.whole_path());
    let mut out = format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">\
         <a href=\"#{id}\"><span class=\"method {method}\">{}</span><code>{path}</code></a></h2>\n\
         {}\n",
        method.to_uppercase(),
        marked(operation.text("description")),
    );
    out.push_str(&tables::parameters(document, operation));
    if let Some(schema) = operation.value.pointer("/requestBody/content/application~1json/schema") {
        out.push_str(&tables::schema(document, &format!("Body of {}", operation.id()), schema));
    }
    out.push_str(&format!(
        "<pre tabindex=\"0\"><code>{}</code></pre>\n",
        escaped(&curl(operation))
    ));
    out.push_str(&tables::answers(document, operation));
    out.push_str("</section>\n");
    out
}

/// The call as a command to copy: parts in angle brackets are the reader's.
fn curl(operation: &Operation<'_>) -> String {
    let path = operation.whole_path().replace('{', "<").replace('}', ">");
    let method = operation.method.to_uppercase();
    let mut lines = vec![format!("curl -X {method} \"$ATLVS{path}\"")];
    let public =
        operation.value.get("security").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if !public {
        lines.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
    }
    if let Some(media) = operation.value.pointer("/requestBody/content/application~1json") {
        let example = media.get("example").map(|example| format!("{example:#}"));
        // A quote in a text must not end the shell's.
        let body = example.unwrap_or_else(|| "{}".to_owned()).replace('\'', "'\\''");
        lines.push("-H \"Content-Type: application/json\"".to_owned());
        lines.push(format!("-d '{body}'"));
    }
    lines.join(" \\\n  ")
}
