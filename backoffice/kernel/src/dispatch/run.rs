//! One try of a call in one transaction: right, engine or action, the answer's JSON, commit.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::perform::{Operation, Outcome, perform};
use super::route::{Above, Target};
use super::{Answer, Body, Call, Method, bulk, condition, idempotency};
use crate::accounts::authenticate::Proof;
use crate::cx::{Actor, Begin, Cx, Mode};
use crate::engine::{self, Lock};
use crate::entity::{Entity, Field};
use crate::error::{Code, Error, Fault, Result};
use crate::registry::Link;
use crate::rights::{self, Access};
use crate::service::Service;
use crate::{history, page, strict_json, validate, views};

pub(crate) enum Done {
    Answer(Answer),
    /// Committed; another service finishes.
    Await {
        operation: Uuid,
        entity: &'static Entity,
        row: Option<Uuid>,
        status: u16,
    },
}

/// For whom a call runs.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) actor: &'a Actor,
    pub(super) org: Uuid,
    /// Of an actor who was proved before: nothing of the outcome is told unless it holds.
    pub(super) proof: Option<&'a Proof>,
}

/// What became of it, and whether the asker was proved to be who they are.
pub(super) async fn once(
    service: &Service,
    call: &Call,
    target: &Target,
    asker: Asker<'_>,
) -> (Result<Done>, bool) {
    let begin = Begin {
        actor: asker.actor.clone(),
        org: asker.org,
        request_id: call.request_id,
        mode: if call.method == Method::Get { Mode::Read } else { Mode::Write },
        causation: 0,
        proof: asker.proof.cloned(),
    };
    let mut cx = match service.open_with(begin).await {
        Ok(cx) => cx,
        // No connection: that says nothing of anybody's.
        Err(error) => return (Err(error), true),
    };
    let outcome = once_a_key(&mut cx, call, target).await;
    let proved = cx.is_proved();
    (cx.finish(outcome).await, proved)
}

/// With a key of the caller's, the effect happens once and its answer is given again.
async fn once_a_key(cx: &mut Cx, call: &Call, target: &Target) -> Result<Done> {
    let Some(key) = idempotency::key(call, cx)? else { return inside(cx, call, target).await };
    if let Some(done) = idempotency::claim(cx, &key, target).await? {
        return Ok(done);
    }
    let done = inside(cx, call, target).await?;
    idempotency::keep(cx, &key, &done).await?;
    Ok(done)
}

async fn inside(cx: &mut Cx, call: &Call, target: &Target) -> Result<Done> {
    let (entity, operation) = match target {
        Target::List { .. }
        | Target::Get { .. }
        | Target::History { .. }
        | Target::Activity
        | Target::Read { .. } => return read(cx, call, target).await.map(Done::Answer),
        Target::Bulk { entity } => {
            no_query(call)?;
            condition::on_collection(call)?;
            return bulk::bulk(cx, entity, object(call)?).await.map(Done::Answer);
        }
        Target::Create { entity, above } => {
            no_query(call)?;
            condition::on_collection(call)?;
            // Asked before the row above is looked for: who may not create learns nothing of it.
            rights::may(&cx.actor, entity, "create")?;
            (*entity, Operation::Create(under(cx, *above, object(call)?).await?))
        }
        Target::Upsert { entity } => {
            let demand = condition::on_key(call)?;
            (*entity, Operation::Upsert { data: object(call)?, demand })
        }
        Target::Patch { entity, id } => (
            *entity,
            Operation::Update {
                id: *id,
                version: condition::on_row(cx, call, entity, *id).await?,
                data: object(call)?,
            },
        ),
        Target::Delete { entity, id } => {
            let version = condition::on_row(cx, call, entity, *id).await?;
            (*entity, Operation::Delete { id: *id, version })
        }
        Target::Restore { entity, id } => {
            no_members(call)?;
            let version = condition::on_row(cx, call, entity, *id).await?;
            (*entity, Operation::Restore { id: *id, version })
        }
        Target::Act { entity, verb, id, above } => {
            no_query(call)?;
            rights::may(&cx.actor, entity, verb.name())?;
            let input = under(cx, *above, object(call)?).await?;
            let version = match id {
                Some(id) => condition::on_row(cx, call, entity, *id).await?,
                None => condition::on_collection(call).map(|()| None)?,
            };
            (*entity, Operation::Act { verb: *verb, id: *id, version, input })
        }
        Target::Export { .. } | Target::Import { .. } => {
            return Err(Error::internal("files do not come through here"));
        }
    };
    no_query(call)?;
    let outcome = perform(cx, entity, operation).await?;
    // What is shown is what is committed.
    cx.settle().await?;
    answer(cx, entity, outcome).await
}

