//! Strict reading of JSON bodies. Every field that is wrong is named with its path and a reason;
//! unknown and repeated fields are refused. Nothing here knows what the fields mean.

use std::fmt;

use inventory::time::Millis;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::problem::{Code, FieldError, Problem};

/// Field errors in one answer; the rest is left out.
const ERRORS_MAX: usize = 20;
/// Characters of a caller's own field name that an error repeats.
const NAME_CHARS_MAX: usize = 64;

/// The body as one JSON value. Errors name line and column, never content.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice::<Strict>(bytes)
        .map(|strict| strict.0)
        .map_err(|error| Problem::new(Code::MalformedJson, error.to_string()))
}

/// Reads the fields of one object. A getter that finds nothing usable notes the error and returns
/// an empty value; `finish` then refuses, so nothing may be used before it.
pub struct Fields {
    path: String,
    map: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    pub fn root(value: Value) -> Result<Self, Problem> {
        match value {
            Value::Object(map) => Ok(Self { path: String::new(), map, errors: Vec::new() }),
            other => Err(Problem::new(
                Code::InvalidBody,
                format!("the body must be an object, not {}", kind(&other)),
            )),
        }
    }

    /// Refuses when any getter failed or a field was not asked for.
    pub fn finish(mut self) -> Result<(), Problem> {
        self.leftovers();
        let Some(first) = self.errors.first() else { return Ok(()) };
        let detail = match self.errors.len() {
            1 => format!("{}: {}", first.field, first.message),
            more => {
                format!("{}: {} (and {} more)", first.field, first.message, more.saturating_sub(1))
            }
        };
        self.errors.truncate(ERRORS_MAX);
        Err(Problem { errors: self.errors, ..Problem::new(Code::InvalidBody, detail) })
    }

    pub fn uuid(&mut self, name: &str) -> Uuid {
        self.required(name, as_uuid)
    }

    /// Text of `min` to `max` characters.
    pub fn text(&mut self, name: &str, min: usize, max: usize) -> String {
        self.required(name, |v| as_text(v, min, max))
    }

    pub fn optional_text(&mut self, name: &str, max: usize) -> Option<String> {
        self.optional(name, |v| as_text(v, 0, max))
    }

    /// Text as it came, which its reader judges; empty after an error.
    pub fn raw_text(&mut self, name: &str) -> Option<String> {
        let value = self.map.remove(name).filter(|value| !value.is_null())?;
        match value {
            Value::String(text) => Some(text),
            other => {
                self.push(self.at(name), wrong("text", &other));
                Some(String::new())
            }
        }
    }

    /// Text that `valid` accepts; `rule` says what that is.
    pub fn matching(&mut self, name: &str, rule: &'static str, valid: fn(&str) -> bool) -> String {
        self.required(name, |v| {
            let text = as_text(v, 0, usize::MAX)?;
            if valid(&text) { Ok(text) } else { Err(("format", format!("must be {rule}"))) }
        })
    }

