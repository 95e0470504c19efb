//! Brings deliveries to their consumers. One process at a time works for a consumer, under an
//! advisory lock; each consumer has a task of its own, so one that fails or is slow holds no other
//! up. A delivery ends in the transaction of its effects; one that fails comes again later, and
//! after many times is parked for an operator.

use std::time::Duration;

use tokio::task::JoinSet;
use uuid::Uuid;

use super::{CAUSATION_MAX, Consumer, Event, Hear, HearByWork, dispatch};
use crate::clock::after;
use crate::cx::{Actor, Begin, Mode, WorkTx};
use crate::error::{Code, Error, Result};
use crate::jobs::pause_after;
use crate::service::{Service, Shutdown};

/// Deliveries taken at once.
const BATCH_ROWS: i64 = 100;
/// Between two looks at a consumer without deliveries.
const IDLE_PAUSE: Duration = Duration::from_millis(100);
/// Between two tries of a consumer whose batch could not even begin or end.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// One call of a consumer; well below the time that the lock's transaction may idle.
const RUN_TIME_MAX: Duration = Duration::from_secs(30);
/// A batch begins no further call after this long.
const BATCH_TIME_MAX: Duration = Duration::from_secs(60);
/// Tries until a delivery is parked: with their pauses some hours.
const ATTEMPTS_MAX: i64 = 15;
/// First key of the advisory locks of consumers; the second is a hash of the name.
const LOCK_CLASS: i32 = 4_146_021;
/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 2_000;

pub(crate) async fn consume(service: Service, end: Shutdown) -> Result<()> {
    let mut tasks = JoinSet::new();
    for consumer in service.registry().consumers() {
        tasks.spawn(keep(service.clone(), consumer, end.clone()));
    }
    while tasks.join_next().await.is_some() {}
    let mut end = end;
    end.wait().await;
    Ok(())
}

async fn keep(service: Service, consumer: &'static Consumer, end: Shutdown) {
    while !end.requested() {
        let pause = match deliver(&service, consumer, None).await {
            Ok(0) => IDLE_PAUSE,
            Ok(_) => continue,
            Err(error) => {
                let error = error.log_text();
                tracing::error!(consumer = consumer.name, error, "a consumer's batch failed");
                ERROR_PAUSE
            }
        };
        end.pause(pause).await;
    }
}

/// One batch, of one organization when it is given; how many deliveries were tried.
pub(crate) async fn deliver(
    service: &Service,
    consumer: &'static Consumer,
    org: Option<Uuid>,
) -> Result<usize> {
    let tx = service.work().await?;
    let sql = "select pg_try_advisory_xact_lock($1, hashtext($2))";
    let locked = tx.query_one(sql, &[&LOCK_CLASS, &consumer.name]).await?;
    if !locked.try_get::<_, bool>(0)? {
        tx.rollback().await?;
        return Ok(0);
    }
    let rows = tx
        .query(
            "select event, org_id, topic, row_id, change_id, body, at, causation \
               from outbox_deliveries \
              where consumer = $1 and parked_at is null and due_at <= $2 \
                and ($3::uuid is null or org_id = $3) \
              order by event limit $4",
            &[&consumer.name, &tx.now, &org, &BATCH_ROWS],
        )
        .await?;
    let events = rows.iter().map(dispatch::event).collect::<Result<Vec<_>>>()?;
    if events.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    let (far, near): (Vec<Event>, Vec<Event>) =
        events.into_iter().partition(|event| event.causation >= CAUSATION_MAX);
    for event in &far {
        let error = Error::internal("effects of effects without end");
        put_off(&tx, consumer, event.id, &error, 1).await?;
    }
    let count = near.len() + far.len();
    match consumer.run {
        Hear::Work(run) => by_work(tx, consumer, run, near).await?,
        Hear::Organization(_) => by_organization(tx, consumer, near).await?,
    }
    Ok(count)
}

async fn by_work(
    tx: WorkTx,
    consumer: &'static Consumer,
    run: HearByWork,
    events: Vec<Event>,
) -> Result<()> {
    let failed = match limited(run(&tx, &events)).await {
        Ok(failed) => failed,
        Err(error) => {
            // The transaction goes, and the lock with it: another one says so.
            let service = tx.service().clone();
            tx.rollback().await?;
            let tx = service.work().await?;
            for event in &events {
                put_off(&tx, consumer, event.id, &error, ATTEMPTS_MAX).await?;
            }
            return tx.commit().await;
        }
    };
    let is_done = |event: &&Event| !failed.iter().any(|(id, _)| *id == event.id);
    let done: Vec<i64> = events.iter().filter(is_done).map(|event| event.id).collect();
    for (id, error) in &failed {
        put_off(&tx, consumer, *id, error, ATTEMPTS_MAX).await?;
    }
    let sql = "delete from outbox_deliveries where consumer = $1 and event = any($2)";
    tx.execute(sql, &[&consumer.name, &done]).await?;
    tx.commit().await
}

