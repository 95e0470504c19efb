//! The journal feed, read as the back office reads it: pages, chain, keys, acknowledgement.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::house::{EVENT, House, order_body, scan_body};

/// Recomputes the chain from the entries' JSON alone, as `docs` describe it; returns the last hash.
fn chain(event: Uuid, entries: &[Value]) -> String {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let genesis: Vec<u8> = [b"ATLVS-GENESIS-v1\0".as_slice(), event.as_bytes()].concat();
    let mut previous = hex(&Sha256::digest(genesis));
    for (index, entry) in entries.iter().enumerate() {
        let seq = entry["seq"].as_u64().expect("a seq");
        assert_eq!(seq, index as u64 + 1, "no gap");
        assert_eq!(entry["prev_hash"], previous, "entry {seq} follows");
        let at: jiff::Timestamp = entry["at"].as_str().expect("text").parse().expect("RFC 3339");
        let kind = entry["kind"].as_str().expect("text");
        let data = entry["data_text"].as_str().expect("text");
        let mut bytes = b"ATLVS-JOURNAL-v1\0".to_vec();
        bytes.extend(data_encoding::HEXLOWER.decode(previous.as_bytes()).expect("hex"));
        bytes.extend(seq.to_be_bytes());
        bytes.extend(at.as_millisecond().to_be_bytes());
        bytes.extend(u16::try_from(entry["v"].as_u64().expect("v")).expect("u16").to_be_bytes());
        bytes.extend(u16::try_from(kind.len()).expect("u16").to_be_bytes());
        bytes.extend(kind.as_bytes());
        bytes.extend(u32::try_from(data.len()).expect("u32").to_be_bytes());
        bytes.extend(data.as_bytes());
        previous = hex(&Sha256::digest(bytes));
    }
    previous
}

