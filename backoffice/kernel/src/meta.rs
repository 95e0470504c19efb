//! What the API tells of itself to a console that draws itself: entities, fields, lifecycles,
//! actions, views, and what the caller may. Read from descriptors, never written a second time.
//! Knows no HTTP and runs no query of its own.

mod fields;
pub(crate) mod labels;
mod sight;
mod views;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::action::{Action, Answers, On};
use crate::actor::Actor;
use crate::custom::Model;
use crate::dispatch;
use crate::entity::{Entity, Group};
use crate::error::{Code, Error, Result};
use crate::history;
use crate::page::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::registry::{Member, Registry};

use sight::Sight;
pub(crate) use views::{KINDS as VIEW_KINDS, fields as view_fields};

/// Hexadecimal digits of a version: 64 bits tell two states of one installation apart.
const VERSION_DIGITS: usize = 16;

/// What the caller may do anything with, in short: for navigation.
pub(crate) fn index(registry: &Registry, actor: &Actor) -> Value {
    let served = registry.members().iter().filter(|one| dispatch::is_served(registry, one));
    let entities: Vec<Value> = served
        .filter_map(|member| {
            let sight = Sight::of(registry, actor, member.entity);
            let views = views::of(registry, member);
            let kinds: Vec<Value> =
                views.iter().filter_map(|view| view.get("kind")).cloned().collect();
            let mut entry = head(member);
            entry.insert("operations".to_owned(), json!(sight.permitted()));
            entry.insert("views".to_owned(), Value::Array(kinds));
            (!sight.permitted().is_empty()).then_some(Value::Object(entry))
        })
        .collect();
    let named = |name: &str| json!({"name": name, "label": labels::spoken(name)});
    versioned(json!({
        "groups": Group::ALL.iter().map(|group| named(group.name())).collect::<Vec<_>>(),
        "domains": registry.domains().iter().map(|one| named(one.name)).collect::<Vec<_>>(),
        "entities": entities,
        "currency_digits": currency_digits(),
        "pages": {"limit_default": LIMIT_DEFAULT, "limit_max": LIMIT_MAX},
    }))
}

/// The entity of a route; 404 for an unknown one.
pub(crate) fn member<'a>(registry: &'a Registry, route: &str) -> Result<&'a Member> {
    let member = registry.route(route).filter(|member| dispatch::is_served(registry, member));
    member.ok_or_else(|| Error::not_found("entity"))
}

/// One entity with the organization's own fields; 403 where the caller may nothing.
pub(crate) fn entity(
    registry: &Registry,
    actor: &Actor,
    member: &Member,
    custom: &Model,
) -> Result<Value> {
    let entity = member.entity;
    let sight = Sight::of(registry, actor, entity);
    if sight.permitted().is_empty() {
        let text = format!("the caller has no right on {}", entity.grant);
        return Err(Error::new(Code::Forbidden, text));
    }
    let mut all = head(member);
    let mut put = |name: &str, value: Value| all.insert(name.to_owned(), value);
    put("about", json!(entity.about));
    put("append_only", json!(entity.log));
    put("restorable", json!(entity.restorable()));
    put("importable", json!(dispatch::imports(registry, entity)));
    put("operations", json!(sight.permitted()));
    put("fields", Value::Array(fields::of(registry, entity, &sight)));
    put("custom_fields", fields::custom(entity, custom, &sight));
    put("keys", keys(entity));
    put("natural_key", json!(entity.natural_key().map_or(&[] as &[_], |key| key.fields)));
    put("searchable", json!(entity.fields.iter().any(|field| sight.searches(field))));
    put("upsertable", json!(dispatch::upserts(entity)));
    put("bulk", json!(dispatch::bulks(registry, entity)));
    put("history", json!(entity.operations.read && history::is_kept(entity)));
    put("plan", json!(entity.plan.name()));
    put("portals", json!(entity.portals.iter().map(|one| one.kind.name()).collect::<Vec<_>>()));
    put("flow", flow(entity, &sight));
    put("actions", actions(registry, entity, &sight));
    put("children", children(registry, actor, entity));
    put("views", Value::Array(views::of(registry, member)));
    Ok(versioned(Value::Object(all)))
}

