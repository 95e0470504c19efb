//! From a chunk's records to bodies: cells are read, links and rows are found by set, and what is
//! there already is told from what is new. Writes nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::cell;
use super::super::mapping::{Column, Mapping, Place};
use super::super::text::{Cell, Reader, Record};
use super::lookup::{self, Key};
use super::{Import, May};
use crate::custom::CustomField;
use crate::cx::Cx;
use crate::engine::found::Found;
use crate::engine::upsert::same;
use crate::entity::{Access as Writes, Entity, Field, Kind};
use crate::error::{Code, Error, Fault, Result};
use crate::kind::Refusal;

/// A record on its way to a body.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) row: u64,
    pub(super) body: Map<String, Value>,
    pub(super) id: Option<Uuid>,
    /// Links that are given by the key of what they name.
    pub(super) links: Vec<(&'static Field, Key)>,
    pub(super) faults: Vec<Fault>,
    /// The row that is there already.
    pub(super) found: Option<Found>,
}

/// Keys of the rows that earlier parts of the file brought: one stands in a file once.
pub(super) type Seen = HashSet<Key>;

/// Reads a chunk as it was staged: in front of each record's cells stands its row.
pub(super) fn read(mapping: &Mapping, records: &[u8]) -> Result<Vec<Draft>> {
    let broken = |_| Error::internal("a staged chunk cannot be read");
    let mut reader = Reader::numbered();
    let mut all = Vec::new();
    reader.push(records, &mut all).map_err(broken)?;
    reader.finish(&mut all).map_err(broken)?;
    all.into_iter().map(|record| draft(mapping, record)).collect()
}

fn draft(mapping: &Mapping, record: Record) -> Result<Draft> {
    let (number, cells) =
        record.cells.split_first().ok_or_else(|| Error::internal("a staged record has no row"))?;
    let row = number.text.parse().map_err(|_| Error::internal("a staged record has no row"))?;
    let mut draft = Draft { row, ..Draft::default() };
    if cells.len() != mapping.columns.len() {
        let text =
            format!("the row has {} cells, the header has {}", cells.len(), mapping.columns.len());
        draft.faults.push(Fault::new("", Code::InvalidFormat, text));
        return Ok(draft);
    }
    let mut keys: BTreeMap<&'static str, KeyCells<'_>> = BTreeMap::new();
    for (place, (column, cell)) in mapping.columns.iter().zip(cells).enumerate() {
        match column {
            Column::ReadOnly | Column::Ignored => {}
            Column::Id => match cell::read(Kind::Id, cell) {
                Ok(Value::String(text)) => match Uuid::try_parse(&text) {
                    Ok(id) => draft.id = Some(id),
                    Err(_) => {
                        let text = "must be a UUID";
                        draft.faults.push(Fault::new("id", Code::InvalidFormat, text));
                    }
                },
                Ok(_) => {}
                Err(refusal) => draft.fault("id", refusal),
            },
            Column::Field(field) => field_cell(&mut draft, field, cell),
            Column::Part(field, Place::First) => {
                let second = Column::Part(field, Place::Second);
                let second = mapping.columns.iter().position(|one| *one == second);
                let value = match second.and_then(|second| cells.get(second)) {
                    Some(second) => cell::read_pair(field.kind, cell, second),
                    None => cell::read(field.kind, cell),
                };
                draft.put(field, value);
            }
            // Read with its first part.
            Column::Part(field, Place::Second) => {
                let first = Column::Part(field, Place::First);
                if !mapping.columns.contains(&first) && !cell.is_null() {
                    let text = "stands there without its first part";
                    draft.faults.push(Fault::new(field.name, Code::Required, text));
                }
            }
            Column::Custom(field) => custom_cell(&mut draft, field, cell),
            Column::Key(link, part) => {
                let cells = keys.entry(link.name).or_insert(KeyCells { link, parts: Vec::new() });
                cells.parts.push((part, cell, place));
            }
        }
    }
    for (_, cells) in keys {
        key_cells(&mut draft, cells);
    }
    Ok(draft)
}

impl Draft {
    fn put(&mut self, field: &'static Field, value: std::result::Result<Value, Refusal>) {
        match value {
            Ok(value) => {
                self.body.insert(field.name.to_owned(), value);
            }
            Err(refusal) => self.fault(field.name, refusal),
        }
    }

    fn fault(&mut self, field: &str, refusal: Refusal) {
        let path = format!("{field}{}", refusal.below);
        self.faults.push(Fault::new(path, refusal.code, refusal.message));
    }
}

/// A link's cell holds an id, or the key of what it names where that is one field.
fn field_cell(draft: &mut Draft, field: &'static Field, cell: &Cell) {
    let value = cell::read(field.kind, cell);
    if let (Kind::Link { .. }, Ok(Value::String(text))) = (field.kind, &value)
        && Uuid::try_parse(text).is_err()
    {
        draft.links.push((field, Key::one(text)));
        return;
    }
    draft.put(field, value);
}

