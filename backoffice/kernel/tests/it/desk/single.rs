//! One row at a time: restore, upsert by natural key, versions against lost updates, every fault of a
//! body at once.

use kernel::error::Code;
use kernel::testkit::Reply;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Desk, id, is, refused};

#[tokio::test]
async fn a_deleted_row_comes_back() {
    let desk = Desk::open().await;
    let label = desk.label("lost").await;
    let (path, back) = (format!("/labels/{label}"), format!("/labels/{label}/restore"));
    refused(&desk.send("POST", &back, Value::Null).await, Code::Conflict, &[]);
    is(desk.send("DELETE", &path, Value::Null).await, 204);
    let stale = desk.with("POST", &back, &[("if-match", "\"1\"")], Value::Null).await;
    refused(&stale, Code::VersionMismatch, &[]);
    refused(&desk.send("POST", &back, json!({"x": 1})).await, Code::ValidationFailed, &["x"]);
    let seen = is(desk.with("POST", &back, &[("if-match", "\"2\"")], Value::Null).await, 200);
    assert_eq!(seen.body["version"], 3);
    assert_eq!(is(desk.get(&path).await, 200).body, seen.body);
    let nobody = format!("/labels/{}/restore", Uuid::nil());
    refused(&desk.send("POST", &nobody, Value::Null).await, Code::NotFound, &[]);
    let stranger = Desk::open().await;
    is(desk.send("DELETE", &path, Value::Null).await, 204);
    refused(&stranger.send("POST", &back, Value::Null).await, Code::NotFound, &[]);
    refused(&desk.get(&back).await, Code::MethodNotAllowed, &[]);
}

#[tokio::test]
async fn what_happened_since_can_refuse_a_restore() {
    let desk = Desk::open().await;
    let label = desk.label("taken").await;
    is(desk.send("DELETE", &format!("/labels/{label}"), Value::Null).await, 204);
    let other = desk.label("taken").await;
    let back = format!("/labels/{label}/restore");
    refused(&desk.send("POST", &back, Value::Null).await, Code::AlreadyExists, &["code"]);
    let case = desk.case(&other, "Printer").await;
    is(desk.send("DELETE", &format!("/cases/{case}"), Value::Null).await, 204);
    is(desk.send("DELETE", &format!("/labels/{other}"), Value::Null).await, 204);
    let back = format!("/cases/{case}/restore");
    refused(&desk.send("POST", &back, Value::Null).await, Code::UnknownReference, &["label_id"]);
    is(desk.send("POST", &format!("/labels/{other}/restore"), Value::Null).await, 200);
    is(desk.send("POST", &back, Value::Null).await, 200);
}

#[tokio::test]
async fn put_finds_a_row_by_its_natural_key() {
    let desk = Desk::open().await;
    let put = async |body: Value| desk.send("PUT", "/labels", body).await;
    refused(&put(json!({"name": "A"})).await, Code::ValidationFailed, &["code"]);
    refused(&put(json!({"name": "A", "code": "Bad Key"})).await, Code::ValidationFailed, &["code"]);
    let made = is(put(json!({"name": "A", "code": "natural", "rank": 4})).await, 201);
    assert!(made.header("location").unwrap().ends_with(&id(&made)));
    // Absent fields stay; a field that is set once may be given again as it is.
    let seen = is(put(json!({"code": "natural", "name": "B", "price": null})).await, 200);
    assert_eq!((id(&seen), &seen.body["rank"]), (id(&made), &json!(4)));
    assert_eq!((&seen.body["name"], &seen.body["version"]), (&json!("B"), &json!(2)));
    let same = is(put(json!({"code": "natural", "id": id(&made)})).await, 200);
    assert_eq!(same.body["version"], 2, "nothing to change changes nothing");
    // A row that was deleted stays so: its key is free for a new one.
    is(desk.send("DELETE", &format!("/labels/{}", id(&made)), Value::Null).await, 204);
    let next = is(put(json!({"code": "natural", "name": "C"})).await, 201);
    assert_ne!(id(&next), id(&made));
    assert_eq!(next.body["rank"], Value::Null);
    // Another key's clash is told as it is.
    is(put(json!({"code": "other", "name": "D", "short": "x"})).await, 201);
    let clash = put(json!({"code": "third", "name": "E", "short": "x"})).await;
    refused(&clash, Code::AlreadyExists, &["short"]);
    refused(&desk.send("PUT", "/cases", json!({})).await, Code::MethodNotAllowed, &[]);
}

#[tokio::test]
async fn put_asks_for_the_right_of_what_it_does() {
    let desk = Desk::open().await;
    desk.label("there").await;
    let with = async |rights: Value, body: Value| {
        let grants = json!([{"grant": "desk.labels", "rights": rights}]);
        let token = desk.org.issue(grants).await.unwrap();
        let client = desk.server.client.with_bearer(token.expose());
        client.send("PUT", "/api/v1/labels", Some(&body)).await.unwrap()
    };
    let there = json!({"code": "there", "name": "A"});
    let new = json!({"code": "new", "name": "A"});
    refused(&with(json!(["read", "create"]), there.clone()).await, Code::Forbidden, &[]);
    refused(&with(json!(["read", "update"]), new.clone()).await, Code::Forbidden, &[]);
    is(with(json!(["read", "update"]), there).await, 200);
    is(with(json!(["read", "create"]), new).await, 201);
}