/// Digits after the point of every currency that has not two.
fn currency_digits() -> Value {
    let listed = crate::money::EXPONENTS.iter();
    let each = listed.flat_map(|(digits, codes)| codes.iter().map(move |code| (*code, *digits)));
    let others: Map<String, Value> = each.map(|(code, d)| (code.to_owned(), json!(d))).collect();
    json!({"default": crate::money::EXPONENT_DEFAULT, "others": others})
}

/// What names an entity everywhere.
fn head(member: &Member) -> Map<String, Value> {
    let entity = member.entity;
    let title = labels::title(entity);
    let head = json!({
        "name": entity.name,
        "domain": member.domain.name,
        "qualified": member.qualified,
        "route": member.route,
        "group": entity.group.name(),
        "grant": entity.grant,
        "title": {"singular": title.0, "plural": title.1},
        "label_field": entity.label,
    });
    match head {
        Value::Object(head) => head,
        _ => Map::new(),
    }
}

/// Unique keys, as fields; the organization in front is understood.
fn keys(entity: &Entity) -> Value {
    let keys = entity.uniques.iter();
    Value::Array(keys.map(|key| json!({"name": key.name, "fields": key.fields})).collect())
}

fn flow(entity: &'static Entity, sight: &Sight) -> Value {
    let Some(flow) = entity.flow else { return Value::Null };
    let field = entity.field(flow.field);
    let label = |state: &&str| json!({"value": state, "label": labels::option(field, state)});
    let moves = flow.moves.iter().map(|one| {
        json!({
            "action": one.action,
            "label": labels::spoken(one.action),
            "from": one.from,
            "to": one.to,
            "required": one.required,
            "permitted": sight.may(one.action),
        })
    });
    json!({
        "field": flow.field,
        "initial": flow.initial,
        "states": flow.states.iter().map(label).collect::<Vec<_>>(),
        "moves": moves.collect::<Vec<_>>(),
    })
}

fn actions(registry: &Registry, entity: &'static Entity, sight: &Sight) -> Value {
    let told = |action: &'static Action| {
        let on = match action.on {
            On::Row => "row",
            On::Collection => "collection",
            On::Create => "create",
            On::Internal => return None,
        };
        let answers = match action.answers {
            Answers::Row => json!("row"),
            Answers::Object(fields) => fields::input(registry, fields),
            Answers::Nothing => Value::Null,
        };
        Some(json!({
            "name": action.name,
            "label": labels::spoken(action.name),
            "about": action.about,
            "on": on,
            "input": fields::input(registry, action.input),
            "answers": answers,
            "permitted": sight.may(action.name),
        }))
    };
    let all = registry.actions().filter(|action| action.entity.name == entity.name);
    Value::Array(all.filter_map(told).collect())
}

/// Collections below a row that the caller may list.
fn children(registry: &Registry, actor: &Actor, entity: &'static Entity) -> Value {
    if !entity.operations.read {
        return json!([]);
    }
    let told = |child: &crate::registry::Child| {
        let below = registry.member(child.entity.name)?;
        let sight = Sight::of(registry, actor, child.entity);
        let shown = dispatch::is_served(registry, below) && sight.field(child.field).queried;
        let title = labels::title(child.entity);
        shown.then(|| {
            json!({
                "route": below.route,
                "entity": child.entity.name,
                "field": child.field.name,
                "title": title.1,
            })
        })
    };
    Value::Array(registry.children(entity).iter().filter_map(told).collect())
}

/// Adds the digest of everything else: what is the same has the same version, in every process.
fn versioned(value: Value) -> Value {
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(value.to_string()));
    let Value::Object(mut all) = value else { return value };
    let version: String = digest.chars().take(VERSION_DIGITS).collect();
    all.insert("version".to_owned(), Value::String(version));
    Value::Object(all)
}

#[cfg(test)]
mod tests;
