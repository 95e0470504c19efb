//! What an action answers in place of a row, held to what it declares: undeclared members never leave,
//! and declared ones above the level open are shown and told as fields of rows are.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::action::{Answers, Verb};
use crate::cx::Cx;
use crate::engine::{self, Told};
use crate::entity::{Entity, Field, Level};
use crate::error::{Error, Result};
use crate::kind;
use crate::kind_sql::second_column;
use crate::rights;

/// The members that the caller may see, and whether one of them is shown once. An answer that is not
/// what the action declares is a fault of ours, which undoes the action.
pub(super) async fn judged(
    cx: &Cx,
    entity: &'static Entity,
    verb: Verb,
    id: Option<Uuid>,
    value: Value,
) -> Result<(Value, bool)> {
    let broken = |text: String| {
        Error::internal(format!("the answer of {}/{}: {text}", entity.name, verb.name()))
    };
    let Answers::Object(fields) = verb.answers() else {
        return Err(broken("declares no object".to_owned()));
    };
    let Value::Object(mut members) = value else {
        return Err(broken("is no object".to_owned()));
    };
    fits(fields, &members).map_err(broken)?;
    let access = rights::may(&cx.actor, entity, verb.name())?;
    let hidden = |field: &&Field| Level::Open < field.level && !access.shows_level(field.level);
    for field in fields.iter().filter(hidden) {
        members.remove(field.name);
    }
    let told = |field: &&Field| Level::Open < field.level && members.contains_key(field.name);
    let told: BTreeSet<String> =
        fields.iter().filter(told).map(|field| field.name.to_owned()).collect();
    let rows = id.map_or(Told::Count(1), |_| Told::Rows(id.as_slice()));
    engine::tell_named(cx, entity, &access, rows, told).await?;
    Ok((Value::Object(members), fields.iter().any(|field| field.secret)))
}

fn fits(fields: &[Field], members: &Map<String, Value>) -> std::result::Result<(), String> {
    for (name, value) in members {
        let field = fields.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| format!("{name} is not declared"))?;
        let refused = match second_column(field.kind, field.name) {
            _ if value.is_null() => continue,
            Some(_) => kind::decode_pair(field.kind, value).err(),
            None => kind::decode(field.kind, value).err(),
        };
        if let Some(refusal) = refused {
            return Err(format!("{name} {}", refusal.message));
        }
    }
    let missing =
        |field: &&Field| field.required && members.get(field.name).is_none_or(Value::is_null);
    match fields.iter().find(missing) {
        Some(field) => Err(format!("{} is missing", field.name)),
        None => Ok(()),
    }
}
