//! One ticket sold, one person admitted.

use std::process::Command;

use inventory::testing::TestDirectory;
use serde_json::json;

use uuid::Uuid;

use crate::house::{
    EVENT, GENERAL, House, NUMBER, ORGANIZATION, VIP, hold_body, order_body, scan_body,
};

#[tokio::test(flavor = "multi_thread")]
async fn from_the_shop_window_through_the_door() {
    let house = House::open().await;
    let shown = house.get(&format!("/api/v1/shop/events/{EVENT}"), &[]).await;
    assert_eq!(shown.header("cache-control"), "public, no-cache");
    let shown = shown.expect(200);
    assert_eq!(shown["name"], "Winter Concert");
    assert_eq!(shown["ticket_types"][0]["available"], 100);
    assert_eq!(shown["ticket_types"][0]["sale"], "open");
    assert_eq!(shown["ticket_types"][1]["price"], json!({"amount": "42.50", "currency": "EUR"}));

    let hold = house.hold(2).await.expect(201);
    assert_eq!(hold["total"], json!({"amount": "0.00", "currency": "EUR"}));
    assert_eq!(hold["expires_at"], "2026-11-21T18:12:00.000Z");

    let mut body = order_body(&hold["id"]);
    body["attendees"] = json!([
        {"name": "Ada Lovelace", "email": "ada@example.org"}, {"name": "Grace Hopper", "email": null}
    ]);
    let order = house.post("/api/v1/shop/orders", body).await.expect(201);
    assert_eq!(order["status"], "confirmed");
    let tickets = order["tickets"].as_array().expect("tickets");
    assert_eq!(tickets.len(), 2);
    assert_eq!(tickets[0]["id"], format!("{NUMBER}-1"));
    assert_eq!(tickets[1]["attendee"]["name"], "Grace Hopper");
    let credential = &tickets[0]["credential"];
    assert_eq!(credential.as_str().map(str::len), Some(154));

    let first = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    assert_eq!(first["verdict"], "admit", "{first}");
    assert_eq!(first["ticket"]["name"], "Ada Lovelace");
    assert_eq!(first["ticket"]["type"], "GA");
    assert_eq!(first["occupancy"], json!({"zone": "main", "inside": 1, "capacity": 5_000}));
    assert_eq!(first["replay"], false);

    house.clock.advance_ms(60_000);
    let second = house.scan(scan_body(credential, "nonce-0002")).await.expect(200);
    assert_eq!((&second["verdict"], &second["reason"]), (&json!("deny"), &json!("already_used")));
    assert_eq!(second["message"], "Used at 19:02 at lane North 3");
    assert_eq!(second["first_scan"], json!({"at": first["at"], "gate": "North 3"}));
    assert_ne!(second["scan"], first["scan"]);

    let token = format!("Bearer {}", crate::house::DEVICE_TOKEN);
    let path = format!("/api/events/{EVENT}/check-in/stats");
    house.view(EVENT, |view| view.denied == 1).await;
    let stats = house.get(&path, &[("authorization", &token)]).await.expect(200);
    assert_eq!(
        (&stats["admitted"], &stats["denied"], &stats["inside"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(stats["by_type"][0]["sold"], 2);
}

/// The picture is read by a program that nobody here wrote.
#[tokio::test(flavor = "multi_thread")]
async fn the_picture_of_a_ticket_is_its_credential() {
    let house = House::open().await;
    let order = house.buy(1).await;
    let ticket = &order["tickets"][0];
    let secret = format!("Order {}", order["secret"].as_str().expect("a secret"));
    let headers = [("authorization", secret.as_str())];
    let base = format!("/api/v1/shop/tickets/{}", ticket["id"].as_str().expect("an id"));
    let png = house.get(&format!("{base}/qr.png"), &headers).await;
    assert_eq!((png.status, png.header("content-type").as_str()), (200, "image/png"));
    assert_eq!(png.header("cache-control"), "no-store");
    assert_eq!(read_by_zbar(&png.bytes), ticket["credential"].as_str().expect("text"));
    let svg = house.get(&format!("{base}/qr.svg"), &headers).await;
    assert!(svg.bytes.starts_with(b"<svg "));
    let shown = house.get(&base, &headers).await.expect(200);
    assert_eq!(&shown, ticket);
}

fn read_by_zbar(png: &[u8]) -> String {
    let dir = TestDirectory::new().expect("a directory");
    let path = dir.path().join("ticket.png");
    std::fs::write(&path, png).expect("written");
    let read = Command::new("zbarimg").arg("--quiet").arg("--raw").arg(&path).output();
    let read = read.expect("zbarimg runs (package zbar-tools)");
    String::from_utf8(read.stdout).expect("UTF-8").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_seen_and_canceled_by_who_has_its_secret() {
    let house = House::open().await;
    let order = house.buy(3).await;
    let id = order["id"].as_str().expect("an id");
    let secret = format!("Order {}", order["secret"].as_str().expect("a secret"));
    let headers = [("authorization", secret.as_str())];
    let path = format!("/api/v1/shop/orders/{id}");
    let seen = house.get(&path, &headers).await.expect(200);
    assert_eq!(seen["tickets"], order["tickets"]);
    assert!(seen.get("secret").is_none());

    let cancel = format!("{path}/cancel");
    let one = json!({"positions": [order["tickets"][1]["id"]]});
    let left = house.call("POST", &cancel, &headers, one).await.expect(200);
    assert_eq!(left["status"], "confirmed");
    assert_eq!(left["tickets"][1]["status"], "canceled");
    assert_eq!(left["tickets"][1]["credential"], json!(null));
    let denied = house.scan(scan_body(&order["tickets"][1]["credential"], "nonce-0001")).await;
    assert_eq!(denied.expect(200)["reason"], "canceled");

    let bare = house.send("POST", &cancel, &headers, None).await.expect(200);
    assert_eq!(bare["status"], "canceled");
    let again = house.send("POST", &cancel, &headers, None).await;
    again.problem(409, "already_canceled");
    house.view(EVENT, |view| view.quotas[0].free == Some(100)).await;
    let picture = format!("/api/v1/shop/tickets/{NUMBER}-1/qr.svg");
    house.get(&picture, &headers).await.problem(409, "already_canceled");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_prefixes_are_the_same_door() {
    let house = House::open().await;
    let hold = house.post("/api/shop/holds", hold_body(GENERAL, 1)).await.expect(201);
    let order = house.post("/api/shop/orders", order_body(&hold["id"])).await.expect(201);
    let scan = scan_body(&order["tickets"][0]["credential"], "nonce-0001");
    let token = format!("Bearer {}", crate::house::DEVICE_TOKEN);
    let headers = [("authorization", token.as_str())];
    let admitted = house.call("POST", "/api/check-in/scan", &headers, scan).await.expect(200);
    assert_eq!(admitted["verdict"], "admit");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_money_is_invoiced_and_cards_are_refused_in_words() {
    let house = House::open().await;
    let hold = house.post("/api/v1/shop/holds", hold_body(VIP, 2)).await.expect(201);
    assert_eq!(hold["total"]["amount"], "85.00");
    // 85.00 × 19 / 119, half to even.
    assert_eq!(hold["lines"][0]["tax"]["amount"], "13.57");
    let with = |method: &str| {
        let mut body = order_body(&hold["id"]);
        body["payment"]["method"] = json!(method);
        body
    };
    let card = house.post("/api/v1/shop/orders", with("card")).await;
    card.problem(409, "payment_not_accepted");
    let free = house.post("/api/v1/shop/orders", with("free")).await;
    free.problem(409, "payment_not_accepted");
    let order = house.post("/api/v1/shop/orders", with("invoice")).await.expect(201);
    assert_eq!(order["total"]["amount"], "85.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_see_the_figures_of_their_organization() {
    let house = House::open().await;
    house.office.employ("sess_of-the-box-office", ORGANIZATION);
    house.office.employ("sess_of-another-house", Uuid::from_u128(0x0b));
    let figures = async |token: &str, event: Uuid| {
        let path = format!("/api/v1/events/{event}/check-in/stats");
        house.get(&path, &[("authorization", &format!("Bearer {token}"))]).await
    };
    assert_eq!(figures("sess_of-the-box-office", EVENT).await.expect(200)["admitted"], 0);
    figures("sess_of-the-box-office", EVENT).await.expect(200);
    assert_eq!(house.office.asked(), 1, "an answer is kept for a while");
    house.clock.advance_ms(30_000);
    figures("sess_of-the-box-office", EVENT).await.expect(200);
    assert_eq!(house.office.asked(), 2, "and no longer");

    let elsewhere = Uuid::from_u128(0xee);
    figures("sess_of-the-box-office", elsewhere).await.problem(404, "unknown_event");
    figures("sess_of-another-house", EVENT).await.problem(404, "unknown_event");
    figures("sess_of-nobody", EVENT).await.problem(401, "unauthorized");
    figures(&"x".repeat(5_000), EVENT).await.problem(401, "unauthorized");

    house.office.close();
    house.clock.advance_ms(30_000);
    let down = figures("sess_of-the-box-office", EVENT).await;
    assert!(!down.header("retry-after").is_empty());
    down.problem(503, "back_office_unavailable");
    let device = figures(crate::house::DEVICE_TOKEN, EVENT).await;
    assert_eq!(device.status, 200, "a device needs no back office");
}
