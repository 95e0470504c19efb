//! Many rows by few statements: one `insert … select from unnest(…)` or `update … from unnest(…)` a
//! batch, one deletion or return of all of them, links checked by set, the faults of each row told
//! apart. What a single write does (custom fields, numbers, rules, change log) happens here as well.
//!
//! A batch that the database refuses is halved until the rows at fault stand alone, so one bad row
//! among a thousand costs some twenty statements and a thousand bad ones two thousand.

mod statement;
pub(crate) mod upsert;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::standing::Named;
use super::{Writer, delete, links, numbers, patch, prepare, reach, restore, rules};
use crate::action::BoxFuture;
use crate::custom::{self, Model};
use crate::cx::Cx;
use crate::entity::{Entity, Field, Scope};
use crate::error::{Code, Error, Fault, Result};
use crate::rights::Access;
use crate::rule::ChangeOp;
use crate::validate::{self, Columns, Purpose};

/// Rows of one call; callers with more send batches.
pub(crate) const ROWS_MAX: usize = 2_000;

/// What became of each row, in the order in which they came.
pub(crate) type Outcomes = Vec<Result<Uuid>>;

/// A row to change: its id, the version that it must still have, and the fields.
#[derive(Debug, Clone)]
pub struct Patch {
    pub id: Uuid,
    pub version: Option<i64>,
    pub body: Map<String, Value>,
}

/// A row on its way, with its place in the call.
struct Item {
    place: usize,
    /// Of an update; a new row may bring its own in `columns`.
    id: Uuid,
    version: Option<i64>,
    columns: Columns,
    /// For whom not every row is in reach: the row must be there afterwards.
    narrow: Option<Access>,
}

