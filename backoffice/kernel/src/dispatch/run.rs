//! One try of a call in one transaction: right, engine or action, the answer's JSON, commit.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::route::{Above, Target};
use super::{Answer, Body, Call};
use crate::action::{self, Action, Answers, Args, On, Reply};
use crate::cx::{Actor, Cx, Mode};
use crate::engine::{self, Lock};
use crate::entity::Entity;
use crate::error::{Code, Error, Fault, Result};
use crate::page;
use crate::rights::{self, Access};
use crate::service::Service;
use crate::{strict_json, validate};

pub(super) enum Done {
    Answer(Answer),
    /// Committed; another service finishes.
    Await {
        operation: Uuid,
        entity: &'static Entity,
        row: Option<Uuid>,
        status: u16,
    },
}

pub(super) async fn once(
    service: &Service,
    call: &Call,
    target: &Target,
    actor: &Actor,
    org: Uuid,
) -> Result<Done> {
    let mode = match target {
        Target::List { .. } | Target::Get { .. } => Mode::Read,
        _ => Mode::Write,
    };
    let mut cx = service.open(actor.clone(), org, call.request_id, mode).await?;
    let outcome = inside(&mut cx, call, target).await;
    cx.finish(outcome).await
}

async fn inside(cx: &mut Cx, call: &Call, target: &Target) -> Result<Done> {
    let answer = match target {
        Target::List { entity, above } => list(cx, call, entity, *above).await?,
        Target::Get { entity, id } => {
            no_query(call)?;
            let access = rights::may(&cx.actor, entity, "read")?;
            row(cx, entity, *id, &access, 200).await?
        }
        Target::Create { entity, above } => create(cx, call, entity, *above).await?,
        Target::Patch { entity, id } => {
            no_query(call)?;
            let access = rights::may(&cx.actor, entity, "update")?;
            let body = object(call)?;
            engine::patch::update(cx, entity, *id, body, version(call)?, &access).await?;
            written(cx, entity, *id, 200).await?
        }
        Target::Delete { entity, id } => {
            no_query(call)?;
            let access = rights::may(&cx.actor, entity, "delete")?;
            engine::delete::remove(cx, entity, *id, version(call)?, &access).await?;
            Answer::nothing()
        }
        Target::Action { action, id, above } => return act(cx, call, action, *id, *above).await,
    };
    Ok(Done::Answer(answer))
}

async fn list(
    cx: &mut Cx,
    call: &Call,
    entity: &'static Entity,
    above: Option<Above>,
) -> Result<Answer> {
    let access = rights::may(&cx.actor, entity, "read")?;
    let query = page::parse(entity, &call.query)?;
    query.permitted(entity, &access)?;
    let parent = match above {
        Some(above) => {
            parent_is_there(cx, above).await?;
            Some((above.child.field, above.id))
        }
        None => None,
    };
    let body = engine::list::page(cx, entity, &query, &access, parent).await?;
    Ok(Answer { status: 200, body: Some(body), ..Answer::default() })
}

async fn create(
    cx: &mut Cx,
    call: &Call,
    entity: &'static Entity,
    above: Option<Above>,
) -> Result<Answer> {
    no_query(call)?;
    let access = rights::may(&cx.actor, entity, "create")?;
    let body = under(cx, above, object(call)?).await?;
    let id = engine::create::create(cx, entity, body, &access).await?;
    written(cx, entity, id, 201).await
}

async fn act(
    cx: &mut Cx,
    call: &Call,
    action: &'static Action,
    id: Option<Uuid>,
    above: Option<Above>,
) -> Result<Done> {
    no_query(call)?;
    let entity = action.entity;
    let access = rights::may(&cx.actor, entity, action.name)?;
    if id.is_none() {
        rights::may_without_row(&cx.actor, entity, action.name)?;
    }
    let input = under(cx, above, object(call)?).await?;
    let input = validate::input(action.input, input)?;
    if action.on == On::Create {
        access.for_body(entity, &input)?;
    }
    if let Some(id) = id {
        let row = engine::get::row(cx, entity, id, Lock::Update, &access.whole_rows()).await?;
        if let Some(version) = version(call)?
            && row.get("version").and_then(Value::as_i64) != Some(version)
        {
            return Err(Error::new(Code::VersionMismatch, "the row was changed since it was read"));
        }
        action::may_move(action, &row)?;
    }
    let status = if action.on == On::Create { 201 } else { 200 };
    let answer = match (action.run)(cx, Args { id, input }).await? {
        Reply::Row(id) => written(cx, entity, id, status).await?,
        Reply::Json(value) => Answer::json(status, &value),
        Reply::Nothing => match (action.answers, id) {
            (Answers::Row, Some(id)) => written(cx, entity, id, status).await?,
            _ => Answer::nothing(),
        },
        Reply::Await { operation, row } => {
            return Ok(Done::Await { operation, entity, row, status });
        }
    };
    Ok(Done::Answer(answer))
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

/// The body as an object; an absent one is an empty object.
pub(super) fn object(call: &Call) -> Result<Map<String, Value>> {
    let bytes = match &call.body {
        Body::None => return Ok(Map::new()),
        Body::Json(bytes) => bytes,
        Body::Other => {
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

/// `If-Match` (RFC 9110, 13.1.1): one strong tag with a version, or `*`.
fn version(call: &Call) -> Result<Option<i64>> {
    let Some(text) = call.if_match.as_deref().map(str::trim) else { return Ok(None) };
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match tag.and_then(|tag| tag.parse().ok()) {
        Some(version) => Ok(Some(version)),
        None => Err(Error::new(Code::VersionMismatch, "If-Match names no version of this row")),
    }
}
