//! The waiting room at the shop's doors: joining, the lot, admission, passes.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::house::{EVENT, GENERAL, Got, House, config, hold_body};

const HOLDS: &str = "/api/v1/shop/holds";
const MINUTE_MS: i64 = 60_000;

fn path() -> String {
    format!("/api/v1/shop/events/{EVENT}/queue")
}

/// With a room that opens in a minute and admits one person a second.
async fn waiting() -> House {
    let house = House::open().await;
    let opens_at = house.now().plus_ms(MINUTE_MS);
    let mut config = config();
    config["room"] = json!({"opens_at": opens_at, "per_minute": 60});
    house.publish_event(&config).await;
    house
}

async fn join(house: &House, email: &str) -> Value {
    house.post(&path(), json!({"email": email})).await.expect(201)["entry"].clone()
}

async fn pass(house: &House, entry: &Value) -> Got {
    house.post(&format!("{}/pass", path()), json!({"entry": entry["entry"]})).await
}

async fn standing(house: &House, entry: &Value) -> Value {
    let path = format!("{}?entry={}", path(), entry["entry"].as_str().expect("an entry"));
    house.get(&path, &[]).await.expect(200)
}

/// Seconds pass, each with its move of the admitted rank.
async fn seconds(house: &House, seconds: usize) {
    for _ in 0..seconds {
        let before = room_of(house);
        house.clock.advance_ms(1_000);
        house
            .view(EVENT, |view| view.room.as_ref().is_some_and(|room| before < room.admitted))
            .await;
    }
}

fn room_of(house: &House) -> inventory::state::Rank {
    let event = house.running.gate.events.by_id(EVENT).expect("the event");
    event.view().room.as_ref().expect("a room").admitted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_waits_is_admitted_and_buys() {
    let house = waiting().await;
    house.post(HOLDS, hold_body(GENERAL, 1)).await.problem(409, "queue_pass");
    let names = ["ada@example.org", "bob@example.org", "cy@example.org"];
    let mut entries = Vec::new();
    for name in names {
        let entry = join(&house, name).await;
        assert_eq!((&entry["rank"], &entry["admitted"]), (&Value::Null, &json!(false)));
        entries.push(entry);
    }
    // One buyer is one entry, in whatever spelling.
    let again = join(&house, "ADA+x@example.org").await;
    assert_eq!(again["id"], entries[0]["id"]);
    pass(&house, &entries[0]).await.problem(409, "queue_wait");

    house.clock.advance_ms(MINUTE_MS);
    house.view(EVENT, |view| view.room.as_ref().is_some_and(|r| r.waiting.len() == 2)).await;
    let got = house.get(&path(), &[]).await.expect(200);
    let mut ranked = Vec::new();
    for entry in &entries {
        ranked.push((standing(&house, entry).await["entry"].clone(), entry));
    }
    ranked.sort_by_key(|(told, _)| told["rank"].as_str().expect("a rank").to_owned());
    let told: Vec<&Value> = ranked.iter().map(|(told, _)| &told["admitted"]).collect();
    assert_eq!(told, [true, false, false]);
    assert_eq!(ranked[2].0["ahead"], 1);
    assert_eq!(got["admitted"], ranked[0].0["rank"]);
    let waits = pass(&house, ranked[2].1).await;
    assert_eq!(waits.header("retry-after"), "2");
    waits.problem(409, "queue_wait");

    let given = pass(&house, ranked[0].1).await.expect(200);
    assert_eq!(given["holds_left"], 3);
    let mut body = hold_body(GENERAL, 1);
    body["queue_pass"] = given["queue_pass"].clone();
    for left in [2, 1, 0] {
        house.post(HOLDS, body.clone()).await.expect(201);
        assert_eq!(pass(&house, ranked[0].1).await.expect(200)["holds_left"], left);
    }
    let problem = house.post(HOLDS, body.clone()).await.problem(409, "queue_pass");
    assert_eq!(problem["constraint"], json!({"kind": "queue_pass", "id": "used_up"}));
    seconds(&house, 2).await;
    // A pass is its buyer's own, and nothing else is one.
    let other = pass(&house, ranked[1].1).await.expect(200);
    body["queue_pass"] = other["queue_pass"].clone();
    body["buyer"] = json!({"email": "mallory@example.org"});
    let problem = house.post(HOLDS, body.clone()).await.problem(400, "invalid_body");
    assert_eq!(problem["errors"][0]["field"], "queue_pass");
    body["queue_pass"] = ranked[1].1["entry"].clone();
    house.post(HOLDS, body).await.problem(400, "invalid_body");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_polls_the_same_bytes() {
    let house = waiting().await;
    let got = house.get(&path(), &[]).await;
    assert_eq!(got.header("cache-control"), "public, max-age=1");
    assert_eq!(got.header("retry-after"), "6");
    let tag = got.header("etag");
    assert_eq!(house.get(&path(), &[("if-none-match", &tag)]).await.status, 304);
    let told = got.expect(200);
    assert_eq!((&told["state"], &told["seed"]), (&json!("upcoming"), &Value::Null));

    house.clock.advance_ms(MINUTE_MS);
    seconds(&house, 1).await;
    let opened = house.get(&path(), &[]).await.expect(200);
    let seed = HEXLOWER.decode(opened["seed"].as_str().expect("a seed").as_bytes()).expect("hex");
    assert_eq!(told["seed_hash"], HEXLOWER.encode(&Sha256::digest(&seed)));
    house.get(&format!("{}?entry=nonsense", path()), &[]).await.problem(400, "invalid_query");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_room_the_queue_is_off() {
    let house = House::open().await;
    let got = house.get(&path(), &[]).await.expect(200);
    assert_eq!(got, json!({"event": EVENT, "state": "off"}));
    house.post(&path(), json!({"email": "ada@example.org"})).await.problem(409, "no_queue");
    house.post(&path(), json!({})).await.problem(400, "invalid_body");
    // A pass that is not needed is not looked at.
    let mut body = hold_body(GENERAL, 1);
    body["queue_pass"] = json!("whatever");
    house.post(HOLDS, body).await.expect(201);
}