/// A page with each entry's `data` as the exact text that was sent.
async fn page(house: &House, query: &str) -> (Value, Vec<Value>) {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        entries: Vec<Entry<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Entry<'a> {
        #[serde(borrow)]
        data: &'a serde_json::value::RawValue,
    }
    let got = house.feed(&format!("/internal/v1/journal?event={EVENT}&{query}")).await;
    let texts: Vec<String> = {
        let raw: Page<'_> = serde_json::from_slice(&got.bytes).expect("a page");
        raw.entries.iter().map(|entry| entry.data.get().to_owned()).collect()
    };
    let body = got.expect(200);
    let mut entries = body["entries"].as_array().expect("entries").clone();
    for (entry, text) in entries.iter_mut().zip(texts) {
        entry["data_text"] = json!(text);
    }
    (body, entries)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_can_be_recomputed_by_its_reader() {
    let house = House::open().await;
    let order = house.buy(2).await;
    house.scan(scan_body(&order["tickets"][0]["credential"], "nonce-0001")).await.expect(200);
    house.scan(scan_body(&order["tickets"][0]["credential"], "nonce-0002")).await.expect(200);
    let mut entries: Vec<Value> = Vec::new();
    let head = loop {
        let (body, page) = page(&house, &format!("limit=2&after={}", entries.len())).await;
        assert!(page.len() <= 2);
        if page.is_empty() {
            break body["head"].clone();
        }
        entries.extend(page);
    };
    let kinds: Vec<&str> = entries.iter().filter_map(|entry| entry["kind"].as_str()).collect();
    let expected =
        ["catalogue.applied", "hold.created", "order.confirmed", "scan.decided", "scan.decided"];
    assert_eq!(kinds, expected);
    let last = chain(EVENT, &entries);
    assert_eq!(head, json!({"seq": 5, "hash": last}));
    house.view(EVENT, |view| view.head.seq == 5).await;
    let heads = house.feed("/internal/v1/journal/heads").await.expect(200);
    assert_eq!(heads["events"], json!([{"event": EVENT, "seq": 5, "hash": last}]));
    let audit = house.feed(&format!("/internal/v1/audit?event={EVENT}")).await.expect(200);
    assert_eq!((&audit["head"]["hash"], &audit["quotas"][0]["sold"]), (&json!(last), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_sealed_and_its_key_travels_beside() {
    let house = House::open().await;
    let order = house.buy(1).await;
    let (body, entries) = page(&house, "after=0").await;
    let text = serde_json::to_string(&entries).expect("JSON");
    for personal in ["Ada", "Lovelace", "ada@example.org", order["secret"].as_str().expect("text")]
    {
        assert!(!text.contains(personal), "{personal} is in the journal");
    }
    let id = order["id"].as_str().expect("an id");
    let key = body["keys"][id].as_str().expect("the order's key");
    let key = data_encoding::BASE64.decode(key.as_bytes()).expect("base64");
    let key = inventory::log::DataKey(key.try_into().expect("32 bytes"));
    let confirmed = entries.iter().find(|entry| entry["kind"] == "order.confirmed");
    let sealed =
        confirmed.expect("the order")["data"]["personal"].as_str().expect("base64").to_owned();
    let sealed = data_encoding::BASE64.decode(sealed.as_bytes()).expect("base64");
    let uuid = id.parse().expect("an id");
    let opened = inventory::personal::open(&sealed, &key, EVENT, uuid).expect("opens");
    assert_eq!(
        (opened.buyer.name.as_str(), opened.buyer.email.as_str()),
        ("Ada Lovelace", "ada@example.org")
    );

    // Erased, nobody opens it again: not the feed, not the shop, not the door.
    let erase = json!({"event": EVENT, "order": id});
    for _ in 0..2 {
        assert_eq!(house.feed_post("/internal/v1/erasures", erase.clone()).await.status, 204);
    }
    assert_eq!(page(&house, "after=0").await.0["keys"], json!({}));
    let verdict = house.scan(scan_body(&order["tickets"][0]["credential"], "nonce-0001")).await;
    let verdict = verdict.expect(200);
    assert_eq!((&verdict["verdict"], &verdict["ticket"]["name"]), (&json!("admit"), &json!(null)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_waits_is_answered_when_something_comes() {
    let house = House::open().await;
    let before = house.journal(EVENT).await.len();
    let waiting = page_in_time(&house, before);
    let (held, (_, entries)) = tokio::join!(house.hold(1), waiting);
    held.expect(201);
    assert_eq!(entries[0]["kind"], "hold.created");

    let version = house.feed("/internal/v1/journal/heads").await.expect(200)["version"].clone();
    let path = format!("/internal/v1/journal/heads?after_version={version}&wait_ms=8000");
    let (held, heads) = tokio::join!(house.hold(1), house.feed(&path));
    held.expect(201);
    let heads = heads.expect(200);
    assert_ne!(heads["version"], version);
}

async fn page_in_time(house: &House, after: usize) -> (Value, Vec<Value>) {
    let query = format!("after={after}&wait_ms=8000");
    tokio::time::timeout(Duration::from_secs(8), page(house, &query)).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_names_the_entry_by_its_hash() {
    let house = House::open().await;
    house.buy(1).await;
    let (body, entries) = page(&house, "after=0").await;
    let head = &body["head"];
    let ack = |seq: &Value, hash: &Value| json!({"consumer": "backoffice", "event": EVENT, "seq": seq, "hash": hash});
    let path = "/internal/v1/journal/ack";
    let got = house.feed_post(path, ack(&head["seq"], &head["hash"])).await;
    assert_eq!(got.status, 204, "{}", got.body);
    let first = &entries[1]["prev_hash"];
    assert_eq!(
        house.feed_post(path, ack(&json!(1), first)).await.status,
        204,
        "again, an older one"
    );
    let wrong = json!("0".repeat(64));
    house.feed_post(path, ack(&head["seq"], &wrong)).await.problem(409, "hash_mismatch");
    house.feed_post(path, ack(&json!(999), &head["hash"])).await.problem(409, "hash_mismatch");
    let mut unknown = ack(&json!(1), first);
    unknown["event"] = json!(Uuid::from_u128(99));
    house.feed_post(path, unknown).await.problem(404, "unknown_event");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_what_was_durable() {
    let house = House::open().await;
    let hold = house.hold(1).await.expect(201);
    house.post("/api/v1/shop/orders", order_body(&hold["id"])).await.expect(201);
    let before = page(&house, "after=0").await.1;
    let house = house.restart().await;
    let after = page(&house, "after=0").await.1;
    assert_eq!(before, after);
}
