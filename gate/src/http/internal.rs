//! The journal feed's doors, on the internal listener.

use std::time::Duration;

use inventory::log::ENTRIES_PER_READ_MAX;

use super::body::{self, Query};
use super::call::{Call, Reply};
use crate::gate::Gate;
use crate::journal;
use crate::json::Fields;
use crate::problem::Problem;
use crate::routes::FEED_WAIT_MS_MAX;

/// Entries of a page when no limit is asked for.
const PAGE_ENTRIES: u64 = 500;

pub(super) async fn heads(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let query = Query::of(call)?;
    let after = query.number("after_version")?;
    let heads = journal::heads(gate, after, wait(&query)?).await;
    Ok(Reply::json(200, &heads).private())
}

pub(super) async fn entries(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let query = Query::of(call)?;
    let event = journal::event(gate, query.required_uuid("event")?)?;
    let after = query.number("after")?.unwrap_or(0);
    let limit = query.number("limit")?.unwrap_or(PAGE_ENTRIES);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, ENTRIES_PER_READ_MAX);
    let page = journal::page(gate, &event, after, limit, wait(&query)?).await?;
    Ok(Reply::text(200, "application/json", page).private())
}

pub(super) async fn acknowledge(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let mut fields = Fields::root(body::json(call)?)?;
    let consumer = fields.matching("consumer", "1 to 32 of a-z 0-9 _ -", is_consumer);
    let (event, seq, hash) = (fields.uuid("event"), fields.u64("seq"), fields.hash("hash"));
    fields.finish()?;
    let event = journal::event(gate, event)?;
    journal::acknowledge(gate, &event, &consumer, seq, hash).await?;
    Ok(Reply::empty(204))
}

pub(super) fn audit(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let event = journal::event(gate, Query::of(call)?.required_uuid("event")?)?;
    Ok(Reply::json(200, &journal::audit(&event)).private())
}

pub(super) async fn erase(gate: &Gate, call: &Call) -> Result<Reply, Problem> {
    let mut fields = Fields::root(body::json(call)?)?;
    let (event, order) = (fields.uuid("event"), fields.uuid("order"));
    fields.finish()?;
    let event = journal::event(gate, event)?;
    journal::erase(gate, &event, order).await?;
    Ok(Reply::empty(204))
}

fn wait(query: &Query<'_>) -> Result<Duration, Problem> {
    let wait_ms = query.number("wait_ms")?.unwrap_or(0);
    Ok(Duration::from_millis(wait_ms.min(FEED_WAIT_MS_MAX)))
}

fn is_consumer(text: &str) -> bool {
    (1..=journal::CONSUMER_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}