/// What changes nothing.
async fn read(cx: &mut Cx, call: &Call, target: &Target) -> Result<Answer> {
    match target {
        Target::List { entity, above } => list(cx, call, entity, *above).await,
        Target::Get { entity, id } => get(cx, call, entity, *id).await,
        Target::History { entity, id } => {
            let page = history::PageQuery::parse(&call.query)?;
            let body = history::history(cx, entity, *id, page).await?;
            Ok(Answer::json(200, &body))
        }
        Target::Activity => {
            let query = history::ActivityQuery::parse(cx.registry(), &call.query)?;
            let body = history::activity(cx, &query).await?;
            Ok(Answer::json(200, &body))
        }
        Target::Read { reading, id } => {
            cx.load(reading.entity, *id, "read").await?;
            let told = (reading.run)(cx, *id, &call.query).await?;
            Ok(Answer::json(200, &told))
        }
        _ => Err(Error::internal("a write does not come through here")),
    }
}

/// What a write leaves, as the caller is shown it.
pub(super) async fn answer(cx: &Cx, entity: &'static Entity, outcome: Outcome) -> Result<Done> {
    Ok(Done::Answer(match outcome {
        Outcome::Row { id, status } => written(cx, entity, id, status).await?,
        Outcome::Json { status, value, secret } => {
            Answer { secret, ..Answer::json(status, &value) }
        }
        Outcome::Nothing => Answer::nothing(),
        Outcome::Await { operation, row, status } => {
            return Ok(Done::Await { operation, entity, row, status });
        }
    }))
}

async fn list(
    cx: &mut Cx,
    call: &Call,
    entity: &'static Entity,
    above: Option<Above>,
) -> Result<Answer> {
    let access = rights::may(&cx.actor, entity, "read")?;
    let (parent, query) = match above {
        Some(above) => {
            let (field, query) = via(cx, entity, above, &call.query)?;
            // Which rows are below a row is what the link says of each.
            access.readable_everywhere(field).map_err(|error| error.at("via"))?;
            (Some((field, above.id)), query)
        }
        None => (None, call.query.clone()),
    };
    let query = views::apply(cx, entity, &query).await?;
    let query = page::read(cx, entity, &access, parent, &query).await?;
    if let Some(above) = above {
        parent_is_there(cx, above).await?;
    }
    let body = engine::list::page(cx, entity, &query, &access).await?;
    Ok(Answer { status: 200, body: Some(body), ..Answer::default() })
}

/// The link that leads to the row above: the first one, or the one that `via` names. And the
/// parameters without `via`.
fn via(
    cx: &Cx,
    entity: &'static Entity,
    above: Above,
    query: &[(String, String)],
) -> Result<(&'static Field, Vec<(String, String)>)> {
    let (via, rest): (Vec<_>, Vec<_>) = query.iter().cloned().partition(|(name, _)| name == "via");
    let mut field = above.child.field;
    if let [(_, name)] = via.as_slice() {
        let links = cx.registry().member(entity.name).map(|member| member.links.as_slice());
        let mut links = links.unwrap_or_default().iter();
        let leads =
            |link: &&Link| link.target.name == above.entity.name && link.field.name == *name;
        field = links.find(leads).map(|link| link.field).ok_or_else(|| {
            let text = format!("names no link to {}", above.entity.route());
            Error::field(Code::InvalidRequest, "via", text)
        })?;
    } else if !via.is_empty() {
        return Err(page::repeated_parameter("via"));
    }
    Ok((field, rest))
}

/// One row; with a query, those fields and the linked rows.
async fn get(cx: &mut Cx, call: &Call, entity: &'static Entity, id: Uuid) -> Result<Answer> {
    let access = rights::may(&cx.actor, entity, "read")?;
    if call.query.is_empty() {
        return row(cx, entity, id, &access, 200).await;
    }
    let query = page::parse_one(cx, entity, &access, &call.query)?;
    let (body, version) = engine::list::one(cx, entity, id, &query, &access).await?;
    Ok(Answer { status: 200, body: Some(body), version, ..Answer::default() })
}

