//! The house at the shop's doors: its plan, holds with seats, and seats on tickets and at the lane.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{EVENT, GENERAL, Got, House, NUMBER, VIP, order_body, scan_body};

const HOLDS: &str = "/api/v1/shop/holds";
const STALLS: Uuid = Uuid::from_u128(0x31);

fn plan_path() -> String {
    format!("/api/v1/shop/events/{EVENT}/seats")
}

fn section(seats: u32) -> Value {
    let seat = |number: u32| json!({"number": number, "label": number.to_string()});
    let mut front: Vec<Value> = (1..=seats).map(seat).collect();
    front[0]["blocked"] = json!(true);
    front[1]["types"] = json!([2]);
    front[1]["x"] = json!(-40);
    let section = json!({
        "id": STALLS, "number": 1, "key": "stalls", "name": "Stalls", "types": [1],
        "rows": [{"label": "A", "seats": front}],
    });
    json!({"event": EVENT, "section": section})
}

async fn seated() -> House {
    let house = House::open().await;
    // The section may come before its event's next configuration, and again.
    for _ in 0..2 {
        let cursor = house.office.publish("seat_section", STALLS, section(6));
        house.office.taken(cursor).await;
    }
    house.view(EVENT, |view| view.seats.is_some()).await;
    house
}

async fn hold(house: &House, item: Value) -> Got {
    house.post(HOLDS, json!({"event": EVENT, "items": [item]})).await
}

async fn states(house: &House) -> Value {
    house.get(&plan_path(), &[]).await.expect(200)["sections"][0]["rows"][0]["states"].clone()
}

/// Until the published figures show the row so.
async fn shown(house: &House, states: &str) {
    use inventory::view::SeatState::{Blocked, Held, Open, Sold};
    let wanted = |view: &inventory::view::EventView| {
        let house = view.seats.as_ref().expect("a house");
        let letter = |state: &_| match state {
            Open => 'f',
            Held => 'h',
            Sold => 's',
            Blocked => 'b',
        };
        house.states.iter().map(letter).collect::<String>() == states
    };
    house.view(EVENT, wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_shows_what_is_taken() {
    let house = seated().await;
    let got = house.get(&plan_path(), &[]).await;
    let tag = got.header("etag");
    assert_eq!(got.header("cache-control"), "public, no-cache");
    let plan = got.expect(200);
    let stalls = &plan["sections"][0];
    assert_eq!((&stalls["key"], &stalls["open"]), (&json!("stalls"), &json!(5)));
    assert_eq!(stalls["ticket_types"], json!([GENERAL]));
    assert_eq!(stalls["rows"][0]["states"], "bfffff");
    let second = &stalls["rows"][0]["seats"][1];
    assert_eq!(*second, json!({"number": 2, "label": "2", "x": -40, "ticket_types": [VIP]}));
    assert_eq!(house.get(&plan_path(), &[("if-none-match", &tag)]).await.status, 304);

    let held = hold(&house, json!({"ticket_type": GENERAL, "seats": [4, 3]})).await.expect(201);
    let seats = &held["seats"];
    assert_eq!((&seats[0]["seat"]["number"], &seats[1]["seat"]["number"]), (&json!(4), &json!(3)));
    shown(&house, "bfhhff").await;
    assert_eq!(states(&house).await, "bfhhff");
    let changed = house.get(&plan_path(), &[("if-none-match", &tag)]).await;
    assert_ne!((changed.status, changed.header("etag")), (304, tag));
    house
        .get("/api/v1/shop/events/00000000-0000-0000-0000-000000000001/seats", &[])
        .await
        .problem(404, "unknown_event");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_seats_has_no_plan() {
    let house = House::open().await;
    house.get(&plan_path(), &[]).await.problem(404, "not_found");
    let wish = json!({"ticket_type": GENERAL, "quantity": 1, "section": "stalls"});
    let problem = hold(&house, wish).await.problem(404, "unknown_seat");
    assert_eq!(problem["constraint"], json!({"kind": "ticket_type", "id": GENERAL}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_goes_from_the_hold_to_the_lane() {
    let house = seated().await;
    let best = json!({"ticket_type": GENERAL, "quantity": 2, "section": "stalls"});
    let held = hold(&house, best).await.expect(201);
    assert_eq!(held["seats"][0]["seat"]["section"], "Stalls");
    let number = held["seats"][0]["seat"]["number"].clone();
    let again = hold(&house, json!({"ticket_type": GENERAL, "seats": [number]})).await;
    let problem = again.problem(409, "seat_taken");
    assert_eq!(problem["constraint"], json!({"kind": "seat", "id": number.to_string()}));

    let order = house.post("/api/v1/shop/orders", order_body(&held["id"])).await.expect(201);
    let ticket = &order["tickets"][0];
    assert_eq!((&ticket["seat"]["number"], &ticket["seat"]["row"]), (&number, &json!("A")));
    let verdict = house.scan(scan_body(&ticket["credential"], "nonce-0001")).await.expect(200);
    assert_eq!(
        (&verdict["verdict"], &verdict["ticket"]["seat"]),
        (&json!("admit"), &ticket["seat"])
    );

    // Staff seat the other one elsewhere.
    let other = order["tickets"][1]["seat"]["number"].as_u64().expect("a number");
    let free = (3..=6).find(|seat| number != *seat && other != *seat).expect("a free seat");
    let id = Uuid::from_u128(0x9001);
    let instruction = json!({"kind": "ticket.reseat", "body": {"ticket": 2, "seat": free}});
    house.office.publish("instruction", id, json!({"event": EVENT, "instruction": instruction}));
    let letters: String = (1..=6_u64)
        .map(|seat| match seat {
            1 => 'b',
            seat if number == seat || seat == free => 's',
            _ => 'f',
        })
        .collect();
    shown(&house, &letters).await;
    let path = format!("/api/v1/shop/tickets/{NUMBER}-2");
    let secret = format!("Order {}", order["secret"].as_str().expect("a secret"));
    let ticket = house.get(&path, &[("authorization", &secret)]).await.expect(200);
    assert_eq!(ticket["seat"]["number"], free);
    assert_ne!(ticket["credential"], order["tickets"][1]["credential"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_wishes_name_the_field() {
    let house = seated().await;
    let check = async |item: Value, field: &str| {
        let problem = hold(&house, item).await.problem(400, "invalid_body");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    };
    let general = |more: Value| {
        let mut item = json!({"ticket_type": GENERAL});
        item.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
        item
    };
    check(general(json!({})), "items[0].quantity").await;
    check(general(json!({"seats": [0]})), "items[0].seats[0]").await;
    check(general(json!({"seats": ["A1"]})), "items[0].seats[0]").await;
    check(general(json!({"seats": [3], "quantity": 2})), "items[0].quantity").await;
    check(general(json!({"seats": [3], "section": "stalls"})), "items[0].seats").await;
    check(general(json!({"quantity": 1, "wheelchair": 2})), "items[0].wheelchair").await;
    assert_eq!(states(&house).await, "bfffff");
}
