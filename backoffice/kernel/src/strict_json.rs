//! JSON as callers send it, read strictly: a member that stands twice is refused, since readers
//! differ about which of the two counts (RFC 8259, section 4), and so is what is nested, numerous or
//! long beyond bounds. Knows no descriptor.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Code, Error, Result};

/// Lists and objects within each other.
pub(crate) const DEPTH_MAX: usize = 32;
/// Values in one body: members, items, numbers, texts.
pub(crate) const VALUES_MAX: usize = 50_000;
/// Bytes of one text or member name.
pub(crate) const TEXT_BYTES_MAX: usize = 512 * 1024;

/// The value, or `malformed_json` with the place of the fault.
pub(crate) fn read(bytes: &[u8]) -> Result<Value> {
    let values = Cell::new(0);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let reader = Reader { depth: 0, values: &values };
    let read = reader.deserialize(&mut deserializer).and_then(|value| {
        deserializer.end()?;
        Ok(value)
    });
    read.map_err(|cause| {
        let what = words(&cause);
        let (line, column) = (cause.line(), cause.column());
        Error::new(Code::MalformedJson, format!("{what} (line {line}, column {column})"))
    })
}

const TWICE: &str = "a member stands there twice";
const DEEP: &str = "the body is nested too deeply";
const MANY: &str = "the body has too many values";
const LONG: &str = "a text is too long";
const ENDLESS: &str = "a number is not finite";

/// Our own words only: the parser's message may quote the body.
fn words(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    let ours = |word: &&str| cause.is_data() && text.starts_with(*word);
    match [TWICE, DEEP, MANY, LONG, ENDLESS].into_iter().find(ours) {
        Some(DEEP) => format!("{DEEP}: at most {DEPTH_MAX} levels"),
        Some(MANY) => format!("{MANY}: at most {VALUES_MAX}"),
        Some(LONG) => format!("{LONG}: at most {TEXT_BYTES_MAX} bytes"),
        Some(other) => other.to_owned(),
        None => "the body is not JSON".to_owned(),
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    depth: usize,
    values: &'a Cell<usize>,
}

impl Reader<'_> {
    fn below<E: serde::de::Error>(self) -> std::result::Result<Self, E> {
        if DEPTH_MAX <= self.depth {
            return Err(E::custom(DEEP));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Value, D::Error> {
        let values = self.values.get().saturating_add(1);
        self.values.set(values);
        if VALUES_MAX < values {
            return Err(D::Error::custom(MANY));
        }
        deserializer.deserialize_any(self)
    }
}

fn bounded<E: serde::de::Error>(text: &str) -> std::result::Result<(), E> {
    if text.len() <= TEXT_BYTES_MAX { Ok(()) } else { Err(E::custom(LONG)) }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> std::result::Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom(ENDLESS))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> std::result::Result<Value, E> {
        bounded(value)?;
        Ok(value.into())
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> std::result::Result<Value, E> {
        bounded(&value)?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let below = self.below()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            bounded(&name)?;
            if map.contains_key(&name) {
                return Err(A::Error::custom(TWICE));
            }
            let value = members.next_value_seed(below)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests;
