//! Evacuation at the gate, with the store and without it.

use inventory::store::memory::MemoryLog;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{DEVICE, DEVICE_TOKEN, EVENT, Got, House, NUMBER, scan_body};

async fn evacuate(house: &House, on: bool) -> Got {
    let path = format!("/api/v1/events/{EVENT}/check-in/evacuation");
    house.device_post(&path, Some(json!({"on": on}))).await
}

async fn supervise(house: &House) {
    house.publish_device(DEVICE, DEVICE_TOKEN, |d| d["may_force"] = json!(true)).await;
}

fn exit(credential: &Value, nonce: &str) -> Value {
    let mut body = scan_body(credential, nonce);
    body["direction"] = json!("exit");
    body
}

#[track_caller]
fn goes(verdict: &Value, told: Value) {
    assert_eq!((&verdict["verdict"], &verdict["reason"]), (&json!("admit"), &told), "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_leaves_and_nobody_enters() {
    let house = House::open().await;
    let order = house.buy(2).await;
    let (one, other) = (&order["tickets"][0]["credential"], &order["tickets"][1]["credential"]);
    evacuate(&house, true).await.problem(403, "evacuation_not_allowed");
    supervise(&house).await;
    let not_inside = house.scan(exit(one, "nonce-0001")).await.expect(200);
    assert_eq!(not_inside["reason"], "not_inside");
    let rung = evacuate(&house, true).await.expect(200);
    assert_eq!(rung, json!({"event": EVENT, "evacuated": true, "durable": true}));
    let entry = house.scan(scan_body(one, "nonce-0002")).await.expect(200);
    assert_eq!(
        (&entry["verdict"], &entry["reason"], &entry["rule"]),
        (&json!("deny"), &json!("rules"), &json!("evacuation"))
    );
    goes(&house.scan(exit(one, "nonce-0003")).await.expect(200), json!(null));
    // Whatever they show: another nonce's refusal, nobody's ticket, a picture of a cat.
    goes(&house.scan(exit(one, "nonce-0001")).await.expect(200), json!("not_inside"));
    goes(&house.scan(exit(other, "nonce-0001")).await.expect(200), json!("nonce_reused"));
    let unknown = json!({"ticket": format!("{NUMBER}-99"), "gate": "North 3", "zone": "main",
                         "direction": "exit", "nonce": "nonce-0004"});
    let out = house.scan(unknown).await.expect(200);
    goes(&out, json!("unknown_ticket"));
    assert_eq!(out["scan"], json!(null), "nobody knows who it was");
    let cat = house.scan(exit(&json!("garbage"), "nonce-0005")).await.expect(200);
    goes(&cat, json!("invalid"));
    assert_eq!(cat["message"], "Go: the place is being cleared");

    let over = evacuate(&house, false).await.expect(200);
    assert_eq!((&over["evacuated"], &over["durable"]), (&json!(false), &json!(true)));
    let entry = house.scan(scan_body(other, "nonce-0006")).await.expect(200);
    goes(&entry, json!(null));
    let cat = house.scan(exit(&json!("garbage"), "nonce-0007")).await.expect(200);
    assert_eq!(cat["verdict"], "deny");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alarm_rings_without_the_store_and_the_journal_hears_of_it_later() {
    let log = MemoryLog::new();
    let house = House::on(log.shared()).await;
    supervise(&house).await;
    let order = house.buy(1).await;
    let credential = &order["tickets"][0]["credential"];
    log.go_down("the test took it away");
    let rung = evacuate(&house, true).await.expect(200);
    assert_eq!((&rung["evacuated"], &rung["durable"]), (&json!(true), &json!(false)));
    let out = house.scan(exit(credential, "nonce-0001")).await.expect(200);
    goes(&out, json!("store_unavailable"));
    let entry = house.scan(scan_body(credential, "nonce-0002")).await.expect(200);
    assert_eq!((&entry["verdict"], &entry["rule"]), (&json!("deny"), &json!("evacuation")));
    log.come_back();
    house.view(EVENT, |view| view.evacuated).await;
    let told = house.journal(EVENT).await.pop().expect("entries");
    assert_eq!(
        (&told["kind"], &told["data"]),
        (&json!("event.evacuated"), &json!({"on": true, "by": DEVICE}))
    );
    goes(&house.scan(exit(credential, "nonce-0003")).await.expect(200), json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alarm_names_what_is_wrong_with_it() {
    let house = House::open().await;
    supervise(&house).await;
    let path = |event: Uuid| format!("/api/v1/events/{event}/check-in/evacuation");
    for (body, field, code) in [
        (json!({}), "on", "required"),
        (json!({"on": "yes"}), "on", "type"),
        (json!({"on": true, "zone": "main"}), "zone", "unknown"),
    ] {
        let problem = house.device_post(&path(EVENT), Some(body)).await;
        let problem = problem.problem(400, "invalid_body");
        let error = &problem["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!(field), &json!(code)));
    }
    let foreign = house.device_post(&path(Uuid::nil()), Some(json!({"on": true}))).await;
    foreign.problem(404, "unknown_event");
}
