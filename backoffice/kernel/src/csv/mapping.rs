//! Which column of a file is which field. A header says it by the field's name, label or alias,
//! whatever its case and spacing; a caller may say it explicitly. Knows no rows and no connection.

use serde_json::{Map, Value, json};

use super::cell;
use super::text::Cell;
use crate::actor::Actor;
use crate::custom::{CustomField, Model};
use crate::entity::{Access as Writes, Entity, Field, Kind};
use crate::error::{Code, Error, Fault, Result};
use crate::registry::Registry;
use crate::rights;

#[cfg(test)]
mod tests;

/// Characters of a header that answers repeat.
const HEADER_CHARS_SHOWN: usize = 100;

/// What a column of the file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Column {
    /// The row's own id.
    Id,
    /// A field in one cell.
    Field(&'static Field),
    /// A part of a field in two cells.
    Part(&'static Field, Place),
    /// A field of the row that a link names: `event_id.code`.
    Key(&'static Field, &'static Field),
    /// A field that the organization added: `custom.badge`.
    Custom(Box<CustomField>),
    /// The system or an action writes it; a file may carry it, and nothing is read from it.
    ReadOnly,
    /// The caller said so.
    Ignored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Second,
}

/// A file's columns in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) columns: Vec<Column>,
    /// As the file says them.
    pub(crate) headers: Vec<String>,
}

/// Columns of every table that the system writes.
const STANDARD: &[&str] = &["version", "created_at", "updated_at", "deleted_at"];

impl Mapping {
    /// Reads the header row. `explicit` maps headers to targets (`null`: ignore the column); what it
    /// does not name is found by itself. All faults at once, by `header[n]`.
    pub(crate) fn read(
        registry: &Registry,
        entity: &'static Entity,
        model: &Model,
        header: &[Cell],
        explicit: &Map<String, Value>,
    ) -> Result<Self> {
        let mut columns = Vec::with_capacity(header.len());
        let mut faults = strangers(header, explicit);
        for (place, cell) in header.iter().enumerate() {
            let path = format!("header[{place}]");
            let found = match explicit.get(cell.text.trim()) {
                Some(Value::Null) => Ok(Column::Ignored),
                Some(Value::String(target)) => find(registry, entity, model, target),
                Some(_) => Err("a mapping is the name of a field, or null".to_owned()),
                None => find(registry, entity, model, cell.text.trim()),
            };
            match found {
                Ok(column) => {
                    let silent = matches!(column, Column::ReadOnly | Column::Ignored);
                    if !silent && columns.contains(&column) {
                        let text = format!("{} stands there twice", shown(&cell.text));
                        faults.push(Fault::new(path, Code::Duplicate, text));
                    }
                    columns.push(column);
                }
                Err(text) => faults.push(Fault::new(path, Code::UnknownField, text)),
            }
        }
        faults.extend(conflicts(&columns));
        let written = |column: &Column| !matches!(column, Column::ReadOnly | Column::Ignored);
        if faults.is_empty() && !columns.iter().any(written) {
            faults.push(Fault::new("header", Code::Required, "names no field that can be written"));
        }
        if !faults.is_empty() {
            return Err(Error::faults(faults));
        }
        let headers = header.iter().map(|cell| shown(cell.text.trim())).collect();
        Ok(Self { columns, headers })
    }

    /// No column at all: what an import asks before it has seen the header.
    pub(crate) fn empty() -> Self {
        Self { columns: Vec::new(), headers: Vec::new() }
    }

    /// Keys of links tell whether a row is there: the caller must be able to read them.
    pub(crate) fn permitted(
        &self,
        actor: &Actor,
        registry: &Registry,
        entity: &Entity,
    ) -> Result<()> {
        for column in &self.columns {
            let Column::Key(link, part) = column else { continue };
            if let Some(target) = registry.target(entity, link.name) {
                rights::may(actor, target, "read")?.readable_everywhere(part)?;
            }
        }
        Ok(())
    }

