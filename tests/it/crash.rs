//! Either side is killed without a word while people buy and enter. Afterwards: what was
//! acknowledged is there, each entry of the journal stands at the back office exactly once, and its
//! projections are those of the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use inventory::entry::{Entry, Head};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use system::{House, until};
use uuid::Uuid;

const CLIENTS: usize = 4;
const PURCHASES_PER_CLIENT: usize = 8;

/// Tickets that a client was told are sold, and those that it was told are inside.
#[derive(Default)]
struct Told {
    sold: BTreeSet<String>,
    admitted: BTreeSet<String>,
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_either_side_is_killed_on_redis() {
    survive("redis").await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_either_side_is_killed_on_files() {
    survive("file").await;
}

async fn survive(store: &'static str) {
    let house = House::up(store, &["--no-walk"]);
    on_sale(&house).await;
    let house = Arc::new(tokio::sync::RwLock::new(house));
    let mut told = Told::default();
    for (round, victims) in
        [&["gate"][..], &["backoffice"], &["gate", "backoffice"]].iter().enumerate()
    {
        let done = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                tokio::spawn(buy_and_enter(
                    house.clone(),
                    format!("{round}-{client}"),
                    done.clone(),
                ))
            })
            .collect();
        until("some were served", async || done.load(Ordering::Relaxed) >= CLIENTS).await;
        for victim in *victims {
            house.read().await.kill(victim);
        }
        house.write().await.start(&["--no-walk"]);
        for client in clients {
            let served = client.await.expect("a client's task");
            told.sold.extend(served.sold);
            told.admitted.extend(served.admitted);
        }
    }
    assert_eq!(
        told.sold.len(),
        3 * CLIENTS * PURCHASES_PER_CLIENT,
        "every purchase was acknowledged once"
    );
    compare(&*house.read().await, &told).await;
}

async fn on_sale(house: &House) {
    let path = format!("/api/v1/shop/events/{}", house.demo("event_id"));
    until("the gate sells", async || {
        house.ask("gate_url", Method::GET, &path, "", None).await.status == StatusCode::OK
    })
    .await;
}

/// A client that repeats the same request, with the same key or nonce, until it is answered.
async fn buy_and_enter(
    house: Arc<tokio::sync::RwLock<House>>,
    name: String,
    done: Arc<AtomicUsize>,
) -> Told {
    let mut told = Told::default();
    let (event, kind, device) = {
        let house = house.read().await;
        (
            house.demo("event_id"),
            house.demo("ticket_type_id"),
            format!("Bearer {}", house.demo("device_token")),
        )
    };
    for number in 0..PURCHASES_PER_CLIENT {
        let key = format!("purchase-of-{name}-{number}");
        let body = json!({"event": event, "items": [{"ticket_type": kind, "quantity": 1}]});
        let hold = insist(&house, "/api/v1/shop/holds", "", &key, body, StatusCode::CREATED).await;
        let person = json!({"name": format!("Guest {name}-{number}"), "email": format!("{name}-{number}@example.org")});
        let body =
            json!({"hold": hold["id"], "payment": {"method": "free"}, "attendees": [person]});
        let order =
            insist(&house, "/api/v1/shop/orders", "", &key, body, StatusCode::CREATED).await;
        let ticket = &order["tickets"][0];
        let id = ticket["id"].as_str().expect("a ticket id").to_owned();
        told.sold.insert(id.clone());
        let body = json!({
            "credential": ticket["credential"], "gate": "Lane 1", "zone": "main",
            "nonce": format!("scan-{name}-{number}"),
        });
        let verdict =
            insist(&house, "/api/v1/check-in/scan", &device, "", body, StatusCode::OK).await;
        assert_eq!(verdict["verdict"], "admit", "{id}: {verdict}");
        told.admitted.insert(id);
        done.fetch_add(1, Ordering::Relaxed);
    }
    told
}

/// Sends until there is an answer that is neither a cut connection nor "come again".
async fn insist(
    house: &tokio::sync::RwLock<House>,
    path: &str,
    token: &str,
    key: &str,
    body: Value,
    expected: StatusCode,
) -> Value {
    let asked = tokio::time::timeout(system::WAIT, async {
        let mut ticks = tokio::time::interval(system::TICK);
        loop {
            ticks.tick().await;
            if let Some((status, reply)) = try_once(house, path, token, key, &body).await
                && status != StatusCode::SERVICE_UNAVAILABLE
                && reply["reason"] != "store_unavailable"
            {
                return (status, reply);
            }
        }
    });
    let (status, reply) = asked.await.unwrap_or_else(|_| panic!("{path} was not answered in time"));
    assert_eq!(status, expected, "{path}: {reply}");
    reply
}

