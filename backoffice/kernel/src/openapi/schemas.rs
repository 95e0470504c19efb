//! Schemas: what each kind is in JSON, and an entity's three shapes (row, create, patch).

use serde_json::{Map, Value, json};

use crate::ddl;
use crate::entity::{Access, Entity, Field, Kind};
use crate::kind_sql::{LIST_TEXT_CHARS_MAX, RATE_SCALE, RRULE_CHARS_MAX};

/// Schemas that all entities share.
pub(super) fn common() -> Map<String, Value> {
    let mut all = Map::new();
    all.insert(
        "money".to_owned(),
        json!({
            "type": "object",
            "required": ["amount", "currency"],
            "additionalProperties": false,
            "properties": {
                "amount": {"type": "string", "pattern": "^-?\\d{1,15}(\\.\\d{1,4})?$"},
                "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            },
            "examples": [{"amount": "42.50", "currency": "EUR"}],
        }),
    );
    all.insert(
        "geo".to_owned(),
        json!({
            "type": "object",
            "description": "Degrees of WGS 84.",
            "required": ["latitude", "longitude"],
            "additionalProperties": false,
            "properties": {
                "latitude": {"type": "string", "pattern": "^-?(90(\\.0{1,7})?|[0-8]?\\d(\\.\\d{1,7})?)$"},
                "longitude": {"type": "string", "pattern": "^-?(180(\\.0{1,7})?|(1[0-7]\\d|\\d?\\d)(\\.\\d{1,7})?)$"},
            },
            "examples": [{"latitude": "52.5200", "longitude": "13.4050"}],
        }),
    );
    all.insert(
        "page".to_owned(),
        json!({
            "type": "object",
            "required": ["next", "count"],
            "properties": {
                "next": {"type": ["string", "null"], "description": "Cursor of the next page."},
                "count": {
                    "type": ["object", "null"],
                    "required": ["value", "exact"],
                    "properties": {"value": {"type": "integer"}, "exact": {"type": "boolean"}},
                },
            },
        }),
    );
    all.insert("figures".to_owned(), super::lists::figures());
    all.insert(
        "problem".to_owned(),
        json!({
            "type": "object",
            "description": "RFC 9457 problem details.",
            "required": ["type", "title", "status", "detail", "code", "errors", "request_id"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "code": {"type": "string", "enum": codes()},
                "errors": {"type": "array", "items": {
                    "type": "object",
                    "required": ["field", "code", "message"],
                    "properties": {
                        "field": {"type": "string"},
                        "code": {"type": "string"},
                        "message": {"type": "string"},
                    },
                }},
                "request_id": {"type": "string", "format": "uuid"},
            },
        }),
    );
    all
}

fn codes() -> Vec<&'static str> {
    crate::error::Code::ALL.iter().map(|code| code.name()).collect()
}

