//! Bad input at every door: a precise problem, and nothing is half done.

use gate::routes::{Auth, Listener, SCAN_BODY_BYTES_MAX, SHOP_BODY_BYTES_MAX};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::house::{
    DEVICE_TOKEN, EVENT, GENERAL, House, JOURNAL_TOKEN, NUMBER, hold_body, order_body, routes_at,
    scan_body,
};

const HOLDS: &str = "/api/v1/shop/holds";
const ORDERS: &str = "/api/v1/shop/orders";
const SCAN: &str = "/api/v1/check-in/scan";
const ACK: &str = "/internal/v1/journal/ack";
const ERASE: &str = "/internal/v1/erasures";

/// The token that a door asks for.
fn token(path: &str) -> String {
    if path.starts_with("/internal") {
        format!("Bearer {JOURNAL_TOKEN}")
    } else {
        format!("Bearer {DEVICE_TOKEN}")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_what_they_should_be() {
    let house = House::open().await;
    let json = "application/json";
    let cases: &[(&str, &[u8], u16, &str)] = &[
        (json, b"", 400, "malformed_json"),
        (json, b"{", 400, "malformed_json"),
        (json, b"\xff\xfe", 400, "malformed_json"),
        (json, b"{\"event\":1,\"event\":2}", 400, "malformed_json"),
        (json, b"{} {}", 400, "malformed_json"),
        (json, b"[]", 400, "invalid_body"),
        (json, b"null", 400, "invalid_body"),
        (json, b"{}", 400, "invalid_body"),
        ("text/plain", b"{}", 415, "unsupported_media_type"),
        ("application/json; charset=latin1", b"{}", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"a=b", 415, "unsupported_media_type"),
    ];
    for door in [HOLDS, ORDERS, SCAN, ACK, ERASE] {
        for (media, body, status, code) in cases {
            let headers = [("authorization", token(door)), ("content-type", (*media).to_owned())];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            let got = house.send("POST", door, &headers, Some(body.to_vec())).await;
            assert_eq!(
                (got.status, got.body["code"].as_str()),
                (*status, Some(*code)),
                "{door} {body:?}"
            );
        }
        let none = [("authorization", token(door))];
        let none = none.each_ref().map(|(name, value)| (*name, value.as_str()));
        let got = house.send("POST", door, &none, Some(b"{}".to_vec())).await;
        got.problem(415, "unsupported_media_type");
    }
    assert_eq!(house.journal(EVENT).await.len(), 1, "only the configuration is in the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large() {
    let house = House::open().await;
    for (door, bytes_max) in [(HOLDS, SHOP_BODY_BYTES_MAX), (SCAN, SCAN_BODY_BYTES_MAX)] {
        let token = token(door);
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let padded = |bytes: usize| format!("{{{}}}", " ".repeat(bytes - 2)).into_bytes();
        let fits = house.send("POST", door, &headers, Some(padded(bytes_max))).await;
        fits.problem(400, "invalid_body");
        let over = house.send("POST", door, &headers, Some(padded(bytes_max + 1))).await;
        over.problem(413, "body_too_large");
    }
}

/// The answer goes out while the body is still on its way: whoever only sends first and reads then
/// has to get it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_read_does_not_take_the_answer_back() {
    let house = House::open().await;
    let bytes = 4 << 20;
    let cases = [
        (HOLDS, token(HOLDS), 413, "body_too_large"),
        (SCAN, token(SCAN), 413, "body_too_large"),
        (SCAN, "Bearer nobody".to_owned(), 401, "unauthorized"),
        ("/api/v1/nothing", String::new(), 404, "not_found"),
        ("/health", String::new(), 405, "method_not_allowed"),
    ];
    for (path, token, status, code) in cases {
        let mut stream = TcpStream::connect(house.running.public).await.expect("a connection");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: gate\r\nauthorization: {token}\r\n\
             content-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(&vec![b' '; bytes]).await.expect("sent to the end");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("no reset");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{path}: {answer}");
    }
}

/// Sends `base` with each case's changes (`absent` removes a field) and expects exactly one error.
async fn check_fields(door: &str, base: Value, cases: &[(Value, &str, &str)]) {
    let house = House::open().await;
    for (changes, field, code) in cases {
        let mut body = base.clone();
        for (name, value) in changes.as_object().expect("changes") {
            if value == "absent" {
                body.as_object_mut().expect("an object").remove(name);
            } else {
                body[name] = value.clone();
            }
        }
        let token = token(door);
        let got = house.call("POST", door, &[("authorization", &token)], body.clone()).await;
        let problem = got.problem(400, "invalid_body");
        let found = problem["errors"].as_array().expect("errors").iter();
        let found: Vec<(&str, &str)> = found
            .map(|e| (e["field"].as_str().expect("a field"), e["code"].as_str().expect("a code")))
            .collect();
        assert_eq!(found, [(*field, *code)], "{door} {body}");
    }
    assert_eq!(house.journal(EVENT).await.len(), 1, "only the configuration is in the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_of_a_hold_are_named() {
    let item = |item: Value| json!({"items": [item]});
    let cases = [
        (json!({"event": "absent"}), "event", "required"),
        (json!({"event": 7}), "event", "type"),
        (json!({"event": "x"}), "event", "format"),
        (json!({"items": "absent"}), "items", "required"),
        (json!({"items": []}), "items", "required"),
        (json!({"items": {}}), "items", "type"),
        (item(json!(1)), "items[0]", "type"),
        (item(json!({"ticket_type": GENERAL})), "items[0].quantity", "required"),
        (item(json!({"ticket_type": GENERAL, "quantity": 0})), "items[0].quantity", "range"),
        (item(json!({"ticket_type": GENERAL, "quantity": -1})), "items[0].quantity", "type"),
        (item(json!({"ticket_type": GENERAL, "quantity": "1"})), "items[0].quantity", "type"),
        (
            item(json!({"ticket_type": GENERAL, "quantity": 1, "price": 0})),
            "items[0].price",
            "unknown",
        ),
        (json!({"discount": 100}), "discount", "unknown"),
        (json!({"promo_code": 7}), "promo_code", "type"),
        (json!({"buyer": {"email": "no address"}}), "buyer.email", "format"),
        (json!({"buyer": {"name": "x".repeat(201)}}), "buyer.name", "range"),
    ];
    check_fields(HOLDS, hold_body(GENERAL, 1), &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_of_an_order_are_named() {
    let cases = [
        (json!({"hold": "absent"}), "hold", "required"),
        (json!({"payment": "absent"}), "payment", "required"),
        (json!({"payment": {}}), "payment.method", "required"),
        (json!({"payment": {"method": "gold"}}), "payment.method", "format"),
        (json!({"attendees": [{"name": 7}]}), "attendees[0].name", "type"),
        (json!({"attendees": [{"phone": "1"}]}), "attendees[0].phone", "unknown"),
        (json!({"secret": "mine"}), "secret", "unknown"),
    ];
    check_fields(ORDERS, order_body(&json!(Uuid::from_u128(9))), &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_of_a_scan_are_named() {
    let cases = [
        (json!({"credential": "absent"}), "credential", "required"),
        (json!({"credential": 7}), "credential", "type"),
        (json!({"ticket": "1042-1"}), "ticket", "unsupported"),
        (json!({"credential": "absent", "ticket": "seven"}), "ticket", "format"),
        (json!({"gate": "absent"}), "gate", "required"),
        (json!({"gate": ""}), "gate", "range"),
        (json!({"zone": "absent"}), "zone", "required"),
        (json!({"direction": "up"}), "direction", "format"),
        (json!({"nonce": "absent"}), "nonce", "required"),
        (json!({"nonce": "short"}), "nonce", "format"),
        (json!({"nonce": "n".repeat(65)}), "nonce", "format"),
        (json!({"nonce": "spaces in it"}), "nonce", "format"),
        (json!({"force": "yes"}), "force", "type"),
        (json!({"answers": {"age": 18}}), "answers", "format"),
        (json!({"answers": [1]}), "answers", "type"),
        (json!({"at": "2026-11-21T18:00:00Z"}), "at", "unknown"),
    ];
    check_fields(SCAN, scan_body(&json!("TK"), "nonce-0001"), &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_of_the_back_office_are_named() {
    let ack = json!({"consumer": "backoffice", "event": EVENT, "seq": 1, "hash": "0".repeat(64)});
    let cases = [
        (json!({"consumer": "Back Office"}), "consumer", "format"),
        (json!({"hash": "00"}), "hash", "format"),
        (json!({"seq": -1}), "seq", "type"),
    ];
    check_fields(ACK, ack, &cases).await;
    let cases = [(json!({}), "order", "required")];
    check_fields(ERASE, json!({"event": EVENT}), &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_ids_are_not_found_and_say_what() {
    let house = House::open().await;
    let order = house.buy(1).await;
    let secret = format!("Order {}", order["secret"].as_str().expect("a secret"));
    let mine = [("authorization", secret.as_str())];
    let id = Uuid::new_v4();
    let hold = gate::issue::fresh_id(NUMBER).expect("random");
    let elsewhere = gate::issue::fresh_id(7).expect("random");
    for event in [id.to_string(), "x".to_owned(), "%ff".to_owned()] {
        let got = house.get(&format!("/api/v1/shop/events/{event}"), &[]).await;
        assert_eq!(got.status, 404, "{}", got.body);
    }
    for hold in [id, hold, elsewhere] {
        let path = format!("{HOLDS}/{hold}");
        house.send("DELETE", &path, &[], None).await.problem(404, "unknown_hold");
        house.send("POST", &format!("{path}/renew"), &[], None).await.problem(404, "unknown_hold");
        let got = house.post(ORDERS, order_body(&json!(hold))).await;
        got.problem(404, "unknown_hold");
    }
    house
        .send("DELETE", &format!("{HOLDS}/nonsense"), &[], None)
        .await
        .problem(404, "unknown_hold");
    let mut body = hold_body(id, 1);
    house.post(HOLDS, body.clone()).await.problem(404, "unknown_ticket_type");
    body["event"] = json!(id);
    house.post(HOLDS, body).await.problem(404, "unknown_event");
    for order in [id.to_string(), hold.to_string(), elsewhere.to_string(), "x".to_owned()] {
        let path = format!("{ORDERS}/{order}");
        house.get(&path, &mine).await.problem(404, "not_found");
        house
            .call("POST", &format!("{path}/cancel"), &mine, json!({}))
            .await
            .problem(404, "not_found");
    }
    for ticket in ["1042-2", "7-1", "1042-01", "x", "1042-99999999999999999999"] {
        let path = format!("/api/v1/shop/tickets/{ticket}");
        house.get(&path, &mine).await.problem(404, "not_found");
    }
    let foreign = json!({"positions": ["1042-77"]});
    let cancel = format!("{ORDERS}/{}/cancel", order["id"].as_str().expect("an id"));
    house.call("POST", &cancel, &mine, foreign).await.problem(404, "unknown_ticket");
    for path in ["journal?event=", "audit?event="] {
        house.feed(&format!("/internal/v1/{path}{id}")).await.problem(404, "unknown_event");
    }
    house.get("/api/v1/nothing", &[]).await.problem(404, "not_found");
    house.send("GET", "/internal/v1/nothing", &[], None).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_refused() {
    let house = House::open().await;
    for (method, path) in [("PUT", HOLDS), ("GET", SCAN), ("DELETE", "/health"), ("PATCH", ORDERS)]
    {
        house.send(method, path, &[], None).await.problem(405, "method_not_allowed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_missing_or_wrong() {
    let house = House::open().await;
    let bad: &[&[(&str, &str)]] = &[
        &[],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer wrong-token-of-the-tests")],
        &[("authorization", DEVICE_TOKEN)],
        &[("authorization", "Basic ZGV2aWNlOnRva2Vu")],
    ];
    for route in routes_at(Listener::Public).chain(routes_at(Listener::Internal)) {
        let path = route.paths()[0].replace("{id}", &EVENT.to_string());
        for headers in bad {
            let got = house.send(route.method.name(), &path, headers, None).await;
            match route.auth {
                Auth::Device | Auth::DeviceOrStaff | Auth::Journal => {
                    assert_eq!(got.header("www-authenticate"), "Bearer");
                    got.problem(401, "unauthorized");
                }
                Auth::Order => {
                    got.problem(404, "not_found");
                }
                Auth::None => {}
            }
        }
    }
    // One listener's token is nothing at the other.
    let got = house.scan_as(JOURNAL_TOKEN, scan_body(&json!("TK"), "nonce-0001")).await;
    got.problem(401, "unauthorized");
    let device = format!("Bearer {DEVICE_TOKEN}");
    let got = house.get("/internal/v1/journal/heads", &[("authorization", &device)]).await;
    got.problem(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_orders_secret_opens_nothing() {
    let house = House::open().await;
    let (one, other) = (house.buy(1).await, house.buy(1).await);
    assert_ne!(one["secret"], other["secret"]);
    let secret = format!("Order {}", other["secret"].as_str().expect("a secret"));
    let headers = [("authorization", secret.as_str())];
    let path = format!("{ORDERS}/{}", one["id"].as_str().expect("an id"));
    house.get(&path, &headers).await.problem(404, "not_found");
    house
        .call("POST", &format!("{path}/cancel"), &headers, json!({}))
        .await
        .problem(404, "not_found");
    for end in ["", "/qr.svg", "/qr.png"] {
        let ticket = one["tickets"][0]["id"].as_str().expect("an id");
        let path = format!("/api/v1/shop/tickets/{ticket}{end}");
        house.get(&path, &headers).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_are_not_known() {
    let house = House::open().await;
    let cases = [
        ("journal", "event"),
        ("journal?event=x", "event"),
        ("journal?event=0&event=1", "event"),
        ("audit", "event"),
        ("journal/heads?wait_ms=soon", "wait_ms"),
        ("journal/heads?surprise=1", "query"),
    ];
    for (path, field) in cases {
        let got = house.feed(&format!("/internal/v1/{path}")).await;
        let problem = got.problem(400, "invalid_query");
        assert_eq!(problem["errors"][0]["field"], field, "{path}");
    }
}
