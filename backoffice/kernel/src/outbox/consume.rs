//! Brings deliveries to their consumers. One process at a time works for a consumer, under an
//! advisory lock; each consumer has a task of its own, so one that fails or is slow holds no other
//! up. A delivery ends in the transaction of its effects; one that fails comes again later, before
//! any later event of its row, and after many times is parked for an operator.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::{CAUSATION_MAX, Consumer, Event, Hear, HearByWork, dispatch};
use crate::clock::after;
use crate::cx::{Actor, Begin, Mode, WorkTx};
use crate::error::{Code, Error, Result};
use crate::jobs::pause_after;
use crate::service::{Service, Shutdown};

/// Deliveries taken at once.
const BATCH_ROWS: usize = 100;
/// Of each organization at least, when many have something to tell.
const BATCH_ROWS_EACH_MIN: usize = 10;
/// Organizations among which a batch is shared out; the next batch begins after the last of them.
const ORGS_MAX: usize = 256;
/// Between two looks at a consumer without deliveries.
const IDLE_PAUSE: Duration = Duration::from_millis(100);
/// Between two tries of a consumer whose batch could not even begin or end.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// One call of a consumer; well below the time that the lock's transaction may idle.
const RUN_TIME_MAX: Duration = Duration::from_secs(30);
/// A batch begins no further call after this long: with the last one it ends before the lock's
/// transaction has idled for too long.
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
    let mut turn = Turn::default();
    while !end.requested() {
        let pause = match deliver(&service, consumer, None, &mut turn).await {
            Ok(count) => {
                service.beat("consumers", consumer.name);
                if count > 0 {
                    continue;
                }
                IDLE_PAUSE
            }
            Err(error) => {
                let error = error.log_text();
                tracing::error!(consumer = consumer.name, error, "a consumer's batch failed");
                service.metrics().look_failed(consumer.name);
                ERROR_PAUSE
            }
        };
        end.pause(pause).await;
    }
}

/// The right to work for a consumer; it ends with its transaction.
async fn lock(service: &Service, consumer: &Consumer) -> Result<Option<WorkTx>> {
    let tx = service.work().await?;
    let sql = "select pg_try_advisory_xact_lock($1, hashtext($2))";
    let locked = tx.query_one(sql, &[&LOCK_CLASS, &consumer.name]).await?;
    if locked.try_get::<_, bool>(0)? {
        return Ok(Some(tx));
    }
    tx.rollback().await.map(|()| None)
}

/// Organizations that have something to tell a consumer, after a given one: each is found by a step
/// along the index, however much it has to tell.
const ORGS: &str = "
    with recursive own (org_id, place) as (
        (select org_id, 1::bigint from outbox_deliveries
          where consumer = $1 and parked_at is null and org_id > $2 order by org_id limit 1)
        union all
        select next.org_id, own.place + 1
          from own cross join lateral (
                select org_id from outbox_deliveries
                 where consumer = $1 and parked_at is null and org_id > own.org_id
                 order by org_id limit 1) as next
         where own.place < $3)
    select org_id from own";

/// What a consumer has to hear: the oldest of each organization, the first of each before the second
/// of any. What follows a failed event of the same row waits for it.
const OPEN: &str = "
    select event, org_id, topic, row_id, change_id, body, at, causation
      from (select open.*, row_number() over (partition by org_id order by event) as nth
              from unnest($3::uuid[]) as own (org)
             cross join lateral (
                    select d.* from outbox_deliveries d
                     where consumer = $1 and org_id = own.org and parked_at is null and due_at <= $2
                       and not exists (select from outbox_deliveries before
                                        where before.consumer = $1 and before.row_id = d.row_id
                                          and before.event < d.event and before.parked_at is null
                                          and before.due_at > $2)
                     order by event limit $5) as open
             order by nth, event limit $4) as fair
     order by event";

/// Whose turn it is at a consumer.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The last organization that had its share; nil at the beginning of a round.
    after: Uuid,
}

/// One batch, of one organization when it is given; how many deliveries were tried.
pub(crate) async fn deliver(
    service: &Service,
    consumer: &'static Consumer,
    org: Option<Uuid>,
    turn: &mut Turn,
) -> Result<usize> {
    let Some(tx) = lock(service, consumer).await? else { return Ok(0) };
    let orgs = match org {
        Some(org) => vec![org],
        None => next_orgs(&tx, consumer, turn).await?,
    };
    let each = BATCH_ROWS.checked_div(orgs.len()).unwrap_or(0).max(BATCH_ROWS_EACH_MIN);
    let rows = match orgs.is_empty() {
        true => Vec::new(),
        false => {
            let (most, each) = (count_of(BATCH_ROWS), count_of(each));
            tx.query(OPEN, &[&consumer.name, &tx.now, &orgs, &most, &each]).await?
        }
    };
    let events = rows.iter().map(dispatch::event).collect::<Result<Vec<_>>>()?;
    let count = events.len();
    let (far, near): (Vec<Event>, Vec<Event>) =
        events.into_iter().partition(|event| event.causation >= CAUSATION_MAX);
    for event in &far {
        let error = Error::internal("effects of effects without end");
        put_off(service, consumer, event.id, &error, 1).await?;
    }
    if near.is_empty() {
        tx.rollback().await?;
        return Ok(count);
    }
    let begun = Instant::now();
    match consumer.run {
        Hear::Work(run) => by_work(tx, consumer, run, near, begun).await?,
        Hear::Organization(_) => by_organization(tx, consumer, near, begun).await?,
    }
    Ok(count)
}

