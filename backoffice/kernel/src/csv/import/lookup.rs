//! Rows by the keys that files name them with, a query for a whole chunk: targets of links, and rows
//! that are there already. Rights hold: what the caller may not read cannot be found.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use super::plan::Draft;
use super::{Import, Matching};
use crate::cx::Cx;
use crate::engine::{self, Lock};
use crate::entity::{Entity, Field, Scope};
use crate::error::{Code, Error, Fault, Result};
use crate::kind;
use crate::param::Param;
use crate::rights::{self, Access};

/// A key's values by field, as JSON texts: comparable, and of any kind. A key of one part that a cell
/// holds without saying its field has an empty name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(BTreeMap<&'static str, String>);

impl Key {
    pub(super) fn one(text: &str) -> Self {
        Self(BTreeMap::from([("", Value::from(text).to_string())]))
    }

    pub(super) fn push(&mut self, field: &'static str, value: Value) {
        self.0.insert(field, value.to_string());
    }

    /// The value of a part, decoded as its kind.
    fn part(&self, field: &Field) -> Option<Param> {
        let text = self.0.get(field.name).or_else(|| self.0.get(""))?;
        let value: Value = serde_json::from_str(text).ok()?;
        kind::decode(field.kind, &value).ok()
    }
}

/// The draft's own natural key, when all of it is there.
pub(super) fn key_of(entity: &'static Entity, draft: &Draft) -> Option<Key> {
    let mut key = Key::default();
    for name in entity.natural_key()?.fields {
        let value = draft.body.get(*name).filter(|value| !value.is_null())?;
        key.push(name, value.clone());
    }
    Some(key)
}

/// Ids of the rows that a link names by these keys. None are found where the caller may not read
/// what the link names.
pub(super) async fn targets(
    cx: &Cx,
    entity: &'static Entity,
    field: &'static Field,
    keys: &BTreeSet<&Key>,
) -> Result<BTreeMap<Key, Uuid>> {
    let Some(target) = cx.registry().target(entity, field.name) else {
        return Err(Error::internal(format!("{} has no target", field.name)));
    };
    let (Scope::Tenant, Some(unique)) = (target.scope, target.natural_key()) else {
        return Ok(BTreeMap::new());
    };
    let Ok(access) = rights::may(&cx.actor, target, "read") else {
        return Ok(BTreeMap::new());
    };
    let parts: Vec<&'static Field> =
        unique.fields.iter().filter_map(|name| target.field(name)).collect();
    if parts.iter().any(|part| access.readable_everywhere(part).is_err()) {
        return Ok(BTreeMap::new());
    }
    find(cx, target, &parts, keys, &access).await
}

/// The rows that keys name: those that there are, and that are in reach.
async fn find(
    cx: &Cx,
    target: &'static Entity,
    parts: &[&'static Field],
    keys: &BTreeSet<&Key>,
    access: &Access,
) -> Result<BTreeMap<Key, Uuid>> {
    let whole = keys.iter().filter_map(|key| {
        let values: Option<Vec<Param>> = parts.iter().map(|part| key.part(part)).collect();
        Some(((*key).clone(), values?))
    });
    let (keys, values): (Vec<Key>, Vec<Vec<Param>>) = whole.unzip();
    let found = engine::keys::find(cx, target, parts, &values, access, Lock::None).await?;
    Ok(keys.into_iter().zip(found).filter_map(|(key, id)| Some((key, id?))).collect())
}

/// The rows that the drafts mean: by id where one is given, else by natural key. Within reach of the
/// right to change them, and locked.
pub(super) async fn present(
    cx: &Cx,
    import: &Import,
    access: &Access,
    drafts: &mut [Draft],
) -> Result<()> {
    let entity = import.entity;
    let mut wanted: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut by_key: BTreeMap<Key, usize> = BTreeMap::new();
    for (place, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.faults.is_empty()) {
        match (draft.id, key_of(entity, draft)) {
            (Some(id), _) => drop(wanted.insert(id, place)),
            (None, Some(key)) => drop(by_key.insert(key, place)),
            (None, None) => {}
        }
    }
    if let Some(unique) = entity.natural_key() {
        let parts: Vec<&'static Field> =
            unique.fields.iter().filter_map(|name| entity.field(name)).collect();
        let keys: BTreeSet<&Key> = by_key.keys().collect();
        for (key, id) in find(cx, entity, &parts, &keys, access).await? {
            if let Some(place) = by_key.get(&key) {
                wanted.insert(id, *place);
            }
        }
    }
    let ids: Vec<Uuid> = wanted.keys().copied().collect();
    for found in engine::found::several(cx, entity, &ids, access).await? {
        let place = wanted.get(&found.id).copied();
        if let Some(draft) = place.and_then(|place| drafts.get_mut(place)) {
            draft.found = Some(found);
        }
    }
    if import.matching == Matching::Update {
        for draft in drafts.iter_mut().filter(|d| d.found.is_none() && d.faults.is_empty()) {
            let named = entity.natural_key().filter(|_| draft.id.is_none());
            let field = named.and_then(|key| key.fields.first()).copied().unwrap_or("id");
            draft.faults.push(Fault::new(field, Code::NotFound, "there is no such row"));
        }
    }
    Ok(())
}
