//! A hundred thousand tickets, one an order, hold and order durable, 64 clients racing: how long until
//! the last is sold, and that no more and no fewer are.

#![allow(clippy::expect_used, reason = "a figure whose house does not stand has nothing to say")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use benches::hall::{EVENT, GENERAL, Hall, serving};
use benches::load::{Connection, request};
use benches::{Figure, quantile, say, verdict};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const PLACES: usize = 100_000;
const CLIENTS: usize = 64;

fn main() -> ExitCode {
    if let Some(code) = serving() {
        return ExitCode::from(code);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(figure())
}

async fn figure() -> ExitCode {
    let hall = Hall::open(PLACES).await;
    let gate = hall.gate().await;
    let body = json!({"event": EVENT, "items": [{"ticket_type": GENERAL, "quantity": 1}]});
    let hold = Arc::new(request("POST", "/api/v1/shop/holds", &[], &body.to_string()));
    let sold = Arc::new(AtomicU64::new(0));
    let before = (gate.cpu_ns(), hall.store_cpu_ns());
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (hold, sold) = (Arc::clone(&hold), Arc::clone(&sold));
        let connection = Connection::open(gate.public).await.expect("it listens");
        clients.spawn(buy_until_sold_out(connection, hold, sold));
    }
    let mut waits_us = Vec::new();
    while let Some(done) = clients.join_next().await {
        waits_us.extend(done.expect("a client ends"));
    }
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let after = (gate.cpu_ns(), hall.store_cpu_ns());
    let sold = sold.load(Ordering::Relaxed);
    let audit = hall.audit(&gate).await;
    let exact = sold == PLACES as u64
        && audit["quotas"][0]["sold"] == json!(PLACES)
        && audit["balanced"] == json!(true);
    say(&format!("{sold} sold of {PLACES}, books: {}", audit["quotas"][0]));
    let each = |ns: u64| ns / (sold.max(1) * 1_000);
    say(&format!(
        "CPU of an order with its hold: {} µs gate, {} µs Redis; a reply: p50 {} µs, p99 {} µs",
        each(after.0 - before.0),
        each(after.1 - before.1),
        quantile(&mut waits_us, 500),
        quantile(&mut waits_us, 990),
    ));
    if !exact {
        say("the books do not show exactly what was sold: BROKEN");
        return ExitCode::FAILURE;
    }
    verdict(&[Figure { name: "until sold out", thousandths: ms, limit: 15, unit: "s" }])
}

/// What each reply took, microseconds.
async fn buy_until_sold_out(
    mut connection: Connection,
    hold: Arc<Vec<u8>>,
    sold: Arc<AtomicU64>,
) -> Vec<u64> {
    let mut waits_us = Vec::new();
    loop {
        let begun = Instant::now();
        let held = connection.send(&hold).await.expect("an answer");
        waits_us.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        let told: Value = serde_json::from_slice(&held.body).unwrap_or_default();
        if held.status == 409 && told["code"] == "sold_out" {
            return waits_us;
        }
        assert_eq!(held.status, 201, "{told}");
        let body = json!({"hold": told["id"], "payment": {"method": "free"},
                          "buyer": {"name": "Ada Lovelace", "email": "ada@example.org"}});
        let order = request("POST", "/api/v1/shop/orders", &[], &body.to_string());
        let begun = Instant::now();
        let ordered = connection.send(&order).await.expect("an answer");
        waits_us.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        assert_eq!(ordered.status, 201, "{}", String::from_utf8_lossy(&ordered.body));
        sold.fetch_add(1, Ordering::Relaxed);
    }
}
