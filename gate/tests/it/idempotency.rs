//! The same request again: the same decision, and nothing a second time.

use serde_json::{Value, json};

use crate::house::{EVENT, GENERAL, Got, House, hold_body, order_body};

const HOLDS: &str = "/api/v1/shop/holds";
const ORDERS: &str = "/api/v1/shop/orders";

async fn keyed(house: &House, path: &str, key: &str, body: Value) -> Got {
    house.call("POST", path, &[("idempotency-key", key)], body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_with_the_first_decision() {
    let house = House::open().await;
    let key = "hold-key-00000001";
    let first = keyed(&house, HOLDS, key, hold_body(GENERAL, 2)).await;
    assert_eq!(first.header("idempotent-replayed"), "");
    let first = first.expect(201);
    let again = keyed(&house, HOLDS, key, hold_body(GENERAL, 2)).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(201), first);
    keyed(&house, HOLDS, key, hold_body(GENERAL, 3)).await.problem(422, "key_reused");
    let other = keyed(&house, HOLDS, "hold-key-00000002", hold_body(GENERAL, 2)).await.expect(201);
    assert_ne!(other["id"], first["id"]);

    let key = "order-key-0000001";
    let order = keyed(&house, ORDERS, key, order_body(&first["id"])).await.expect(201);
    let again = keyed(&house, ORDERS, key, order_body(&first["id"])).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(201), order, "secret and credentials included");
    let mut body = order_body(&first["id"]);
    body["payment"]["method"] = json!("invoice");
    keyed(&house, ORDERS, key, body).await.problem(422, "key_reused");

    let secret = format!("Order {}", order["secret"].as_str().expect("a secret"));
    let cancel = format!("{ORDERS}/{}/cancel", order["id"].as_str().expect("an id"));
    let headers = [("authorization", secret.as_str()), ("idempotency-key", "cancel-key-000001")];
    let canceled = house.call("POST", &cancel, &headers, json!({})).await.expect(200);
    let again = house.call("POST", &cancel, &headers, json!({})).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(200), canceled);
    house.view(EVENT, |view| view.quotas[0].sold == 0 && view.quotas[0].held == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_no_key() {
    let house = House::open().await;
    let (hold_key, order_key) = ("hold-key-00000001", "order-key-0000001");
    let hold = keyed(&house, HOLDS, hold_key, hold_body(GENERAL, 1)).await.expect(201);
    let order = keyed(&house, ORDERS, order_key, order_body(&hold["id"])).await.expect(201);
    let house = house.restart().await;
    assert_eq!(keyed(&house, HOLDS, hold_key, hold_body(GENERAL, 1)).await.expect(201), hold);
    let again = keyed(&house, ORDERS, order_key, order_body(&hold["id"])).await;
    assert_eq!(again.expect(201), order);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_one() {
    let house = House::open().await;
    let requests =
        (0..20).map(|_| keyed(&house, HOLDS, "hold-key-00000001", hold_body(GENERAL, 2)));
    let answers = futures_util::future::join_all(requests).await;
    let ids: Vec<Value> = answers.into_iter().map(|got| got.expect(201)["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    house.view(EVENT, |view| view.quotas[0].held == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn white_space_and_order_of_fields_are_no_difference() {
    let house = House::open().await;
    let headers = [("idempotency-key", "hold-key-00000001"), ("content-type", "application/json")];
    let compact = hold_body(GENERAL, 1).to_string();
    let spaced = format!(
        "{{ \"items\": [ {{\"quantity\": 1, \"ticket_type\": \"{GENERAL}\"}} ],\n \"event\": \"{EVENT}\" }}"
    );
    let first = house.send("POST", HOLDS, &headers, Some(compact.into_bytes())).await.expect(201);
    let again = house.send("POST", HOLDS, &headers, Some(spaced.into_bytes())).await.expect(201);
    assert_eq!(first, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_keys() {
    let house = House::open().await;
    let long = "k".repeat(129);
    for key in ["short", "fifteen-charact", "spaces are not allowed", long.as_str()] {
        let got = keyed(&house, HOLDS, key, hold_body(GENERAL, 1)).await;
        let problem = got.problem(400, "invalid_header");
        assert_eq!(problem["errors"][0]["field"], "Idempotency-Key");
    }
    keyed(&house, HOLDS, "sixteen-charact.", hold_body(GENERAL, 1)).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_decided_anew() {
    let house = House::open().await;
    let all = house.hold(100).await.expect(201);
    let key = "hold-key-00000001";
    keyed(&house, HOLDS, key, hold_body(GENERAL, 1)).await.problem(409, "sold_out");
    let path = format!("{HOLDS}/{}", all["id"].as_str().expect("an id"));
    assert_eq!(house.send("DELETE", &path, &[], None).await.status, 204);
    keyed(&house, HOLDS, key, hold_body(GENERAL, 1)).await.expect(201);
}
