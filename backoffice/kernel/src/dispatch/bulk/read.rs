//! The form of a bulk's body: mode and operations, every fault of them at once. Does nothing.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::perform::Operation;
use super::super::route;
use super::{Mode, OPERATIONS_MAX};
use crate::engine::upsert::Demand;
use crate::entity::Entity;
use crate::error::{Code, Error, Fault, Result};
use crate::registry::Registry;

/// The form of the whole body, every fault of it at once; nothing is done before it is right.
pub(super) fn read(
    registry: &Registry,
    entity: &'static Entity,
    mut body: Map<String, Value>,
) -> Result<(Mode, Vec<Operation>)> {
    let mut faults = Vec::new();
    let mode = match body.remove("mode").as_ref().map(Value::as_str) {
        Some(Some("all")) => Mode::All,
        Some(Some("each")) => Mode::Each,
        None => {
            faults.push(Fault::new("mode", Code::Required, "a value is required: all or each"));
            Mode::All
        }
        _ => {
            faults.push(Fault::new("mode", Code::NotAnOption, "must be one of: all, each"));
            Mode::All
        }
    };
    let items = match body.remove("operations") {
        Some(Value::Array(items)) if (1..=OPERATIONS_MAX).contains(&items.len()) => items,
        Some(Value::Array(_)) => {
            let text = format!("must have 1 to {OPERATIONS_MAX} items");
            faults.push(Fault::new("operations", Code::OutOfRange, text));
            Vec::new()
        }
        None => {
            faults.push(Fault::new("operations", Code::Required, "a value is required"));
            Vec::new()
        }
        Some(_) => {
            faults.push(Fault::new("operations", Code::WrongType, "must be a list"));
            Vec::new()
        }
    };
    strangers(&body, "", &mut faults);
    let mut operations = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let mut form = Form { at: format!("operations[{index}]"), faults: &mut faults };
        operations.extend(form.operation(registry, entity, item));
    }
    if faults.is_empty() { Ok((mode, operations)) } else { Err(Error::faults(faults)) }
}

fn strangers(left: &Map<String, Value>, prefix: &str, faults: &mut Vec<Fault>) {
    for name in left.keys() {
        let shown = crate::validate::shown_name(name);
        let path = format!("{prefix}{shown}");
        faults.push(Fault::new(path, Code::UnknownField, "there is no such member"));
    }
}

/// Takes an operation's members one after the other; what is left at the end is unknown.
struct Form<'a> {
    at: String,
    faults: &'a mut Vec<Fault>,
}

impl Form<'_> {
    fn operation(
        &mut self,
        registry: &Registry,
        entity: &'static Entity,
        item: Value,
    ) -> Option<Operation> {
        let Value::Object(mut item) = item else {
            self.faults.push(Fault::new(&self.at, Code::WrongType, "must be an object"));
            return None;
        };
        let op = item.remove("op");
        let read = match op.as_ref().and_then(Value::as_str) {
            Some("create") => self.object(&mut item, "data").map(Operation::Create),
            Some("upsert") => self
                .object(&mut item, "data")
                .map(|data| Operation::Upsert { data, demand: Demand::Nothing }),
            Some("update") => {
                let (id, version) = (self.id(&mut item), self.version(&mut item));
                let data = self.object(&mut item, "data");
                id.zip(data).map(|(id, data)| Operation::Update { id, version, data })
            }
            Some("delete") => {
                let version = self.version(&mut item);
                self.id(&mut item).map(|id| Operation::Delete { id, version })
            }
            Some("restore") => {
                let version = self.version(&mut item);
                self.id(&mut item).map(|id| Operation::Restore { id, version })
            }
            Some("action") => self.act(registry, entity, &mut item),
            _ => {
                let text = "must be one of: create, update, delete, restore, upsert, action";
                self.fault("op", Code::NotAnOption, text);
                return None;
            }
        };
        strangers(&item, &format!("{}.", self.at), self.faults);
        read
    }

    fn act(
        &mut self,
        registry: &Registry,
        entity: &'static Entity,
        item: &mut Map<String, Value>,
    ) -> Option<Operation> {
        let name = item.remove("action");
        let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
        let version = self.version(item);
        let input = match item.contains_key("input") {
            true => self.object(item, "input"),
            false => Some(Map::new()),
        };
        if let Some(verb) = route::on_row(registry, entity, name) {
            let id = self.id(item);
            return id.zip(input).map(|(id, input)| Operation::Act {
                verb,
                id: Some(id),
                version,
                input,
            });
        }
        let Some(verb) = route::on_collection(registry, entity, name) else {
            self.fault("action", Code::NotAnOption, "there is no such action");
            return None;
        };
        input.map(|input| Operation::Act { verb, id: None, version: None, input })
    }

    fn fault(&mut self, member: &str, code: Code, text: &str) {
        self.faults.push(Fault::new(format!("{}.{member}", self.at), code, text));
    }

    fn object(&mut self, item: &mut Map<String, Value>, name: &str) -> Option<Map<String, Value>> {
        match item.remove(name) {
            Some(Value::Object(map)) => return Some(map),
            Some(_) => self.fault(name, Code::WrongType, "must be an object"),
            None => self.fault(name, Code::Required, "a value is required"),
        }
        None
    }

    fn id(&mut self, item: &mut Map<String, Value>) -> Option<Uuid> {
        let given = item.remove("id");
        let text = given.as_ref().and_then(Value::as_str).filter(|text| text.len() == 36);
        let id = text.and_then(|text| Uuid::try_parse(text).ok());
        if id.is_none() {
            self.fault("id", Code::InvalidId, "must be the UUID of a row");
        }
        id
    }

    fn version(&mut self, item: &mut Map<String, Value>) -> Option<i64> {
        let given = item.remove("version").filter(|given| !given.is_null())?;
        let version = given.as_i64();
        if version.is_none() {
            self.fault("version", Code::WrongType, "must be a whole number");
        }
        version
    }
}
