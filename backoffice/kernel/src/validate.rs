//! Bodies against descriptors: every fault at once, by field path. Absent and null stay apart.
//! Knows no SQL text and no connection.

use std::borrow::Cow;

use serde_json::{Map, Value};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::custom::{self, Custom, Model};
use crate::ddl;
use crate::engine::Writer;
use crate::entity::{Access, Entity, Field, Kind};
use crate::error::{Code, Error, Fault, Result};
use crate::kind::{self, Refusal};
use crate::kind_sql::second_column;
use crate::param::{Bound, Param};

/// Columns to write, in the order of the parameters.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub(crate) names: Vec<Cow<'static, str>>,
    pub(crate) values: Vec<Bound>,
    /// Links that the body sets: their targets must be there.
    pub(crate) links: Vec<(&'static Field, Uuid)>,
    /// Given by the caller of a create.
    pub(crate) id: Option<Uuid>,
    /// What the member `custom` says.
    pub(crate) custom: Custom,
}

impl Columns {
    fn push(&mut self, name: Cow<'static, str>, value: Param, ty: Type) {
        self.names.push(name);
        self.values.push(Bound { value, ty });
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Create,
    Patch,
}

/// The columns that a body writes and every fault of it, by field path. `model` are the custom fields
/// that the organization has on the entity.
pub(crate) fn read(
    entity: &'static Entity,
    body: &Map<String, Value>,
    purpose: Purpose,
    writer: Writer,
    model: &Model,
) -> (Columns, Vec<Fault>) {
    let mut columns = Columns::default();
    let mut faults = Vec::new();
    for (name, value) in body {
        if name == "id" && purpose == Purpose::Create {
            match kind::decode(Kind::Id, value) {
                Ok(Param::Uuid(id)) => columns.id = Some(id),
                Ok(_) => {}
                Err(refusal) => faults.push(fault("id", refusal)),
            }
            continue;
        }
        if name == "custom" && ddl::has_custom_fields(entity) {
            continue;
        }
        match writable(entity, name, purpose, writer) {
            // No number given is a number to be given.
            Ok(field)
                if field.numbered.is_some() && value.is_null() && purpose == Purpose::Create => {}
            Ok(field) => column(field, value, &mut columns, &mut faults),
            Err(refusal) => faults.push(refusal),
        }
    }
    if purpose == Purpose::Create {
        faults.extend(missing(entity.fields, body, writer));
    }
    if ddl::has_custom_fields(entity) {
        // Projections and actions know nothing of custom fields: they need not fill them.
        let complete = writer == Writer::Caller;
        columns.custom = custom::body(model, body.get("custom"), purpose, complete, &mut faults);
    }
    (columns, faults)
}

/// Whether the definitions of custom fields matter to a body: for a patch only when it names some.
pub(crate) fn needs_model(
    entity: &Entity,
    body: &Map<String, Value>,
    purpose: Purpose,
    writer: Writer,
) -> bool {
    ddl::has_custom_fields(entity)
        && (body.contains_key("custom") || (purpose == Purpose::Create && writer == Writer::Caller))
}

/// Input of an action: the same rules, the JSON kept.
pub(crate) fn input(
    fields: &'static [Field],
    input: Map<String, Value>,
) -> Result<Map<String, Value>> {
    let mut faults = Vec::new();
    let mut columns = Columns::default();
    for (name, value) in &input {
        match fields.iter().find(|field| field.name == name) {
            Some(field) => column(field, value, &mut columns, &mut faults),
            None => faults.push(unknown(name, fields)),
        }
    }
    faults.extend(missing(fields, &input, Writer::Action));
    if faults.is_empty() { Ok(input) } else { Err(Error::faults(faults)) }
}

fn writable(
    entity: &'static Entity,
    name: &str,
    purpose: Purpose,
    writer: Writer,
) -> std::result::Result<&'static Field, Fault> {
    let immutable = |text: &str| Err(Fault::new(name, Code::Immutable, text));
    let standard = ["id", "org_id", "version", "created_at", "updated_at", "deleted_at", "custom"];
    if standard.contains(&name) {
        return immutable("is set by the system");
    }
    let Some(field) = entity.field(name).filter(|field| writer == Writer::Action || !field.secret)
    else {
        return Err(unknown(name, entity.fields));
    };
    match (field.access, writer, purpose) {
        (Access::Computed(_), _, _) => immutable("is computed"),
        (_, Writer::Action, _) => Ok(field),
        (Access::ByAction, _, _) => immutable("is changed by actions only"),
        (Access::WriteOnce, _, Purpose::Patch) => immutable("cannot be changed once it is set"),
        (Access::WriteOnce | Access::Writable, _, _) => Ok(field),
    }
}

