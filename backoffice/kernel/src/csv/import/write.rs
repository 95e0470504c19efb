//! A chunk's drafts through the engine: duplicates in the file, links, rows that are there, then new
//! and changed rows by set. The caller decides whether it is committed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use super::outcome::{Fate, Outcome};
use super::plan::{self, Draft, Seen};
use super::trial::{self, Ground};
use super::{Import, May};
use crate::cx::Cx;
use crate::engine::Writer;
use crate::engine::many::{self, Patch};
use crate::entity::{Entity, Field};
use crate::error::{Code, Error, Fault, Result};
use crate::param::{Bound, Param};
use tokio_postgres::types::Type;

/// Writes a chunk; an outcome for each draft, in their order. An error is about the whole
/// transaction.
pub(super) async fn chunk(
    cx: &mut Cx,
    import: &Import,
    may: &May,
    mut drafts: Vec<Draft>,
    seen: &mut Seen,
    ground: Ground,
) -> Result<Vec<Outcome>> {
    plan::once(import.entity, &mut drafts, seen);
    plan::resolve(cx, import, may, &mut drafts).await?;
    if ground == Ground::Copy {
        trial::fetch(cx, import.entity, &drafts).await?;
    }
    let own_links = own_links(cx, import.entity);
    let mut outcomes: BTreeMap<u64, Outcome> = BTreeMap::new();
    let mut waiting = Vec::new();
    for draft in drafts {
        if draft.faults.is_empty() {
            waiting.push(draft);
        } else {
            outcomes.insert(draft.row, Outcome::faulty(draft.row, draft.faults));
        }
    }
    // Rows may stand above others of the same file: those that are ready go first, then the rows
    // below them, until none is left or none can go.
    loop {
        let ids: BTreeSet<Uuid> =
            waiting.iter().filter(|d| d.found.is_none()).filter_map(|draft| draft.id).collect();
        let (ready, rest): (Vec<Draft>, Vec<Draft>) =
            waiting.into_iter().partition(|draft| is_ready(draft, &own_links, &ids));
        waiting = rest;
        if ready.is_empty() {
            break;
        }
        layer(cx, import, may, ready, ground, &mut outcomes).await?;
        if waiting.is_empty() {
            break;
        }
        plan::links(cx, import.entity, &mut waiting).await?;
    }
    for draft in waiting {
        outcomes.insert(draft.row, Outcome::faulty(draft.row, lost_links(&draft, &own_links)));
    }
    let mut outcomes: Vec<Outcome> = outcomes.into_values().collect();
    match ground {
        Ground::Table | Ground::Whole if cx.is_trial() => {}
        Ground::Table | Ground::Whole => versions(cx, import.entity, &mut outcomes).await?,
        Ground::Copy => trial::clashes(cx, import.entity, &mut outcomes).await?,
    }
    Ok(outcomes)
}

/// Links of the entity to itself.
fn own_links(cx: &Cx, entity: &Entity) -> Vec<&'static Field> {
    let links = cx.registry().member(entity.name).map(|member| member.links.as_slice());
    let own = links.unwrap_or_default().iter().filter(|link| link.target.name == entity.name);
    own.map(|link| link.field).collect()
}

/// Whether the entity's rows can stand above each other in one file.
pub(super) fn links_itself(cx: &Cx, entity: &Entity) -> bool {
    !own_links(cx, entity).is_empty()
}

fn is_ready(draft: &Draft, own_links: &[&'static Field], waiting: &BTreeSet<Uuid>) -> bool {
    let waits = own_links.iter().any(|field| {
        let id = draft.body.get(field.name).and_then(Value::as_str);
        let id = id.and_then(|text| Uuid::try_parse(text).ok());
        id.is_some_and(|id| waiting.contains(&id) && Some(id) != draft.id)
    });
    draft.links.is_empty() && !waits
}

fn lost_links(draft: &Draft, own_links: &[&'static Field]) -> Vec<Fault> {
    let text = Code::UnknownReference.title();
    let fault = |field: &Field| Fault::new(field.name, Code::UnknownReference, text);
    let lost: Vec<Fault> = draft.links.iter().map(|(field, _)| fault(field)).collect();
    if lost.is_empty() { own_links.iter().map(|field| fault(field)).collect() } else { lost }
}

async fn layer(
    cx: &mut Cx,
    import: &Import,
    may: &May,
    drafts: Vec<Draft>,
    ground: Ground,
    outcomes: &mut BTreeMap<u64, Outcome>,
) -> Result<()> {
    let entity = import.entity;
    let (mut new, mut new_rows) = (Vec::new(), Vec::new());
    let (mut patches, mut patch_rows) = (Vec::new(), Vec::new());
    for draft in drafts {
        match &draft.found {
            Some(found) => match plan::changes(import, may, &draft, found) {
                Some(body) => {
                    patches.push(Patch { id: found.id, version: Some(found.version), body });
                    patch_rows.push(draft.row);
                }
                None => {
                    let unchanged = Outcome::written(draft.row, Fate::Unchanged, found.id);
                    outcomes.insert(draft.row, unchanged);
                }
            },
            None => {
                new_rows.push(draft.row);
                new.push(plan::new_body(entity, draft));
            }
        }
    }
    if let Some(access) = may.create.as_ref().filter(|_| !new.is_empty()) {
        let written = many::insert(cx, entity, new, Writer::Caller, access).await?;
        tell(outcomes, Fate::Create, new_rows, written);
    }
    if let Some(access) = may.update.as_ref().filter(|_| !patches.is_empty()) {
        // Other people's rows are not kept from them while the rest of a file is tried.
        let tried_in_place = cx.is_trial() && ground == Ground::Table;
        if tried_in_place {
            trial::mark(cx).await?;
        }
        let written = many::update(cx, entity, &patches, access).await?;
        if tried_in_place {
            trial::undo(cx).await?;
        }
        let versions = patches.iter().map(|patch| patch.version);
        let versions: Vec<(u64, Option<i64>)> = patch_rows.iter().copied().zip(versions).collect();
        tell(outcomes, Fate::Update, patch_rows, written);
        for (row, version) in versions {
            if let Some(outcome) = outcomes.get_mut(&row) {
                outcome.before = version;
            }
        }
    }
    Ok(())
}

fn tell(
    outcomes: &mut BTreeMap<u64, Outcome>,
    fate: Fate,
    rows: Vec<u64>,
    written: Vec<std::result::Result<Uuid, Error>>,
) {
    for (row, written) in rows.into_iter().zip(written) {
        let outcome = match written {
            Ok(id) => Outcome::written(row, fate, id),
            Err(error) => Outcome::refused(row, &error),
        };
        outcomes.insert(row, outcome);
    }
}

/// The versions that the written rows have now: what an undo compares with.
async fn versions(cx: &Cx, entity: &'static Entity, outcomes: &mut [Outcome]) -> Result<()> {
    let wanted: Vec<Param> = outcomes.iter().filter_map(|one| one.id).map(Param::Uuid).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let ids = Bound { value: Param::List(wanted), ty: Type::UUID_ARRAY };
    let sql =
        format!("select id, version from \"{}\" where org_id = $1 and id = any($2)", entity.name);
    let mut found: BTreeMap<Uuid, i64> = BTreeMap::new();
    for row in cx.query_typed(&sql, &[Bound::uuid(cx.org), ids]).await? {
        found.insert(row.try_get(0)?, row.try_get(1)?);
    }
    for outcome in outcomes {
        outcome.version = outcome.id.and_then(|id| found.get(&id).copied());
    }
    Ok(())
}
