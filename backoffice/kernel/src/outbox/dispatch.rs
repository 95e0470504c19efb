//! Empties the outbox: seals each change, hands it to its consumers, removes it, in one transaction.
//! One dispatcher works at a time, so deliveries of a row's changes appear in their order. Rows are
//! taken because they are there, never by a number remembered: one that commits late is not missed.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::Event;
use crate::cx::WorkTx;
use crate::db::Row;
use crate::error::Result;
use crate::service::{Service, Shutdown};

/// Changes taken at once; a seal's members are bounded by it.
pub(crate) const BATCH_ROWS: u32 = 500;
/// Between two looks at an empty outbox: seals and deliveries are at most this far behind, and what
/// a batch takes.
const IDLE_PAUSE: Duration = Duration::from_millis(100);
/// Key of the advisory lock, held until the commit.
const LOCK: i64 = 4_146_020;

pub(crate) async fn dispatch(service: Service, end: Shutdown) -> Result<()> {
    while !end.requested() {
        if dispatch_batch(&service).await? == 0 && !end.pause(IDLE_PAUSE).await {
            break;
        }
    }
    Ok(())
}

/// One batch; how many changes that were.
pub(crate) async fn dispatch_batch(service: &Service) -> Result<usize> {
    let tx = service.work().await?;
    let locked = tx.query_one("select pg_try_advisory_xact_lock($1)", &[&LOCK]).await?;
    if !locked.try_get::<_, bool>(0)? {
        tx.rollback().await?;
        return Ok(0);
    }
    let rows = tx
        .query(
            "delete from outbox where id in (select id from outbox order by id limit $1) \
             returning id, org_id, topic, row_id, change_id, body, created_at, causation",
            &[&i64::from(BATCH_ROWS)],
        )
        .await?;
    let mut events = rows.iter().map(event).collect::<Result<Vec<_>>>()?;
    if events.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    events.sort_unstable_by_key(|event| event.id);
    seal(&tx, &events).await?;
    hand_out(&tx, service, &events).await?;
    tx.commit().await?;
    Ok(events.len())
}

pub(super) fn event(row: &Row) -> Result<Event> {
    Ok(Event {
        id: row.try_get(0)?,
        org: row.try_get(1)?,
        topic: row.try_get(2)?,
        row: row.try_get(3)?,
        change: row.try_get(4)?,
        body: row.try_get(5)?,
        at: row.try_get(6)?,
        causation: u8::try_from(row.try_get::<_, i64>(7)?).unwrap_or(u8::MAX),
    })
}

async fn seal(tx: &WorkTx, events: &[Event]) -> Result<()> {
    let mut changes: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    for event in events {
        if let Some(change) = event.change {
            changes.entry(event.org).or_default().push(change);
        }
    }
    for (org, ids) in changes {
        // The function takes the organization from the setting, as every definer does.
        let sql = "select seal_changes($2, $3) from set_config('app.org_id', $1, true)";
        tx.query(sql, &[&org.to_string(), &ids, &tx.now]).await?;
    }
    Ok(())
}

async fn hand_out(tx: &WorkTx, service: &Service, events: &[Event]) -> Result<()> {
    for consumer in service.registry().consumers() {
        let heard: Vec<&Event> =
            events.iter().filter(|event| consumer.hears(&event.topic)).collect();
        if heard.is_empty() {
            continue;
        }
        let ids: Vec<i64> = heard.iter().map(|event| event.id).collect();
        let orgs: Vec<Uuid> = heard.iter().map(|event| event.org).collect();
        let topics: Vec<&str> = heard.iter().map(|event| event.topic.as_str()).collect();
        let rows: Vec<Uuid> = heard.iter().map(|event| event.row).collect();
        let changes: Vec<Option<Uuid>> = heard.iter().map(|event| event.change).collect();
        let bodies: Vec<&serde_json::Value> = heard.iter().map(|event| &event.body).collect();
        let times: Vec<jiff::Timestamp> = heard.iter().map(|event| event.at).collect();
        let causes: Vec<i64> = heard.iter().map(|event| i64::from(event.causation)).collect();
        tx.execute(
            "insert into outbox_deliveries (org_id, consumer, event, topic, row_id, change_id, \
                                            body, at, causation, due_at) \
             select org, $1, event, topic, row, change, body, at, causation, $10 \
               from unnest($2::uuid[], $3::bigint[], $4::text[], $5::uuid[], $6::uuid[], \
                           $7::jsonb[], $8::timestamptz[], $9::bigint[]) \
                    as e (org, event, topic, row, change, body, at, causation)",
            &[
                &consumer.name,
                &orgs,
                &ids,
                &topics,
                &rows,
                &changes,
                &bodies,
                &times,
                &causes,
                &tx.now,
            ],
        )
        .await?;
    }
    Ok(())
}
