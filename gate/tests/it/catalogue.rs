//! What comes from the back office, in good and in bad times.

use gate::settings::{Limits, Role};
use inventory::personal::Personal;
use keys::{SealedKey, SigningKey};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{
    DEVICE, DEVICE_TOKEN, EVENT, GENERAL, House, NUMBER, ORGANIZATION, QUOTA, config, logged,
    scan_body, token_hash,
};

fn create(order: Uuid, name: &str) -> Value {
    json!({"event": EVENT, "instruction": {"kind": "order.create", "body": {
        "order": order, "items": [{"ticket_type": GENERAL, "quantity": 1}], "channel": "comp",
        "buyer": null,
        "personal": {"buyer": {"name": name, "email": "guest@example.org"}, "attendees": []}}}})
}

async fn done(house: &House, ids: &[Uuid]) -> Vec<Value> {
    let count = ids.len();
    house.view(EVENT, |view| u64::try_from(count).is_ok_and(|count| count < view.head.seq)).await;
    let entries = house.journal(EVENT).await;
    let done = |id: &Uuid| {
        entries
            .iter()
            .filter(|e| e["kind"] == "instruction.done" && e["data"]["id"] == json!(id))
            .count()
    };
    for id in ids {
        assert_eq!(done(id), 1, "instruction {id} is done once");
    }
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_starts_and_works_without_the_back_office() {
    let house = House::open().await;
    let order = house.buy(1).await;
    house.office.all_taken().await;
    house.office.close();
    let house = house.restart().await;
    let ready = house.get("/ready", &[]).await.expect(200);
    assert_eq!(ready["ready"], true, "{ready}");
    let verdict = house.scan(scan_body(&order["tickets"][0]["credential"], "nonce-0001")).await;
    assert_eq!(verdict.expect(200)["verdict"], "admit");
    house.buy(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_the_back_office_is_made_once() {
    let house = House::open().await;
    let (id, order) = (Uuid::from_u128(0x1_0001), Uuid::from_u128(0x2_0001));
    let name = "Katherine Johnson of the guest list";
    let cursor = house.office.publish("instruction", id, create(order, name));
    house.office.taken(cursor).await;
    house.view(EVENT, |view| view.quotas[0].sold == 1).await;
    done(&house, &[id]).await;
    // The same instruction again, as after a poll whose answer was lost.
    let cursor = house.office.publish("instruction", id, create(order, name));
    house.office.taken(cursor).await;
    let house = house.restart().await;
    house.office.all_taken().await;
    let entries = done(&house, &[id]).await;
    let text = serde_json::to_string(&entries).expect("JSON");
    assert!(!text.contains(name) && !text.contains("guest@example.org"), "sealed in the journal");
    let kept = house.running.gate.log.get("catalogue").await.expect("a log").expect("kept");
    assert!(!String::from_utf8_lossy(&kept).contains(name), "not kept in clear");
    assert!(!logged().contains(name), "not in the log");
    // Sold at the desk, it is admitted like any other.
    let look_up =
        json!({"ticket": "1042-1", "gate": "Desk", "zone": "main", "nonce": "nonce-0001"});
    let verdict = house.scan(look_up).await.expect(200);
    assert_eq!((&verdict["verdict"], &verdict["ticket"]["name"]), (&json!("admit"), &json!(name)));
    // Its owner finds it by the event, with the secret that the gate derives.
    let secret = gate::issue::order_secret(&house.secret, order).expect("derived");
    let path = format!("/api/v1/shop/orders/{order}?event={EVENT}");
    let shown =
        house.get(&path, &[("authorization", &format!("Order {secret}"))]).await.expect(200);
    assert_eq!(shown["tickets"][0]["id"], "1042-1");
    let secret = [("authorization", format!("Order {secret}"))];
    let secret = secret.each_ref().map(|(name, value)| (*name, value.as_str()));
    house.get(&format!("/api/v1/shop/orders/{order}"), &secret).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_applied_is_asked_for_again() {
    let house = House::open().await;
    // Its event is not there yet: it waits, and does not hold up the others.
    let (late, id) = (Uuid::from_u128(0x0f), Uuid::from_u128(0x1_0002));
    let order = Uuid::from_u128(0x2_0002);
    let mut body = create(order, "Dorothy Vaughan");
    body["event"] = json!(late);
    let waiting = house.office.publish("instruction", id, body);
    house.office.taken(waiting).await;
    house.publish_device(Uuid::from_u128(0xd2), "another-device-token", |_| ()).await;
    let house = house.restart().await;
    house.office.all_taken().await;
    let mut config = config();
    (config["event"], config["number"]) = (json!(late), json!(1043));
    let mut house = house;
    let key = keys::SigningKey::generate(1043).expect("random");
    let sealed = keys::SealedKey::seal(&key, &house.master, 0).expect("sealed");
    house.keys = vec![(key, sealed)];
    let cursor = house.office.publish("event", late, house.event_document(&config));
    house.office.taken(cursor).await;
    let view = house.view(late, |view| view.quotas.first().is_some_and(|q| q.sold == 1)).await;
    assert_eq!(view.number, 1043);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_back_office_restored_from_a_backup_is_followed() {
    let house = House::open().await;
    for n in 0..5 {
        house
            .publish_device(Uuid::from_u128(0xe0 + n), &format!("device-token-number-{n}"), |_| ())
            .await;
    }
    let mut changed = config();
    changed["name"] = json!("Spring Concert");
    changed["quotas"][0]["size"] = json!(7);
    let device = json!({"organization": ORGANIZATION, "token_hash": token_hash(DEVICE_TOKEN),
                        "expires_at": null, "directions": ["entry"]});
    house
        .office
        .restore(&[("event", EVENT, house.event_document(&changed)), ("device", DEVICE, device)]);
    let view = house.view(EVENT, |view| view.config.name == "Spring Concert").await;
    assert_eq!(view.quotas[0].size, Some(7));
    house.office.all_taken().await;
    house.scan(scan_body(&json!("TK"), "nonce-0001")).await.expect(200);
    // What the backup does not know has lost its rights.
    let gone = house.scan_as("device-token-number-3", scan_body(&json!("TK"), "nonce-0002")).await;
    gone.problem(401, "unauthorized");
}

/// A gate that was away while the back office went on after its restore: no cursor tells it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_back_office_is_followed_however_far_it_went_on() {
    let house = House::open().await;
    for n in 0..5 {
        house
            .publish_device(Uuid::from_u128(0xe0 + n), &format!("device-token-number-{n}"), |_| ())
            .await;
    }
    let mut changed = config();
    changed["name"] = json!("Spring Concert");
    let device = json!({"organization": ORGANIZATION, "token_hash": token_hash(DEVICE_TOKEN),
                        "expires_at": null, "directions": ["entry"]});
    let documents = [("event", EVENT, house.event_document(&changed)), ("device", DEVICE, device)];
    house.office.restore_and_go_on(house.office.cursor() + 3, &documents);
    house.view(EVENT, |view| view.config.name == "Spring Concert").await;
    house.office.all_taken().await;
    house.scan(scan_body(&json!("TK"), "nonce-0001")).await.expect(200);
    let gone = house.scan_as("device-token-number-3", scan_body(&json!("TK"), "nonce-0002")).await;
    gone.problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_cannot_be_used_do_not_stop_the_others() {
    let house = House::open().await;
    let bad = [
        ("event", Uuid::from_u128(0x31), json!({"config": {"name": "half"}})),
        ("event", Uuid::from_u128(0x32), house.event_document(&config())),
        ("device", Uuid::from_u128(0x33), json!({"token_hash": "zz"})),
        (
            "instruction",
            Uuid::from_u128(0x34),
            json!({"event": EVENT, "instruction": {"kind": "dance"}}),
        ),
        ("weather", Uuid::from_u128(0x35), json!({"rain": true})),
    ];
    for (kind, id, body) in bad {
        house.office.publish(kind, id, body);
    }
    let mut personal = create(Uuid::from_u128(0x2_0036), "unread");
    personal["instruction"]["body"]["personal"]["attendees"] = json!(["Dorothy Vaughan Qxqx"]);
    house.office.publish("instruction", Uuid::from_u128(0x36), personal);
    house.publish_device(Uuid::from_u128(0xd2), "another-device-token", |_| ()).await;
    let log = logged();
    assert!(log.contains("catalogue document refused") && !log.contains("Qxqx"), "{log}");
    let got = house.scan_as("another-device-token", scan_body(&json!("TK"), "nonce-0001")).await;
    got.expect(200);
    let metrics = house.get("/metrics", &[]).await;
    let text = String::from_utf8(metrics.bytes).expect("UTF-8");
    for (kind, count) in [("event", 2), ("device", 1), ("instruction", 2)] {
        let line = format!("gate_catalogue_rejected_total{{kind=\"{kind}\"}} {count}");
        assert!(text.contains(&line), "{line} in\n{text}");
    }
}

async fn publish_keys_that_do_not_open(house: &House) {
    let mut document = house.event_document(&config());
    document["event_secret_sealed"] = json!(data_encoding::BASE64.encode(&[0; 60]));
    let cursor = house.office.publish("event", EVENT, document);
    house.office.taken(cursor).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_keys_do_not_open_neither_sells_nor_admits_and_says_so() {
    let house = House::open().await;
    let order = house.buy(1).await;
    publish_keys_that_do_not_open(&house).await;
    let hold = house.hold(1).await.expect(201);
    let ordered = house.post("/api/v1/shop/orders", crate::house::order_body(&hold["id"])).await;
    ordered.problem(503, "keys_unavailable");
    let verdict = house.scan(scan_body(&order["tickets"][0]["credential"], "nonce-0001")).await;
    assert_eq!(verdict.expect(200)["reason"], "unknown_key");
    let ready = house.get("/ready", &[]).await.expect(200);
    assert_eq!(ready["warnings"].as_array().map(Vec::len), Some(1));
    house.publish_event(&config()).await;
    house.post("/api/v1/shop/orders", crate::house::order_body(&hold["id"])).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_keeps_its_number() {
    let house = House::open().await;
    let order = house.buy(2).await;
    let (number, key) = (NUMBER + 1, SigningKey::generate(NUMBER + 1).expect("random"));
    let mut config = config();
    config["number"] = json!(number);
    let sealed = SealedKey::seal(&key, &house.master, 0).expect("sealed");
    let secret = house.secret.seal(&house.master, number).expect("sealed");
    let document = json!({"config": config, "keys": [sealed],
        "event_secret_sealed": data_encoding::BASE64.encode(&secret)});
    let cursor = house.office.publish("event", EVENT, document);
    house.office.taken(cursor).await;
    // What was sold is still good, and what is sold now is signed as before.
    let sold = house.buy(1).await;
    for (index, ticket) in [&order["tickets"][0], &sold["tickets"][0]].into_iter().enumerate() {
        let body = scan_body(&ticket["credential"], &format!("nonce-000{index}"));
        assert_eq!(house.scan(body).await.expect(200)["verdict"], "admit");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nothing_is_canceled_by_halves() {
    let house = House::open().await;
    let order = house.buy(1).await;
    publish_keys_that_do_not_open(&house).await;
    let secret = format!("Order {}", order["secret"].as_str().expect("a secret"));
    let headers = [("authorization", secret.as_str())];
    let path = format!("/api/v1/shop/orders/{}", order["id"].as_str().expect("an id"));
    let cancel = format!("{path}/cancel");
    let refused = house.call("POST", &cancel, &headers, json!({})).await;
    refused.problem(503, "keys_unavailable");
    house.publish_event(&config()).await;
    assert_eq!(house.get(&path, &headers).await.expect(200)["status"], "confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_personal_data_of_instructions_is_theirs() {
    let house = House::with(Role::Scan, Limits::default(), |_| ()).await;
    let (id, order) = (Uuid::from_u128(0x1_0003), Uuid::from_u128(0x2_0003));
    let cursor = house.office.publish("instruction", id, create(order, "Mary Jackson"));
    house.office.taken(cursor).await;
    house.view(EVENT, |view| view.quotas.iter().any(|q| q.id == QUOTA && q.sold == 1)).await;
    let keys = house.running.gate.log.data_keys(EVENT, &[order]).await.expect("a log");
    let entries = house.journal(EVENT).await;
    let confirmed = entries.iter().find(|e| e["kind"] == "order.confirmed").expect("the order");
    let sealed = confirmed["data"]["personal"].as_str().expect("base64").to_owned();
    let sealed = data_encoding::BASE64.decode(sealed.as_bytes()).expect("base64");
    let opened: Personal =
        inventory::personal::open(&sealed, &keys[0].1, EVENT, order).expect("opens");
    assert_eq!(opened.buyer.name, "Mary Jackson");
}
