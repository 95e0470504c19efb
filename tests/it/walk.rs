//! The two commands as a person runs them: the transcript, `demo.json`, a second start, a clean end.

use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::json;
use system::{House, until};

#[tokio::test]
async fn the_walk_is_walked_on_redis() {
    let mut house = House::up("redis", &[]);
    check_transcript(&house.transcript);
    check_demo(&house).await;
    let ticket = buy_one(&house).await;

    house.stop();
    assert!(
        house.client.get(house.demo("gate_url")).send().await.is_err(),
        "the gate still answers"
    );
    house.start(&["--no-walk"]);

    let verdict = scan(&house, &ticket, "after-restart").await;
    assert_eq!(verdict["verdict"], "admit", "the ticket survived the restart: {verdict}");
    let again = scan(&house, &ticket, "after-restart-2").await;
    assert_eq!(
        (again["verdict"].as_str(), again["reason"].as_str()),
        (Some("deny"), Some("already_used"))
    );
}

#[tokio::test]
async fn the_walk_is_walked_on_files_without_any_redis() {
    let mut house = House::up("file", &[]);
    check_transcript(&house.transcript);
    assert!(!house.run.join("redis").exists(), "a Redis was started for the file store");
    let ticket = buy_one(&house).await;
    assert_eq!(scan(&house, &ticket, "first-scan").await["verdict"], "admit");

    house.kill("gate");
    house.start(&["--no-walk"]);
    let replay = scan(&house, &ticket, "first-scan").await;
    assert_eq!(
        (&replay["verdict"], &replay["replay"]),
        (&json!("admit"), &json!(true)),
        "{replay}"
    );
    check_turnstile(&house).await;
}

/// Staff make a lane a turnstile and let people come back; the scanner sees both.
async fn check_turnstile(house: &House) {
    let staff = format!("Bearer {}", house.demo("api_token"));
    let event = house.demo("event_id");
    let path = format!("/api/v1/check-in-zones?filter[event_id]={event}");
    let zones = house.ask("backoffice_url", Method::GET, &path, &staff, None).await;
    let zone = zones.body["data"][0]["id"].as_str().expect("a zone").to_owned();
    let path = format!("/api/v1/check-in-zones/{zone}");
    let reentry = json!({"policy": "reentry"});
    let patched = house.ask("backoffice_url", Method::PATCH, &path, &staff, Some(reentry)).await;
    assert_eq!(patched.status, StatusCode::OK, "{}", patched.body);
    let lane = json!({"event_id": event, "name": "Turnstile 1", "two_phase": true, "lease_s": 600});
    let made =
        house.ask("backoffice_url", Method::POST, "/api/v1/check-in-lanes", &staff, Some(lane));
    let made = made.await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);

    let ticket = buy_one(house).await;
    let device = format!("Bearer {}", house.demo("device_token"));
    let post = async |path: &str, body: Option<serde_json::Value>| {
        let reply = house.ask("gate_url", Method::POST, path, &device, body).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.body);
        reply.body
    };
    let pass = async |direction: &str, nonce: &str| {
        let body = json!({"credential": ticket, "gate": "Turnstile 1", "zone": house.demo("zone"),
                          "direction": direction, "nonce": nonce});
        post("/api/check-in/scan", Some(body)).await
    };
    let (mut tries, mut reserved) = (0, json!(null));
    until("the scanner knows the turnstile", async || {
        tries += 1;
        let nonce = format!("turnstile-{tries}");
        reserved = pass("entry", &nonce).await;
        if reserved["verdict"] == "admit" {
            post("/api/check-in/annul", Some(json!({"nonce": nonce}))).await;
        }
        reserved["verdict"] == "reserve"
    })
    .await;
    let scan = reserved["scan"].as_str().expect("an id").to_owned();
    let passed = post(&format!("/api/check-in/scans/{scan}/passed"), None).await;
    assert_eq!(passed["settled"], "passed");
    assert_eq!(pass("entry", "inside-already").await["reason"], "passback");
    assert_eq!(pass("exit", "out-for-a-while").await["verdict"], "reserve");
    assert_eq!(pass("entry", "and-back-again").await["verdict"], "reserve");
}

#[tokio::test]
async fn an_interrupt_stops_everything_that_was_started() {
    let house = House::up("redis", &["--no-walk"]);
    house.stop();
    let mut command = house.command("up", &["--store", "redis", "--no-walk"]);
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ops/up runs");
    let gate = house.demo("gate_url");
    let ready = async || {
        let answer = house.client.get(format!("{gate}/ready")).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    };
    until("the house is up", ready).await;

    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    let mut status = None;
    until("ops/up ends", async || {
        status = child.try_wait().expect("a child");
        status.is_some()
    })
    .await;
    assert_eq!(status.and_then(|status| status.code()), Some(130), "ended by the interrupt");
    assert!(house.client.get(&gate).send().await.is_err(), "the gate still answers");
    for left in ["gate.pid", "backoffice.pid", "redis/redis.pid", "postgres/data/postmaster.pid"] {
        assert!(!house.run.join(left).exists(), "{left} is left: something still runs");
    }
}