/// The next organizations of the round; when it is through, the first of a new one.
async fn next_orgs(tx: &WorkTx, consumer: &Consumer, turn: &mut Turn) -> Result<Vec<Uuid>> {
    let look = async |after: Uuid| -> Result<Vec<Uuid>> {
        let rows = tx.query(ORGS, &[&consumer.name, &after, &count_of(ORGS_MAX)]).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    };
    let mut orgs = look(turn.after).await?;
    if orgs.is_empty() && !turn.after.is_nil() {
        orgs = look(Uuid::nil()).await?;
    }
    let is_last = orgs.len() < ORGS_MAX;
    turn.after = orgs.last().copied().filter(|_| !is_last).unwrap_or_default();
    Ok(orgs)
}

fn count_of(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// All at once; where that fails, each by itself, so that one of them holds no other up.
async fn by_work(
    tx: WorkTx,
    consumer: &'static Consumer,
    run: HearByWork,
    events: Vec<Event>,
    begun: Instant,
) -> Result<()> {
    let service = tx.service().clone();
    let Err(error) = work_once(tx, consumer, run, &events).await else { return Ok(()) };
    if let [event] = events.as_slice() {
        return put_off(&service, consumer, event.id, &error, ATTEMPTS_MAX).await;
    }
    tracing::warn!(
        consumer = consumer.name,
        error = error.log_text(),
        "a batch could not be heard: each event is tried by itself"
    );
    // Later events of a row whose earlier one fails wait for it.
    let mut failed: Vec<Uuid> = Vec::new();
    for event in &events {
        if begun.elapsed() > BATCH_TIME_MAX {
            break;
        }
        if failed.contains(&event.row) {
            continue;
        }
        let Some(tx) = lock(&service, consumer).await? else { break };
        let alone = std::slice::from_ref(event);
        if let Err(error) = work_once(tx, consumer, run, alone).await {
            failed.push(event.row);
            put_off(&service, consumer, event.id, &error, ATTEMPTS_MAX).await?;
        }
    }
    Ok(())
}

/// The consumer's effects and the end of the deliveries, in the lock's own transaction.
async fn work_once(
    tx: WorkTx,
    consumer: &'static Consumer,
    run: HearByWork,
    events: &[Event],
) -> Result<()> {
    let service = tx.service().clone();
    let failed = match limited(run(&tx, events)).await {
        Ok(failed) => failed,
        Err(error) => {
            // The consumer's error is what matters; a connection that cannot roll back is closed.
            if let Err(second) = tx.rollback().await {
                tracing::warn!(error = second.log_text(), "a rollback failed");
            }
            return Err(error);
        }
    };
    let row_of = |id: &i64| events.iter().find(|event| event.id == *id).map(|event| event.row);
    // What follows a failed event of its row is heard again, after it.
    let is_done = |event: &&Event| {
        !failed.iter().any(|(id, _)| *id <= event.id && row_of(id) == Some(event.row))
    };
    let done: Vec<i64> = events.iter().filter(is_done).map(|event| event.id).collect();
    let sql = "delete from outbox_deliveries where consumer = $1 and event = any($2)";
    tx.execute(sql, &[&consumer.name, &done]).await?;
    tx.commit().await?;
    for (id, error) in &failed {
        put_off(&service, consumer, *id, error, ATTEMPTS_MAX).await?;
    }
    Ok(())
}

async fn by_organization(
    tx: WorkTx,
    consumer: &'static Consumer,
    events: Vec<Event>,
    begun: Instant,
) -> Result<()> {
    let service = tx.service().clone();
    let mut failed: Vec<Uuid> = Vec::new();
    for group in groups(&events) {
        if begun.elapsed() > BATCH_TIME_MAX {
            break;
        }
        let group: Vec<Event> =
            group.into_iter().filter(|event| !failed.contains(&event.row)).collect();
        let Err(error) = hear(&service, consumer, &group).await else { continue };
        if let [event] = group.as_slice() {
            failed.push(event.row);
            put_off(&service, consumer, event.id, &error, ATTEMPTS_MAX).await?;
            continue;
        }
        // One of them, or several: each by itself.
        for event in &group {
            if begun.elapsed() > BATCH_TIME_MAX {
                break;
            }
            if failed.contains(&event.row) {
                continue;
            }
            let alone = std::slice::from_ref(event);
            if let Err(error) = hear(&service, consumer, alone).await {
                failed.push(event.row);
                put_off(&service, consumer, event.id, &error, ATTEMPTS_MAX).await?;
            }
        }
    }
    tx.commit().await
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
            proof: None,
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

/// Later, or not before an operator says so. In a transaction of its own: it stands whatever becomes
/// of the others.
async fn put_off(
    service: &Service,
    consumer: &Consumer,
    event: i64,
    error: &Error,
    attempts_max: i64,
) -> Result<()> {
    let text: String = error.log_text().chars().take(ERROR_CHARS_MAX).collect();
    tracing::warn!(consumer = consumer.name, event, error = text, "an event could not be heard");
    service.metrics().delivery_failed(consumer.name);
    let tx = service.work().await?;
    let sql =
        "select attempts from outbox_deliveries where consumer = $1 and event = $2 for update";
    let Some(row) = tx.query_opt(sql, &[&consumer.name, &event]).await? else {
        return tx.rollback().await;
    };
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
    tx.commit().await
}
