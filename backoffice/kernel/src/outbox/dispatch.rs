//! Empties the outbox: seals each change, hands it to its consumers, removes it, in one transaction.
//! One dispatcher works at a time, so deliveries of a row's changes appear in their order. Rows are
//! taken because they are there, never by a number remembered: one that commits late is not missed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;
use uuid::Uuid;

use super::Event;
use crate::cx::WorkTx;
use crate::db::Row;
use crate::error::Result;
use crate::jobs::pause_between;
use crate::service::{Service, Shutdown};

/// Changes taken at once; a seal's members are bounded by it.
pub(crate) const BATCH_ROWS: u32 = 500;
/// Between two looks at an empty outbox: seals and deliveries are at most this far behind, and what
/// a batch takes.
const IDLE_PAUSE: Duration = Duration::from_millis(100);
/// Key of the advisory lock, held until the commit.
const LOCK: i64 = 4_146_020;

/// After a batch that failed; doubles up to the second.
const ERROR_PAUSE_MIN: SignedDuration = SignedDuration::from_millis(250);
const ERROR_PAUSE_MAX: SignedDuration = SignedDuration::from_secs(10);
/// Organizations whose changes could not be sealed are tried again after this long; the others go on.
const SET_APART: Duration = Duration::from_secs(60);

pub(crate) async fn dispatch(service: Service, end: Shutdown) -> Result<()> {
    let seed = service.new_id();
    let (mut failures, mut apart) = (0_u32, Vec::new());
    while !end.requested() {
        apart.retain(|(_, since): &(Uuid, Instant)| since.elapsed() < SET_APART);
        let without: Vec<Uuid> = apart.iter().map(|(org, _)| *org).collect();
        let pause = match batch(&service, &without).await {
            Ok(Batch { count, failed }) => {
                failures = 0;
                service.beat("outbox", "");
                apart.extend(failed.into_iter().map(|org| (org, Instant::now())));
                if count > 0 { Duration::ZERO } else { IDLE_PAUSE }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::error!(error = error.log_text(), failures, "the outbox could not be read");
                service.metrics().look_failed("outbox");
                let pause = pause_between(ERROR_PAUSE_MIN, ERROR_PAUSE_MAX, seed, failures);
                Duration::try_from(pause).unwrap_or(IDLE_PAUSE)
            }
        };
        if !pause.is_zero() {
            end.pause(pause).await;
        }
    }
    Ok(())
}

/// What became of a batch.
struct Batch {
    /// Changes that were taken.
    count: usize,
    /// Organizations whose changes stay in the outbox.
    failed: BTreeSet<Uuid>,
}

/// One batch; how many changes that were.
#[cfg(feature = "testkit")]
pub(crate) async fn dispatch_batch(service: &Service) -> Result<usize> {
    batch(service, &[]).await.map(|batch| batch.count)
}

/// All organizations' changes in one; where that fails, each organization's seal for itself, so that
/// one whose chain is broken stays behind alone.
async fn batch(service: &Service, without: &[Uuid]) -> Result<Batch> {
    match attempt(service, without, Care::None).await {
        Ok(batch) => Ok(batch),
        Err(error) => {
            tracing::warn!(error = error.log_text(), "a batch could not be sealed as a whole");
            attempt(service, without, Care::EachOrganization).await
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    None,
    EachOrganization,
}

async fn attempt(service: &Service, without: &[Uuid], care: Care) -> Result<Batch> {
    let tx = service.work().await?;
    let nothing = Batch { count: 0, failed: BTreeSet::new() };
    let locked = tx.query_one("select pg_try_advisory_xact_lock($1)", &[&LOCK]).await?;
    if !locked.try_get::<_, bool>(0)? {
        return tx.rollback().await.map(|()| nothing);
    }
    let rows = tx
        .query(
            "select id, org_id, topic, row_id, change_id, body, created_at, causation from outbox \
              where org_id <> all($2) order by id limit $1",
            &[&i64::from(BATCH_ROWS), &without],
        )
        .await?;
    let mut events = rows.iter().map(event).collect::<Result<Vec<_>>>()?;
    if events.is_empty() {
        return tx.rollback().await.map(|()| nothing);
    }
    let failed = seal(&tx, &events, care).await?;
    events.retain(|event| !failed.contains(&event.org));
    hand_out(&tx, service, &events).await?;
    let ids: Vec<i64> = events.iter().map(|event| event.id).collect();
    tx.execute("delete from outbox where id = any($1)", &[&ids]).await?;
    tx.commit().await?;
    Ok(Batch { count: events.len(), failed })
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

/// Answers the organizations whose changes could not be sealed.
async fn seal(tx: &WorkTx, events: &[Event], care: Care) -> Result<BTreeSet<Uuid>> {
    let mut changes: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    for event in events {
        if let Some(change) = event.change {
            changes.entry(event.org).or_default().push(change);
        }
    }
    let mut failed = BTreeSet::new();
    for (org, ids) in changes {
        if care == Care::None {
            seal_of(tx, org, &ids).await?;
            continue;
        }
        tx.savepoint().await?;
        match seal_of(tx, org, &ids).await {
            Ok(()) => tx.release_savepoint().await?,
            Err(error) => {
                tx.undo_savepoint().await?;
                tracing::error!(%org, error = error.log_text(), "changes could not be sealed");
                tx.service().metrics().count("organizations_not_sealed", 1);
                failed.insert(org);
            }
        }
    }
    Ok(failed)
}

async fn seal_of(tx: &WorkTx, org: Uuid, ids: &[Uuid]) -> Result<()> {
    // The function takes the organization from the setting, as every definer does.
    let sql = "select seal_changes($2, $3) from set_config('app.org_id', $1, true)";
    tx.query(sql, &[&org.to_string(), &ids, &tx.now]).await.map(drop)
}

/// Due at once, whatever the clocks of those that bring them say.
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
             select org, $1, event, topic, row, change, body, at, causation, 'epoch' \
               from unnest($2::uuid[], $3::bigint[], $4::text[], $5::uuid[], $6::uuid[], \
                           $7::jsonb[], $8::timestamptz[], $9::bigint[]) \
                    as e (org, event, topic, row, change, body, at, causation)",
            &[&consumer.name, &orgs, &ids, &topics, &rows, &changes, &bodies, &times, &causes],
        )
        .await?;
    }
    Ok(())
}