#[test]
fn bad_arguments_are_refused_before_anything_starts() {
    let run = std::env::temp_dir().join(format!("atlvs-arguments-{}", std::process::id()));
    for (arguments, words) in [
        (&["--store", "memory"][..], "--store wants redis or file"),
        (&["--store"][..], "--store wants redis or file"),
        (&["--quick"][..], "unknown argument: --quick"),
    ] {
        let output = Command::new(system::root().join("ops/up"))
            .args(arguments)
            .env("ATLVS_RUN", &run)
            .output()
            .expect("ops/up runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(words), "{arguments:?}: {text}");
    }
    assert!(!run.exists(), "a refused start left a directory");
}

fn check_transcript(transcript: &str) {
    for line in [
        "An organization with an event on sale",
        "The catalogue arrives at the gate",
        "A hold, an order, a ticket",
        "read back by zbarimg",
        "admit",
        "deny already_used",
        "at lane North 3",
        "checked_in",
        "access log",
        "walk complete",
    ] {
        assert!(transcript.contains(line), "the transcript lacks `{line}`:\n{transcript}");
    }
}

async fn check_demo(house: &House) {
    for name in [
        "gate_url",
        "gate_internal_url",
        "backoffice_url",
        "admin_email",
        "admin_password",
        "api_token",
        "device_token",
        "internal_token",
        "organization_id",
        "event_id",
        "event_number",
        "ticket_type_id",
        "ticket_type_capacity",
        "zone",
        "gate",
    ] {
        assert!(!house.demo(name).is_empty(), "demo.json has an empty {name}");
    }
    let capacity: u64 = house.demo("ticket_type_capacity").parse().expect("a number");
    assert!(capacity >= 2000, "{capacity} places");
    let path = format!("/api/v1/shop/events/{}", house.demo("event_id"));
    let offer = house.ask("gate_url", Method::GET, &path, "", None).await;
    assert_eq!(offer.status, StatusCode::OK);
    let kind = offer.body["ticket_types"]
        .as_array()
        .and_then(|types| types.iter().find(|kind| kind["id"] == house.demo("ticket_type_id")))
        .unwrap_or_else(|| panic!("the demo's ticket type is not on sale: {}", offer.body));
    assert_eq!(kind["price"]["amount"], "0.00", "the demo's ticket type costs something");
    let token = format!("Bearer {}", house.demo("api_token"));
    let list = house.ask("backoffice_url", Method::GET, "/api/v1/events", &token, None).await;
    assert_eq!(list.status, StatusCode::OK, "{}", list.body);
    for path in ["/api/registrations", "/api/v1/registrations"] {
        let list = house.ask("backoffice_url", Method::GET, path, &token, None).await;
        assert_eq!(list.status, StatusCode::OK, "{path}: {}", list.body);
    }
}

/// One free ticket of the demonstration event; its credential once the gate knows the event.
async fn buy_one(house: &House) -> String {
    let event = house.demo("event_id");
    until("the gate sells", async || {
        let path = format!("/api/v1/shop/events/{event}");
        house.ask("gate_url", Method::GET, &path, "", None).await.status == StatusCode::OK
    })
    .await;
    let hold = json!({
        "event": event,
        "items": [{"ticket_type": house.demo("ticket_type_id"), "quantity": 1}],
    });
    let hold = house.ask("gate_url", Method::POST, "/api/v1/shop/holds", "", Some(hold)).await;
    assert_eq!(hold.status, StatusCode::CREATED, "{}", hold.body);
    let order = json!({"hold": hold.body["id"], "payment": {"method": "free"}, "attendees": []});
    let order = house.ask("gate_url", Method::POST, "/api/v1/shop/orders", "", Some(order)).await;
    assert_eq!(order.status, StatusCode::CREATED, "{}", order.body);
    order.body["tickets"][0]["credential"].as_str().expect("a credential").to_owned()
}

async fn scan(house: &House, credential: &str, nonce: &str) -> serde_json::Value {
    let token = format!("Bearer {}", house.demo("device_token"));
    let body = json!({
        "credential": credential, "gate": house.demo("gate"), "zone": house.demo("zone"), "nonce": nonce,
    });
    let reply = house.ask("gate_url", Method::POST, "/api/check-in/scan", &token, Some(body)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    reply.body
}
