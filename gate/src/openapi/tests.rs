use serde_json::Value;

use super::document;
use crate::routes::ROUTES;

#[test]
fn every_route_is_listed_once() {
    let document = document();
    let listed: usize = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .map(|item| item.as_object().expect("item").len())
        .sum();
    assert_eq!(listed, ROUTES.len());
    for route in ROUTES {
        let method = route.method.name().to_ascii_lowercase();
        let operation = &document["paths"][&route.paths()[0]][&method];
        assert_eq!(operation["summary"], route.summary);
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > ROUTES.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn no_shape_is_unused() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for name in document["components"]["schemas"].as_object().expect("schemas").keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(references.contains(&reference), "{name} is unused");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_str() {
                    Some(reference) if name == "$ref" => references.push(reference.to_owned()),
                    _ => collect(value, references),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