#[derive(Clone, Copy)]
enum Job<'a> {
    Insert,
    Update(&'a Access),
    Delete(&'a Access),
    Restore(&'a Access),
}

/// New rows. An error is about the whole call and leaves the transaction to be rolled back; what is
/// wrong with single rows stands in their outcomes, and those rows are not there.
pub(crate) async fn insert(
    cx: &mut Cx,
    entity: &'static Entity,
    mut rows: Vec<Map<String, Value>>,
    writer: Writer,
    access: &Access,
) -> Result<Outcomes> {
    if entity.scope != Scope::Tenant {
        return Err(Error::internal(format!("{} is not served by the engine", entity.name)));
    }
    let mut reach = Vec::with_capacity(rows.len());
    for body in &mut rows {
        let mut narrow = access.for_body(entity, body);
        if let Err(error) = custom::permitted(cx, entity, body, access).await {
            narrow = Err(error);
        }
        if let Ok(narrow) = &narrow {
            narrow.adopt(entity, entity.fields, body);
        }
        reach.push(narrow);
    }
    let bodies: Vec<&Map<String, Value>> = rows.iter().collect();
    let (mut outcomes, columns) = read(cx, entity, &bodies, Purpose::Create, writer).await?;
    let mut reach: Vec<Option<Result<Access>>> = reach.into_iter().map(Some).collect();
    let mut items = Vec::with_capacity(columns.len());
    for (place, columns) in columns {
        match reach.get_mut(place).and_then(Option::take) {
            Some(Ok(narrow)) => {
                let id = columns.id.unwrap_or_else(|| cx.new_id());
                let narrow = Some(narrow).filter(|narrow| !narrow.is_everywhere());
                items.push(Item { place, id, version: None, columns, narrow });
            }
            Some(Err(error)) => put(&mut outcomes, place, Err(error)),
            None => {}
        }
    }
    run(cx, entity, Job::Insert, items, &mut outcomes).await?;
    Ok(outcomes)
}

/// Changes to rows within `access`; absent fields stay, null empties.
pub(crate) async fn update(
    cx: &mut Cx,
    entity: &'static Entity,
    rows: &[Patch],
    access: &Access,
) -> Result<Outcomes> {
    let bodies: Vec<&Map<String, Value>> = rows.iter().map(|row| &row.body).collect();
    let (mut outcomes, columns) = read(cx, entity, &bodies, Purpose::Patch, Writer::Caller).await?;
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for (place, columns) in columns {
        let Some(row) = rows.get(place) else { continue };
        if !seen.insert(row.id) {
            put(&mut outcomes, place, Err(twice()));
            continue;
        }
        let narrow = match access.for_body(entity, &row.body) {
            Ok(narrow) => narrow,
            Err(error) => {
                put(&mut outcomes, place, Err(error));
                continue;
            }
        };
        if let Err(error) = custom::permitted(cx, entity, &row.body, access).await {
            put(&mut outcomes, place, Err(error));
            continue;
        }
        let (id, version) = (row.id, row.version);
        if columns.names.is_empty() && columns.custom.is_empty() {
            // Nothing to change, but the row must be there.
            let there = patch::present(cx, entity, id, version, access).await;
            put(&mut outcomes, place, there.map(|()| id));
            continue;
        }
        let narrow = Some(narrow).filter(|narrow| !narrow.is_everywhere());
        items.push(Item { place, id, version, columns, narrow });
    }
    run(cx, entity, Job::Update(access), items, &mut outcomes).await?;
    Ok(outcomes)
}

/// Rows within `access` go, each with what goes along with it.
pub(crate) async fn remove(
    cx: &mut Cx,
    entity: &'static Entity,
    rows: &[Named],
    access: &Access,
) -> Result<Outcomes> {
    named(cx, entity, rows, Job::Delete(access)).await
}

/// Deleted rows within `access` come back.
pub(crate) async fn bring_back(
    cx: &mut Cx,
    entity: &'static Entity,
    rows: &[Named],
    access: &Access,
) -> Result<Outcomes> {
    named(cx, entity, rows, Job::Restore(access)).await
}

/// What a write needs no body for.
async fn named(
    cx: &mut Cx,
    entity: &'static Entity,
    rows: &[Named],
    job: Job<'_>,
) -> Result<Outcomes> {
    demand_count(rows.len())?;
    let mut seen = BTreeSet::new();
    let (mut outcomes, mut items) = (Outcomes::with_capacity(rows.len()), Vec::new());
    for (place, &Named { id, version }) in rows.iter().enumerate() {
        if seen.insert(id) {
            outcomes.push(unwritten());
            items.push(Item { place, id, version, columns: Columns::default(), narrow: None });
        } else {
            outcomes.push(Err(twice()));
        }
    }
    run(cx, entity, job, items, &mut outcomes).await?;
    Ok(outcomes)
}

/// Replaced when the row is written; until then there is no row.
fn unwritten() -> Result<Uuid> {
    Err(Error::internal("a row was not written"))
}

fn twice() -> Error {
    Error::field(Code::Duplicate, "id", "the row stands there twice")
}

fn demand_count(count: usize) -> Result<()> {
    if count <= ROWS_MAX {
        return Ok(());
    }
    Err(Error::internal(format!("a call writes at most {ROWS_MAX} rows")))
}

/// Validates all bodies; a place without columns has its faults in the outcomes already.
async fn read(
    cx: &Cx,
    entity: &'static Entity,
    bodies: &[&Map<String, Value>],
    purpose: Purpose,
    writer: Writer,
) -> Result<(Outcomes, Vec<(usize, Columns)>)> {
    demand_count(bodies.len())?;
    let needed = bodies.iter().any(|body| validate::needs_model(entity, body, purpose, writer));
    let model = if needed { custom::load(cx, entity).await? } else { Model::default().into() };
    let mut read: Vec<(Columns, Vec<Fault>)> =
        bodies.iter().map(|body| validate::read(entity, body, purpose, writer, &model)).collect();
    let unknown = unknown_links(cx, entity, &read, writer).await?;
    let mut outcomes: Outcomes = Vec::with_capacity(bodies.len());
    let mut good = Vec::new();
    for (place, (columns, faults)) in read.drain(..).enumerate() {
        let lost = columns.links.iter().filter(|(field, id)| unknown.contains(&(field.name, *id)));
        let lost = lost.map(|(field, _)| links::fault(field)).collect();
        match prepare::refuse(faults, lost) {
            Ok(()) => {
                outcomes.push(unwritten());
                good.push((place, columns));
            }
            Err(error) => outcomes.push(Err(error)),
        }
    }
    Ok((outcomes, good))
}

/// Field and id of every link that leads to nothing: one query a field.
async fn unknown_links(
    cx: &Cx,
    entity: &'static Entity,
    rows: &[(Columns, Vec<Fault>)],
    writer: Writer,
) -> Result<BTreeSet<(&'static str, Uuid)>> {
    let mut asked: BTreeMap<&'static str, (&'static Field, BTreeSet<Uuid>)> = BTreeMap::new();
    for (field, id) in rows.iter().flat_map(|(columns, _)| &columns.links) {
        asked.entry(field.name).or_insert((field, BTreeSet::new())).1.insert(*id);
    }
    let mut unknown = BTreeSet::new();
    for (name, (field, ids)) in asked {
        let there = links::there(cx, entity, field, &ids, writer).await?;
        unknown.extend(ids.difference(&there).map(|id| (name, *id)));
    }
    Ok(unknown)
}

/// Rows that name the same columns go into one statement.
async fn run(
    cx: &mut Cx,
    entity: &'static Entity,
    job: Job<'_>,
    items: Vec<Item>,
    outcomes: &mut Outcomes,
) -> Result<()> {
    let mut alike: BTreeMap<Vec<Cow<'static, str>>, Vec<Item>> = BTreeMap::new();
    for item in items {
        alike.entry(item.columns.names.clone()).or_default().push(item);
    }
    for (_, group) in alike {
        batch(cx, entity, job, group, outcomes).await?;
    }
    Ok(())
}

fn batch<'a>(
    cx: &'a mut Cx,
    entity: &'static Entity,
    job: Job<'a>,
    mut items: Vec<Item>,
    outcomes: &'a mut Outcomes,
) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if items.is_empty() {
            return Ok(());
        }
        cx.savepoint().await?;
        let mut attempted = attempt(cx, entity, job, &items).await;
        if attempted.is_ok()
            && let Err(refusal) = cx.end_part().await
        {
            attempted = Err(refusal);
        }
        let error = match attempted {
            Ok(written) => {
                for (place, outcome) in written {
                    put(outcomes, place, outcome);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        // Not about a row: the whole transaction is to run again or to end.
        if error.is_retryable() || error.code().status() >= 500 {
            return Err(error);
        }
        cx.undo_savepoint().await?;
        if let [item] = items.as_slice() {
            put(outcomes, item.place, Err(error));
            return Ok(());
        }
        let second = items.split_off(items.len() / 2);
        batch(cx, entity, job, items, outcomes).await?;
        batch(cx, entity, job, second, outcomes).await
    })
}

