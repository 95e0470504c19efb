//! The journal feed: heads, pages of entries with the keys they need, acknowledgements, audit,
//! erasures. Reads the log, never the state of a decision; knows no HTTP.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use inventory::entry::{Entry, Head};
use inventory::log::LogError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::events::Event;
use crate::gate::{Gate, RETRY_AFTER_S};
use crate::problem::{Code, Problem};

/// Longest name of a consumer, in characters.
pub const CONSUMER_CHARS_MAX: usize = 32;

/// The ends of all journals. Waits for `wait` until a head has moved since `after_version`.
pub async fn heads(gate: &Gate, after_version: Option<u64>, wait: Duration) -> Value {
    let mut moved = gate.events.moved();
    let mut stopping = gate.stopping();
    if let Some(after) = after_version {
        tokio::select! {
            _ = moved.wait_for(|version| *version != after) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    let version = *moved.borrow();
    let mut events: Vec<(Uuid, Head)> =
        gate.events.all().iter().map(|event| (event.id, event.view().head)).collect();
    events.sort_by_key(|(id, _)| *id);
    let events: Vec<Value> = events
        .iter()
        .map(|(id, head)| json!({"event": id, "seq": head.seq, "hash": hex(head)}))
        .collect();
    json!({"version": version, "events": events})
}

/// One page of the feed, as its JSON text: entries keep the exact bytes of their data.
pub async fn page(
    gate: &Gate,
    event: &Event,
    after: u64,
    limit: usize,
    wait: Duration,
) -> Result<String, Problem> {
    let mut stopping = gate.stopping();
    let reading = match wait.is_zero() {
        true => gate.log.read(event.id, after, limit),
        false => gate.log.follow(event.id, after, limit, wait),
    };
    let entries = tokio::select! {
        entries = reading => entries.map_err(unread)?,
        _ = stopping.wait_for(|stopping| *stopping) => Vec::new(),
    };
    let orders = orders_of(&entries);
    let keys = match orders.is_empty() {
        true => Vec::new(),
        false => gate.log.data_keys(event.id, &orders).await.map_err(unread)?,
    };
    let keys: Map<String, Value> = keys
        .into_iter()
        .map(|(order, key)| (order.to_string(), Value::from(BASE64.encode(&key.0))))
        .collect();
    let head = gate.log.head(event.id).await.map_err(unread)?;
    let page = Page { event: event.id, entries, keys, head };
    serde_json::to_string(&page).map_err(|error| Problem::internal(error.to_string()))
}

#[derive(Serialize)]
struct Page {
    event: Uuid,
    entries: Vec<Entry>,
    keys: Map<String, Value>,
    head: Head,
}

/// Notes how far a consumer has stored the journal. The hash must be that of the entry; another
/// one means that two journals are in the world.
pub async fn acknowledge(
    gate: &Gate,
    event: &Event,
    consumer: &str,
    seq: u64,
    hash: [u8; 32],
) -> Result<(), Problem> {
    let known = head_at(gate, event, seq).await?.ok_or_else(|| {
        Problem::field(Code::HashMismatch, "seq", "range", "the journal does not reach so far")
    })?;
    if known.hash.0 != hash {
        tracing::error!(event = %event.id, seq, consumer, "acknowledged with another hash");
        return Err(Problem::field(
            Code::HashMismatch,
            "hash",
            "format",
            "the entry has another hash",
        ));
    }
    let name = format!("ack-{}-{consumer}", event.id);
    let stored = gate.log.get(&name).await.map_err(unread)?;
    let stored = stored.and_then(|bytes| serde_json::from_slice::<Ack>(&bytes).ok());
    if stored.is_some_and(|ack| seq <= ack.seq) {
        return Ok(());
    }
    let ack = serde_json::to_vec(&Ack { seq, hash: HEXLOWER.encode(&hash) })
        .map_err(|error| Problem::internal(error.to_string()))?;
    gate.log.put(&name, &ack).await.map_err(unread)
}

#[derive(Serialize, Deserialize)]
struct Ack {
    seq: u64,
    hash: String,
}

/// Quotas of an event and whether they balance.
pub fn audit(event: &Event) -> Value {
    let view = event.view();
    let quotas: Vec<Value> = view
        .quotas
        .iter()
        .map(|q| {
            json!({"id": q.id, "size": q.size, "sold": q.sold, "held": q.held,
                   "blocked": q.blocked, "free": q.free})
        })
        .collect();
    json!({
        "event": event.id,
        "quotas": quotas,
        "head": {"seq": view.head.seq, "hash": hex(&view.head)},
        "balanced": view.balanced,
    })
}

/// Erases the key of an order's personal data for good. Idempotent.
pub async fn erase(gate: &Gate, event: &Event, order: Uuid) -> Result<(), Problem> {
    gate.log.erase_key(event.id, order).await.map_err(unread)?;
    gate.people.forget(order);
    tracing::info!(event = %event.id, %order, "data key erased");
    Ok(())
}

/// The event of a feed request.
pub fn event(gate: &Gate, id: Uuid) -> Result<Arc<Event>, Problem> {
    gate.events.by_id(id).ok_or_else(|| Problem::new(Code::UnknownEvent, "no such event here"))
}

async fn head_at(gate: &Gate, event: &Event, seq: u64) -> Result<Option<Head>, Problem> {
    let Some(before) = seq.checked_sub(1) else { return Ok(Some(Head::genesis(event.id))) };
    let entries = gate.log.read(event.id, before, 1).await.map_err(unread)?;
    Ok(entries.first().filter(|entry| entry.seq == seq).map(Entry::head))
}

/// Orders that the entries name, each once.
fn orders_of(entries: &[Entry]) -> Vec<Uuid> {
    #[derive(Deserialize)]
    struct Named {
        order: Uuid,
    }
    let read = |data: &RawValue| serde_json::from_str::<Named>(data.get()).ok();
    let orders: BTreeSet<Uuid> = entries
        .iter()
        .filter(|entry| entry.kind.starts_with("order."))
        .filter_map(|entry| read(&entry.data).map(|named| named.order))
        .collect();
    orders.into_iter().collect()
}

fn hex(head: &Head) -> String {
    HEXLOWER.encode(&head.hash.0)
}

fn unread(error: LogError) -> Problem {
    Problem::new(Code::StoreUnavailable, "the journal cannot be read now")
        .retry_after_s(RETRY_AFTER_S)
        .with_context(error.to_string())
}
