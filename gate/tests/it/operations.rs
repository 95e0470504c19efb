//! What operators see: probes, figures, logs, the end.

use std::process::{Command, Stdio};
use std::time::Duration;

use gate::routes::ROUTES;
use gate::settings::{Limits, Role};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{
    DEVICE_TOKEN, EVENT, GENERAL, House, JOURNAL_TOKEN, hold_body, logged, order_body, scan_body,
};
use gate::testing::CATALOGUE_TOKEN;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_logged_that_should_not_be() {
    let house = House::open().await;
    let hold = house.hold(2).await.expect(201);
    let mut body = order_body(&hold["id"]);
    body["buyer"] = json!({"name": "Hedy Lamarr Zyxwv", "email": "hedy.zyxwv@example.org"});
    body["attendees"] = json!([{"name": "Emmy Noether Zyxwv"}, {"name": "Sofia Zyxwv"}]);
    let order = house.post("/api/v1/shop/orders", body).await.expect(201);
    let credential = order["tickets"][0]["credential"].as_str().expect("text");
    house.scan(scan_body(&json!(credential), "nonce-0001")).await.expect(200);
    house.scan(scan_body(&json!("TKGARBAGEZYXWV"), "nonce-0002")).await.expect(200);
    house
        .scan_as("a-wrong-token-zyxwv", scan_body(&json!(credential), "nonce-0003"))
        .await
        .problem(401, "unauthorized");
    house
        .post("/api/v1/shop/orders", json!({"hold": "zyxwv@example.org"}))
        .await
        .problem(400, "invalid_body");
    house.get("/api/v1/shop/events/zyxwv-path", &[]).await.problem(404, "unknown_event");
    let secret = order["secret"].as_str().expect("a secret");
    let path = format!("/api/v1/shop/orders/{}", order["id"].as_str().expect("an id"));
    house.get(&path, &[("authorization", &format!("Order {secret}"))]).await.expect(200);
    let log = logged();
    assert!(log.contains("\"route\":\"/check-in/scan\""), "requests are logged");
    assert!(log.contains("\"reason\":\"device_token\""), "attempts are logged");
    let master = data_encoding::BASE64.encode(house.secret.as_bytes());
    for secret in [
        "Zyxwv",
        "zyxwv",
        "ZYXWV",
        credential,
        secret,
        DEVICE_TOKEN,
        JOURNAL_TOKEN,
        CATALOGUE_TOKEN,
        "ada@example.org",
        "Lovelace",
        &master,
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_read_by_their_own_tools() {
    let house = House::open().await;
    let order = house.buy(1).await;
    for n in 0..3 {
        let body = scan_body(&order["tickets"][0]["credential"], &format!("nonce-000{n}"));
        house.scan(body).await.expect(200);
    }
    house.scan(scan_body(&json!("garbage"), "nonce-0009")).await.expect(200);
    house.view(EVENT, |view| view.head.seq == 6).await;
    let got = house.get("/metrics", &[]).await;
    assert!(got.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    let text = String::from_utf8(got.bytes).expect("UTF-8");
    for line in [
        "gate_scans_total{verdict=\"admit\",reason=\"\"} 1",
        "gate_scans_total{verdict=\"deny\",reason=\"already_used\"} 2",
        "gate_scans_total{verdict=\"deny\",reason=\"invalid\"} 1",
        "gate_attempts_total{reason=\"invalid\"} 1",
        "gate_holds_total{outcome=\"created\"} 1",
        "gate_orders_total{outcome=\"confirmed\"} 1",
        "gate_requests_total{route=\"/check-in/scan\",status=\"200\"} 4",
        "gate_store_up 1",
        "gate_journal_head{event=\"1042\"} 6",
        "gate_events 1",
        "gate_events_stale 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    parse_openmetrics(&text);
}

/// Every sample belongs to the family declared before it, every family has help and a type.
fn parse_openmetrics(text: &str) {
    let (mut family, mut kind, mut samples) = (String::new(), String::new(), 0);
    for line in text.lines().filter(|line| *line != "# EOF") {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, help] => {
                family = (*name).to_owned();
                assert!(help.ends_with('.'), "{line}");
            }
            ["#", "TYPE", name, of] => {
                assert_eq!(family, *name, "{line}");
                kind = (*of).to_owned();
            }
            ["#", "UNIT", name, unit] => {
                assert!(*name == family && family.ends_with(unit), "{line}");
            }
            _ => {
                let name = line.split(['{', ' ']).next().unwrap_or_default();
                let suffix = name.strip_prefix(&family).unwrap_or("?");
                let allowed: &[&str] = match kind.as_str() {
                    "counter" => &["_total"],
                    "histogram" => &["_bucket", "_count", "_sum"],
                    _ => &[""],
                };
                assert!(allowed.contains(&suffix), "{line} in family {family} of {kind}");
                let value = line.rsplit(' ').next().unwrap_or_default();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                samples += 1;
            }
        }
    }
    assert!(20 < samples);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interface_describes_itself() {
    let house = House::open().await;
    let served = house.send("GET", "/openapi.json", &[], None).await.expect(200);
    assert_eq!(served, gate::openapi::document());
    for route in ROUTES {
        let method = route.method.name().to_lowercase();
        assert!(served["paths"][&route.paths()[0]][&method].is_object(), "{}", route.path);
    }
    // Everything that is listed answers with something else than "no such path".
    for route in ROUTES {
        for path in route.paths() {
            let path = path.replace("{id}", "x");
            let got = house.send(route.method.name(), &path, &[], None).await;
            assert_ne!(got.body["detail"], "no such path", "{path}");
            assert_ne!(got.status, 405, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_say_what_is_missing() {
    let house = House::open().await;
    assert_eq!(house.get("/health", &[]).await.expect(200), json!({"status": "ok"}));
    let ready = house.get("/ready", &[]).await.expect(200);
    assert_eq!(ready, json!({"ready": true, "missing": [], "warnings": []}));
    house.running.gate.stop();
    let ready = house.get("/ready", &[]).await.expect(503);
    assert_eq!(ready["missing"], json!(["stopping"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_answers_what_was_accepted() {
    let house = House::open().await;
    let before = house.journal(EVENT).await.len();
    let address = house.running.public;
    // A request whose body is still on its way when the gate is told to stop.
    let body = hold_body(GENERAL, 1).to_string();
    let mut slow = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "POST /api/v1/shop/holds HTTP/1.1\r\nhost: gate\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.expect("sent");
    slow.write_all(&body.as_bytes()[..10]).await.expect("sent");
    // A reader of the feed that waits for news, and requests in flight.
    let (gate, http) = (house.running.gate.clone(), reqwest::Client::new());
    let feed = format!(
        "http://{}/internal/v1/journal?event={EVENT}&after={before}&wait_ms=30000",
        house.running.internal
    );
    let reader = tokio::spawn(http.get(feed).bearer_auth(JOURNAL_TOKEN).send());
    in_work(&gate, 2).await;
    let stopping = tokio::spawn(house.running.stop());
    let mut told = gate.stopping();
    told.wait_for(|stop| *stop).await.expect("it is told");
    slow.write_all(&body.as_bytes()[10..]).await.expect("sent");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.expect("an answer, then the end");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let reader = reader.await.expect("no panic").expect("an answer");
    assert_eq!(reader.status().as_u16(), 200);
    assert!(stopping.await.expect("no panic"), "everything was answered in time");
    assert!(TcpStream::connect(address).await.is_err(), "no new connection");
}

/// Waits until so many requests are in work.
async fn in_work(gate: &gate::gate::Gate, requests: i64) {
    let begun = async {
        while gate.metrics.requests_in_work.get() < requests {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), begun).await.expect("they are in work");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_asks_too_often_is_told_when_to_come_back() {
    let limits = Limits { shop_per_min: 3, scan_per_min: 3, ..Limits::default() };
    let house = House::with(Role::All, limits, |_| ()).await;
    for left in ["2", "1", "0"] {
        let got = house.hold(1).await;
        assert_eq!(got.header("ratelimit"), format!("\"shop\";r={left}"));
        assert_eq!(got.header("ratelimit-policy"), "\"shop\";q=3;w=60");
        got.expect(201);
    }
    let refused = house.hold(1).await;
    assert_eq!(refused.header("ratelimit"), "\"shop\";r=0");
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=21).contains(&seconds));
    refused.problem(429, "rate_limited");
    house.get(&format!("/api/v1/shop/events/{EVENT}"), &[]).await.expect(200);
    let bad = house.scan(scan_body(&json!(7), "nonce-0000")).await;
    assert_eq!(bad.header("ratelimit"), "\"scan\";r=2", "a refused request counts too");
    bad.problem(400, "invalid_body");
    for n in 0..2 {
        house.scan(scan_body(&json!("TK"), &format!("nonce-000{n}"))).await.expect(200);
    }
    house.scan(scan_body(&json!("TK"), "nonce-0003")).await.problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_at_once_are_refused_at_the_first_layer() {
    let limits = Limits { requests_max: 0, ..Limits::default() };
    let house = House::with(Role::All, limits, |_| ()).await;
    let refused = house.hold(1).await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(503, "overloaded");
    house.scan(scan_body(&json!("TK"), "nonce-0001")).await.problem(503, "overloaded");
    house.get("/health", &[]).await.expect(200);

    let limits = Limits { connections_max: 0, ..Limits::default() };
    let house = House::with(Role::All, limits, |_| ()).await;
    let mut stream = TcpStream::connect(house.running.public).await.expect("accepted");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_serves_its_role() {
    let shop = House::with(Role::Shop, Limits::default(), |_| ()).await;
    let order = shop.buy(1).await;
    assert_eq!(order["status"], "confirmed");
    let missing = shop.send("POST", "/api/v1/check-in/scan", &[], None).await;
    missing.problem(404, "not_found");
    let scan = House::with(Role::Scan, Limits::default(), |_| ()).await;
    scan.send("POST", "/api/v1/shop/holds", &[], None).await.problem(404, "not_found");
    scan.scan(scan_body(&json!("TK"), "nonce-0001")).await.expect(200);
    let keys = scan.running.gate.events.by_id(EVENT).and_then(|event| event.keys()).expect("keys");
    assert!(keys.signing(0).is_none(), "a process that only scans opens no private key");
    for house in [&shop, &scan] {
        house.feed("/internal/v1/journal/heads").await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_internal_doors_are_not_at_the_public_listener() {
    let house = House::open().await;
    let http = reqwest::Client::new();
    let token = JOURNAL_TOKEN;
    for path in ["journal/heads", "journal", "audit"] {
        let url = format!("http://{}/internal/v1/{path}", house.running.public);
        let got = http.get(url).bearer_auth(token).send().await.expect("an answer");
        assert_eq!(got.status().as_u16(), 404, "{path}");
    }
    let url = format!("http://{}/api/v1/check-in/scan", house.running.internal);
    let got = http.post(url).bearer_auth(DEVICE_TOKEN).send().await.expect("an answer");
    assert_eq!(got.status().as_u16(), 404);
}

#[test]
fn the_commands_print_and_draw() {
    let gate = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_gate")).args(args).env_clear().output();
        let output = output.expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, _) = gate(&["openapi"]);
    let document: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, document), (Some(0), gate::openapi::document()));
    let (code, out, _) = gate(&["routes"]);
    assert_eq!((code, out.lines().count()), (Some(0), ROUTES.len()));
    let scan: Value = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .find(|route| route["paths"][0] == "/api/v1/check-in/scan")
        .expect("the scan's route");
    assert_eq!((&scan["method"], &scan["listener"]), (&json!("POST"), &json!("public")));

    let dir = inventory::testing::TestDirectory::new().expect("a directory");
    let path = dir.path().join("qr.png");
    let path = path.to_str().expect("UTF-8");
    let (code, out, _) = gate(&["qr", "--text", "TKABC", "--png", path, "--terminal"]);
    assert_eq!(code, Some(0));
    assert!(out.contains('█') && std::fs::read(path).expect("written").starts_with(b"\x89PNG"));
    assert_eq!(gate(&["qr", "--text", "lower case"]).0, Some(1));

    for args in [&[][..], &["dance"], &["qr"], &["openapi", "--loud"]] {
        let (code, out, err) = gate(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.contains("Usage: gate"), "{err}");
    }
    let (code, _, err) = gate(&["check"]);
    assert_eq!(code, Some(1));
    for name in ["GATE_DATA_DIR", "BACKOFFICE_INTERNAL_URL", "JOURNAL_TOKEN", "ATLVS_MASTER_KEY"] {
        assert!(err.contains(name), "{name} in {err}");
    }
}

/// The binary as operators start and stop it, and a second one on the same directory.
#[tokio::test(flavor = "multi_thread")]
async fn the_binary_serves_until_it_is_told_to_stop() {
    let office = gate::testing::Office::open().await;
    let dir = inventory::testing::TestDirectory::new().expect("a directory");
    let serve = |port: &str| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gate"));
        command.arg("serve").env_clear().kill_on_drop(true);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs([
            ("GATE_PORT", port),
            ("GATE_INTERNAL_PORT", "0"),
            ("GATE_DATA_DIR", dir.path().to_str().expect("UTF-8")),
            ("BACKOFFICE_INTERNAL_URL", &office.url()),
            ("CATALOGUE_TOKEN", CATALOGUE_TOKEN),
            ("JOURNAL_TOKEN", JOURNAL_TOKEN),
            ("ATLVS_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ]);
        command.spawn().expect("the binary runs")
    };
    let mut running = serve("0");
    let stdout = running.stdout.take().expect("a pipe");
    let mut lines = tokio::io::BufReader::new(stdout).lines();
    let line = lines.next_line().await.expect("read").expect("one line");
    let urls: Value = serde_json::from_str(&line).expect("JSON");
    let url = urls["listening"].as_str().expect("a URL").to_owned();
    let health = reqwest::get(format!("{url}/health")).await.expect("an answer");
    assert_eq!(health.status().as_u16(), 200);
    // Nothing was published: it knows no catalogue yet, and says so.
    let internal = urls["internal"].as_str().expect("a URL");
    let metrics = reqwest::get(format!("{internal}/metrics")).await.expect("an answer");
    assert_eq!(metrics.status().as_u16(), 200);

    let second = serve("0").wait_with_output().await.expect("it ends");
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{error}");
    assert!(error.contains(dir.path().to_str().expect("UTF-8")), "{error}");
    let id = running.id().expect("a process").to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
    assert!(told.success());
    let ended = tokio::time::timeout(Duration::from_secs(15), running.wait_with_output()).await;
    let ended = ended.expect("in time").expect("it ends");
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(0), "{log}");
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line} is JSON");
    }
}
