//! What a lane can meet.

use std::collections::HashSet;

use gate::settings::{Limits, Role};
use inventory::command::Direction;
use keys::{Claims, Minutes, SealedKey, SigningKey};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{DEVICE, DEVICE_TOKEN, EVENT, House, NUMBER, scan_body};

#[track_caller]
fn denied(verdict: &Value, reason: &str) {
    assert_eq!(
        (verdict["verdict"].as_str(), verdict["reason"].as_str()),
        (Some("deny"), Some(reason)),
        "{verdict}"
    );
}

async fn entries(house: &House) -> usize {
    house.journal(EVENT).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_ticket_at_many_lanes_is_admitted_once() {
    let house = House::open().await;
    let order = house.buy(3).await;
    for ticket in order["tickets"].as_array().expect("tickets") {
        let scans = (0..25).map(|n| {
            let id = ticket["id"].as_str().expect("an id");
            let mut body = scan_body(&ticket["credential"], &format!("nonce-{id}-{n}"));
            body["gate"] = json!(format!("lane {n}"));
            house.scan(body)
        });
        let verdicts = futures_util::future::join_all(scans).await;
        let verdicts: Vec<Value> = verdicts.into_iter().map(|got| got.expect(200)).collect();
        let admitted = verdicts.iter().filter(|v| v["verdict"] == "admit").count();
        assert_eq!(admitted, 1);
        verdicts.iter().filter(|v| v["verdict"] == "deny").for_each(|v| denied(v, "already_used"));
        let ids: HashSet<String> = verdicts.iter().map(|v| v["scan"].to_string()).collect();
        assert_eq!(ids.len(), 25, "every decision has its own entry");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_repeats_its_answer_across_a_restart() {
    let house = House::open().await;
    let order = house.buy(2).await;
    let credential = &order["tickets"][0]["credential"];
    let first = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    let before = entries(&house).await;
    let same = |verdict: &Value| {
        assert_eq!(verdict["replay"], true, "{verdict}");
        assert_eq!(verdict["settled"], json!(null));
        for field in ["verdict", "reason", "scan", "at", "first_scan"] {
            assert_eq!(verdict[field], first[field], "{field}");
        }
    };
    house.clock.advance_ms(3_600_000);
    same(&house.scan(scan_body(credential, "nonce-0001")).await.expect(200));
    let house = house.restart().await;
    same(&house.scan(scan_body(credential, "nonce-0001")).await.expect(200));
    assert_eq!(entries(&house).await, before, "a replay is no entry");

    // The same nonce for anything else.
    let other = house.scan(scan_body(&order["tickets"][1]["credential"], "nonce-0001")).await;
    denied(&other.expect(200), "nonce_reused");
    for (field, value) in [("gate", "South 1"), ("zone", "backstage"), ("direction", "exit")] {
        let mut body = scan_body(credential, "nonce-0001");
        body[field] = json!(value);
        denied(&house.scan(body).await.expect(200), "nonce_reused");
    }
    // A nonce is its device's own.
    house.publish_device(Uuid::from_u128(0xd2), "another-device-token", |_| ()).await;
    let elsewhere =
        house.scan_as("another-device-token", scan_body(credential, "nonce-0001")).await;
    denied(&elsewhere.expect(200), "already_used");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_may_spell_a_credential_in_many_ways() {
    let house = House::open().await;
    let order = house.buy(1).await;
    let text = order["tickets"][0]["credential"].as_str().expect("text");
    let spellings = [
        text.to_lowercase(),
        format!("]Q1{text}\r\n"),
        format!("https://tickets.example/t/{text}"),
        format!(" {} {} ", &text[..70], &text[70..]),
    ];
    let first = house.scan(scan_body(&json!(text), "nonce-0001")).await.expect(200);
    assert_eq!(first["verdict"], "admit");
    for spelling in spellings {
        let again = house.scan(scan_body(&json!(spelling), "nonce-0001")).await.expect(200);
        assert_eq!(again["replay"], true, "{spelling}: {again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_genuine_is_answered_at_once_and_not_remembered() {
    let house = House::open().await;
    let order = house.buy(1).await;
    let good = order["tickets"][0]["credential"].as_str().expect("text").to_owned();
    let before = entries(&house).await;
    let last = if good.ends_with('A') { "B" } else { "A" };
    let stranger = SigningKey::generate(NUMBER).expect("random");
    let claims = |event| Claims {
        kid: stranger.kid(),
        event,
        ticket: 1,
        ticket_type: 1,
        from: Minutes::UNBOUNDED,
        until: Minutes::UNBOUNDED,
        zones: 1,
        revision: 0,
        rotating: false,
    };
    let forged = stranger.sign(&claims(NUMBER)).expect("signed").text();
    let cases = [
        (String::new(), "invalid"),
        ("garbage".to_owned(), "invalid"),
        ("\u{0}\u{1F3AB}".repeat(500), "invalid"),
        ("TK".to_owned() + &"A".repeat(152), "invalid"),
        (format!("{}{last}", &good[..153]), "invalid"),
        (good[..153].to_owned(), "invalid"),
        (format!("{good}A"), "invalid"),
        (format!("{good}.1234567"), "invalid"),
        (forged, "unknown_key"),
    ];
    for (index, (text, reason)) in cases.iter().enumerate() {
        let body = scan_body(&json!(text), &format!("nonce-{index:04}"));
        let verdict = house.scan(body).await.expect(200);
        denied(&verdict, reason);
        assert_eq!((&verdict["scan"], &verdict["ticket"]), (&json!(null), &json!(null)));
    }
    assert_eq!(entries(&house).await, before);
    // The nonces are free: nothing was remembered.
    let verdict = house.scan(scan_body(&json!(good), "nonce-0001")).await.expect(200);
    assert_eq!(verdict["verdict"], "admit");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_event_is_another_event() {
    let mut house = House::open().await;
    // A second event of the same organization, with its own key.
    let (id, number) = (Uuid::from_u128(0x0f), 1043);
    let key = SigningKey::generate(number).expect("random");
    let sealed = SealedKey::seal(&key, &house.master, 0).expect("sealed");
    house.keys = vec![(key, sealed)];
    let mut config = crate::house::config();
    config["event"] = json!(id);
    config["number"] = json!(number);
    for (index, kind) in
        config["ticket_types"].as_array_mut().expect("types").iter_mut().enumerate()
    {
        kind["id"] = json!(Uuid::from_u128(0x81 + index as u128));
    }
    house.publish_event(&config).await;
    house.publish_device(DEVICE, DEVICE_TOKEN, |d| d["events"] = json!([EVENT])).await;
    let hold =
        json!({"event": id, "items": [{"ticket_type": Uuid::from_u128(0x81), "quantity": 1}]});
    let hold = house.post("/api/v1/shop/holds", hold).await.expect(201);
    let order =
        house.post("/api/v1/shop/orders", crate::house::order_body(&hold["id"])).await.expect(201);
    let ticket = &order["tickets"][0];
    denied(
        &house.scan(scan_body(&ticket["credential"], "nonce-0001")).await.expect(200),
        "wrong_event",
    );
    let mut look_up = scan_body(&json!(null), "nonce-0002");
    look_up.as_object_mut().expect("an object").remove("credential");
    look_up["ticket"] = ticket["id"].clone();
    denied(&house.scan(look_up.clone()).await.expect(200), "wrong_event");
    house.publish_device(DEVICE, DEVICE_TOKEN, |_| ()).await;
    assert_eq!(house.scan(look_up).await.expect(200)["verdict"], "admit");
    house.publish_device(DEVICE, DEVICE_TOKEN, |d| d["organization"] = json!(Uuid::nil())).await;
    denied(
        &house.scan(scan_body(&ticket["credential"], "nonce-0003")).await.expect(200),
        "wrong_event",
    );
    let token = format!("Bearer {DEVICE_TOKEN}");
    let stats = format!("/api/v1/events/{EVENT}/check-in/stats");
    house.get(&stats, &[("authorization", &token)]).await.problem(404, "unknown_event");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_scans_where_it_is_assigned() {
    let house = House::open().await;
    let order = house.buy(1).await;
    let credential = &order["tickets"][0]["credential"];
    house
        .publish_device(DEVICE, DEVICE_TOKEN, |d| {
            d["lanes"] = json!(["North 3"]);
            d["zones"] = json!(["main"]);
            d["directions"] = json!([Direction::Entry]);
        })
        .await;
    let cases = [
        ("gate", json!("North 4"), "lane_not_assigned"),
        ("zone", json!("backstage"), "zone_not_assigned"),
        ("direction", json!("exit"), "direction_not_assigned"),
        ("force", json!(true), "force_not_allowed"),
    ];
    for (field, value, code) in cases {
        let mut body = scan_body(credential, "nonce-0001");
        body[field] = value;
        house.scan(body).await.problem(403, code);
    }
    let verdict = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    assert_eq!(verdict["verdict"], "admit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_loses_its_rights() {
    let house = House::open().await;
    let body = scan_body(&json!("TK"), "nonce-0001");
    house.scan(body.clone()).await.expect(200);
    house.publish_device(DEVICE, DEVICE_TOKEN, |d| d["revoked"] = json!(true)).await;
    house.scan(body.clone()).await.problem(401, "unauthorized");
    house
        .publish_device(DEVICE, DEVICE_TOKEN, |d| {
            d["expires_at"] = json!("2026-11-21T18:10:00.000Z")
        })
        .await;
    house.scan(body.clone()).await.expect(200);
    house.clock.advance_ms(8 * 60_000);
    house.scan(body.clone()).await.problem(401, "unauthorized");
    house.publish_device(DEVICE, DEVICE_TOKEN, |_| ()).await;
    house.scan(body.clone()).await.expect(200);
    let cursor = house.office.publish("device", DEVICE, json!(null));
    house.office.taken(cursor).await;
    house.scan(body).await.problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_forces_what_rules_refuse() {
    let house = House::open().await;
    house.publish_device(DEVICE, DEVICE_TOKEN, |d| d["may_force"] = json!(true)).await;
    let order = house.buy(1).await;
    let forced = |credential: &Value, nonce| {
        let mut body = scan_body(credential, nonce);
        body["force"] = json!(true);
        body
    };
    let credential = &order["tickets"][0]["credential"];
    let first = house.scan(forced(credential, "nonce-0001")).await.expect(200);
    assert_eq!((&first["verdict"], &first["forced"]), (&json!("admit"), &json!(false)));
    let second = house.scan(forced(credential, "nonce-0002")).await.expect(200);
    assert_eq!((&second["verdict"], &second["forced"]), (&json!("admit"), &json!(true)));
    denied(&house.scan(forced(&json!("garbage"), "nonce-0003")).await.expect(200), "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_and_ways_out() {
    let house = House::open().await;
    let order = house.buy(1).await;
    let body = |zone: &str, direction: &str, nonce: &str| {
        let mut body = scan_body(&order["tickets"][0]["credential"], nonce);
        body["zone"] = json!(zone);
        body["direction"] = json!(direction);
        body
    };
    denied(&house.scan(body("backstage", "entry", "nonce-0001")).await.expect(200), "wrong_zone");
    denied(&house.scan(body("nowhere", "entry", "nonce-0002")).await.expect(200), "wrong_zone");
    denied(&house.scan(body("main", "exit", "nonce-0003")).await.expect(200), "not_inside");
    let verdict = house.scan(body("main", "entry", "nonce-0004")).await.expect(200);
    assert_eq!(verdict["occupancy"]["inside"], 1);
    let verdict = house.scan(body("main", "exit", "nonce-0005")).await.expect(200);
    assert_eq!(
        (&verdict["verdict"], &verdict["occupancy"]["inside"]),
        (&json!("admit"), &json!(0))
    );
    denied(&house.scan(body("main", "entry", "nonce-0006")).await.expect(200), "already_used");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_tickets_show_live_digits() {
    let change = |config: &mut Value| config["ticket_types"][0]["rotating"] = json!(true);
    let house = House::with(Role::All, Limits::default(), change).await;
    let order = house.buy(2).await;
    let credential = order["tickets"][0]["credential"].as_str().expect("text");
    denied(
        &house.scan(scan_body(&json!(credential), "nonce-0001")).await.expect(200),
        "stale_code",
    );
    let now_s = house.now().0 / 1_000;
    let claims = keys::parse(credential).expect("a credential").credential.unverified().0;
    let code = |unix_s| {
        let (ticket, revision) = (claims.ticket, claims.revision);
        keys::rotating::code(&house.secret, NUMBER, ticket, revision, unix_s).digits().to_owned()
    };
    let live =
        |digits: String, nonce: &str| scan_body(&json!(format!("{credential}.{digits}")), nonce);
    let old = house.scan(live(code(now_s - 60), "nonce-0002")).await.expect(200);
    denied(&old, "stale_code");
    let admitted = house.scan(live(code(now_s), "nonce-0003")).await.expect(200);
    assert_eq!(admitted["verdict"], "admit", "{admitted}");
    // The nonce is bound to the ticket, not to the digits of the moment.
    let again = house.scan(live(code(now_s + 15), "nonce-0003")).await.expect(200);
    assert_eq!((&again["replay"], &again["verdict"]), (&json!(true), &json!("admit")));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_are_revoked() {
    let mut house = House::open().await;
    let old = house.buy(1).await;
    let now_s = house.now().0 / 1_000;
    let key = SigningKey::generate(NUMBER).expect("random");
    let sealed = SealedKey::seal(&key, &house.master, now_s).expect("sealed");
    house.keys[0].1.retire(now_s + 86_400);
    house.keys.push((key, sealed));
    house.publish_event(&crate::house::config()).await;
    let new = house.buy(1).await;
    let kid = |order: &Value| {
        let text = order["tickets"][0]["credential"].as_str().expect("text").to_owned();
        keys::parse(&text).expect("a credential").credential.unverified().0.kid
    };
    assert_eq!((kid(&old), kid(&new)), (house.keys[0].0.kid(), house.keys[1].0.kid()));
    for (index, order) in [&old, &new].iter().enumerate() {
        let body = scan_body(&order["tickets"][0]["credential"], &format!("nonce-000{index}"));
        assert_eq!(house.scan(body).await.expect(200)["verdict"], "admit");
    }
    house.keys[0].1.revoke(now_s);
    house.publish_event(&crate::house::config()).await;
    let body = scan_body(&old["tickets"][0]["credential"], "nonce-0003");
    denied(&house.scan(body).await.expect(200), "revoked");
    let secret = format!("Order {}", old["secret"].as_str().expect("a secret"));
    let path = format!("/api/v1/shop/orders/{}", old["id"].as_str().expect("an id"));
    let again = house.get(&path, &[("authorization", &secret)]).await.expect(200);
    assert_eq!(kid(&again), house.keys[1].0.kid(), "shown again, it is signed with the living key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staff_look_up_admits_like_a_scan() {
    let house = House::open().await;
    house.buy(1).await;
    let look_up = |ticket: &str, nonce: &str| json!({"ticket": ticket, "gate": "Desk", "zone": "main", "nonce": nonce});
    let verdict = house.scan(look_up(&format!("{NUMBER}-1"), "nonce-0001")).await.expect(200);
    assert_eq!(
        (&verdict["verdict"], &verdict["ticket"]["name"]),
        (&json!("admit"), &json!("Ada Lovelace"))
    );
    denied(
        &house.scan(look_up(&format!("{NUMBER}-1"), "nonce-0002")).await.expect(200),
        "already_used",
    );
    denied(
        &house.scan(look_up(&format!("{NUMBER}-99"), "nonce-0003")).await.expect(200),
        "unknown_ticket",
    );
    denied(&house.scan(look_up("7-1", "nonce-0004")).await.expect(200), "unknown_ticket");
}

/// Tickets and orders are revoked by instruction; keys and devices by the catalogue, see above.
#[tokio::test(flavor = "multi_thread")]
async fn what_staff_take_back_is_refused_at_the_next_scan() {
    let house = House::open().await;
    let order = house.buy(4).await;
    let tickets = order["tickets"].as_array().expect("tickets");
    let steps = [
        (0, "ticket.block", json!({"ticket": 1}), Some("blocked")),
        (0, "ticket.unblock", json!({"ticket": 1}), None),
        (1, "ticket.reissue", json!({"ticket": 2}), Some("superseded")),
        (2, "order.cancel", json!({"order": order["id"], "positions": [3]}), Some("canceled")),
        (3, "event.cancel", json!({}), Some("canceled")),
    ];
    for (index, (ticket, kind, body, reason)) in steps.into_iter().enumerate() {
        let id = Uuid::from_u128(0x1_0000 + index as u128);
        let before = house.view(EVENT, |_| true).await.head.seq;
        let instruction = json!({"event": EVENT, "instruction": {"kind": kind, "body": body}});
        house.office.publish("instruction", id, instruction);
        house.view(EVENT, |view| before < view.head.seq).await;
        let nonce = format!("nonce-{index:04}");
        let verdict = house.scan(scan_body(&tickets[ticket]["credential"], &nonce)).await;
        let verdict = verdict.expect(200);
        match reason {
            Some(reason) => denied(&verdict, reason),
            None => assert_eq!(verdict["verdict"], "admit", "{verdict}"),
        }
    }
}
