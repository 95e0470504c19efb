use super::*;
use crate::entity::{Domain, Entity, Plan, text};
use crate::error::Code;
use crate::registry::Registry;

fn kernel() -> Value {
    let registry = Registry::new(&[&crate::accounts::DOMAIN]).unwrap();
    document(&registry)
}

/// Every `$ref` of the document leads somewhere.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn references_lead_somewhere_and_operation_ids_are_unique() {
    let document = kernel();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let operations = item.as_object().unwrap().iter().filter(|(key, _)| *key != "servers");
        for (method, operation) in operations {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{method} {path} has the id of another: {id}");
        }
    }
}

#[test]
fn secrets_are_not_described_and_personal_fields_say_so() {
    let document = kernel();
    assert!(!document.to_string().contains("token_hash"));
    assert!(!document.to_string().contains("password_hash"));
    let user = document.pointer(
        "/paths/~1invitations/post/requestBody/content/application~1json/schema/properties/email",
    );
    assert_eq!(user.unwrap()["x-personal"], true);
}

/// What every operation shares is there whoever described it.
#[test]
fn every_operation_is_complete() {
    let document = kernel();
    for (path, item) in document["paths"].as_object().unwrap() {
        let outside = item.get("servers").is_some();
        let operations = item.as_object().unwrap().iter().filter(|(key, _)| *key != "servers");
        for (method, operation) in operations {
            let place = format!("{method} {path}");
            assert!(!operation["description"].as_str().unwrap().is_empty(), "{place}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("default"), "{place}");
            assert_eq!(responses.contains_key("429"), !outside, "{place}");
            let good = responses.iter().find(|(status, _)| status.starts_with('2')).unwrap();
            assert!(good.1["headers"]["X-Request-Id"].is_object(), "{place}");
            if let Some(body) = operation.get("requestBody") {
                assert!(!body["content"]["application/json"]["example"].is_null(), "{place}");
                assert!(responses.contains_key("422"), "{place}");
            }
        }
    }
}

#[test]
fn examples_are_what_the_api_takes() {
    let document = kernel();
    let body = "/paths/~1organizations/post/requestBody/content/application~1json/example";
    assert_eq!(document.pointer(body).unwrap(), &json!({"name": "Name", "slug": "main"}));
}

#[test]
fn what_accounts_answer_is_described() {
    for route in ACCOUNT_ROUTES {
        let answer = accounts::answer(route);
        assert_eq!(answer.is_none(), route.status == 204, "{}", route.path);
        let described = answer.is_none_or(|schema| {
            schema.get("properties").or_else(|| schema.get("anyOf")).is_some()
        });
        assert!(described, "{} {}: add it to openapi/accounts", route.method.name(), route.path);
    }
}

#[test]
fn every_code_stands_with_its_status() {
    let document = kernel();
    let responses = &document["components"]["responses"];
    for code in Code::ALL {
        let name = format!("`{}`", code.name());
        let told = responses
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, response)| response["description"].as_str().unwrap().contains(&name));
        let told: Vec<&str> = told.map(|(name, _)| name.as_str()).collect();
        assert_eq!(told.len(), 1, "{name} is told by {told:?}");
    }
}

#[test]
fn a_plan_is_told_at_every_operation() {
    static BOUGHT: Entity = Entity::new("bought_things")
        .grant("bought.things")
        .plan(Plan::Pro)
        .about("What only some have.")
        .fields(&[text("name").required()]);
    static DOMAIN: Domain = Domain { name: "bought", entities: &[&BOUGHT], ..Domain::EMPTY };
    let registry = Registry::new(&[&crate::accounts::DOMAIN, &DOMAIN]).unwrap();
    let document = document(&registry);
    let mut told = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in
            item.as_object().unwrap().iter().filter(|(key, _)| *key != "servers")
        {
            let says = operation["description"].as_str().unwrap_or_default().contains("plan `pro`");
            assert_eq!(says, path.starts_with("/bought-things"), "{method} {path}");
            told += usize::from(says);
        }
    }
    assert!(7 <= told, "{told} operations");
}
