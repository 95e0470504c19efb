//! Card orders over HTTP: placed, paid by instruction, late; what a cancellation gives back; new codes.

use gate::settings::{Limits, Role};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{EVENT, House, VIP, hold_body, order_body, scan_body};

const MINUTE_MS: i64 = 60_000;

async fn open() -> House {
    let cards = |config: &mut Value| {
        config["sale"] = json!({"payment_url": "https://pay.example/{event}/{order}"});
        config["quotas"][0]["size"] = json!(4);
    };
    House::with(Role::All, Limits::default(), cards).await
}

async fn place(house: &House, quantity: u32) -> Value {
    let hold = house.post("/api/v1/shop/holds", hold_body(VIP, quantity)).await.expect(201);
    let mut body = order_body(&hold["id"]);
    body["payment"]["method"] = json!("card");
    house.post("/api/v1/shop/orders", body).await.expect(201)
}

async fn get(house: &House, order: &Value) -> Value {
    let secret = format!("Order {}", order["secret"].as_str().expect("a secret"));
    let path = format!("/api/v1/shop/orders/{}", order["id"].as_str().expect("an id"));
    house.get(&path, &[("authorization", &secret)]).await.expect(200)
}

async fn paid(house: &House, order: &Value) {
    let before = house.view(EVENT, |_| true).await.head.seq;
    let instruction = json!({"kind": "order.paid", "body": {"order": order["id"]}});
    let document = json!({"event": EVENT, "instruction": instruction});
    house.office.publish("instruction", Uuid::new_v4(), document);
    house.view(EVENT, |view| before + 1 < view.head.seq).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_order_waits_and_is_confirmed_by_its_payment() {
    let house = open().await;
    let order = place(&house, 2).await;
    assert_eq!((&order["status"], &order["tickets"]), (&json!("awaiting_payment"), &json!([])));
    let id = order["id"].as_str().expect("an id");
    assert_eq!(order["payment"]["url"], format!("https://pay.example/{EVENT}/{id}"));
    assert_eq!(order["payment"]["until"], "2026-11-21T18:22:00.000Z");
    paid(&house, &order).await;
    let confirmed = get(&house, &order).await;
    assert_eq!((&confirmed["status"], &confirmed["payment"]), (&json!("confirmed"), &json!(null)));
    let credential = &confirmed["tickets"][0]["credential"];
    let scan = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    assert_eq!(
        (&scan["verdict"], &scan["ticket"]["name"]),
        (&json!("admit"), &json!("Ada Lovelace"))
    );
    // The journal's reader has the key of the order with the entry that issues its tickets.
    let page = house.feed(&format!("/internal/v1/journal?event={EVENT}&after=0")).await.expect(200);
    assert!(page["keys"][id].is_string(), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_payment_gets_what_is_left_or_comes_back() {
    let house = open().await;
    let (first, second) = (place(&house, 2).await, place(&house, 2).await);
    house.clock.advance_ms(20 * MINUTE_MS);
    house.post("/api/v1/shop/holds", hold_body(VIP, 1)).await.expect(201);
    assert_eq!(get(&house, &first).await["status"], "expired");
    paid(&house, &first).await;
    paid(&house, &second).await;
    assert_eq!(get(&house, &first).await["status"], "confirmed");
    let late = get(&house, &second).await;
    assert_eq!((&late["status"], &late["tickets"]), (&json!("refund_due"), &json!([])));
    let view = house.view(EVENT, |view| view.quotas[0].sold == 2).await;
    assert!(view.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_tells_the_refund_and_a_new_code_supersedes() {
    let house = open().await;
    let order = place(&house, 2).await;
    paid(&house, &order).await;
    let confirmed = get(&house, &order).await;
    let secret = format!("Order {}", order["secret"].as_str().expect("a secret"));
    let ticket = |n: usize| confirmed["tickets"][n]["id"].as_str().expect("an id").to_owned();
    let reissue = format!("/api/v1/shop/tickets/{}/reissue", ticket(0));
    house.send("POST", &reissue, &[], None).await.problem(404, "not_found");
    let headers = [("authorization", secret.as_str()), ("idempotency-key", "reissue-key-000001")];
    let fresh = house.send("POST", &reissue, &headers, None).await.expect(200);
    let again = house.send("POST", &reissue, &headers, None).await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.expect(200), fresh);
    let old = scan_body(&confirmed["tickets"][0]["credential"], "nonce-0001");
    assert_eq!(house.scan(old).await.expect(200)["reason"], "superseded");
    let new = scan_body(&fresh["credential"], "nonce-0002");
    assert_eq!(house.scan(new).await.expect(200)["verdict"], "admit");

    let path = format!("/api/v1/shop/orders/{}/cancel", order["id"].as_str().expect("an id"));
    let body = json!({"positions": [ticket(1)]});
    let canceled = house.call("POST", &path, &headers[..1], body).await.expect(200);
    let refund = json!({"amount": "42.50", "currency": "EUR"});
    assert_eq!((&canceled["tickets"][1]["refund"], &canceled["refunded"]), (&refund, &refund));
    assert_eq!(canceled["status"], "confirmed");
}
