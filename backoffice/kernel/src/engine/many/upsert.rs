//! Many rows by their natural keys: all keys are looked for by one statement, then what is there is
//! changed and what is not is made, by set.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Patch, demand_count, insert, update};
use crate::cx::Cx;
use crate::engine::upsert::{Demand, Upserted, changes, clashes, key_values, parts, taken};
use crate::engine::{self, Lock, Writer, as_map, keys};
use crate::entity::{Entity, Unique};
use crate::error::{Code, Error, Result};
use crate::param::Param;
use crate::rights::{self, Access};

/// What became of each row, in the order in which they came.
pub(crate) type Outcomes = Vec<Result<Upserted>>;

type Body = Map<String, Value>;

/// Bodies with their places in the call.
type Placed = Vec<(usize, Body)>;

/// Rows in their order, parted so that no part names a row twice: the second of two with one key
/// finds what the first has left.
pub(crate) fn apart(entity: &'static Entity, rows: Vec<Body>) -> Result<Vec<Vec<Body>>> {
    let parts = parts(entity, natural(entity)?)?;
    let mut all: Vec<Vec<Body>> = vec![Vec::new()];
    let mut seen: Vec<Vec<Param>> = Vec::new();
    for body in rows {
        if let Ok(key) = key_values(&parts, &body) {
            if seen.contains(&key) {
                all.push(Vec::new());
                seen.clear();
            }
            seen.push(key);
        }
        if let Some(last) = all.last_mut() {
            last.push(body);
        }
    }
    Ok(all)
}

fn natural(entity: &'static Entity) -> Result<&'static Unique> {
    entity.natural_key().ok_or_else(|| {
        Error::new(Code::MethodNotAllowed, "rows have no natural key to find them by")
    })
}

/// Rows of different keys. Asks for the right of what each turns out to be: to change or to make.
/// Where one row could take what another leaves (a second unique key, a constraint), neighbours of
/// one sort go together and the order stays; else all that is there goes before all that is new.
pub(crate) async fn upsert(
    cx: &mut Cx,
    entity: &'static Entity,
    rows: Vec<Body>,
) -> Result<Outcomes> {
    demand_count(rows.len())?;
    let key = natural(entity)?;
    let parts = parts(entity, key)?;
    let mut outcomes = Outcomes::with_capacity(rows.len());
    let (mut whole, mut values): (Placed, Vec<Vec<Param>>) = (Vec::new(), Vec::new());
    for (place, body) in rows.into_iter().enumerate() {
        match key_values(&parts, &body) {
            Err(error) => outcomes.push(Err(error)),
            Ok(value) => {
                outcomes.push(Err(Error::internal("a row was not written")));
                whole.push((place, body));
                values.push(value);
            }
        }
    }
    let found = keys::find(cx, entity, &parts, &values, &Access::all(), Lock::Update).await?;
    for Run { there, new } in runs(entity, whole.into_iter().zip(found)) {
        change(cx, entity, key, there, &mut outcomes).await?;
        make(cx, entity, key, new, &mut outcomes).await?;
    }
    Ok(outcomes)
}

/// Rows that go together: first those that are there, then those that are new.
#[derive(Default)]
struct Run {
    there: Vec<(Uuid, usize, Body)>,
    new: Placed,
}

fn runs(entity: &Entity, rows: impl Iterator<Item = ((usize, Body), Option<Uuid>)>) -> Vec<Run> {
    let in_order = 1 < entity.uniques.len() || !entity.constraints.is_empty();
    let mut runs = Vec::new();
    let mut run = Run::default();
    for ((place, body), id) in rows {
        let turns = if id.is_some() { !run.new.is_empty() } else { !run.there.is_empty() };
        if in_order && turns {
            runs.push(std::mem::take(&mut run));
        }
        match id {
            Some(id) => run.there.push((id, place, body)),
            None => run.new.push((place, body)),
        }
    }
    runs.push(run);
    runs
}

fn put(outcomes: &mut Outcomes, place: usize, outcome: Result<Upserted>) {
    if let Some(slot) = outcomes.get_mut(place) {
        *slot = outcome;
    }
}

async fn change(
    cx: &mut Cx,
    entity: &'static Entity,
    key: &Unique,
    rows: Vec<(Uuid, usize, Body)>,
    outcomes: &mut Outcomes,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let Ok(access) = rights::may(&cx.actor, entity, "update") else {
        for (_, place, _) in rows {
            let refusal = rights::may(&cx.actor, entity, "update");
            put(outcomes, place, refusal.and(Err(Error::internal("a right came and went"))));
        }
        return Ok(());
    };
    let ids: Vec<Uuid> = rows.iter().map(|(id, ..)| *id).collect();
    let mut present: BTreeMap<Uuid, Body> = BTreeMap::new();
    for (id, shown) in engine::get::shown_rows(cx, entity, &ids, &access).await? {
        present.insert(id, as_map(&shown.json)?);
    }
    let (mut patches, mut places) = (Vec::new(), Vec::new());
    for (id, place, body) in rows {
        match present.get(&id) {
            Some(row) => {
                let body = changes(entity, id, key, body, row);
                patches.push(Patch { id, version: None, body });
                places.push(place);
            }
            None => put(outcomes, place, Err(taken(key))),
        }
    }
    let written = update(cx, entity, &patches, &access).await?;
    for (place, outcome) in places.into_iter().zip(written) {
        put(outcomes, place, outcome.map(Upserted::Changed));
    }
    Ok(())
}

async fn make(
    cx: &mut Cx,
    entity: &'static Entity,
    key: &Unique,
    rows: Placed,
    outcomes: &mut Outcomes,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let Ok(access) = rights::may(&cx.actor, entity, "create") else {
        for (place, _) in rows {
            let refusal = rights::may(&cx.actor, entity, "create");
            put(outcomes, place, refusal.and(Err(Error::internal("a right came and went"))));
        }
        return Ok(());
    };
    let bodies = rows.iter().map(|(_, body)| body.clone()).collect();
    let written = insert(cx, entity, bodies, Writer::Caller, &access).await?;
    for ((place, body), outcome) in rows.into_iter().zip(written) {
        let outcome = match outcome {
            // Somebody was faster since the keys were looked for: theirs is the row.
            Err(error) if clashes(&error, key) => again(cx, entity, body).await?,
            other => other.map(Upserted::Created),
        };
        put(outcomes, place, outcome);
    }
    Ok(())
}

/// One row in a part of its own. An error of the outer sort is about the whole transaction.
async fn again(cx: &mut Cx, entity: &'static Entity, body: Body) -> Result<Result<Upserted>> {
    cx.savepoint().await?;
    let written = match engine::upsert::upsert(cx, entity, body, Demand::Nothing).await {
        Ok(upserted) => cx.end_part().await.map(|()| upserted),
        Err(error) => Err(error),
    };
    match written {
        Err(error) if error.is_retryable() || error.code().status() >= 500 => Err(error),
        Err(error) => {
            cx.undo_savepoint().await?;
            Ok(Err(error))
        }
        good => Ok(good),
    }
}
