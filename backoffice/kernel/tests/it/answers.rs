//! What routes of accounts answer is what the reference says of it: the same members, of the same
//! types, no more and no less.

use kernel::testkit::PASSWORD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hall::{House, Seen};
use crate::joining::address;
use crate::people::{role, sign_in, token_of, with};
use crate::post::{letters, secret_in};

/// Why a value is not what the schema says; empty when it is.
fn faults(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(any) = schema["anyOf"].as_array() {
        let all: Vec<Vec<String>> = any.iter().map(|one| faults(one, value, place)).collect();
        let fits = all.iter().any(Vec::is_empty);
        return if fits { Vec::new() } else { all.concat() };
    }
    let own = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let said = &schema["type"];
    let mut found = Vec::new();
    if !(said == own || said.as_array().is_some_and(|all| all.iter().any(|one| one == own))) {
        found.push(format!("{place} is {own}, said to be {said}"));
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        found.push(format!("{place}: {value} is not one of those that are said"));
    }
    if let Some(text) = value.as_str() {
        let right = match schema["format"].as_str() {
            Some("uuid") => Uuid::try_parse(text).is_ok(),
            Some("date-time") => text.parse::<jiff::Timestamp>().is_ok(),
            Some("email") => text.contains('@'),
            _ => true,
        };
        if !right {
            found.push(format!("{place}: {text} is no {}", schema["format"]));
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(faults(&schema["items"], item, &format!("{place}[{number}]")));
    }
    let members = value.as_object();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if members.is_some_and(|all| !all.contains_key(name)) {
            found.push(format!("{place} has no {name}"));
        }
    }
    for (name, member) in members.into_iter().flatten() {
        let place = format!("{place}.{name}");
        match schema["properties"].get(name).or_else(|| schema.get("additionalProperties")) {
            Some(schema) => found.extend(faults(schema, member, &place)),
            None => found.push(format!("{place} is not said")),
        }
    }
    found
}

struct Reference(Value);

impl Reference {
    #[track_caller]
    fn check(&self, operation: &str, seen: &Seen) {
        let (method, path) = operation.split_once(' ').unwrap();
        let answers = &self.0["paths"][path][method.to_lowercase()]["responses"];
        let answer = &answers[seen.status.to_string()];
        assert!(answer.is_object(), "{operation}: {} is not said: {}", seen.status, seen.body);
        let schema = &answer["content"]["application/json"]["schema"];
        let found = faults(schema, &seen.body, operation);
        assert!(found.is_empty(), "{found:#?} in {}", seen.body);
    }
}

#[tokio::test]
async fn accounts_answer_what_the_reference_says() {
    let house = House::open().await;
    let reference = Reference(Seen::of(house.plain("GET", "/openapi.json")).await.is(200).body);
    let post = async |path: &str, body: Value| {
        let seen = Seen::of(house.plain("POST", &format!("/api/v1{path}")).json(&body)).await;
        reference.check(&format!("POST {path}"), &seen);
        seen
    };
    let auditor = role(&house, "auditor").await;
    let email = address();
    for (name, ends_at) in
        [(json!("Ada"), "2099-01-01T00:00:00Z"), (Value::Null, "2098-01-01T00:00:00Z")]
    {
        let invited = json!({"email": email, "name": name, "role_id": auditor, "ends_at": ends_at});
        house.post("/invitations", invited).await.is(201);
        let secret = secret_in(&letters(&house, &email).await);
        post("/invitations/look", json!({"secret": secret})).await.is(200);
        if name.is_null() {
            let body = json!({"secret": secret, "name": "Ada", "password": PASSWORD});
            post("/invitations/accept", body).await.is(200);
        }
    }
    let first = sign_in(&house, &email, PASSWORD).await.is(201);
    reference.check("POST /sessions", &first);
    let (first, own) = (token_of(&first), address());
    sign_in(&house, &email, PASSWORD).await.is(201);
    let organization = json!({"name": "Own", "slug": format!("own-{}", Uuid::new_v4().simple())});
    for (method, path, body) in [
        ("POST", "/organizations", organization),
        ("GET", "/organizations", Value::Null),
        ("GET", "/me", Value::Null),
        ("GET", "/sessions", Value::Null),
        ("GET", "/me/keys", Value::Null),
        ("POST", "/me/email", json!({"email": own, "password": PASSWORD})),
        ("DELETE", "/sessions/others", Value::Null),
    ] {
        let seen = with(&house, &first, method, path, body).await;
        assert!((200..300).contains(&seen.status), "{method} {path}: {}", seen.body);
        reference.check(&format!("{method} {path}"), &seen);
    }
    for path in ["/me", "/members"] {
        reference.check(&format!("GET {path}"), &house.get(path).await.is(200));
    }
    let device = json!({"name": "t", "grants": [{"grant": "hall.places", "rights": ["read"]}]});
    let device = token_of(&house.post("/devices", device).await.is(201));
    reference.check("GET /me", &with(&house, &device, "GET", "/me", Value::Null).await.is(200));
    post("/password-resets", json!({"email": email})).await.is(202);
    let asked = json!({"organization": "nowhere", "kind": "attendee", "email": email});
    post("/portal/sign-ins", asked).await.is(202);
}

/// The judge itself: what is missing, too much or of another type is found.
#[test]
fn what_is_not_as_it_is_said_is_found() {
    let schema = json!({
        "type": "object", "required": ["id"], "properties": {
            "id": {"type": "string", "format": "uuid"}, "at": {"type": ["string", "null"]},
        },
    });
    let id = Uuid::nil().to_string();
    for (value, right) in [
        (json!({"id": id, "at": null}), true),
        (json!({"id": id}), true),
        (json!({"at": "x"}), false),
        (json!({"id": "x"}), false),
        (json!({"id": id, "at": 1}), false),
        (json!({"id": id, "more": 1}), false),
        (json!([]), false),
    ] {
        assert_eq!(faults(&schema, &value, "it").is_empty(), right, "{value}");
    }
}