    /// Whether rows that are there can be found by what the file gives.
    pub(crate) fn finds_rows(&self, entity: &Entity) -> bool {
        let given = |name: &str| self.fields().any(|field| field.name == name);
        let by_key = entity.natural_key().is_some_and(|key| key.fields.iter().all(|f| given(f)));
        by_key || self.columns.contains(&Column::Id)
    }

    /// The fields that the file gives, each once.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'static Field> + '_ {
        self.columns.iter().enumerate().filter_map(|(place, column)| {
            let field = column.field()?;
            let first = self.columns.iter().position(|other| other.field() == Some(field));
            (first == Some(place)).then_some(field)
        })
    }

    pub(crate) fn custom_fields(&self) -> impl Iterator<Item = &CustomField> {
        self.columns.iter().filter_map(|column| match column {
            Column::Custom(field) => Some(&**field),
            _ => None,
        })
    }

    /// As the API shows it and the import keeps it.
    pub(crate) fn show(&self) -> Value {
        let columns = self
            .columns
            .iter()
            .zip(&self.headers)
            .map(|(column, header)| json!({"header": header, "field": column.target()}));
        columns.collect()
    }

    /// What `show` said, read again. A custom field that was retired since is no column any more.
    pub(crate) fn restore(
        registry: &Registry,
        entity: &'static Entity,
        model: &Model,
        kept: &Value,
    ) -> Result<Self> {
        let broken = || Error::internal("an import's mapping cannot be read");
        let (mut columns, mut headers) = (Vec::new(), Vec::new());
        for one in kept.as_array().ok_or_else(broken)? {
            headers.push(one.get("header").and_then(Value::as_str).ok_or_else(broken)?.to_owned());
            columns.push(match one.get("field") {
                Some(Value::String(target)) if target.starts_with("custom.") => {
                    find(registry, entity, model, target).unwrap_or(Column::Ignored)
                }
                Some(Value::String(target)) => {
                    find(registry, entity, model, target).map_err(|_| broken())?
                }
                _ => Column::Ignored,
            });
        }
        Ok(Self { columns, headers })
    }
}

impl Column {
    pub(crate) fn field(&self) -> Option<&'static Field> {
        match self {
            Self::Field(field) | Self::Part(field, _) | Self::Key(field, _) => Some(*field),
            Self::Id | Self::Custom(_) | Self::ReadOnly | Self::Ignored => None,
        }
    }

    /// The canonical header, which an export writes.
    pub(crate) fn target(&self) -> Option<String> {
        match self {
            Self::Id => Some("id".to_owned()),
            Self::Field(field) => Some(field.name.to_owned()),
            Self::Part(field, place) => Some(part_header(field, *place)),
            Self::Key(link, key) => Some(format!("{}.{}", link.name, key.name)),
            Self::Custom(field) => Some(format!("custom.{}", field.key)),
            Self::ReadOnly | Self::Ignored => None,
        }
    }
}

/// Header of one of two columns: `price` and `price_currency`.
pub(crate) fn part_header(field: &Field, place: Place) -> String {
    let suffix = cell::pair(field.kind).map_or("", |[first, second]| match place {
        Place::First => first.0,
        Place::Second => second.0,
    });
    format!("{}{suffix}", field.name)
}

/// Names in the explicit mapping that no header has.
fn strangers(header: &[Cell], explicit: &Map<String, Value>) -> Vec<Fault> {
    let unknown =
        explicit.keys().filter(|key| !header.iter().any(|cell| cell.text.trim() == **key));
    let fault = |key: &String| {
        Fault::new("mapping", Code::UnknownField, format!("no column is named {}", shown(key)))
    };
    unknown.map(fault).collect()
}

/// A field is given once: whole, by its parts or by the keys of what it names.
fn conflicts(columns: &[Column]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        let (Column::Field(field), path) = (column, format!("header[{place}]")) else { continue };
        let keyed = columns.iter().any(|one| matches!(one, Column::Key(link, _) if link == field));
        if keyed {
            let text = format!("{} stands there by its id and by its key", field.name);
            faults.push(Fault::new(path, Code::Duplicate, text));
        }
    }
    faults
}