/// A row as the API shows it. Fields that the caller may not read are absent, so none is required.
pub(super) fn row(entity: &'static Entity) -> Value {
    let mut properties = Map::new();
    let mut required = vec!["id", "created_at"];
    properties.insert("id".to_owned(), json!({"type": "string", "format": "uuid"}));
    properties.insert("created_at".to_owned(), json!({"type": "string", "format": "date-time"}));
    if ddl::is_versioned(entity) {
        properties.insert("version".to_owned(), json!({"type": "integer"}));
        properties
            .insert("updated_at".to_owned(), json!({"type": "string", "format": "date-time"}));
        required.extend(["version", "updated_at"]);
    }
    for field in entity.fields.iter().filter(|field| !field.secret) {
        properties.insert(field.name.to_owned(), property(field, Shape::Row));
    }
    if ddl::has_custom_fields(entity) {
        properties.insert("custom".to_owned(), custom());
    }
    json!({
        "type": "object",
        "description": entity.about,
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

/// Members are what the organization has defined as `custom_fields`.
fn custom() -> Value {
    json!({
        "type": "object",
        "description": "Custom fields by key; a patch merges, null takes a key away.",
    })
}

/// The body of a create.
pub(super) fn create(entity: &'static Entity) -> Value {
    let fields = entity.fields.iter().filter(|field| {
        !field.secret && matches!(field.access, Access::Writable | Access::WriteOnce)
    });
    let mut body = input(fields);
    if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("id".to_owned(), json!({"type": "string", "format": "uuid"}));
        if ddl::has_custom_fields(entity) {
            properties.insert("custom".to_owned(), custom());
        }
    }
    body
}

/// The body of a patch: nothing is required, null empties what may be empty.
pub(super) fn patch(entity: &'static Entity) -> Value {
    let fields = entity.fields.iter().filter(|f| !f.secret && matches!(f.access, Access::Writable));
    let mut body = input(fields);
    if let Some(body) = body.as_object_mut() {
        body.remove("required");
    }
    let properties = body.get_mut("properties").and_then(Value::as_object_mut);
    if let Some(properties) = properties.filter(|_| ddl::has_custom_fields(entity)) {
        properties.insert("custom".to_owned(), custom());
    }
    body
}

/// An object of input fields, as validation takes it.
pub(super) fn input(fields: impl Iterator<Item = &'static Field>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        properties.insert(field.name.to_owned(), property(field, Shape::Input));
        if field.required && field.default.is_none() {
            required.push(field.name);
        }
    }
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Row,
    Input,
}

fn property(field: &Field, shape: Shape) -> Value {
    let mut schema = kind(field.kind);
    if let (Some(map), Some(example)) = (schema.as_object_mut(), example(field)) {
        map.insert("examples".to_owned(), json!([example]));
    }
    if !field.required {
        schema = nullable(schema);
    }
    let Some(map) = schema.as_object_mut() else { return schema };
    if !field.about.is_empty() {
        map.insert("description".to_owned(), json!(field.about));
    }
    if field.personal {
        map.insert("x-personal".to_owned(), json!(true));
    }
    if let Kind::Link { to, .. } = field.kind {
        map.insert("x-link".to_owned(), json!(to));
    }
    let read_only = matches!(field.access, Access::ByAction | Access::Computed(_));
    if shape == Shape::Row && read_only {
        map.insert("readOnly".to_owned(), json!(true));
    }
    schema
}

fn nullable(schema: Value) -> Value {
    let plain = schema.get("type").and_then(Value::as_str).map(str::to_owned);
    match (plain, schema) {
        // Any JSON is nullable as it is.
        (None, Value::Object(map)) if map.is_empty() => Value::Object(map),
        (Some(name), Value::Object(mut map)) => {
            map.insert("type".to_owned(), json!([name, "null"]));
            if let Some(Value::Array(options)) = map.get_mut("enum") {
                options.push(Value::Null);
            }
            Value::Object(map)
        }
        (_, other) => json!({"anyOf": [other, {"type": "null"}]}),
    }
}

/// A value that the API takes; of what a link leads to there is none to name.
fn example(field: &Field) -> Option<Value> {
    Some(match field.kind {
        Kind::Text { max } => {
            let text = crate::meta::labels::field(field);
            json!(text.chars().take(max as usize).collect::<String>())
        }
        Kind::Slug => json!("main"),
        Kind::Email => json!("ada@example.org"),
        Kind::Phone => json!("+49301234567"),
        Kind::Url => json!("https://example.org/"),
        Kind::Bool => json!(true),
        Kind::Integer { min, max } => json!(1_i64.clamp(min, max)),
        Kind::Decimal { scale: 0 } | Kind::Quantity { scale: 0 } => json!("3"),
        Kind::Decimal { .. } | Kind::Quantity { .. } => json!("2.5"),
        Kind::Percent { .. } => json!("19"),
        Kind::Rate => json!("1.0842"),
        Kind::Duration => json!("PT1H30M"),
        Kind::Rrule => json!("FREQ=WEEKLY;BYDAY=MO"),
        Kind::Currency => json!("EUR"),
        Kind::Country => json!("DE"),
        Kind::Language => json!("de"),
        Kind::TimeZone => json!("Europe/Berlin"),
        Kind::Date => json!("2026-11-21"),
        Kind::Instant => json!("2026-11-21T19:05:00Z"),
        Kind::Link { .. } | Kind::Id | Kind::File => {
            json!("0198c0de-0000-7000-8000-000000000001")
        }
        Kind::Bytes { .. } => json!("AQID"),
        Kind::Json => json!({}),
        Kind::TextList { .. } => json!(["one", "two"]),
        // Options and shared schemas have theirs.
        Kind::Choice(_) | Kind::Money | Kind::Price | Kind::Geo => return None,
    })
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Text { max } => json!({"type": "string", "maxLength": max}),
        Kind::Slug => json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"}),
        Kind::Email => json!({"type": "string", "format": "email", "maxLength": 254}),
        Kind::Phone => json!({
            "type": "string", "maxLength": 40, "pattern": "^\\+[1-9][0-9 ./()-]{6,38}$",
            "examples": ["+49 30 123456"],
        }),
        Kind::Url => json!({
            "type": "string", "format": "uri", "maxLength": 2000, "pattern": "^https?://[^\\s]+$",
            "examples": ["https://example.org/about"],
        }),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Integer { min, max } => json!({
            "type": "integer", "format": "int64", "minimum": min, "maximum": max,
        }),
        Kind::Money | Kind::Price => json!({"$ref": "#/components/schemas/money"}),
        Kind::Decimal { scale } | Kind::Quantity { scale } => decimal(scale),
        Kind::Rate => decimal(RATE_SCALE),
        Kind::Percent { scale: 0 } => json!({"type": "string", "pattern": "^(100|\\d{1,2})$"}),
        Kind::Percent { scale } => json!({"type": "string", "pattern": format!(
            "^(100(\\.0{{1,{scale}}})?|\\d{{1,2}}(\\.\\d{{1,{scale}}})?)$"
        )}),
        Kind::Duration => json!({
            "type": "string",
            "format": "duration",
            "pattern": "^-?P(\\d+W)?(\\d+D)?(T(\\d+H)?(\\d+M)?(\\d+S)?)?$",
            "description": "ISO 8601 duration of weeks, days, hours, minutes and whole seconds.",
        }),
        Kind::Geo => json!({"$ref": "#/components/schemas/geo"}),
        Kind::Rrule => json!({
            "type": "string",
            "maxLength": RRULE_CHARS_MAX,
            "pattern": "^[A-Z]+=[^;=]+(;[A-Z]+=[^;=]+)*$",
            "description": "Recurrence rule of RFC 5545, section 3.3.10: FREQ=WEEKLY;BYDAY=MO.",
        }),
        Kind::Currency => json!({"type": "string", "pattern": "^[A-Z]{3}$"}),
        Kind::Country => json!({"type": "string", "pattern": "^[A-Z]{2}$"}),
        Kind::Language => json!({
            "type": "string", "maxLength": 35,
            "pattern": "^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$", "examples": ["de-AT"],
        }),
        Kind::TimeZone => {
            json!({"type": "string", "maxLength": 64, "examples": ["Europe/Berlin"]})
        }
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::Instant => json!({"type": "string", "format": "date-time"}),
        Kind::Choice(options) => json!({"type": "string", "enum": options}),
        Kind::Link { .. } | Kind::Id | Kind::File => json!({"type": "string", "format": "uuid"}),
        Kind::Json => json!({}),
        Kind::Bytes { .. } => json!({"type": "string", "contentEncoding": "base64"}),
        Kind::TextList { max_items } => json!({
            "type": "array",
            "maxItems": max_items,
            "items": {"type": "string", "maxLength": LIST_TEXT_CHARS_MAX},
        }),
    }
}

/// A decimal of 28 digits, `scale` of them after the point.
fn decimal(scale: u8) -> Value {
    let whole = 28_u8.saturating_sub(scale).max(1);
    let part = if scale == 0 { String::new() } else { format!("(\\.\\d{{1,{scale}}})?") };
    json!({"type": "string", "pattern": format!("^-?\\d{{1,{whole}}}{part}$")})
}
