//! Lanes whose store is gone: killed, brought back, and everything adds up.

use std::sync::Arc;

use gate::serve::start;
use inventory::store::memory::MemoryLog;
use inventory::store::redis::{RedisLog, RedisOptions};
use inventory::testing::RedisServer;
use serde_json::{Value, json};

use crate::house::{DEVICE, DEVICE_TOKEN, EVENT, House, scan_body};

fn lanes(config: &mut Value) {
    config["lanes"] = json!([{"key": "Secure", "mode": "secure"}, {"key": "Open", "mode": "open"}]);
    config["questions"] = json!([
        {"id": uuid::Uuid::from_u128(0x31), "text": "Over 18?", "kind": "confirm", "types": [2]}]);
}

fn at(lane: &str, credential: &Value, nonce: &str) -> Value {
    let mut body = scan_body(credential, nonce);
    body["gate"] = json!(lane);
    body
}

#[track_caller]
fn told(verdict: &Value, expected: (&str, Value, Value)) {
    assert_eq!(
        (&verdict["verdict"], &verdict["reason"], &verdict["mode"]),
        (&json!(expected.0), &expected.1, &expected.2),
        "{verdict}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_leaves_the_lanes_to_their_modes_and_loses_nothing() {
    let mut server = RedisServer::start().expect("redis-server runs");
    let log = RedisLog::connect(&server.url(), RedisOptions::default()).await.expect("it answers");
    let house = House::with_spool(Arc::new(log), lanes).await;
    let order = house.buy(3).await;
    let ticket = |n: usize| &order["tickets"][n]["credential"];
    let online = house.scan(scan_body(ticket(0), "nonce-0001")).await.expect(200);
    told(&online, ("admit", json!(null), json!(null)));
    server.kill().expect("it dies by kill -9");

    let local = house.scan(scan_body(ticket(1), "nonce-0002")).await.expect(200);
    told(&local, ("admit", json!(null), json!("local")));
    assert_eq!((&local["scan"], &local["occupancy"]["inside"]), (&json!(null), &json!(2)));
    let twice = house.scan(scan_body(ticket(1), "nonce-0003")).await.expect(200);
    told(&twice, ("deny", json!("already_used"), json!("local")));
    let used = house.scan(scan_body(ticket(0), "nonce-0004")).await.expect(200);
    told(&used, ("deny", json!("already_used"), json!("local")));
    let secure = house.scan(at("Secure", ticket(2), "nonce-0005")).await.expect(200);
    told(&secure, ("deny", json!("store_unavailable"), json!(null)));
    let open = house.scan(at("Open", ticket(0), "nonce-0006")).await.expect(200);
    told(&open, ("admit", json!("already_used"), json!("open")));
    house.hold(1).await.problem(503, "store_unavailable");
    let token = format!("Bearer {DEVICE_TOKEN}");
    let stats = format!("/api/v1/events/{EVENT}/check-in/stats");
    house.view(EVENT, |view| view.unmerged == 4).await;
    let shown = house.get(&stats, &[("authorization", &token)]).await.expect(200);
    assert_eq!((&shown["fresh"], &shown["unmerged"]), (&json!(false), &json!(4)));

    server.restart().expect("it comes back with its file");
    house.view(EVENT, |view| view.fresh && view.unmerged == 0).await;
    let kinds: Vec<Value> =
        house.journal(EVENT).await.iter().map(|entry| entry["kind"].clone()).collect();
    let (_, merged) = kinds.split_at(kinds.len() - 4);
    assert!(merged.iter().all(|kind| kind == "scan.recorded"), "{kinds:?}");
    let again = house.scan(scan_body(ticket(1), "nonce-0002")).await.expect(200);
    told(&again, ("admit", json!(null), json!(null)));
    assert_eq!(again["replay"], true, "the nonce gets its first answer");
    let late = house.scan(scan_body(ticket(1), "nonce-0007")).await.expect(200);
    told(&late, ("deny", json!("already_used"), json!(null)));
    let report = format!("/api/v1/events/{EVENT}/check-in/conflicts");
    let report = house.get(&report, &[("authorization", &token)]).await.expect(200);
    let conflicts = report["conflicts"].as_array().expect("conflicts");
    assert_eq!(conflicts.len(), 1, "the open lane let ticket 1 in again: {conflicts:?}");
    assert_eq!(conflicts[0]["scans"][1]["gate"], "Open");
    assert!(house.running.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_supervisors_force_and_nobody_is_asked() {
    let log = MemoryLog::new();
    let house = House::with_spool(log.shared(), |config| {
        lanes(config);
        config["questions"][0]["types"] = json!([]);
    })
    .await;
    house.publish_device(DEVICE, DEVICE_TOKEN, |d| d["may_force"] = json!(true)).await;
    let order = house.buy(1).await;
    let credential = &order["tickets"][0]["credential"];
    log.go_down("the test took it away");
    let mut body = scan_body(credential, "nonce-0001");
    body["answers"] = json!({uuid::Uuid::from_u128(0x31).to_string(): true});
    let admitted = house.scan(body).await.expect(200);
    told(&admitted, ("admit", json!(null), json!("local")));
    let mut body = scan_body(credential, "nonce-0002");
    body["force"] = json!(true);
    let forced = house.scan(body).await.expect(200);
    told(&forced, ("admit", json!("already_used"), json!("local")));
    assert_eq!(forced["forced"], true);
    log.come_back();
    house.view(EVENT, |view| view.fresh && view.unmerged == 0).await;
    let token = format!("Bearer {DEVICE_TOKEN}");
    let report = format!("/api/v1/events/{EVENT}/check-in/conflicts");
    let report = house.get(&report, &[("authorization", &token)]).await.expect(200);
    assert_eq!(report["conflicts"], json!([]), "what was forced was meant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_belongs_to_one_process() {
    let log = MemoryLog::new();
    let house = House::with_spool(log.shared(), |_| ()).await;
    let refused = start(&house.settings(), log.shared(), house.clock.clone()).await;
    let Err(error) = refused else { panic!("two gates use one spool") };
    assert!(error.to_string().contains("spool"), "{error}");
}
