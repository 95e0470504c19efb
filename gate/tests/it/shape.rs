//! Compares a JSON value with a schema of the OpenAPI document: types, required and additional
//! fields, enumerations, alternatives, references. What it does not know it refuses.

use serde_json::Value;

/// Panics when `value` does not fit `schema`.
#[track_caller]
pub(crate) fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Err(reason) = fits(document, schema, value) {
        panic!("{at}: {reason}\nin {value:#}");
    }
}

fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let keywords = schema.as_object().ok_or("a schema is not an object")?;
    for (keyword, rule) in keywords {
        match keyword.as_str() {
            "$ref" => {
                let pointer = rule.as_str().unwrap_or_default().trim_start_matches('#');
                let target = document.pointer(pointer).ok_or("a reference leads nowhere")?;
                fits(document, target, value)?;
            }
            "anyOf" => {
                let options = rule.as_array().ok_or("anyOf is not an array")?;
                if !options.iter().any(|option| fits(document, option, value).is_ok()) {
                    return Err(format!("{value} fits no alternative"));
                }
            }
            "const" if rule != value => return Err(format!("{value} is not {rule}")),
            "enum" if !rule.as_array().is_some_and(|values| values.contains(value)) => {
                return Err(format!("{value} is none of {rule}"));
            }
            "type" => check_type(rule, value)?,
            "required" => {
                for name in rule.as_array().into_iter().flatten() {
                    if value.get(name.as_str().unwrap_or_default()).is_none() {
                        return Err(format!("{name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, schema) in rule.as_object().into_iter().flatten() {
                    if let Some(inner) = value.get(name) {
                        fits(document, schema, inner).map_err(|e| format!("{name}: {e}"))?;
                    }
                }
            }
            "additionalProperties" => additional(document, schema, rule, value)?,
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(document, rule, item).map_err(|e| format!("[{index}] {e}"))?;
                }
            }
            "format" => check_format(rule.as_str().unwrap_or_default(), value)?,
            "enum" | "const" | "propertyNames" | "description" | "default" | "pattern"
            | "minimum" | "maximum" | "minLength" | "maxLength" | "minItems" | "maxItems"
            | "maxProperties" => {}
            other => return Err(format!("the keyword {other} is not known here")),
        }
    }
    Ok(())
}

fn additional(document: &Value, schema: &Value, rule: &Value, value: &Value) -> Result<(), String> {
    for (name, inner) in value.as_object().into_iter().flatten() {
        if schema["properties"].get(name).is_some() {
            continue;
        }
        match rule {
            Value::Bool(false) => return Err(format!("{name} is not described")),
            Value::Bool(true) => {}
            schema => fits(document, schema, inner)?,
        }
    }
    Ok(())
}

fn check_type(rule: &Value, value: &Value) -> Result<(), String> {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    let fits = match rule {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("{value} is not {rule}")) }
}

fn check_format(format: &str, value: &Value) -> Result<(), String> {
    let Some(text) = value.as_str() else { return Ok(()) };
    let fits = match format {
        "uuid" => uuid::Uuid::try_parse(text).is_ok(),
        "date-time" => inventory::time::Millis::parse(text).is_ok(),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("{text} is not a {format}")) }
}
