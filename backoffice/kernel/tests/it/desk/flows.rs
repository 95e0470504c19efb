//! Moves of a flow: served without a line of code, checked with one.

use kernel::cx::Actor;
use kernel::error::Code;
use serde_json::{Value, json};

use super::{Desk, is, refused};

#[tokio::test]
async fn a_move_needs_no_action() {
    let desk = Desk::open().await;
    let label = desk.label("moves").await;
    let case = desk.case(&label, "Printer").await;
    let go = async |name: &str, body: Value| {
        desk.send("POST", &format!("/cases/{case}/{name}"), body).await
    };
    let held = is(go("hold", json!({})).await, 200);
    assert_eq!((&held.body["status"], &held.body["version"]), (&json!("held"), &json!(2)));
    assert_eq!(held.header("etag"), Some("\"2\""));
    refused(&go("hold", json!({})).await, Code::InvalidTransition, &["status"]);
    refused(&go("drop", json!({})).await, Code::InvalidTransition, &["status"]);
    let missing = go("close", json!({})).await;
    refused(&missing, Code::ValidationFailed, &["outcome", "solver"]);
    assert_eq!(missing.body["errors"][0]["code"], "required");
    let path = format!("/cases/{case}");
    is(desk.send("PATCH", &path, json!({"outcome": "", "solver": "Ada"})).await, 200);
    refused(&go("close", json!({})).await, Code::ValidationFailed, &["outcome"]);
    is(desk.send("PATCH", &path, json!({"outcome": "new toner"})).await, 200);
    refused(&go("close", json!({"extra": 1})).await, Code::ValidationFailed, &["extra"]);
    assert_eq!(is(go("close", Value::Null).await, 200).body["status"], "closed");
    refused(&go("melt", json!({})).await, Code::NotFound, &[]);
    let seen = desk.get(&format!("{path}/close")).await;
    refused(&seen, Code::MethodNotAllowed, &[]);
    assert_eq!(seen.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_move_asks_for_its_right_its_version_and_its_row() {
    let desk = Desk::open().await;
    let label = desk.label("rights").await;
    let case = desk.case(&label, "Printer").await;
    let path = format!("/cases/{case}/hold");
    let grants = json!([{"grant": "desk.cases", "rights": ["read", "update", "close"]}]);
    let token = desk.org.issue(grants).await.unwrap();
    let other = desk.server.client.with_bearer(token.expose());
    let denied = other.post(&format!("/api/v1{path}"), &json!({})).await.unwrap();
    refused(&denied, Code::Forbidden, &[]);
    let stale = desk.with("POST", &path, &[("if-match", "\"7\"")], json!({})).await;
    refused(&stale, Code::VersionMismatch, &[]);
    let stranger = Desk::open().await;
    refused(&stranger.send("POST", &path, json!({})).await, Code::NotFound, &[]);
    is(desk.with("POST", &path, &[("if-match", "\"1\"")], json!({})).await, 200);
}

#[tokio::test]
async fn an_action_says_only_what_is_special() {
    let desk = Desk::open().await;
    let label = desk.label("special").await;
    let case = desk.case(&label, "Printer").await;
    let path = format!("/cases/{case}/drop");
    refused(&desk.send("POST", &path, json!({})).await, Code::ValidationFailed, &["outcome"]);
    // What the input brings counts as filled in; the engine sets the state behind the action.
    let seen = is(desk.send("POST", &path, json!({"outcome": "gone"})).await, 200);
    assert_eq!(seen.body["status"], "dropped");
    assert_eq!(seen.body["outcome"], "gone");
    assert!(seen.body["dropped_at"].is_string());
    assert_eq!(desk.get(&format!("/labels/{label}")).await.body["uses"], 1_000);
    refused(
        &desk.send("POST", &path, json!({"outcome": "x"})).await,
        Code::InvalidTransition,
        &["status"],
    );
}

/// Rows, change log and outbox: all of an action or nothing of it.
#[tokio::test]
async fn an_action_that_fails_anywhere_leaves_nothing() {
    let desk = Desk::open().await;
    let label = desk.label("failing").await;
    let case = desk.case(&label, "Printer").await;
    let before = (desk.get(&format!("/cases/{case}")).await.body, desk.traces(&case).await);
    let label_before = desk.traces(&label).await;
    for fail in ["after_set", "after_second"] {
        let body = json!({"outcome": "gone", "fail": fail});
        let seen = desk.send("POST", &format!("/cases/{case}/drop"), body).await;
        refused(&seen, Code::Conflict, &[]);
        let after = (desk.get(&format!("/cases/{case}")).await.body, desk.traces(&case).await);
        assert_eq!(after, before, "{fail}");
        assert_eq!(desk.traces(&label).await, label_before, "{fail}");
    }
    // A rule that refuses is as late as a failure can be: row, log and outbox are written by then.
    let body = json!({"title": "forbidden"});
    let seen = desk.send("PATCH", &format!("/cases/{case}"), body).await;
    refused(&seen, Code::InvalidValue, &["title"]);
    assert_eq!(desk.traces(&case).await, before.1);
    // And with the effect its rows come together: one change and one outbox row for each write.
    is(desk.send("POST", &format!("/cases/{case}/drop"), json!({"outcome": "gone"})).await, 200);
    let (changes, outbox) = desk.traces(&case).await;
    assert_eq!((changes, outbox), (before.1.0 + 2, before.1.1 + 2));
}

/// An action reaches the states that moves of its name lead to, and other code of ours those that some
/// move does: anything else is our own fault, and nothing of it stays.
#[tokio::test]
async fn no_code_leaps_over_the_flow() {
    let desk = Desk::open().await;
    let label = desk.label("leaping").await;
    let case = desk.case(&label, "Printer").await;
    let before = (desk.get(&format!("/cases/{case}")).await.body, desk.traces(&case).await);
    let body = json!({"outcome": "gone", "fail": "leap"});
    let seen = desk.send("POST", &format!("/cases/{case}/drop"), body).await;
    refused(&seen, Code::Internal, &[]);
    let after = (desk.get(&format!("/cases/{case}")).await.body, desk.traces(&case).await);
    assert_eq!(after, before);
    let case = case.parse().unwrap();
    for (to, possible) in [("held", true), ("dropped", false), ("held", true), ("closed", true)] {
        let mut cx = desk.org.begin().await.unwrap();
        let set = cx.set(&super::CASE, case, &[("status", json!(to))]).await;
        assert_eq!(set.is_ok(), possible, "{to}");
        match set {
            Ok(()) => cx.commit().await.unwrap(),
            Err(error) => {
                assert_eq!(error.code(), Code::Internal);
                cx.rollback().await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_domain_calls_a_move_like_an_action() {
    let desk = Desk::open().await;
    let label = desk.label("called").await;
    let case = desk.case(&label, "Printer").await;
    let mut cx = desk.server.service.begin(Actor::Service("test"), desk.org.id).await.unwrap();
    cx.call("desk.cases.hold", json!({"id": case})).await.unwrap();
    let again = cx.call("desk.cases.hold", json!({"id": case})).await;
    assert_eq!(again.unwrap_err().code(), Code::InvalidTransition);
    let row = cx.get(&super::CASE, case.parse().unwrap()).await.unwrap();
    assert_eq!(row["status"], "held");
    cx.rollback().await.unwrap();
}
