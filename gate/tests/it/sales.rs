//! Holds, their ends, and quotas under a rush.

use gate::settings::{Limits, Role};
use serde_json::{Value, json};

use crate::house::{EVENT, GENERAL, House, QUOTA, VIP, hold_body, order_body};

const HOLDS: &str = "/api/v1/shop/holds";
const ORDERS: &str = "/api/v1/shop/orders";
const MINUTE_MS: i64 = 60_000;

async fn renew(house: &House, hold: &Value) -> crate::house::Got {
    let path = format!("{HOLDS}/{}/renew", hold["id"].as_str().expect("an id"));
    house.send("POST", &path, &[], None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_with_its_time() {
    let house = House::open().await;
    let hold = house.hold(100).await.expect(201);
    let problem = house.hold(1).await.problem(409, "sold_out");
    assert_eq!(problem["constraint"], json!({"kind": "quota", "id": QUOTA}));
    house.clock.advance_ms(10 * MINUTE_MS + 1);
    house.post(ORDERS, order_body(&hold["id"])).await.problem(409, "hold_expired");
    renew(&house, &hold).await.problem(409, "hold_expired");
    house.hold(100).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_renewed_up_to_its_cap() {
    let house = House::open().await;
    let hold = house.hold(1).await.expect(201);
    house.clock.advance_ms(9 * MINUTE_MS);
    let renewed = renew(&house, &hold).await.expect(200);
    assert_eq!(renewed["expires_at"], "2026-11-21T18:21:00.000Z");
    house.clock.advance_ms(9 * MINUTE_MS);
    assert_eq!(renew(&house, &hold).await.expect(200)["expires_at"], "2026-11-21T18:30:00.000Z");
    house.clock.advance_ms(9 * MINUTE_MS);
    assert_eq!(renew(&house, &hold).await.expect(200)["expires_at"], "2026-11-21T18:32:00.000Z");
    house.clock.advance_ms(5 * MINUTE_MS + 1);
    renew(&house, &hold).await.problem(409, "hold_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_hold_is_gone() {
    let house = House::open().await;
    let hold = house.hold(100).await.expect(201);
    let path = format!("{HOLDS}/{}", hold["id"].as_str().expect("an id"));
    assert_eq!(house.send("DELETE", &path, &[], None).await.status, 204);
    let ordered = house.post(ORDERS, order_body(&hold["id"])).await;
    assert!(matches!(ordered.status, 404 | 409), "{}", ordered.body);
    house.hold(100).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_never_sells_more_than_there_is() {
    let house = House::open().await;
    let buy = async |n: u32| {
        let hold = house.hold(1 + n % 3).await;
        if hold.status != 201 {
            hold.problem(409, "sold_out");
            return 0;
        }
        let hold = hold.expect(201);
        let order = house.post(ORDERS, order_body(&hold["id"])).await.expect(201);
        order["tickets"].as_array().expect("tickets").len()
    };
    let sold: usize = futures_util::future::join_all((0..80).map(buy)).await.iter().sum();
    assert!((98..=100).contains(&sold), "{sold} sold");
    let view = house.view(EVENT, |view| view.quotas[0].held == 0).await;
    assert_eq!(view.quotas[0].sold, u64::try_from(sold).expect("small"));
    assert!(view.balanced);
    let audit = house.feed(&format!("/internal/v1/audit?event={EVENT}")).await.expect(200);
    assert_eq!(audit["quotas"][0]["free"], 100 - i64::try_from(sold).expect("small"));
    assert_eq!(audit["balanced"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_quota_of_two_types_holds_for_both_at_once() {
    let house = House::open().await;
    house.hold(99).await.expect(201);
    let both = json!({"event": EVENT, "items": [
        {"ticket_type": GENERAL, "quantity": 1}, {"ticket_type": VIP, "quantity": 1}]});
    house.post(HOLDS, both).await.problem(409, "sold_out");
    house.hold(1).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_per_order_is_kept() {
    let change = |config: &mut Value| config["ticket_types"][0]["max_per_order"] = json!(4);
    let house = House::with(Role::All, Limits::default(), change).await;
    house.hold(5).await.problem(409, "limit_reached");
    house.hold(4).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn attendees_are_none_or_one_a_ticket() {
    let house = House::open().await;
    let hold = house.hold(2).await.expect(201);
    let mut body = order_body(&hold["id"]);
    body["attendees"] = json!([{"name": "Ada"}]);
    house.post(ORDERS, body.clone()).await.problem(400, "attendees_mismatch");
    body["attendees"] = json!([{"name": "Ada"}, {"name": "Grace"}]);
    house.post(ORDERS, body).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_is_shown_as_it_is() {
    let change = |config: &mut Value| {
        config["ticket_types"][0]["sale_from"] = json!("2026-11-21T19:00:00.000Z");
        config["ticket_types"][1]["sale_until"] = json!("2026-11-21T20:00:00.000Z");
    };
    let house = House::with(Role::All, Limits::default(), change).await;
    let path = format!("/api/v1/shop/events/{EVENT}");
    let sale = async || {
        let shown = house.get(&path, &[]).await.expect(200);
        let types = shown["ticket_types"].as_array().expect("types").clone();
        types.iter().map(|t| t["sale"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(sale().await, ["upcoming", "open"]);
    house.hold(1).await.problem(409, "sale_closed");
    house.clock.advance_ms(60 * MINUTE_MS);
    assert_eq!(sale().await, ["open", "open"]);
    house.clock.advance_ms(60 * MINUTE_MS);
    assert_eq!(sale().await, ["open", "ended"]);
    house.post(HOLDS, hold_body(VIP, 1)).await.problem(409, "sale_closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_stands_until_something_changes() {
    let house = House::open().await;
    let path = format!("/api/v1/shop/events/{EVENT}");
    let tag = house.get(&path, &[]).await.header("etag");
    let same = house.get(&path, &[("if-none-match", &tag)]).await;
    assert_eq!((same.status, same.bytes.len()), (304, 0));
    assert_eq!(same.header("etag"), tag);
    let strong = tag.trim_start_matches("W/");
    for seen in [format!("\"another\", {tag}"), strong.to_owned(), "*".to_owned()] {
        let same = house.get(&path, &[("if-none-match", &seen)]).await;
        assert_eq!(same.status, 304, "{seen}");
    }
    house.hold(1).await.expect(201);
    house.view(EVENT, |view| view.quotas[0].held == 1).await;
    let changed = house.get(&path, &[("if-none-match", &tag)]).await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.expect(200)["ticket_types"][0]["available"], 99);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_quota_shows_nothing_left() {
    let house = House::open().await;
    house.buy(10).await;
    let mut config = crate::house::config();
    config["quotas"][0]["size"] = json!(4);
    house.publish_event(&config).await;
    let view = house.view(EVENT, |view| view.quotas[0].size == Some(4)).await;
    assert_eq!(view.quotas[0].free, Some(-6));
    let shown = house.get(&format!("/api/v1/shop/events/{EVENT}"), &[]).await.expect(200);
    assert_eq!(shown["ticket_types"][0]["available"], 0);
    house.hold(1).await.problem(409, "sold_out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_not_there() {
    let change = |config: &mut Value| config["status"] = json!("draft");
    let house = House::with(Role::All, Limits::default(), change).await;
    house.get(&format!("/api/v1/shop/events/{EVENT}"), &[]).await.problem(404, "unknown_event");
    house.hold(1).await.problem(404, "unknown_event");
}
