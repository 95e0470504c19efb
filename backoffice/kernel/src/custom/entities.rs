//! The definitions as an entity, and the rule that they keep.

use serde_json::{Map, Value};

use super::{FIELDS_MAX, model};
use crate::cx::Cx;
use crate::ddl;
use crate::entity::{
    Entity, Flow, Level, Move, Operations, Unique, boolean, choice, integer, slug, text, text_list,
};
use crate::error::{Code, Error, Fault, Result};
use crate::registry::Registry;
use crate::rule::{Change, ChangeOp, Rule};

static STATES: &[&str] = &["active", "retired"];

static CUSTOM_FIELD_FLOW: Flow = Flow {
    field: "status",
    initial: "active",
    states: STATES,
    moves: &[
        Move::new("retire", &["active"], "retired"),
        Move::new("reinstate", &["retired"], "active"),
    ],
};

pub(crate) static CUSTOM_FIELD: Entity = Entity::new("custom_fields")
    .grant("accounts.custom_fields")
    .label("label")
    .about("A field that the organization adds to an entity; retired, never deleted.")
    .operations(Operations { read: true, create: true, patch: true, delete: false })
    .flow(&CUSTOM_FIELD_FLOW)
    .fields(&[
        text("entity").required().once().about("Table name of the entity: parties."),
        slug("key").required().once().about("Name of the member below custom."),
        text("label").required(),
        choice("kind", model::KINDS).required().once().about("Fixed for ever once it is set."),
        text_list("options", 100).about("What a choice offers; options may be added only."),
        boolean("required").required().default("false").about("People must give a value."),
        boolean("searched")
            .required()
            .default("false")
            .about("Lists find rows by its words; of entities that are searched, for texts."),
        choice("level", &["open", "personal", "confidential"])
            .required()
            .once()
            .default("'open'")
            .about("Fixed once set: lowered, it would show values given under the higher one."),
        integer("position", 0, 10_000).required().default("0"),
        choice("status", STATES).required().by_action().default("'active'"),
    ])
    .natural(&["key", "entity"])
    .uniques(&[Unique {
        name: "custom_fields_key_key",
        fields: &["key", "entity"],
        code: Code::AlreadyExists,
    }])
    .indexes(&[&["entity"]]);

pub(crate) const RULE: Rule = Rule {
    name: "custom_fields.fit",
    on: "accounts.custom_fields",
    run: |cx, change| Box::pin(fit(cx, change)),
};

async fn fit(cx: &mut Cx, change: Change) -> Result<()> {
    cx.forget_custom();
    let Some(after) = &change.after else { return Ok(()) };
    let mut faults = Vec::new();
    let name = after.get("entity").and_then(Value::as_str).unwrap_or_default();
    if !cx.registry().entity(name).is_some_and(ddl::has_custom_fields) {
        faults.push(Fault::new(
            "entity",
            Code::InvalidValue,
            "no entity of this name has custom fields",
        ));
    }
    faults.extend(options(after, change.before.as_ref()));
    faults.extend(searched(cx.registry(), after));
    if change.op == ChangeOp::Create {
        let sql = "select count(*) from custom_fields where org_id = $1 and entity = $2";
        let count: i64 = cx.query_one(sql, &[&cx.org, &name]).await?.try_get(0)?;
        if usize::try_from(count).unwrap_or(usize::MAX) > FIELDS_MAX {
            let text = format!("an entity has at most {FIELDS_MAX} custom fields");
            return Err(Error::new(Code::LimitReached, text));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::faults(faults)) }
}

/// Words are those of texts, and found where the entity's own are.
fn searched(registry: &Registry, after: &Map<String, Value>) -> Option<Fault> {
    let text = |name: &str| after.get(name).and_then(Value::as_str).unwrap_or_default();
    if after.get("searched") != Some(&Value::Bool(true)) {
        return None;
    }
    let fault = |code, text: String| Some(Fault::new("searched", code, text));
    if !model::SEARCHED_KINDS.contains(&text("kind")) {
        let kinds = model::SEARCHED_KINDS.join(", ");
        return fault(Code::InvalidValue, format!("only these are searched: {kinds}"));
    }
    if text("level") == Level::Confidential.name() {
        return fault(Code::InvalidValue, "confidential fields are never searched".to_owned());
    }
    let entity = registry.entity(text("entity"))?;
    if ddl::search::column_names(entity).is_empty() {
        let text = format!("{} have no text that is searched", entity.route());
        return fault(Code::InvalidValue, text);
    }
    None
}

/// A choice has options, another kind has none; an option that rows may hold is not taken away.
fn options(after: &Map<String, Value>, before: Option<&Map<String, Value>>) -> Option<Fault> {
    let list = |row: &Map<String, Value>| -> Vec<String> {
        let items = row.get("options").and_then(Value::as_array).cloned().unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let now = list(after);
    let is_choice = after.get("kind").and_then(Value::as_str) == Some("choice");
    let fault = |code, text: &str| Some(Fault::new("options", code, text));
    if is_choice == now.is_empty() {
        return match is_choice {
            true => fault(Code::Required, "a choice needs options"),
            false => fault(Code::InvalidValue, "only a choice has options"),
        };
    }
    let mut sorted = now.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
        return fault(Code::Duplicate, "an option stands there twice");
    }
    let lost = before.map(list).unwrap_or_default().into_iter().any(|old| !now.contains(&old));
    if lost { fault(Code::Immutable, "options may be added, not taken away") } else { None }
}
