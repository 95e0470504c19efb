//! A field as a console draws it: kind, widget, words, limits, what lists can do with it, and what
//! the caller may. The one table from kinds to widgets stands here.

use serde_json::{Map, Value, json};

use super::labels;
use super::sight::Sight;
use crate::custom::{CustomField, Model};
use crate::ddl;
use crate::entity::{Access, Entity, Field, Kind, Level};
use crate::filter;
use crate::kind_sql::{JSON_BYTES_MAX, LIST_TEXT_CHARS_MAX};
use crate::page;
use crate::registry::Registry;

/// Every field that the API shows, in its order: standard ones around the entity's own.
pub(super) fn of(registry: &Registry, entity: &'static Entity, sight: &Sight) -> Vec<Value> {
    let mut all = vec![standard("id", Kind::Id, "The row's own id (UUIDv7).")];
    for field in entity.fields.iter().filter(|field| !field.secret) {
        all.push(own(registry, entity, field, sight));
    }
    if ddl::has_custom_fields(entity) {
        let about = "The organization's own fields, as `custom_fields` describes them.";
        let mut member = standard("custom", Kind::Json, about);
        for (right, offered) in
            [("create", entity.operations.create), ("update", entity.operations.patch)]
        {
            let some = Level::ALL.iter().any(|level| sight.writes_level(right, *level));
            member[right] = json!(offered && some);
        }
        all.push(member);
    }
    let whole = Kind::Integer { min: 0, max: i64::MAX };
    if ddl::is_versioned(entity) {
        all.push(standard(
            "version",
            whole,
            "Grows with every change; the row's ETag begins with it.",
        ));
    }
    all.push(standard("created_at", Kind::Instant, "When the row was made."));
    if ddl::is_versioned(entity) {
        all.push(standard("updated_at", Kind::Instant, "When the row was last changed."));
    }
    all
}

/// Input of an action.
pub(super) fn input(registry: &Registry, fields: &'static [Field]) -> Value {
    let told = |field: &'static Field| Value::Object(described(registry, field));
    Value::Array(fields.iter().map(told).collect())
}

fn own(
    registry: &Registry,
    entity: &'static Entity,
    field: &'static Field,
    sight: &Sight,
) -> Value {
    let mut all = described(registry, field);
    let seen = sight.field(field);
    let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
    put("access", json!(access(field)));
    put("in_key", json!(entity.uniques.iter().any(|key| key.fields.contains(&field.name))));
    put("searched", json!(sight.searches(field)));
    put("numbered", json!(field.numbered.map(|numbered| numbered.series)));
    put("read", json!(seen.read));
    put("create", json!(seen.create));
    put("update", json!(seen.update));
    put("aliases", json!(field.aliases));
    lists(&mut all, field.name, field.kind, seen.queried);
    Value::Object(all)
}

/// The organization's own fields that the caller reads, below the member `custom` of a row.
pub(super) fn custom(entity: &Entity, model: &Model, sight: &Sight) -> Value {
    let told = |field: &&CustomField| {
        let option = |value: &String| json!({"value": value, "label": labels::spoken(value)});
        let choice = !field.options.is_empty();
        let mut all = Map::new();
        let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
        put("name", json!(field.key));
        put("label", json!(field.label));
        put("kind", json!(if choice { "choice" } else { name_of(field.kind) }));
        put("widget", json!(if choice { "select" } else { widget(field.kind) }));
        put("required", json!(field.required));
        put("level", json!(field.level.name()));
        put("searched", json!(field.searched));
        for (right, offered) in
            [("create", entity.operations.create), ("update", entity.operations.patch)]
        {
            put(right, json!(offered && sight.writes_level(right, field.level)));
        }
        put("limits", limits(field.kind));
        put("options", Value::Array(field.options.iter().map(option).collect()));
        lists(&mut all, &format!("{}{}", filter::CUSTOM, field.key), field.kind, true);
        Value::Object(all)
    };
    let shown = model.fields.iter().filter(|field| sight.shows_level(field.level));
    Value::Array(shown.map(|field| told(&field)).collect())
}

/// A column that the generator adds: nobody writes it, everybody who reads the row reads it.
fn standard(name: &'static str, kind: Kind, about: &'static str) -> Value {
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
    put("name", json!(name));
    put("label", json!(labels::spoken(name)));
    put("kind", json!(name_of(kind)));
    put("widget", json!(widget(kind)));
    put("about", json!(about));
    put("required", json!(true));
    put("access", json!("system"));
    put("read", json!("always"));
    put("create", json!(name == "id"));
    put("update", json!(false));
    lists(&mut all, name, kind, true);
    Value::Object(all)
}

/// What lists can do with the field, where the caller may ask by it.
fn lists(all: &mut Map<String, Value>, name: &str, kind: Kind, queried: bool) {
    let operators = filter::operators(kind).iter().map(|one| one.name());
    let operators: Vec<&str> = operators.filter(|_| queried).collect();
    all.insert("filter".to_owned(), json!(operators));
    all.insert("sortable".to_owned(), json!(queried && page::has_order(kind)));
    let keys = page::key_endings(kind).into_iter().filter(|_| queried);
    let keys: Vec<String> = keys.map(|ending| format!("{name}{ending}")).collect();
    let figures: Vec<&str> = page::functions(kind).into_iter().filter(|_| queried).collect();
    all.insert("groupable".to_owned(), json!(!keys.is_empty()));
    all.insert("group_by".to_owned(), json!(keys));
    all.insert("aggregates".to_owned(), json!(figures));
}