fn put(outcomes: &mut Outcomes, place: usize, outcome: Result<Uuid>) {
    if let Some(slot) = outcomes.get_mut(place) {
        *slot = outcome;
    }
}

async fn attempt(
    cx: &mut Cx,
    entity: &'static Entity,
    job: Job<'_>,
    items: &[Item],
) -> Result<Vec<(usize, Result<Uuid>)>> {
    match job {
        Job::Insert => insert_all(cx, entity, items).await,
        Job::Update(access) => update_all(cx, entity, items, access).await,
        Job::Delete(access) => {
            let each = delete::all(cx, entity, &names(items), access).await?;
            Ok(told(items, each))
        }
        Job::Restore(access) => {
            let each = restore::all(cx, entity, &names(items), access).await?;
            Ok(told(items, each))
        }
    }
}

fn names(items: &[Item]) -> Vec<Named> {
    items.iter().map(|item| Named { id: item.id, version: item.version }).collect()
}

fn told(items: &[Item], each: Vec<Result<()>>) -> Vec<(usize, Result<Uuid>)> {
    let told = items.iter().zip(each);
    told.map(|(item, outcome)| (item.place, outcome.map(|()| item.id))).collect()
}

async fn insert_all(
    cx: &mut Cx,
    entity: &'static Entity,
    items: &[Item],
) -> Result<Vec<(usize, Result<Uuid>)>> {
    let mut given = statement::columns(entity, items);
    if let Some(first) = items.first() {
        for (field, from) in numbers::missing(entity, &first.columns) {
            let numbers = numbers::take(cx, from, items.len()).await?;
            given.push(statement::texts(field.name, numbers));
        }
    }
    let (sql, params) = statement::insert(entity, cx.org, cx.now, items, given);
    cx.query_typed(&sql, &params).await?;
    let ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
    demand(cx, entity, items, &ids).await?;
    let mut written = Vec::with_capacity(items.len());
    for item in items {
        rules::after(cx, entity, item.id, ChangeOp::Create, None).await?;
        written.push((item.place, Ok(item.id)));
    }
    Ok(written)
}

async fn update_all(
    cx: &mut Cx,
    entity: &'static Entity,
    items: &[Item],
    access: &Access,
) -> Result<Vec<(usize, Result<Uuid>)>> {
    let mut before = BTreeMap::new();
    for item in items {
        before.insert(item.id, rules::before(cx, entity, item.id).await?);
    }
    // Rows that name the same fields are in reach alike.
    let narrow = items.first().and_then(|item| item.narrow.as_ref()).unwrap_or(access);
    let (sql, params) = statement::update(entity, cx.org, cx.now, items, narrow);
    let rows = cx.query_typed(&sql, &params).await?;
    let changed: Result<Vec<Uuid>> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect();
    let changed = changed?;
    demand(cx, entity, items, &changed).await?;
    let changed: BTreeSet<Uuid> = changed.into_iter().collect();
    let mut written = Vec::with_capacity(items.len());
    for item in items {
        if changed.contains(&item.id) {
            let row = before.remove(&item.id).flatten();
            rules::after(cx, entity, item.id, ChangeOp::Update, row).await?;
            written.push((item.place, Ok(item.id)));
            continue;
        }
        written.push((item.place, Err(untouched(cx, entity, item, access, narrow).await)));
    }
    Ok(written)
}

/// Why the statement passed over a row.
async fn untouched(
    cx: &Cx,
    entity: &'static Entity,
    item: &Item,
    access: &Access,
    narrow: &Access,
) -> Error {
    let told = async {
        if narrow.is_narrower(access) {
            patch::may_write(cx, entity, item.id, &given(item), access, narrow).await?;
        }
        patch::present(cx, entity, item.id, item.version, access).await
    };
    told.await.err().unwrap_or_else(patch::mismatch)
}

/// The fields that a row names, for refusals.
fn given(item: &Item) -> Map<String, Value> {
    item.columns.names.iter().map(|name| (name.to_string(), Value::Null)).collect()
}

/// What was written by somebody whose reach is narrower than all is still in it.
async fn demand(cx: &Cx, entity: &'static Entity, items: &[Item], ids: &[Uuid]) -> Result<()> {
    let Some((first, narrow)) = items.first().and_then(|item| Some((item, item.narrow.as_ref()?)))
    else {
        return Ok(());
    };
    reach::demand(cx, entity, ids, &given(first), narrow).await
}
