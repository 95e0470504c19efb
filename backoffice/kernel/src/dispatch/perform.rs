//! One write, from whatever request it comes: a plain one, a bulk, an upsert. Right, engine or action,
//! and what there is to answer. There is no other way from the API to a row.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{answers, route};
use crate::action::{Answers, On, Reply, Verb};
use crate::cx::Cx;
use crate::engine::{self, upsert::Demand, upsert::Upserted};
use crate::entity::Entity;
use crate::error::{Code, Error, Result};
use crate::{rights, validate};

pub(super) enum Operation {
    Create(Map<String, Value>),
    Update { id: Uuid, version: Option<i64>, data: Map<String, Value> },
    Delete { id: Uuid, version: Option<i64> },
    Restore { id: Uuid, version: Option<i64> },
    Upsert { data: Map<String, Value>, demand: Demand },
    Act { verb: Verb, id: Option<Uuid>, version: Option<i64>, input: Map<String, Value> },
}

/// What a write leaves to be shown.
pub(super) enum Outcome {
    Row {
        id: Uuid,
        status: u16,
    },
    Json {
        status: u16,
        value: Value,
        /// Shown once: nothing may keep it.
        secret: bool,
    },
    Nothing,
    /// Another service finishes.
    Await {
        operation: Uuid,
        row: Option<Uuid>,
        status: u16,
    },
}

pub(super) async fn perform(
    cx: &mut Cx,
    entity: &'static Entity,
    operation: Operation,
) -> Result<Outcome> {
    let allowed = entity.operations;
    match operation {
        Operation::Create(data) => {
            if let Some(verb) = route::creates(cx.registry(), entity) {
                return act(cx, entity, verb, None, None, data).await;
            }
            served(allowed.create, "create")?;
            let access = rights::may(&cx.actor, entity, "create")?;
            let id = engine::create::create(cx, entity, data, &access).await?;
            Ok(Outcome::Row { id, status: 201 })
        }
        Operation::Update { id, version, data } => {
            served(allowed.patch, "update")?;
            let access = rights::may(&cx.actor, entity, "update")?;
            engine::patch::update(cx, entity, id, data, version, &access).await?;
            Ok(Outcome::Row { id, status: 200 })
        }
        Operation::Delete { id, version } => {
            served(allowed.delete, "delete")?;
            let access = rights::may(&cx.actor, entity, "delete")?;
            engine::delete::remove(cx, entity, id, version, &access).await?;
            Ok(Outcome::Nothing)
        }
        Operation::Restore { id, version } => {
            served(allowed.delete && entity.restorable(), "restore")?;
            // Who may delete may take it back.
            let access = rights::may(&cx.actor, entity, "delete")?;
            engine::restore::restore(cx, entity, id, version, &access).await?;
            Ok(Outcome::Row { id, status: 200 })
        }
        Operation::Upsert { data, demand } => {
            served(route::upserts(entity), "upsert")?;
            Ok(match engine::upsert::upsert(cx, entity, data, demand).await? {
                Upserted::Created(id) => Outcome::Row { id, status: 201 },
                Upserted::Changed(id) => Outcome::Row { id, status: 200 },
            })
        }
        Operation::Act { verb, id, version, input } => {
            act(cx, entity, verb, id, version, input).await
        }
    }
}

fn served(allowed: bool, what: &str) -> Result<()> {
    if allowed {
        return Ok(());
    }
    Err(Error::new(Code::MethodNotAllowed, format!("{what} is not offered here")))
}

async fn act(
    cx: &mut Cx,
    entity: &'static Entity,
    verb: Verb,
    id: Option<Uuid>,
    version: Option<i64>,
    input: Map<String, Value>,
) -> Result<Outcome> {
    // Asked before the input is judged: who may not act learns nothing of what it takes.
    rights::may(&cx.actor, entity, verb.name())?;
    let input = validate::input(verb.input(), input)?;
    let status = if verb.on() == On::Create { 201 } else { 200 };
    Ok(match verb.run(cx, entity, id, input, version).await? {
        Reply::Row(id) => Outcome::Row { id, status },
        Reply::Json(value) => {
            let (value, secret) = answers::judged(cx, entity, verb, id, value).await?;
            Outcome::Json { status, value, secret }
        }
        Reply::Nothing => match (verb.answers(), id) {
            (Answers::Row, Some(id)) => Outcome::Row { id, status },
            _ => Outcome::Nothing,
        },
        Reply::Await { operation, row } => Outcome::Await { operation, row, status },
    })
}