#[tokio::test]
async fn upserts_at_once_make_one_row() {
    let desk = Desk::open().await;
    for round in 0..5 {
        let code = format!("race-{round}");
        let one = |n: usize| {
            let body = json!({"code": code, "name": format!("n{n}"), "rank": n});
            let desk = &desk;
            async move { desk.send("PUT", "/labels", body).await }
        };
        let replies: Vec<Reply> = futures_util::future::join_all((0..12).map(one)).await;
        let created = replies.iter().filter(|reply| reply.status == 201).count();
        let changed = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!((created, changed), (1, 11), "{replies:?}");
        let all = desk.get(&format!("/labels?filter[code]={code}")).await;
        assert_eq!(all.body["data"].as_array().unwrap().len(), 1);
        assert_eq!(all.body["data"][0]["version"], 12, "every upsert left its mark");
    }
}

/// Two clients that read, add one and write with the version that they read: no addition is lost.
#[tokio::test]
async fn no_update_is_lost_under_versions() {
    let desk = Desk::open().await;
    let label = desk.label("counted").await;
    let path = format!("/labels/{label}");
    is(desk.send("PATCH", &path, json!({"rank": 0})).await, 200);
    let client = |n: usize| {
        let (desk, path) = (&desk, &path);
        async move {
            let (mut done, mut refusals) = (0, 0);
            while done < 10 {
                let seen = is(desk.get(path).await, 200);
                let rank = seen.body["rank"].as_i64().unwrap() + 1;
                let tag = seen.header("etag").unwrap().to_owned();
                let wrote =
                    desk.with("PATCH", path, &[("if-match", &tag)], json!({"rank": rank})).await;
                match wrote.status {
                    200 => done += 1,
                    _ => {
                        refused(&wrote, Code::VersionMismatch, &[]);
                        refusals += 1;
                    }
                }
                assert!(refusals < 1_000, "client {n} never gets through");
            }
        }
    };
    futures_util::future::join_all((0..3).map(client)).await;
    assert_eq!(desk.get(&path).await.body["rank"], 30);
}

/// Writes of every sort with one version, at once and on several threads: one of them is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_writes_with_one_version_one_is_done() {
    let desk = Desk::open().await;
    for round in 0..6 {
        let label = desk.label(&format!("race-{round}")).await;
        let path = format!("/api/v1/labels/{label}");
        let mut writes = tokio::task::JoinSet::new();
        for n in 0..16_usize {
            let (client, path) = (desk.client.clone(), path.clone());
            writes.spawn(async move {
                let tag = [("if-match", "\"1\"")];
                let body = json!({"rank": n});
                let reply = match n % 4 {
                    0 => client.send_with("DELETE", &path, &tag, None).await,
                    1 => client.send_with("POST", &format!("{path}/use"), &tag, None).await,
                    _ => client.send_with("PATCH", &path, &tag, Some(&body)).await,
                };
                reply.unwrap()
            });
        }
        let replies = writes.join_all().await;
        let done: Vec<&Reply> = replies.iter().filter(|reply| reply.status < 300).collect();
        assert_eq!(done.len(), 1, "{replies:?}");
        let deleted = done[0].status == 204;
        for other in replies.iter().filter(|reply| 300 <= reply.status) {
            let code = if deleted { other.code() == "not_found" } else { false };
            assert!(code || other.code() == "version_mismatch", "{other:?}");
        }
        // One change beside the creation, and the row shows it.
        assert_eq!(desk.traces(&label).await, (2, 2));
        let seen = desk.get(&format!("/labels/{label}")).await;
        assert_eq!(seen.status, if deleted { 404 } else { 200 });
        if !deleted {
            assert_eq!(seen.body, done[0].body);
        }
    }
}

#[tokio::test]
async fn every_kind_of_fault_is_told_in_one_answer() {
    let desk = Desk::open().await;
    let field = json!({"entity": "cases", "key": "size", "label": "Size", "kind": "integer"});
    is(desk.send("POST", "/custom-fields", field).await, 201);
    let body = json!({
        "label_id": Uuid::nil(), "title": "", "dropped_at": "2026-01-01T00:00:00Z", "colour": 1,
        "status": "closed", "custom": {"size": "large", "weight": 2},
    });
    let seen = desk.send("POST", "/cases", body).await;
    let mut fields = seen.fields();
    fields.sort_unstable();
    let expected =
        ["colour", "custom.size", "custom.weight", "dropped_at", "label_id", "status", "title"];
    assert_eq!(fields, expected, "{}", seen.body);
    assert_eq!(seen.code(), "validation_failed");
}
