//! What happened to a row and in the organization: entries, fields, rights, pages.

use kernel::error::Code;
use serde_json::{Value, json};

use super::{Desk, id, is, refused};

#[tokio::test]
async fn a_row_tells_what_happened_to_it() {
    let desk = Desk::open().await;
    let body = json!({
        "name": "One", "code": "one", "price": {"amount": "12345678901234.5", "currency": "EUR"},
        "words": ["a"], "due_on": "2026-11-21", "extra": {"n": 1},
    });
    let label = id(&is(desk.send("POST", "/labels", body).await, 201));
    let path = format!("/labels/{label}");
    let change = json!({"rank": 3, "due_on": null, "price": {"amount": "2", "currency": "JPY"}});
    is(desk.send("PATCH", &path, change).await, 200);
    is(desk.send("POST", &format!("{path}/use"), json!({})).await, 200);
    is(desk.send("DELETE", &path, Value::Null).await, 204);
    is(desk.send("POST", &format!("{path}/restore"), Value::Null).await, 200);
    let seen = is(desk.get(&format!("{path}/history")).await, 200);
    let entries = seen.body["data"].as_array().unwrap();
    let told: Vec<(&Value, &Value)> =
        entries.iter().map(|one| (&one["op"], &one["version"])).collect();
    let op = |name: &str, version: i64| (json!(name), json!(version));
    let expected =
        [op("restore", 5), op("delete", 4), op("update", 3), op("update", 2), op("insert", 1)];
    assert_eq!(told, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
    let field = |entry: usize, name: &str| {
        let fields = entries[entry]["fields"].as_array().unwrap();
        fields.iter().find(|one| one["field"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(field(3, "rank"), json!({"field": "rank", "before": null, "after": 3}));
    assert_eq!(field(3, "due_on")["before"], "2026-11-21");
    assert_eq!(
        field(3, "price")["before"],
        json!({"amount": "12345678901234.50", "currency": "EUR"})
    );
    assert_eq!(field(3, "price")["after"], json!({"amount": "2", "currency": "JPY"}));
    assert_eq!(field(2, "uses"), json!({"field": "uses", "before": 0, "after": 1}));
    assert_eq!(field(4, "extra")["after"], json!({"n": 1}));
    assert_eq!(field(4, "words")["after"], json!(["a"]));
    let actor = &entries[0]["actor"];
    assert_eq!((&actor["kind"], &actor["name"]), (&json!("token"), &json!("Test token")));
    assert_eq!(entries[0]["redacted"], false);
    assert_eq!(seen.body["page"]["next"], Value::Null);
    // Pages: each entry once.
    let mut walked = Vec::new();
    let mut next = String::new();
    loop {
        let page = is(desk.get(&format!("{path}/history?limit=2{next}")).await, 200);
        walked.extend(page.body["data"].as_array().unwrap().clone());
        match page.body["page"]["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(&walked, entries);
    refused(&desk.get(&format!("{path}/history?limit=0")).await, Code::InvalidRequest, &["limit"]);
    refused(&desk.get(&format!("{path}/history?cursor=x")).await, Code::InvalidCursor, &["cursor"]);
    refused(&desk.get(&format!("{path}/history?x=1")).await, Code::UnknownParameter, &["x"]);
    let stranger = Desk::open().await;
    refused(&stranger.get(&format!("{path}/history")).await, Code::NotFound, &[]);
}

#[tokio::test]
async fn fields_that_may_not_be_read_are_not_told() {
    let desk = Desk::open().await;
    let body = json!({"name": "One", "code": "one", "notes": "private", "rank": 1});
    let label = id(&is(desk.send("POST", "/labels", body).await, 201));
    let field = |key: &str, level: &str| json!({"entity": "labels", "key": key, "label": key, "kind": "text", "level": level});
    is(desk.send("POST", "/custom-fields", field("plain", "open")).await, 201);
    is(desk.send("POST", "/custom-fields", field("pay", "confidential")).await, 201);
    let custom = json!({"custom": {"plain": "shown", "pay": "12"}});
    let path = format!("/labels/{label}");
    is(desk.send("PATCH", &path, custom).await, 200);
    let grants = json!([{"grant": "desk.labels", "rights": ["read"], "levels": ["open"], "hidden": ["rank"]}]);
    let token = desk.org.issue(grants).await.unwrap();
    let other = desk.server.client.with_bearer(token.expose());
    for feed in [format!("{path}/history"), "/activity?entity=labels".to_owned()] {
        let seen = is(other.get(&format!("/api/v1{feed}")).await.unwrap(), 200);
        let text = seen.body.to_string();
        for hidden in ["private", "notes", "rank", "pay", "\"12\""] {
            assert!(!text.contains(hidden), "{feed} shows {hidden}: {text}");
        }
        assert!(text.contains("custom.plain") && text.contains("shown"), "{feed}: {text}");
    }
    let own = is(desk.get(&format!("{path}/history")).await, 200).body.to_string();
    assert!(own.contains("private") && own.contains("rank"), "{own}");
    // Who may not delete does not see that there is a deleted row.
    is(desk.send("DELETE", &path, Value::Null).await, 204);
    is(desk.get(&format!("{path}/history")).await, 200);
    let gone = other.get(&format!("/api/v1{path}/history")).await.unwrap();
    refused(&gone, Code::NotFound, &[]);
}

#[tokio::test]
async fn what_was_erased_shows_as_redacted() {
    let desk = Desk::open().await;
    let label = desk.label("erased").await;
    let cx = desk.org.begin().await.unwrap();
    let row: uuid::Uuid = label.parse().unwrap();
    cx.query("select erase_changes('labels', $1)", &[&row]).await.unwrap();
    cx.commit().await.unwrap();
    let seen = is(desk.get(&format!("/labels/{label}/history")).await, 200);
    let told = &seen.body["data"][0];
    assert_eq!((&told["op"], &told["redacted"]), (&json!("erase"), &json!(false)));
    let entry = &seen.body["data"][1];
    assert_eq!((&entry["redacted"], &entry["fields"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn the_feed_shows_what_the_caller_may_read() {
    let desk = Desk::open().await;
    let label = desk.label("fed").await;
    let case = desk.case(&label, "Printer").await;
    is(desk.send("POST", &format!("/cases/{case}/hold"), json!({})).await, 200);
    let seen = is(desk.get("/activity").await, 200);
    let all = seen.body["data"].as_array().unwrap();
    let told: Vec<(&Value, &Value)> =
        all.iter().map(|one| (&one["entity"], &one["op"])).take(3).collect();
    let (cases, labels, update, insert) =
        (json!("cases"), json!("labels"), json!("update"), json!("insert"));
    assert_eq!(told, [(&cases, &update), (&cases, &insert), (&labels, &insert)]);
    assert_eq!(all[0]["row_id"], case);
    let rows = async |query: &str| {
        let seen = is(desk.get(&format!("/activity?{query}")).await, 200);
        seen.body["data"].as_array().unwrap().len()
    };
    assert_eq!(rows("entity=cases").await, 2);
    assert_eq!(rows("entity=cases&limit=1").await, 1);
    let actor = all[0]["actor"]["id"].as_str().unwrap();
    assert_eq!(rows(&format!("actor={actor}&entity=labels")).await, 1);
    assert_eq!(rows("actor=nobody").await, 0);
    assert_eq!(rows("since=2099-01-01T00:00:00Z").await, 0);
    for (query, field) in
        [("entity=melons", "entity"), ("since=x", "since"), ("limit=1&limit=2", "limit")]
    {
        let seen = desk.get(&format!("/activity?{query}")).await;
        refused(&seen, Code::InvalidRequest, &[field]);
    }
    let grants = json!([{"grant": "desk.labels", "rights": ["read"]}]);
    let token = desk.org.issue(grants).await.unwrap();
    let other = desk.server.client.with_bearer(token.expose());
    let seen = is(other.get("/api/v1/activity").await.unwrap(), 200);
    let entities: Vec<&Value> =
        seen.body["data"].as_array().unwrap().iter().map(|one| &one["entity"]).collect();
    assert_eq!(entities, ["labels"]);
    refused(&other.get("/api/v1/activity?entity=cases").await.unwrap(), Code::Forbidden, &[]);
    let stranger = Desk::open().await;
    let theirs = is(stranger.get("/activity?entity=labels").await, 200);
    assert_eq!(theirs.body["data"], json!([]));
}
