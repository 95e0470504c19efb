//! Conditions on writes: held to or refused, never passed over.

use kernel::error::Code;
use serde_json::{Value, json};

use super::{Desk, id, is, refused};

#[tokio::test]
async fn put_holds_to_its_conditions() {
    let desk = Desk::open().await;
    let put = async |header: (&str, &str), body: Value| {
        desk.with("PUT", "/labels", &[header], body).await
    };
    let body = |rank: i64| json!({"name": "A", "code": "conditional", "rank": rank});
    // There is no row yet: nothing that could have a version.
    for tag in ["*", "\"1\""] {
        refused(&put(("if-match", tag), body(1)).await, Code::VersionMismatch, &[]);
    }
    is(put(("if-none-match", "*"), body(2)).await, 201);
    refused(&put(("if-none-match", "*"), body(3)).await, Code::VersionMismatch, &[]);
    for tag in ["\"2\"", "W/\"1\"", "\"x\"", "1"] {
        refused(&put(("if-match", tag), body(4)).await, Code::VersionMismatch, &[]);
    }
    assert_eq!(is(put(("if-match", "\"1\""), body(5)).await, 200).body["version"], 2);
    assert_eq!(is(put(("if-match", "*"), body(6)).await, 200).body["rank"], 6);
    let seen = put(("if-match", "\"3\", \"4\""), body(7)).await;
    refused(&seen, Code::InvalidRequest, &["If-Match"]);
    refused(&put(("if-match", "\u{fc}"), body(7)).await, Code::InvalidRequest, &["If-Match"]);
    let seen = put(("if-none-match", "\"3\""), body(7)).await;
    refused(&seen, Code::InvalidRequest, &["If-None-Match"]);
    let both: &[(&str, &str)] = &[("if-match", "*"), ("if-none-match", "*")];
    let seen = desk.with("PUT", "/labels", both, body(7)).await;
    refused(&seen, Code::InvalidRequest, &["If-None-Match"]);
    assert_eq!(desk.get("/labels").await.body["data"][0]["rank"], 6);
}

#[tokio::test]
async fn a_collection_has_no_version() {
    let desk = Desk::open().await;
    let label = desk.label("one").await;
    let new = json!({"name": "x", "code": "new"});
    let bulk = json!({"mode": "each", "operations": [{"op": "create", "data": new}]});
    for (path, body) in [
        ("/labels".to_owned(), new.clone()),
        ("/labels/bulk".to_owned(), bulk),
        (format!("/labels/{label}/cases"), json!({"title": "x"})),
    ] {
        let seen = desk.with("POST", &path, &[("if-match", "\"1\"")], body).await;
        refused(&seen, Code::VersionMismatch, &["If-Match"]);
    }
    assert_eq!(desk.get("/labels").await.body["data"].as_array().unwrap().len(), 1);
    let made = desk.with("POST", "/labels", &[("if-match", "*")], new).await;
    is(made, 201);
}

#[tokio::test]
async fn a_write_of_a_deleted_row_is_404_whatever_its_condition() {
    let desk = Desk::open().await;
    let label = desk.label("gone").await;
    let path = format!("/labels/{label}");
    is(desk.send("DELETE", &path, Value::Null).await, 204);
    for tag in ["\"1\"", "\"2\"", "*"] {
        let tag: &[(&str, &str)] = &[("if-match", tag)];
        refused(&desk.with("PATCH", &path, tag, json!({"rank": 1})).await, Code::NotFound, &[]);
        refused(&desk.with("DELETE", &path, tag, Value::Null).await, Code::NotFound, &[]);
        let seen = desk.with("POST", &format!("{path}/use"), tag, json!({})).await;
        refused(&seen, Code::NotFound, &[]);
    }
    let back = is(desk.send("POST", &format!("{path}/restore"), Value::Null).await, 200);
    assert_eq!((id(&back), &back.body["version"]), (label, &json!(3)));
}
