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
    refused(&put(("if-match", "\"2\""), body(4)).await, Code::VersionMismatch, &[]);
    for tag in ["W/\"1\"", "\"x\"", "1"] {
        refused(&put(("if-match", tag), body(4)).await, Code::VersionMismatch, &["If-Match"]);
    }
    assert_eq!(is(put(("if-match", "\"1\""), body(5)).await, 200).body["version"], 2);
    assert_eq!(is(put(("if-match", "*"), body(6)).await, 200).body["rank"], 6);
    refused(&put(("if-match", "\"4\", \"5\""), body(7)).await, Code::VersionMismatch, &[]);
    refused(&put(("if-match", "\"4\", W/\"3\""), body(7)).await, Code::VersionMismatch, &[]);
    assert_eq!(is(put(("if-match", "\"2\", \"3\""), body(6)).await, 200).body["version"], 4);
    refused(&put(("if-match", "\u{fc}"), body(7)).await, Code::InvalidRequest, &["If-Match"]);
    let seen = put(("if-none-match", "\"3\""), body(7)).await;
    refused(&seen, Code::InvalidRequest, &["If-None-Match"]);
    let both: &[(&str, &str)] = &[("if-match", "*"), ("if-none-match", "*")];
    let seen = desk.with("PUT", "/labels", both, body(7)).await;
    refused(&seen, Code::InvalidRequest, &["If-None-Match"]);
    assert_eq!(desk.get("/labels").await.body["data"][0]["rank"], 6);
}

/// RFC 9110, 13.1.1: true if any of the listed tags is the row's.
#[tokio::test]
async fn any_tag_of_a_list_will_do() {
    let desk = Desk::open().await;
    let path = format!("/labels/{}", desk.label("listed").await);
    let patch = async |tags: &[&str]| {
        let tags: Vec<(&str, &str)> = tags.iter().map(|tag| ("if-match", *tag)).collect();
        desk.with("PATCH", &path, &tags, json!({"rank": 1})).await
    };
    // The version behind the write, or what the refusal names: no tag names a version there.
    let none: Result<i64, &[&str]> = Err(&["If-Match"]);
    for (tags, outcome) in [
        (&["\"1\", \"2\""][..], Ok(2)),
        (&["\"1\", \"3\""], Err(&[][..])),
        (&["\"7\",\"2\",W/\"1\""], Ok(3)),
        (&["W/\"3\""], none),
        (&["W/\"3\", \"4\""], Err(&[])),
        (&["\"a,b\"", "\"3\""], Ok(4)),
        (&["\"3,4\""], none),
    ] {
        match outcome {
            Ok(version) => assert_eq!(is(patch(tags).await, 200).body["version"], version),
            Err(fields) => refused(&patch(tags).await, Code::VersionMismatch, fields),
        }
    }
    let with = async |method: &str, path: &str, tags: &str| {
        let body = if method == "POST" { json!({}) } else { Value::Null };
        desk.with(method, path, &[("if-match", tags)], body).await
    };
    let (used, restored) = (format!("{path}/use"), format!("{path}/restore"));
    for (method, path, refuses, takes, status) in [
        ("POST", &used, "\"1\", \"5\"", "\"1\", \"4\"", 200),
        ("DELETE", &path, "\"1\", \"4\"", "\"1\", \"5\"", 204),
        ("POST", &restored, "\"1\", \"5\"", "\"1\", \"6\"", 200),
    ] {
        refused(&with(method, path, refuses).await, Code::VersionMismatch, &[]);
        is(with(method, path, takes).await, status);
    }
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
