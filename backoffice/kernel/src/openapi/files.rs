//! Operations on rows as files: export, import, and what became of an import's rows.

use serde_json::{Map, Value, json};

use super::lists;
use super::operations::{described, id_parameter, put, reference, responses, set, spoken};
use crate::csv::IMPORT;
use crate::page::CUT_AND_DRAWN;
use crate::registry::{Member, Registry};

type Paths = Map<String, Value>;

pub(super) fn entity(registry: &Registry, member: &Member, paths: &mut Paths) {
    if member.entity.operations.read {
        export(member, paths);
    }
    if crate::dispatch::imports(registry, member.entity) {
        import(member, paths);
    }
    if member.entity.name == IMPORT.name {
        rows(member, paths);
    }
}

fn parameter(name: &str, about: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "query", "description": about, "schema": schema})
}

fn one_of(names: &[&str], default: &str) -> Value {
    json!({"type": "string", "enum": names, "default": default})
}

fn flag(default: bool) -> Value {
    json!({"type": "boolean", "default": default})
}

const SEPARATORS: &[&str] = &["comma", "semicolon", "tab"];

fn export(member: &Member, paths: &mut Paths) {
    let path = format!("/{}/export", member.route);
    let about =
        format!("Every one of {} that the list would show, as a file.", spoken(member.entity));
    let mut parameters = lists::of(member.entity);
    let paged = |one: &Value| CUT_AND_DRAWN.iter().any(|name| *one == lists::shared(name));
    parameters.retain(|one| !paged(one));
    parameters.extend([
        parameter("separator", "Between cells.", &one_of(SEPARATORS, "comma")),
        parameter("bom", "A byte order mark, by which some spreadsheets know UTF-8.", &flag(false)),
        parameter(
            "links",
            "Linked rows by their ids, or by the key by which people know them.",
            &one_of(&["id", "key"], "id"),
        ),
    ]);
    let mut operation = described(member, "GET", &path, &about);
    set(&mut operation, "parameters", json!(parameters));
    let mut all = responses(200, None);
    set(
        &mut all,
        "200",
        json!({
            "description": "RFC 4180, a header and a row each. An empty cell is null, \"\" an empty text.",
            "headers": {"Content-Disposition": {"schema": {"type": "string"}}},
            "content": {"text/csv": {"schema": {"type": "string"}}},
        }),
    );
    set(&mut operation, "responses", all);
    put(paths, &path, "GET", operation);
}

fn import(member: &Member, paths: &mut Paths) {
    let path = format!("/{}/import", member.route);
    let about =
        format!("Takes a file of {}; it is checked in the background.", spoken(member.entity));
    let parameters = json!([
        parameter(
            "mode",
            "All rows or none, or each batch for itself.",
            &one_of(&["all", "each"], "all")
        ),
        parameter(
            "match",
            "Rows are made, changed, or changed where they are there.",
            &one_of(&["create", "update", "upsert"], "create"),
        ),
        parameter("dry_run", "Waits for commit when it is checked.", &flag(true)),
        parameter("quiet", "Automation does not react to these changes.", &flag(false)),
        parameter(
            "separator",
            "Found by itself when absent.",
            &json!({"type": "string", "enum": SEPARATORS})
        ),
        parameter(
            "mapping",
            "JSON object from headers to fields, or to null to leave a column out.",
            &json!({"type": "string"}),
        ),
    ]);
    let mut operation = described(member, "POST", &path, &about);
    set(&mut operation, "parameters", parameters);
    set(
        &mut operation,
        "requestBody",
        json!({
            "required": true,
            "content": {"text/csv": {"schema": {"type": "string"}}},
        }),
    );
    let mut all = responses(202, Some(reference(IMPORT.name)));
    set(&mut all["202"], "headers", json!({"Location": {"schema": {"type": "string"}}}));
    set(&mut operation, "responses", all);
    put(paths, &path, "POST", operation);
}

fn rows(member: &Member, paths: &mut Paths) {
    let path = format!("/{}/{{id}}/rows", member.route);
    let statuses = ["create", "update", "unchanged", "faulty", "undone", "kept"];
    let mut operation =
        described(member, "GET", &path, "Says what became of each row of the file.");
    let parameters = json!([
        id_parameter(),
        parameter(
            "status",
            "Rows of this fate only.",
            &json!({"type": "string", "enum": statuses})
        ),
        parameter("cursor", "From page.next of the page before.", &json!({"type": "string"})),
        parameter(
            "limit",
            "Rows of one page.",
            &json!({
                "type": "integer", "minimum": 1, "maximum": crate::page::LIMIT_MAX,
                "default": crate::page::LIMIT_DEFAULT,
            })
        ),
    ]);
    set(&mut operation, "parameters", parameters);
    let error = json!({
        "type": "object",
        "required": ["column", "field", "code", "message"],
        "properties": {
            "column": {"type": ["string", "null"], "description": "The file's header."},
            "field": {"type": "string"},
            "code": {"type": "string"},
            "message": {"type": "string"},
        },
    });
    let row = json!({
        "type": "object",
        "required": ["row", "status", "id", "version", "errors"],
        "properties": {
            "row": {"type": "integer", "description": "As a spreadsheet counts: the header is 1."},
            "status": {"type": "string", "enum": statuses},
            "id": {"type": ["string", "null"], "format": "uuid"},
            "version": {"type": ["integer", "null"]},
            "errors": {"type": "array", "items": error},
        },
    });
    let page = json!({
        "type": "object",
        "required": ["data", "page"],
        "properties": {"data": {"type": "array", "items": row}, "page": reference("page")},
    });
    set(&mut operation, "responses", responses(200, Some(page)));
    put(paths, &path, "GET", operation);
}