/// The body of a child collection belongs to the row above.
async fn under(
    cx: &mut Cx,
    above: Option<Above>,
    mut body: Map<String, Value>,
) -> Result<Map<String, Value>> {
    let Some(above) = above else { return Ok(body) };
    parent_is_there(cx, above).await?;
    let (name, id) = (above.child.field.name, Value::String(above.id.to_string()));
    if body.get(name).is_some_and(|given| *given != id) {
        let text = "differs from the id in the path";
        return Err(Error::faults(vec![Fault::new(name, Code::InvalidValue, text)]));
    }
    body.insert(name.to_owned(), id);
    Ok(body)
}

async fn parent_is_there(cx: &mut Cx, above: Above) -> Result<()> {
    let access = rights::may(&cx.actor, above.entity, "read")?.whole_rows();
    engine::get::json(cx, above.entity, above.id, Lock::None, &access).await.map(drop)
}

/// The answer to a write: the row as far as the caller may read it; 204 where nothing of it.
pub(super) async fn written(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    status: u16,
) -> Result<Answer> {
    let refused = |error: &Error| matches!(error.code(), Code::Forbidden | Code::NotFound);
    let shown = match rights::may(&cx.actor, entity, "read") {
        Ok(access) => row(cx, entity, id, &access, status).await,
        Err(error) => Err(error),
    };
    match shown {
        Err(error) if refused(&error) => {
            let location = (status == 201).then(|| place(entity, id));
            Ok(Answer { location, ..Answer::nothing() })
        }
        answer => answer,
    }
}

/// Like `written` for many rows, each with its status, in their order, by one statement.
pub(super) async fn written_many(
    cx: &Cx,
    entity: &'static Entity,
    rows: &[(Uuid, u16)],
) -> Result<Vec<Answer>> {
    let ids: Vec<Uuid> = rows.iter().map(|(id, _)| *id).collect();
    let found = match rights::may(&cx.actor, entity, "read") {
        Ok(access) if !ids.is_empty() => engine::get::shown_rows(cx, entity, &ids, &access).await?,
        _ => BTreeMap::new(),
    };
    let answer = |&(id, status): &(Uuid, u16)| {
        let location = (status == 201).then(|| place(entity, id));
        match found.get(&id) {
            Some(row) => {
                let (body, version) = (Some(row.json.clone()), row.version);
                Answer { status, body, version, location, ..Answer::default() }
            }
            None => Answer { location, ..Answer::nothing() },
        }
    };
    Ok(rows.iter().map(answer).collect())
}

fn place(entity: &Entity, id: Uuid) -> String {
    format!("/api/v1/{}/{id}", entity.route())
}

/// A row as the answer, with its version and, when new, its place.
async fn row(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    access: &Access,
    status: u16,
) -> Result<Answer> {
    let row = engine::get::shown_row(cx, entity, id, Lock::None, access).await?;
    let location = (status == 201).then(|| place(entity, id));
    let (body, version) = (Some(row.json), row.version);
    Ok(Answer { status, body, version, location, ..Answer::default() })
}

fn no_query(call: &Call) -> Result<()> {
    match call.query.first() {
        Some((name, _)) => Err(page::unknown_parameter(name, "none")),
        None => Ok(()),
    }
}

/// A verb without input takes an empty object at most.
fn no_members(call: &Call) -> Result<()> {
    validate::input(&[], object(call)?).map(drop)
}

/// The body as an object; an absent one is an empty object.
pub(super) fn object(call: &Call) -> Result<Map<String, Value>> {
    let bytes = match &call.body {
        Body::None => return Ok(Map::new()),
        Body::Json(bytes) => bytes,
        Body::Other | Body::Upload(_) => {
            return Err(Error::new(
                Code::UnsupportedMediaType,
                "send the body as Content-Type: application/json",
            ));
        }
    };
    match strict_json::read(bytes)? {
        Value::Object(body) => Ok(body),
        _ => Err(Error::new(Code::MalformedJson, "the body must be a JSON object")),
    }
}