async fn by_organization(
    tx: WorkTx,
    consumer: &'static Consumer,
    events: Vec<Event>,
) -> Result<()> {
    let begun = tokio::time::Instant::now();
    for group in groups(&events) {
        if begun.elapsed() > BATCH_TIME_MAX {
            break;
        }
        let Err(error) = hear(tx.service(), consumer, &group).await else { continue };
        if group.len() == 1 {
            put_off_all(&tx, consumer, &group, &error).await?;
            continue;
        }
        // One of them, or several: each by itself.
        for event in &group {
            let alone = std::slice::from_ref(event);
            if let Err(error) = hear(tx.service(), consumer, alone).await {
                put_off_all(&tx, consumer, alone, &error).await?;
            }
        }
    }
    tx.commit().await
}

async fn put_off_all(
    tx: &WorkTx,
    consumer: &Consumer,
    events: &[Event],
    error: &Error,
) -> Result<()> {
    for event in events {
        put_off(tx, consumer, event.id, error, ATTEMPTS_MAX).await?;
    }
    Ok(())
}

/// Neighbors of one organization and one length of the chain, in their order.
fn groups(events: &[Event]) -> Vec<Vec<Event>> {
    let mut groups: Vec<Vec<Event>> = Vec::new();
    for event in events {
        let same = |group: &&mut Vec<Event>| group.last().is_some_and(|last| last.org == event.org);
        // Within an organization the order stays; between two there is none.
        match groups.iter_mut().rfind(same) {
            Some(group) if group.last().is_some_and(|l| l.causation == event.causation) => {
                group.push(event.clone());
            }
            _ => groups.push(vec![event.clone()]),
        }
    }
    groups
}

/// The consumer's effects and the end of the deliveries, in one.
async fn hear(service: &Service, consumer: &'static Consumer, events: &[Event]) -> Result<()> {
    let Hear::Organization(run) = consumer.run else {
        return Err(Error::internal("a consumer by work was given a unit of work"));
    };
    let Some(first) = events.first() else { return Ok(()) };
    let mut cx = service
        .open_with(Begin {
            actor: Actor::Service(consumer.name),
            org: first.org,
            request_id: service.new_id(),
            mode: Mode::Write,
            causation: first.causation.saturating_add(1),
        })
        .await?;
    let outcome = limited(run(&mut cx, events)).await;
    let ids: Vec<i64> = events.iter().map(|event| event.id).collect();
    let outcome = match outcome {
        Ok(()) => {
            let row = cx.query_one("select delivered($1, $2)", &[&consumer.name, &ids]).await?;
            let ended = usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0);
            match ended == ids.len() {
                true => Ok(()),
                false => Err(Error::new(Code::Conflict, "another process has the deliveries")),
            }
        }
        Err(error) => Err(error),
    };
    cx.finish(outcome).await
}

async fn limited<T>(run: impl Future<Output = Result<T>>) -> Result<T> {
    use futures_util::FutureExt as _;
    let guarded = std::panic::AssertUnwindSafe(run).catch_unwind();
    match tokio::time::timeout(RUN_TIME_MAX, guarded).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Error::internal("the consumer panicked")),
        Err(_) => Err(Error::new(Code::TimedOut, "the consumer took too long")),
    }
}

/// Later, or not before an operator says so.
async fn put_off(
    tx: &WorkTx,
    consumer: &Consumer,
    event: i64,
    error: &Error,
    attempts_max: i64,
) -> Result<()> {
    let text: String = error.log_text().chars().take(ERROR_CHARS_MAX).collect();
    tracing::warn!(consumer = consumer.name, event, error = text, "an event could not be heard");
    tx.service().metrics().delivery_failed(consumer.name);
    let sql = "select attempts from outbox_deliveries where consumer = $1 and event = $2";
    let Some(row) = tx.query_opt(sql, &[&consumer.name, &event]).await? else { return Ok(()) };
    let attempts = row.try_get::<_, i64>(0)?.saturating_add(1);
    let parked_at = (attempts >= attempts_max).then_some(tx.now);
    let seed = Uuid::from_u128(u128::try_from(event).unwrap_or(0));
    let pause = pause_after(seed, u32::try_from(attempts).unwrap_or(u32::MAX));
    tx.execute(
        "update outbox_deliveries set attempts = $3, error = $4, due_at = $5, parked_at = $6 \
          where consumer = $1 and event = $2",
        &[&consumer.name, &event, &attempts, &text, &after(tx.now, pause), &parked_at],
    )
    .await?;
    Ok(())
}
