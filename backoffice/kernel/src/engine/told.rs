//! Reads that are told: which personal and confidential fields of which rows a caller saw, for roles
//! that say so. Written in the transaction that reads, so no answer leaves without its entry. Every
//! answer that shows something of rows says so here, whatever form it has: rows, linked rows, groups
//! and figures, cursors, files, changes, answers of actions.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::create;
use crate::accounts::PERSONAL_READ;
use crate::custom;
use crate::cx::Cx;
use crate::entity::{Entity, Level};
use crate::error::Result;
use crate::kind_sql;
use crate::rights::Access;

/// Row ids that one entry names: a page has no more. Beyond, only the number of rows is told.
pub(crate) const TOLD_ROWS_MAX: u32 = 200;
/// Stands among names for the custom fields by whose words a search finds.
pub(crate) const SEARCHED_CUSTOM: &str = "custom by words";
/// Field names that one entry names; an entity with its custom fields may have more, which are left
/// out behind these.
pub(crate) const TOLD_FIELDS_MAX: u32 = 200;

/// Of which rows an answer shows something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Told<'a> {
    Rows(&'a [Uuid]),
    /// A file, groups, figures: so many rows, without their names.
    Count(i64),
}

/// Writes the entry, where the caller's reads are told and one of these names is of a field above
/// the level open. A name is a field's, a column's, `custom` for all custom fields that the caller
/// may read, `SEARCHED_CUSTOM`, or `custom.<key>`.
pub(crate) async fn tell<'n>(
    cx: &Cx,
    entity: &'static Entity,
    access: &Access,
    told: Told<'_>,
    names: impl Iterator<Item = &'n str>,
) -> Result<()> {
    if !access.is_logged() {
        return Ok(());
    }
    let fields = personal(cx, entity, access, names).await?;
    tell_named(cx, entity, access, told, fields).await
}

/// Like `tell`, of names that are known to be above the level open.
pub(crate) async fn tell_named(
    cx: &Cx,
    entity: &'static Entity,
    access: &Access,
    told: Told<'_>,
    fields: BTreeSet<String>,
) -> Result<()> {
    let (count, ids): (i64, &[Uuid]) = match told {
        Told::Rows(ids) => {
            let named = ids.get(..ids.len().min(TOLD_ROWS_MAX as usize)).unwrap_or_default();
            (i64::try_from(ids.len()).unwrap_or(i64::MAX), named)
        }
        Told::Count(count) => (count, &[]),
    };
    if !access.is_logged() || count <= 0 || fields.is_empty() {
        return Ok(());
    }
    let fields: Vec<String> = fields.into_iter().take(TOLD_FIELDS_MAX as usize).collect();
    let entry = json!({
        "actor_kind": cx.actor.kind(),
        "actor_id": cx.actor.id_text(),
        "request_id": cx.request_id,
        "table_name": entity.name,
        "row_count": count,
        "row_ids": ids,
        "field_names": fields,
    });
    let entry: Map<String, Value> = crate::kind::object(entry).unwrap_or_default();
    create::note(cx, &PERSONAL_READ, &entry).await.map(drop)
}

/// The names among these that are above the level open.
async fn personal<'n>(
    cx: &Cx,
    entity: &'static Entity,
    access: &Access,
    names: impl Iterator<Item = &'n str>,
) -> Result<BTreeSet<String>> {
    const CUSTOM: &str = "custom";
    let mut all = BTreeSet::new();
    for name in names {
        let key = name.strip_prefix(CUSTOM).and_then(|rest| rest.strip_prefix('.'));
        let by_words = name == SEARCHED_CUSTOM;
        if name != CUSTOM && !by_words && key.is_none() {
            let named = |column: &kind_sql::Column| column.name == name;
            let field = entity
                .fields
                .iter()
                .find(|field| field.name == name || kind_sql::columns(field).iter().any(named));
            let field = field.filter(|field| Level::Open < field.level);
            all.extend(field.map(|field| field.name.to_owned()));
            continue;
        }
        let model = custom::load(cx, entity).await?;
        let shown = model.fields.iter().filter(|field| {
            Level::Open < field.level
                && access.shows_level(field.level)
                && (field.searched || !by_words)
                && key.is_none_or(|key| key.split('.').next() == Some(&*field.key))
        });
        all.extend(shown.map(|field| format!("{CUSTOM}.{}", field.key)));
    }
    Ok(all)
}