async fn try_once(
    house: &tokio::sync::RwLock<House>,
    path: &str,
    token: &str,
    key: &str,
    body: &Value,
) -> Option<(StatusCode, Value)> {
    let (url, client) = {
        let house = house.try_read().ok()?;
        (format!("{}{path}", house.demo("gate_url")), house.client.clone())
    };
    let mut request = client.post(url).json(body);
    if !token.is_empty() {
        request = request.header("Authorization", token);
    }
    if !key.is_empty() {
        request = request.header("Idempotency-Key", key);
    }
    let response = request.send().await.ok()?;
    let status = response.status();
    Some((status, response.json().await.ok()?))
}

async fn compare(house: &House, told: &Told) {
    let event: Uuid = house.demo("event_id").parse().expect("an id");
    let journal = gate_journal(house, event).await;
    let head = journal.last().expect("entries").head();
    let chained = journal.iter().try_fold(Head::genesis(event), |at, entry| {
        entry.follows(at).then(|| entry.head()).ok_or(entry.seq)
    });
    assert_eq!(chained, Ok(head), "the gate's journal is one chain");

    let staff = format!("Bearer {}", house.demo("api_token"));
    until("the back office projected everything", async || {
        let path = format!("/api/v1/gate-cursors?filter[event_id]={event}");
        let answer = house.ask("backoffice_url", Method::GET, &path, &staff, None).await;
        answer.body["data"][0]["projected_seq"] == head.seq
    })
    .await;

    let stored =
        all_rows(house, &staff, &format!("/api/v1/gate-journal?filter[event_id]={event}&sort=seq"))
            .await;
    let stored: Vec<_> =
        stored.iter().map(|row| (row["seq"].as_u64(), row["kind"].as_str())).collect();
    let sent: Vec<_> =
        journal.iter().map(|entry| (Some(entry.seq), Some(entry.kind.as_str()))).collect();
    assert_eq!(stored, sent, "the stored journal is the gate's, each entry once");

    let rows =
        all_rows(house, &staff, &format!("/api/v1/registrations?filter[event_id]={event}")).await;
    let registered: BTreeMap<_, _> =
        rows.iter().map(|row| (text(&row["ticket"]), text(&row["status"]))).collect();
    assert_eq!(registered.len(), rows.len(), "a ticket has two registrations");
    let issued: usize = of_kind(&journal, "order.confirmed")
        .map(|data| data["tickets"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(rows.len(), issued, "one registration a ticket of the journal");
    for ticket in &told.sold {
        assert_eq!(registered.get(ticket).map(String::as_str), Some("checked_in"), "{ticket}");
    }
    assert!(
        rows.iter().all(|row| text(&row["attendee_name"]).starts_with("Guest ")),
        "names were opened"
    );

    let log =
        all_rows(house, &staff, &format!("/api/v1/credential-access-log?filter[event_id]={event}"))
            .await;
    let decided = of_kind(&journal, "scan.decided").count();
    assert_eq!(log.len(), decided, "one row of the access log a decision");
    let admitted = log.iter().filter(|row| row["verdict"] == "admit").count();
    assert_eq!(admitted, told.admitted.len(), "each was admitted exactly once");

    let internal = format!("Bearer {}", house.demo("internal_token"));
    let path = format!("/internal/v1/audit?event={event}");
    let audit = house.ask("gate_internal_url", Method::GET, &path, &internal, None).await;
    assert_eq!(audit.body["balanced"], true, "{}", audit.body);
}

#[derive(serde::Deserialize)]
struct Page {
    entries: Vec<Entry>,
}

async fn gate_journal(house: &House, event: Uuid) -> Vec<Entry> {
    let internal = format!("Bearer {}", house.demo("internal_token"));
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.seq);
        let path = format!("/internal/v1/journal?event={event}&after={after}&limit=500");
        let page = house.ask("gate_internal_url", Method::GET, &path, &internal, None).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        // From the text, so that `data` keeps the bytes that were hashed.
        let Page { entries: found } = serde_json::from_str(&page.text).expect("a page of entries");
        if found.is_empty() {
            return entries;
        }
        entries.extend(found);
    }
}

async fn all_rows(house: &House, token: &str, path: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = house
            .ask("backoffice_url", Method::GET, &format!("{path}&limit=200{cursor}"), token, None)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        rows.extend(answer.body["data"].as_array().expect("data").iter().cloned());
        match answer.body["page"]["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

fn of_kind<'a>(journal: &'a [Entry], kind: &'a str) -> impl Iterator<Item = Value> + 'a {
    journal
        .iter()
        .filter(move |entry| entry.kind == kind)
        .map(|entry| serde_json::from_str(entry.data.get()).expect("data is JSON"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
