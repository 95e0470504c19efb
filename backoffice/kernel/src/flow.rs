//! Lifecycles served as data: which move a verb makes from the row's state, what must be filled in
//! before it, and the new state. What a move does beside that is the action of its name, if there is
//! one.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cx::Cx;
use crate::engine;
use crate::entity::{Entity, Move};
use crate::error::{Code, Error, Fault, Result};
use crate::param::Bound;

/// A move that the row's state allows.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    field: &'static str,
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
    Ok(Some(Begun { field: flow.field, from: state.to_owned(), to: one.to }))
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

/// Sets the new state, unless the action has set one itself.
pub(crate) async fn end(
    cx: &mut Cx,
    entity: &'static Entity,
    id: Uuid,
    begun: &Begun,
) -> Result<()> {
    if begun.from == begun.to {
        return Ok(());
    }
    let sql = format!(
        "select \"{}\" from \"{}\" where \"org_id\" = $1 and \"id\" = $2",
        begun.field, entity.name
    );
    let rows = cx.query_typed(&sql, &[Bound::uuid(cx.org), Bound::uuid(id)]).await?;
    let row = rows.first().ok_or_else(|| Error::not_found("row"))?;
    let state: &str = row.try_get(0)?;
    if state != begun.from {
        return Ok(());
    }
    engine::patch::set(cx, entity, id, &[(begun.field, Value::from(begun.to))]).await
}