fn find(
    registry: &Registry,
    entity: &'static Entity,
    model: &Model,
    header: &str,
) -> std::result::Result<Column, String> {
    if let Some(key) = header.strip_prefix("custom.") {
        let field = model.find(key).cloned().map(|field| Column::Custom(Box::new(field)));
        return field.ok_or_else(|| format!("{} is no custom field", shown(key)));
    }
    if let Some((link, key)) = header.split_once('.') {
        return keyed(registry, entity, link, key);
    }
    let name = plain(header);
    if name == "id" {
        return Ok(Column::Id);
    }
    if STANDARD.iter().any(|one| plain(one) == name) {
        return Ok(Column::ReadOnly);
    }
    for field in entity.fields.iter().filter(|field| !field.secret) {
        let whole = answers(field, "", &name);
        let column = match cell::pair(field.kind) {
            Some([(one, _), _]) if whole || answers(field, one, &name) => {
                Some(Column::Part(field, Place::First))
            }
            Some([_, (two, _)]) => {
                answers(field, two, &name).then_some(Column::Part(field, Place::Second))
            }
            None => whole.then_some(Column::Field(field)),
        };
        if let Some(column) = column {
            let written = matches!(field.access, Writes::Writable | Writes::WriteOnce);
            return Ok(if written { column } else { Column::ReadOnly });
        }
    }
    // The organization's own words come last: they never hide a field.
    let mut labeled = model.fields.iter().filter(|field| plain(&field.label) == name);
    match (labeled.next(), labeled.next()) {
        (Some(field), None) => Ok(Column::Custom(Box::new(field.clone()))),
        _ => Err(unknown(entity, header)),
    }
}

/// `event_id.code`: a field of the key by which people know the row that the link names.
fn keyed(
    registry: &Registry,
    entity: &'static Entity,
    link: &str,
    key: &str,
) -> std::result::Result<Column, String> {
    let name = plain(link);
    let links = entity.fields.iter().filter(|field| matches!(field.kind, Kind::Link { .. }));
    let mut found = links.filter(|field| answers(field, "", &name));
    let (Some(field), None) = (found.next(), found.next()) else {
        return Err(unknown(entity, link));
    };
    if !matches!(field.access, Writes::Writable | Writes::WriteOnce) {
        return Ok(Column::ReadOnly);
    }
    let target = registry.target(entity, field.name);
    let unique = target.and_then(Entity::natural_key);
    let Some((target, unique)) = target.zip(unique) else {
        return Err(format!("{} can be given by its id only", field.name));
    };
    let name = plain(key);
    let part = unique.fields.iter().filter_map(|one| target.field(one));
    match part.into_iter().find(|part| answers(part, "", &name)) {
        Some(part) => Ok(Column::Key(field, part)),
        None => Err(format!("{} is known by: {}", field.name, unique.fields.join(", "))),
    }
}

/// Whether a field (with the suffix of one of its columns) is meant. A link answers to its name
/// without `_id` too.
fn answers(field: &Field, suffix: &str, name: &str) -> bool {
    let mut names: Vec<&str> = vec![field.name];
    names.extend(field.aliases);
    if !field.label.is_empty() {
        names.push(field.label);
    }
    if matches!(field.kind, Kind::Link { .. }) {
        names.extend(field.name.strip_suffix("_id"));
    }
    names.iter().any(|one| plain(&format!("{one}{suffix}")) == name)
}

/// Letters and digits in lower case: `Given Name` is `given_name`.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn unknown(entity: &Entity, header: &str) -> String {
    let wanted = header.to_lowercase().replace([' ', '-'], "_");
    let shown_fields = entity.fields.iter().filter(|field| !field.secret);
    let near = shown_fields
        .map(|field| (crate::validate::distance(&wanted, field.name), field.name))
        .min()
        .filter(|(steps, _)| *steps <= 2);
    let header = shown(header);
    match near {
        Some((_, near)) => format!("{header} is no field; did you mean {near}?"),
        None => format!("{header} is no field; map it, or map it to null to leave it out"),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(HEADER_CHARS_SHOWN).collect()
}
