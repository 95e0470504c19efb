//! Several nodes over one Redis, and a store that goes away.

use std::sync::Arc;

use inventory::store::memory::MemoryLog;
use inventory::store::redis::{RedisLog, RedisOptions};
use inventory::testing::RedisServer;
use serde_json::{Value, json};

use crate::house::{DEVICE_TOKEN, EVENT, House, order_body, scan_body};

async fn redis(server: &RedisServer) -> Arc<RedisLog> {
    let log = RedisLog::connect(&server.url(), RedisOptions::default()).await;
    Arc::new(log.expect("redis-server answers"))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_admit_a_ticket_once_and_sell_a_place_once() {
    let server = RedisServer::start().expect("redis-server runs");
    let mut house = House::on(redis(&server).await).await;
    let order = house.buy(4).await;
    let other = house.node(redis(&server).await).await;
    let nodes = [house.running.public, other.public];
    let http = reqwest::Client::new();
    let post = async |node: usize, path: &str, body: Value| {
        let url = format!("http://{}/api/v1/{path}", nodes[node % 2]);
        let request = http.post(url).bearer_auth(DEVICE_TOKEN);
        let request = request.header("content-type", "application/json");
        let reply = request.body(body.to_string()).send().await.expect("an answer");
        let status = reply.status().as_u16();
        let bytes = reply.bytes().await.expect("a body");
        (status, serde_json::from_slice::<Value>(&bytes).expect("JSON"))
    };
    for ticket in order["tickets"].as_array().expect("tickets") {
        let id = ticket["id"].as_str().expect("an id");
        let scans = (0..10).map(|n| {
            post(n, "check-in/scan", scan_body(&ticket["credential"], &format!("nonce-{id}-{n}")))
        });
        let verdicts = futures_util::future::join_all(scans).await;
        let admitted = verdicts.iter().filter(|(_, v)| v["verdict"] == "admit").count();
        assert_eq!(admitted, 1, "{verdicts:?}");
    }
    // 96 places are left for 60 baskets of two, at both nodes at once.
    let body = json!({"event": EVENT, "items": [
        {"ticket_type": order["tickets"][0]["ticket_type"], "quantity": 2}]});
    let holds =
        futures_util::future::join_all((0..60).map(|n| post(n, "shop/holds", body.clone()))).await;
    let held: Vec<&Value> = holds.iter().filter(|(s, _)| *s == 201).map(|(_, hold)| hold).collect();
    assert_eq!(held.len(), 48, "{holds:?}");
    assert!(holds.iter().all(|(status, v)| *status == 201 || v["code"] == "sold_out"), "{holds:?}");
    // A hold made at one node is ordered at the other, and a nonce answered there is repeated here.
    let (status, sold) = post(1, "shop/orders", order_body(&held[0]["id"])).await;
    assert_eq!(status, 201, "{sold}");
    let scan = scan_body(&sold["tickets"][0]["credential"], "nonce-of-two-nodes");
    let (_, first) = post(0, "check-in/scan", scan.clone()).await;
    let (_, again) = post(1, "check-in/scan", scan).await;
    assert_eq!((&first["verdict"], &again["replay"]), (&json!("admit"), &json!(true)));
    assert_eq!(first["scan"], again["scan"]);
    assert_eq!(again["ticket"]["name"], "Ada Lovelace", "opened with the key from the store");
    // Both nodes come to the same journal.
    let head = house.journal(EVENT).await.last().expect("entries")["seq"].as_u64();
    house.view(EVENT, |view| Some(view.head.seq) == head).await;
    let one = house.feed(&format!("/internal/v1/audit?event={EVENT}")).await.expect(200);
    let first = house.turn_to(other);
    house.view(EVENT, |view| Some(view.head.seq) == head).await;
    let two = house.feed(&format!("/internal/v1/audit?event={EVENT}")).await.expect(200);
    assert_eq!(one, two);
    assert!(first.stop().await && house.running.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_store_the_gate_refuses_and_comes_back_by_itself() {
    let log = MemoryLog::new();
    let house = House::on(log.shared()).await;
    let order = house.buy(1).await;
    let credential = &order["tickets"][0]["credential"];
    log.go_down("the test took it away");
    let (scan, hold) =
        tokio::join!(house.scan(scan_body(credential, "nonce-0001")), house.hold(1),);
    let denied = scan.expect(200);
    assert_eq!(
        (&denied["verdict"], &denied["reason"]),
        (&json!("deny"), &json!("store_unavailable"))
    );
    assert_eq!(denied["scan"], json!(null));
    assert_eq!(hold.header("retry-after"), "1");
    hold.problem(503, "store_unavailable");
    house.view(EVENT, |view| !view.fresh).await;
    let ready = house.get("/ready", &[]).await.expect(503);
    assert!(ready["missing"].to_string().contains("store"), "{ready}");
    house.get("/health", &[]).await.expect(200);
    log.come_back();
    house.view(EVENT, |view| view.fresh).await;
    house.get("/ready", &[]).await.expect(200);
    let verdict = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    assert_eq!(verdict["verdict"], "admit");
    house.hold(1).await.expect(201);
}