    /// One of the named values; the first of them when the field is absent.
    pub fn choice(&mut self, name: &str, values: &[&'static str]) -> &'static str {
        let default = values.first().copied().unwrap_or_default();
        self.optional(name, |v| one_of(v, values)).unwrap_or(default)
    }

    pub fn required_choice(&mut self, name: &str, values: &[&'static str]) -> &'static str {
        self.required(name, |v| one_of(v, values))
    }

    pub fn u32(&mut self, name: &str, min: u32, max: u32) -> u32 {
        self.required(name, |v| as_u32(v, min, max))
    }

    /// A whole number up to `max`, which may be absent.
    pub fn optional_u32(&mut self, name: &str, max: u32) -> Option<u32> {
        self.optional(name, |v| as_u32(v, 0, max))
    }

    /// The whole numbers of an array, from 1 to `max`; empty when it is absent.
    pub fn u32s(&mut self, name: &str, items_max: usize, max: u32) -> Vec<u32> {
        let items = self.array(name, 0, items_max);
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match as_u32(item, 1, max) {
                Ok(number) => out.push(number),
                Err(error) => self.push(format!("{}[{index}]", self.at(name)), error),
            }
        }
        out
    }

    /// 32 bytes as hex.
    pub fn hash(&mut self, name: &str) -> [u8; 32] {
        self.required(name, |v| {
            let text = v.as_str().ok_or_else(|| wrong("text", v))?;
            let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
            bytes
                .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
                .ok_or_else(|| ("format", "must be 64 hex digits".to_owned()))
        })
    }

    pub fn u64(&mut self, name: &str) -> u64 {
        self.required(name, |v| v.as_u64().ok_or_else(|| wrong("a whole number", v)))
    }

    /// A whole number in a range; 0 when absent.
    pub fn i64(&mut self, name: &str, min: i64, max: i64) -> i64 {
        self.optional(name, |v| {
            let number = v.as_i64().ok_or_else(|| wrong("a whole number", v))?;
            let inside = (min..=max).contains(&number);
            if inside { Ok(number) } else { Err(("range", format!("must be {min} to {max}"))) }
        })
        .unwrap_or(0)
    }

    /// An RFC 3339 instant.
    pub fn instant(&mut self, name: &str) -> Millis {
        self.required(name, |v| {
            let text = v.as_str().ok_or_else(|| wrong("text", v))?;
            Millis::parse(text).map_err(|cause| ("format", cause))
        })
    }

    pub fn required_flag(&mut self, name: &str) -> bool {
        self.required(name, |v| v.as_bool().ok_or_else(|| wrong("true or false", v)))
    }

    pub fn flag(&mut self, name: &str) -> bool {
        self.optional(name, |v| v.as_bool().ok_or_else(|| wrong("true or false", v)))
            .unwrap_or(false)
    }

    /// The members of an object whose names are the caller's.
    pub fn members(&mut self, name: &str, members_max: usize) -> Map<String, Value> {
        match self.map.remove(name) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(members)) if members.len() <= members_max => members,
            Some(Value::Object(_)) => {
                self.error(name, "range", format!("must have at most {members_max} members"));
                Map::new()
            }
            Some(other) => {
                self.push(self.at(name), wrong("an object", &other));
                Map::new()
            }
        }
    }

    /// A field that has a place in the contract and may only be absent, null or empty for now.
    pub fn reserved(&mut self, name: &str, reason: &str) {
        if let Some(value) = self.map.remove(name) {
            let empty = match &value {
                Value::Null => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            if !empty {
                self.error(name, "unsupported", reason.to_owned());
            }
        }
    }

    /// The objects of an array, each read by `read`.
    pub fn objects<T>(
        &mut self,
        name: &str,
        (min, max): (usize, usize),
        mut read: impl FnMut(&mut Fields) -> T,
    ) -> Vec<T> {
        let items = self.array(name, min, max);
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{}[{index}]", self.at(name));
            match item {
                Value::Object(map) => out.push(self.nested(path, map, &mut read)),
                other => self.push(path, wrong("an object", &other)),
            }
        }
        out
    }

    /// The texts of an array.
    pub fn texts(&mut self, name: &str, items_max: usize, chars_max: usize) -> Vec<String> {
        let items = self.array(name, 0, items_max);
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match as_text(item, 1, chars_max) {
                Ok(text) => out.push(text),
                Err(error) => self.push(format!("{}[{index}]", self.at(name)), error),
            }
        }
        out
    }

    /// An object that may be absent or null.
    pub fn object<T>(&mut self, name: &str, mut read: impl FnMut(&mut Fields) -> T) -> Option<T> {
        match self.map.remove(name) {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => {
                let path = self.at(name);
                Some(self.nested(path, map, &mut read))
            }
            Some(other) => {
                self.push(self.at(name), wrong("an object", &other));
                None
            }
        }
    }