/// An unknown field, with the nearest known name where one is near.
fn unknown(name: &str, fields: &[Field]) -> Fault {
    let near = fields
        .iter()
        .filter(|field| !field.secret)
        .map(|field| (distance(name, field.name), field.name))
        .min()
        .filter(|(steps, _)| *steps <= 2);
    let message = match near {
        Some((_, near)) => format!("there is no such field; did you mean {near}?"),
        None => "there is no such field".to_owned(),
    };
    Fault::new(shown_name(name), Code::UnknownField, message)
}

/// A name is the caller's own text: it is cut, so that an answer cannot be made to grow.
pub(crate) fn shown_name(name: &str) -> String {
    name.chars().take(NAME_CHARS_SHOWN).collect()
}

const NAME_CHARS_SHOWN: usize = 100;

/// Levenshtein distance; names longer than any field are simply far.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, (y, above)) in b.iter().zip(row.windows(2)).enumerate() {
            let step = usize::from(x != *y);
            next.push((above[0] + step).min(above[1] + 1).min(next[j] + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

fn column(field: &'static Field, value: &Value, columns: &mut Columns, faults: &mut Vec<Fault>) {
    let ty = kind::pg_type(field.kind);
    if value.is_null() {
        if field.required {
            faults.push(Fault::new(field.name, Code::Required, "a value is required"));
        }
        columns.push(field.name.into(), Param::Null, ty);
        if let Some(second) = second_column(field.kind, field.name) {
            columns.push(second.into(), Param::Null, kind::second_type(field.kind));
        }
        return;
    }
    if field.required && value.as_str() == Some("") {
        faults.push(Fault::new(field.name, Code::Required, "must not be empty"));
        return;
    }
    if let Some(second) = second_column(field.kind, field.name) {
        match kind::decode_pair(field.kind, value) {
            Ok([first, other]) => {
                columns.push(field.name.into(), first, ty);
                columns.push(second.into(), other, kind::second_type(field.kind));
            }
            Err(refusal) => faults.push(fault(field.name, refusal)),
        }
        return;
    }
    match kind::decode(field.kind, value) {
        Ok(param) => {
            if let (Kind::Link { .. }, Param::Uuid(id)) = (field.kind, &param) {
                columns.links.push((field, *id));
            }
            columns.push(field.name.into(), param, ty);
        }
        Err(refusal) => faults.push(fault(field.name, refusal)),
    }
}

fn missing(fields: &'static [Field], body: &Map<String, Value>, writer: Writer) -> Vec<Fault> {
    let asked = |field: &&Field| match field.access {
        Access::Writable | Access::WriteOnce => true,
        Access::ByAction => writer == Writer::Action,
        Access::Computed(_) => false,
    };
    fields
        .iter()
        .filter(|field| field.required && field.default.is_none())
        .filter(asked)
        .filter(|field| field.numbered.is_none() && !body.contains_key(field.name))
        .map(|field| Fault::new(field.name, Code::Required, "a value is required"))
        .collect()
}

fn fault(name: &str, refusal: Refusal) -> Fault {
    Fault::new(format!("{name}{}", refusal.below), refusal.code, refusal.message)
}
