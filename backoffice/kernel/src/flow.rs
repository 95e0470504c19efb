//! Lifecycles served as data: which move a verb makes from the row's state, what must be filled in
//! before it, and the new state. What a move does beside that is the action of its name, if there is
//! one.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cx::Cx;
use crate::engine;
use crate::entity::{Entity, Flow, Move};
use crate::error::{Code, Error, Fault, Result};
use crate::param::Bound;

/// A move that the row's state allows.
#[derive(Debug)]
pub(crate) struct Begun {
    flow: &'static Flow,
    action: &'static str,
    from: String,
    to: &'static str,
}

/// The verb, if the entity's flow has moves of this name.
pub(crate) fn named(entity: &Entity, name: &str) -> Option<&'static str> {
    entity.flow?.moves.iter().map(|one| one.action).find(|one| *one == name)
}

/// Checks the move that `name` makes from where the row stands; `None` when it is no move. Fields that
/// the move needs count as filled when the input brings them.
pub(crate) fn begin(
    entity: &'static Entity,
    name: &str,
    row: &Map<String, Value>,
    input: &Map<String, Value>,
) -> Result<Option<Begun>> {
    let Some(flow) = entity.flow else { return Ok(None) };
    let mut moves = flow.moves.iter().filter(|one| one.action == name).peekable();
    if moves.peek().is_none() {
        return Ok(None);
    }
    let state = row.get(flow.field).and_then(Value::as_str).unwrap_or_default();
    let Some(one) = moves.find(|one| one.from.contains(&state)) else {
        let text = format!("{name} is not possible while {} is {state}", flow.field);
        return Err(Error::field(Code::InvalidTransition, flow.field, text));
    };
    filled(one, row, input)?;
    Ok(Some(Begun { flow, action: one.action, from: state.to_owned(), to: one.to }))
}

fn filled(one: &Move, row: &Map<String, Value>, input: &Map<String, Value>) -> Result<()> {
    let empty = |name: &&&str| {
        let value = |from: &Map<String, Value>| {
            from.get(**name).is_some_and(|v| !v.is_null() && v.as_str() != Some(""))
        };
        !value(row) && !value(input)
    };
    let faults: Vec<Fault> = one
        .required
        .iter()
        .filter(empty)
        .map(|name| Fault::new(*name, Code::Required, format!("is required to {}", one.action)))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::faults(faults)) }
}

/// Sets the new state. An action that has set one itself has chosen among the moves of its name from
/// where the row stood: another state is a fault of the action, and nothing of it stays.
pub(crate) async fn end(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    begun: &Begun,
) -> Result<()> {
    let state = state(cx, entity, begun.flow, id).await?;
    if state == begun.from {
        if begun.from == begun.to {
            return Ok(());
        }
        return engine::patch::set(cx, entity, id, &[(begun.flow.field, Value::from(begun.to))])
            .await;
    }
    let leads = |one: &Move| {
        one.action == begun.action && one.from.contains(&&*begun.from) && one.to == state
    };
    if begun.flow.moves.iter().any(leads) {
        return Ok(());
    }
    let (name, action, from) = (entity.name, begun.action, &begun.from);
    Err(Error::internal(format!(
        "{action} led a row of {name} from {from} to {state}: no move does"
    )))
}

/// A state that code of ours writes is one that some move leads to from where the row stands.
pub(crate) async fn demand_move(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    body: &Map<String, Value>,
) -> Result<()> {
    let Some((flow, to)) = entity.flow.and_then(|flow| Some((flow, body.get(flow.field)?))) else {
        return Ok(());
    };
    let from = state(cx, entity, flow, id).await?;
    let to = to.as_str().unwrap_or_default();
    let leads = |one: &Move| one.from.contains(&&*from) && one.to == to;
    if from == to || flow.moves.iter().any(leads) {
        return Ok(());
    }
    Err(Error::internal(format!(
        "a row of {} was set from {from} to {to}: no move does",
        entity.name
    )))
}

/// Where the row stands, locked until the transaction ends.
async fn state(cx: &Cx, entity: &'static Entity, flow: &Flow, id: Uuid) -> Result<String> {
    let sql = format!(
        "select \"{}\" from \"{}\" where \"org_id\" = $1 and \"id\" = $2 for update",
        flow.field, entity.name
    );
    let rows = cx.query_typed(&sql, &[Bound::uuid(cx.org), Bound::uuid(id)]).await?;
    let row =
        rows.first().ok_or_else(|| Error::not_found(&format!("row in {}", entity.route())))?;
    Ok(row.try_get(0)?)
}