/// Custom fields are members of one object; null takes a value away.
fn custom_cell(draft: &mut Draft, field: &CustomField, cell: &Cell) {
    match cell::read(field.kind, cell) {
        Ok(value) => {
            let custom = draft.body.entry("custom").or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(custom) = custom {
                custom.insert(field.key.clone(), value);
            }
        }
        Err(refusal) => draft.fault(&format!("custom.{}", field.key), refusal),
    }
}

struct KeyCells<'a> {
    link: &'static Field,
    parts: Vec<(&'static Field, &'a Cell, usize)>,
}

/// All parts null is no link; some null is a fault.
fn key_cells(draft: &mut Draft, cells: KeyCells<'_>) {
    let link = cells.link;
    if cells.parts.iter().all(|(_, cell, _)| cell.is_null()) {
        draft.body.insert(link.name.to_owned(), Value::Null);
        return;
    }
    let mut key = Key::default();
    for (part, cell, _) in cells.parts {
        let path = format!("{}.{}", link.name, part.name);
        match cell::read(part.kind, cell) {
            Ok(Value::Null) => {
                draft.faults.push(Fault::new(path, Code::Required, "a value is required"));
                return;
            }
            Ok(value) => key.push(part.name, value),
            Err(refusal) => {
                draft.fault(&path, refusal);
                return;
            }
        }
    }
    draft.links.push((link, key));
}

/// Finds what the drafts name and what is there already. Links to rows of the same file that are not
/// written yet stay in `links`.
pub(super) async fn resolve(
    cx: &Cx,
    import: &Import,
    may: &May,
    drafts: &mut [Draft],
) -> Result<()> {
    links(cx, import.entity, drafts).await?;
    if let Some(access) = &may.update {
        lookup::present(cx, import, access, drafts).await?;
    }
    Ok(())
}

/// Keys of links to ids, a query a link field.
pub(super) async fn links(cx: &Cx, entity: &'static Entity, drafts: &mut [Draft]) -> Result<()> {
    let fields: BTreeMap<&'static str, &'static Field> = drafts
        .iter()
        .flat_map(|draft| draft.links.iter().map(|(field, _)| (field.name, *field)))
        .collect();
    for field in fields.into_values() {
        let keys: BTreeSet<&Key> = drafts
            .iter()
            .flat_map(|draft| &draft.links)
            .filter(|(own, _)| own.name == field.name)
            .map(|(_, key)| key)
            .collect();
        let ids = lookup::targets(cx, entity, field, &keys).await?;
        for draft in drafts.iter_mut() {
            let found = draft.links.iter().position(|(own, _)| own.name == field.name);
            let Some(place) = found else { continue };
            let id = draft.links.get(place).and_then(|(_, key)| ids.get(key));
            if let Some(id) = id {
                draft.body.insert(field.name.to_owned(), Value::String(id.to_string()));
                draft.links.swap_remove(place);
            }
        }
    }
    Ok(())
}

/// A key that stands in the file again is the later row's fault.
pub(super) fn once(entity: &'static Entity, drafts: &mut [Draft], seen: &mut Seen) {
    for draft in drafts.iter_mut().filter(|draft| draft.faults.is_empty()) {
        let keys = [draft.id.map(|id| Key::one(&id.to_string())), lookup::key_of(entity, draft)];
        for key in keys.into_iter().flatten() {
            if !seen.insert(key) {
                let field = entity.natural_key().and_then(|key| key.fields.first());
                let text = "the row stands in the file twice";
                let field = if draft.id.is_some() { "id" } else { field.copied().unwrap_or("id") };
                draft.faults.push(Fault::new(field, Code::Duplicate, text));
            }
        }
    }
}

/// The body of a new row: an empty cell leaves a required field to its default.
pub(super) fn new_body(entity: &'static Entity, draft: Draft) -> Map<String, Value> {
    let mut body = draft.body;
    body.retain(|name, value| {
        let field = entity.field(name);
        let defaulted = field.is_some_and(|field| field.required && field.default.is_some());
        !(value.is_null() && defaulted)
    });
    if let Some(id) = draft.id {
        body.insert("id".to_owned(), Value::String(id.to_string()));
    }
    body
}

/// What changes in a row that is there; `None` when nothing does. Fields that are set once may stand
/// there with the value that they have. A field that the sender may not read counts as changed
/// whatever its value is: else a trial would tell it.
pub(super) fn changes(
    import: &Import,
    may: &May,
    draft: &Draft,
    found: &Found,
) -> Option<Map<String, Value>> {
    let mut body = draft.body.clone();
    let mut differs = false;
    body.retain(|name, given| {
        let Some(field) = import.entity.field(name) else {
            let readable = import.mapping.custom_fields().all(|field| may.reads_custom(field));
            differs |= name != "custom" || !readable || !same_custom(given, found.row.get(name));
            return true;
        };
        let same = may.reads(field) && same(field, given, found.row.get(name));
        differs |= !same;
        !(same && field.access == Writes::WriteOnce)
    });
    differs.then_some(body)
}

/// Null and absent are the same there.
fn same_custom(given: &Value, present: Option<&Value>) -> bool {
    let Value::Object(given) = given else { return false };
    let none = Value::Null;
    given
        .iter()
        .all(|(key, value)| present.and_then(|present| present.get(key)).unwrap_or(&none) == value)
}
