//! The member `custom` of a body against the organization's definitions.

use serde_json::{Map, Value};

use super::{CustomField, Model, load};
use crate::cx::Cx;
use crate::ddl::has_custom_fields;
use crate::entity::{Entity, Level};
use crate::error::{Code, Error, Fault};
use crate::kind;
use crate::kind_sql::JSON_BYTES_MAX;
use crate::rights::Access;
use crate::validate::{Purpose, distance, shown_name};

/// What a body says of custom fields: keys to set and keys to take away.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Custom {
    pub(crate) set: Map<String, Value>,
    pub(crate) unset: Vec<String>,
}

impl Custom {
    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }
}

/// Reads the member. A patch merges key by key: an absent key stays, null takes it away. `complete`
/// demands the required keys of a create.
pub(crate) fn body(
    model: &Model,
    given: Option<&Value>,
    purpose: Purpose,
    complete: bool,
    faults: &mut Vec<Fault>,
) -> Custom {
    let mut custom = Custom::default();
    let empty = Map::new();
    let given = match given {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(given)) => given,
        Some(_) => {
            faults.push(Fault::new("custom", Code::WrongType, "must be an object"));
            return custom;
        }
    };
    for (key, value) in given {
        let Some(field) = model.find(key) else {
            faults.push(unknown(model, key));
            continue;
        };
        if value.is_null() {
            if field.required {
                faults.push(required(key));
            }
            custom.unset.push(key.clone());
            continue;
        }
        match fits(field, value) {
            Ok(value) => {
                custom.set.insert(key.clone(), value);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if purpose == Purpose::Create && complete {
        let missing = model.fields.iter().filter(|f| f.required && !given.contains_key(&f.key));
        faults.extend(missing.map(|field| required(&field.key)));
    }
    if Value::Object(custom.set.clone()).to_string().len() > JSON_BYTES_MAX / 2 {
        let text = format!("has at most {} bytes", JSON_BYTES_MAX / 2);
        faults.push(Fault::new("custom", Code::TooLong, text));
    }
    custom
}

/// 403 naming every custom field of a body that the caller may not write. Whoever reaches none of
/// them (a portal) does not reach their definitions either.
pub(crate) async fn permitted(
    cx: &Cx,
    entity: &'static Entity,
    body: &Map<String, Value>,
    access: &Access,
) -> Result<(), Error> {
    let hidden = |level: &Level| !access.shows_level(*level);
    let Some(given) = body.get("custom") else { return Ok(()) };
    if !has_custom_fields(entity) || !Level::ALL.iter().any(hidden) {
        return Ok(());
    }
    let text = "the field may not be written";
    if Level::ALL.iter().all(hidden) {
        return Err(Error::field(Code::FieldNotPermitted, "custom", text));
    }
    let model = load(cx, entity).await?;
    let keys = given.as_object().into_iter().flat_map(Map::keys);
    let refused = keys.filter_map(|key| model.find(key)).filter(|field| hidden(&field.level));
    let path = |field: &CustomField| format!("custom.{}", field.key);
    let faults: Vec<Fault> =
        refused.map(|field| Fault::new(path(field), Code::FieldNotPermitted, text)).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::fields(Code::FieldNotPermitted, faults)) }
}

/// The value as it is kept: lists cast it to its kind's type, which knows fewer spellings than we do.
fn fits(field: &CustomField, value: &Value) -> Result<Value, Fault> {
    let kept = kind::canonical(field.kind, value).map_err(|refusal| {
        let path = format!("custom.{}{}", field.key, refusal.below);
        Fault::new(path, refusal.code, refusal.message)
    })?;
    let known = |text: &str| field.options.iter().any(|option| option == text);
    if !field.options.is_empty() && !value.as_str().is_some_and(known) {
        let text = format!("must be one of: {}", field.options.join(", "));
        return Err(Fault::new(format!("custom.{}", field.key), Code::NotAnOption, text));
    }
    if field.required && value.as_str() == Some("") {
        return Err(required(&field.key));
    }
    Ok(kept)
}

fn required(key: &str) -> Fault {
    Fault::new(format!("custom.{key}"), Code::Required, "a value is required")
}

fn unknown(model: &Model, key: &str) -> Fault {
    let near = model
        .fields
        .iter()
        .map(|field| (distance(key, &field.key), field.key.as_str()))
        .min()
        .filter(|(steps, _)| *steps <= 2);
    let message = match near {
        Some((_, near)) => format!("there is no such custom field; did you mean {near}?"),
        None => "there is no such custom field".to_owned(),
    };
    Fault::new(format!("custom.{}", shown_name(key)), Code::UnknownField, message)
}