    /// Notes an error that only the reader of the fields can see.
    pub fn error(&mut self, name: &str, code: &'static str, message: String) {
        self.push(self.at(name), (code, message));
    }

    fn nested<T>(
        &mut self,
        path: String,
        map: Map<String, Value>,
        read: &mut impl FnMut(&mut Fields) -> T,
    ) -> T {
        let mut fields = Fields { path, map, errors: Vec::new() };
        let value = read(&mut fields);
        fields.leftovers();
        self.errors.append(&mut fields.errors);
        value
    }

    fn array(&mut self, name: &str, min: usize, max: usize) -> Vec<Value> {
        let items = match self.map.remove(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.push(self.at(name), wrong("an array", &other));
                return Vec::new();
            }
        };
        if (min..=max).contains(&items.len()) {
            return items;
        }
        let code = if items.is_empty() { "required" } else { "range" };
        self.error(name, code, format!("must have {min} to {max} items"));
        Vec::new()
    }

    fn required<T: Default>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, (&'static str, String)>,
    ) -> T {
        match self.map.remove(name) {
            None => self.error(name, "required", "is required".to_owned()),
            Some(value) => match read(&value) {
                Ok(read) => return read,
                Err(error) => self.push(self.at(name), error),
            },
        }
        T::default()
    }

    fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, (&'static str, String)>,
    ) -> Option<T> {
        let value = self.map.remove(name).filter(|value| !value.is_null())?;
        match read(&value) {
            Ok(read) => Some(read),
            Err(error) => {
                self.push(self.at(name), error);
                None
            }
        }
    }

    fn leftovers(&mut self) {
        let unknown: Vec<String> =
            self.map.keys().map(|key| key.chars().take(NAME_CHARS_MAX).collect()).collect();
        for name in unknown {
            self.error(&name, "unknown", "is not a field here".to_owned());
        }
        self.map.clear();
    }

    fn push(&mut self, field: String, (code, message): (&'static str, String)) {
        self.errors.push(FieldError { field, code, message });
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

fn as_uuid(value: &Value) -> Result<Uuid, (&'static str, String)> {
    let text = value.as_str().ok_or_else(|| wrong("a UUID", value))?;
    Uuid::try_parse(text).map_err(|_| ("format", "must be a UUID".to_owned()))
}

fn as_u32(value: &Value, min: u32, max: u32) -> Result<u32, (&'static str, String)> {
    let number = value.as_u64().ok_or_else(|| wrong("a whole number", value))?;
    u32::try_from(number)
        .ok()
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| ("range", format!("must be {min} to {max}")))
}

fn as_text(value: &Value, min: usize, max: usize) -> Result<String, (&'static str, String)> {
    let text = value.as_str().ok_or_else(|| wrong("text", value))?;
    let chars = text.chars().count();
    if chars < min {
        return Err(("range", format!("must have at least {min} characters")));
    }
    if chars > max {
        return Err(("range", format!("must have at most {max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(("format", "must not contain control characters".to_owned()));
    }
    Ok(text.to_owned())
}

fn one_of(value: &Value, values: &[&'static str]) -> Result<&'static str, (&'static str, String)> {
    let text = value.as_str().ok_or_else(|| wrong("text", value))?;
    values
        .iter()
        .find(|candidate| **candidate == text)
        .copied()
        .ok_or_else(|| ("format", format!("must be one of {}", values.join(", "))))
}

fn wrong(expected: &str, found: &Value) -> (&'static str, String) {
    ("type", format!("must be {expected}, not {}", kind(found)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_u64() => "a number",
        Value::Number(number) if number.is_i64() => "a negative number",
        Value::Number(_) => "a number with a point, an exponent or more than 64 bits",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A JSON value whose objects have no repeated names (RFC 8259 leaves their meaning open, and two
/// readers of one body must not differ).
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let Strict(value) = access.next_value()?;
            if map.insert(name, value).is_some() {
                return Err(de::Error::custom("an object has the same field twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests;