/// What is so whoever asks.
fn described(registry: &Registry, field: &'static Field) -> Map<String, Value> {
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
    put("name", json!(field.name));
    put("label", json!(labels::field(field)));
    put("kind", json!(name_of(field.kind)));
    put("widget", json!(widget(field.kind)));
    put("about", json!(field.about));
    put("required", json!(field.required));
    put("default", default(field));
    put("personal", json!(field.personal));
    put("level", json!(field.level.name()));
    put("limits", limits(field.kind));
    if let Kind::Choice(options) = field.kind {
        let told =
            |value: &&str| json!({"value": value, "label": labels::option(Some(field), value)});
        put("options", Value::Array(options.iter().map(told).collect()));
    }
    if let Kind::Link { to, .. } = field.kind {
        put("link", target(registry, to));
    }
    all
}

/// Where a link leads, and what names a row there.
fn target(registry: &Registry, to: &str) -> Value {
    let target = registry.qualified(to);
    let member = target.and_then(|entity| registry.member(entity.name));
    let served = member.is_some_and(|member| crate::dispatch::is_served(registry, member));
    json!({
        "to": to,
        "route": member.filter(|_| served).map(|member| member.route.as_str()),
        "label_field": target.and_then(|entity| entity.label),
    })
}

fn access(field: &Field) -> &'static str {
    match field.access {
        Access::Writable => "writable",
        Access::WriteOnce => "once",
        Access::ByAction => "by_action",
        Access::Computed(_) => "computed",
    }
}

/// A literal default as JSON; null where there is none or the database computes it.
fn default(field: &Field) -> Value {
    let Some(sql) = field.default else { return Value::Null };
    if let Some(text) = sql.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Value::String(text.replace("''", "'"));
    }
    match serde_json::from_str(sql) {
        // Exact decimals are texts in JSON.
        Ok(Value::Number(number)) if !matches!(field.kind, Kind::Integer { .. }) => {
            Value::String(number.to_string())
        }
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
        _ => Value::Null,
    }
}

fn limits(kind: Kind) -> Value {
    match kind {
        Kind::Text { max } => json!({"characters_max": max}),
        Kind::Integer { min, max } => json!({"min": min, "max": max}),
        Kind::Decimal { scale } | Kind::Quantity { scale } => json!({"scale": scale}),
        Kind::Percent { scale } => json!({"scale": scale, "min": 0, "max": 100}),
        Kind::Rate => json!({"scale": crate::kind_sql::RATE_SCALE}),
        Kind::Money | Kind::Price => json!({"scale": crate::money::SCALE_MAX}),
        Kind::Bytes { max } => json!({"bytes_max": max}),
        Kind::TextList { max_items } => {
            json!({"items_max": max_items, "characters_max": LIST_TEXT_CHARS_MAX})
        }
        Kind::Json => json!({"bytes_max": JSON_BYTES_MAX / 2}),
        _ => json!({}),
    }
}

/// The kind's name in the API.
pub(super) fn name_of(kind: Kind) -> &'static str {
    table(kind).0
}

/// What a console draws for the kind.
fn widget(kind: Kind) -> &'static str {
    table(kind).1
}

/// A text longer than one line of a form.
const LINE_CHARS_MAX: u32 = 300;

fn table(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Text { max } if LINE_CHARS_MAX < max => ("long_text", "textarea"),
        Kind::Text { .. } => ("text", "text"),
        Kind::Slug => ("slug", "text"),
        Kind::Email => ("email", "email"),
        Kind::Phone => ("phone", "phone"),
        Kind::Url => ("url", "url"),
        Kind::Bool => ("boolean", "switch"),
        Kind::Integer { .. } => ("integer", "number"),
        Kind::Money => ("money", "money"),
        Kind::Price => ("price", "money"),
        Kind::Decimal { .. } => ("decimal", "number"),
        Kind::Percent { .. } => ("percent", "percent"),
        Kind::Rate => ("rate", "number"),
        Kind::Quantity { .. } => ("quantity", "number"),
        Kind::Duration => ("duration", "duration"),
        Kind::Currency => ("currency", "currency"),
        Kind::Country => ("country", "country"),
        Kind::Language => ("language", "language"),
        Kind::TimeZone => ("time_zone", "time_zone"),
        Kind::Date => ("date", "date"),
        Kind::Instant => ("instant", "datetime"),
        Kind::Choice(_) => ("choice", "select"),
        Kind::Link { .. } => ("link", "lookup"),
        Kind::Id => ("id", "text"),
        Kind::File => ("file", "file"),
        Kind::Geo => ("geo", "map"),
        Kind::Rrule => ("rrule", "recurrence"),
        Kind::Json => ("json", "json"),
        Kind::Bytes { .. } => ("bytes", "file"),
        Kind::TextList { .. } => ("text_list", "tags"),
    }
}
