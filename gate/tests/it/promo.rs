//! Promo codes over HTTP: sent by the catalogue, asked about, used.

use gate::settings::{Limits, Role};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{EVENT, GENERAL, House, VIP, hold_body, order_body};

const VALIDATE: &str = "/api/v1/promo-codes/validate";
const HOLDS: &str = "/api/v1/shop/holds";
const CHUNK: Uuid = Uuid::from_u128(0xc0);

fn promo(n: u128, code: &str, rest: Value) -> Value {
    let mut promo =
        json!({"id": Uuid::from_u128(n), "code": inventory::promo::digest(EVENT, code)});
    let (Some(map), Value::Object(rest)) = (promo.as_object_mut(), rest) else { panic!() };
    map.extend(rest);
    promo
}

async fn publish(house: &House, promos: Vec<Value>) {
    let before = house.view(EVENT, |_| true).await.head.seq;
    house.office.publish("promo_codes", CHUNK, json!({"event": EVENT, "promo_codes": promos}));
    house.view(EVENT, |view| before < view.head.seq).await;
}

fn coded(ticket_type: Uuid, quantity: u32, code: &str) -> Value {
    let mut body = hold_body(ticket_type, quantity);
    body["promo_code"] = json!(code);
    body
}

fn eur(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_asked_about_held_and_used_up() {
    let house = House::open().await;
    let percent =
        json!({"discount": {"kind": "percent", "bp": 1_000}, "max_uses": 1, "types": [2]});
    publish(&house, vec![promo(0xf1, "Early-10", percent)]).await;

    let asked = json!({"event": EVENT, "promo_code": " EARLY-10 "});
    let told = house.post(VALIDATE, asked.clone()).await.expect(200);
    assert_eq!((&told["kind"], &told["percent"]), (&json!("percent"), &json!("10.00")));
    assert_eq!(told["ticket_types"][0]["id"], json!(VIP));
    assert_eq!(
        (&told["lines"], told["ticket_types"].as_array().map(Vec::len)),
        (&json!(null), Some(1))
    );
    let mut priced = asked.clone();
    priced["items"] = json!([{"ticket_type": VIP, "quantity": 2}]);
    let told = house.post(VALIDATE, priced).await.expect(200);
    assert_eq!((&told["lines"][0]["discount"], &told["total"]), (&eur("8.50"), &eur("76.50")));

    let hold = house.post(HOLDS, coded(VIP, 2, "early-10")).await.expect(201);
    assert_eq!(hold["total"], eur("76.50"));
    assert_eq!(hold["promo_code"], json!(Uuid::from_u128(0xf1)));
    let used = house.post(VALIDATE, asked).await.problem(409, "promo_exhausted");
    assert_eq!(used["constraint"]["kind"], "promo_uses");
    house.post(HOLDS, coded(VIP, 1, "early-10")).await.problem(409, "promo_exhausted");
    house.post(HOLDS, coded(GENERAL, 1, "early-10")).await.problem(409, "promo_not_applicable");
    let mut order = order_body(&hold["id"]);
    order["payment"]["method"] = json!("invoice");
    let order = house.post("/api/v1/shop/orders", order).await.expect(201);
    assert_eq!(order["total"], eur("76.50"));
    // No letter of a code is in the journal.
    let journal = serde_json::to_string(&house.journal(EVENT).await).expect("JSON");
    assert!(!journal.to_lowercase().contains("early-10"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_type_is_shown_to_who_has_its_code() {
    let hide = |config: &mut Value| config["ticket_types"][1]["hidden"] = json!(true);
    let house = House::with(Role::All, Limits::default(), hide).await;
    publish(&house, vec![promo(0xf1, "friends", json!({"types": [2]}))]).await;
    let shown = house.get(&format!("/api/v1/shop/events/{EVENT}"), &[]).await.expect(200);
    assert_eq!(shown["ticket_types"].as_array().map(Vec::len), Some(1));
    house.post(HOLDS, hold_body(VIP, 1)).await.problem(404, "unknown_ticket_type");
    let asked = json!({"event": EVENT, "promo_code": "FRIENDS"});
    let told = house.post(VALIDATE, asked).await.expect(200);
    assert_eq!((&told["kind"], &told["ticket_types"][0]["id"]), (&json!("access"), &json!(VIP)));
    house.post(HOLDS, coded(VIP, 1, "Friends")).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_are_none() {
    let house = House::open().await;
    let asked = |code: &str| json!({"event": EVENT, "promo_code": code});
    house.post(VALIDATE, asked("nothing")).await.problem(404, "unknown_promo");
    house.post(VALIDATE, asked("")).await.problem(400, "invalid_body");
    house.post(VALIDATE, asked(&"x".repeat(65))).await.problem(400, "invalid_body");
    house.post(HOLDS, coded(GENERAL, 1, "nothing")).await.problem(404, "unknown_promo");
    // An empty field of a form is no code.
    house.post(HOLDS, coded(GENERAL, 1, " ")).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_replaces_what_it_named_and_survives_a_restart() {
    let house = House::open().await;
    publish(&house, vec![promo(0xf1, "one", json!({})), promo(0xf2, "two", json!({}))]).await;
    publish(&house, vec![promo(0xf2, "two", json!({}))]).await;
    let house = house.restart().await;
    house.post(HOLDS, coded(GENERAL, 1, "one")).await.problem(404, "unknown_promo");
    house.post(HOLDS, coded(GENERAL, 1, "two")).await.expect(201);
    let kinds: Vec<Value> =
        house.journal(EVENT).await.iter().map(|entry| entry["kind"].clone()).collect();
    let listed = kinds.iter().filter(|kind| **kind == "promo.listed").count();
    assert_eq!(listed, 2, "a restart lists nothing again: {kinds:?}");
}
