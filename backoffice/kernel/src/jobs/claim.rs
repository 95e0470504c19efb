//! Taking jobs that are due, and keeping them: the lease stands on the queue's row itself, so one
//! that is not renewed is free by time alone and nobody has to sweep it.

use jiff::SignedDuration;
use serde_json::Value;
use uuid::Uuid;

use super::Priority;
use crate::clock::after;
use crate::db::Row;
use crate::error::Result;
use crate::service::Service;

/// A lease that was not renewed for this long is over: its worker is dead or cut off.
pub(super) const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// A job as a worker took it. Together with `process`, `attempt` says whose it is: a later claim has
/// another one.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) id: Uuid,
    pub(super) org: Uuid,
    pub(super) name: String,
    pub(super) attempt: i64,
    pub(super) process: Uuid,
    pub(super) payload: Value,
    pub(super) actor_kind: String,
    pub(super) actor_id: Option<String>,
    pub(super) token: Option<Uuid>,
    pub(super) request_id: Option<Uuid>,
    pub(super) causation: u8,
    pub(super) canceled: bool,
}

/// Whose jobs to take.
pub(super) struct Want<'a> {
    pub(super) process: Uuid,
    pub(super) most: usize,
    /// Jobs that this process runs already: a clock that jumps must not give it one twice.
    pub(super) running: &'a [Uuid],
    /// Of this organization only; of all when absent.
    pub(super) org: Option<Uuid>,
}

/// For each priority in turn the jobs that are due, oldest first: the index is read from its
/// beginning and no further than `most`. A row that another worker locks is passed over.
pub(super) const CLAIM: &str = "
    with ready as (
        select q.id from unnest($1::bigint[]) as rank (rank)
          cross join lateral (
            select id from job_queue
             where priority = rank.rank and due_at <= $2 and name = any($3)
               and ($4::uuid is null or org_id = $4) and id <> all($5)
             order by due_at, id limit $6 for update skip locked) as q
         limit $6
    ), taken as (
        update job_queue q set leased_by = $7, due_at = $8, attempts = q.attempts + 1
          from ready where q.id = ready.id
        returning q.id, q.attempts
    )
    update jobs j set state = 'running', attempts = taken.attempts,
                      started_at = coalesce(j.started_at, $2)
      from taken where j.id = taken.id
    returning j.id, j.org_id, j.name, taken.attempts, j.payload, j.actor_kind, j.actor_id,
              j.request_id, j.causation, j.cancel_asked_at is not null, j.token_id";

pub(super) async fn claim(service: &Service, want: &Want<'_>) -> Result<Vec<Claim>> {
    let names: Vec<&str> = service.registry().jobs().map(|job| job.name).collect();
    let ranks: Vec<i64> = Priority::ALL.iter().map(|priority| priority.rank()).collect();
    let most = i64::try_from(want.most).unwrap_or(i64::MAX);
    let tx = service.work().await?;
    let until = after(tx.now, LEASE);
    let rows = tx
        .query(
            CLAIM,
            &[&ranks, &tx.now, &names, &want.org, &want.running, &most, &want.process, &until],
        )
        .await?;
    tx.commit().await?;
    rows.iter().map(|row| read(row, want.process)).collect()
}

fn read(row: &Row, process: Uuid) -> Result<Claim> {
    Ok(Claim {
        id: row.try_get(0)?,
        org: row.try_get(1)?,
        name: row.try_get(2)?,
        attempt: row.try_get(3)?,
        process,
        payload: row.try_get(4)?,
        actor_kind: row.try_get(5)?,
        actor_id: row.try_get(6)?,
        request_id: row.try_get(7)?,
        causation: u8::try_from(row.try_get::<_, i64>(8)?).unwrap_or(u8::MAX),
        canceled: row.try_get(9)?,
        token: row.try_get(10)?,
    })
}

/// Extends the leases of what runs here; answers the jobs still held, with whether somebody asked
/// to cancel them.
pub(super) async fn renew(
    service: &Service,
    process: Uuid,
    running: &[Uuid],
) -> Result<Vec<(Uuid, bool)>> {
    let tx = service.work().await?;
    let until = after(tx.now, LEASE);
    let rows = tx
        .query(
            "with held as ( \
               update job_queue set due_at = $3 where leased_by = $1 and id = any($2) \
               returning id) \
             select j.id, j.cancel_asked_at is not null from held join jobs j on j.id = held.id",
            &[&process, &running, &until],
        )
        .await?;
    tx.commit().await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Gives unfinished jobs back at an orderly end, without counting the attempt.
pub(super) async fn release(service: &Service, process: Uuid) -> Result<u64> {
    let tx = service.work().await?;
    let count = tx
        .execute(
            "with free as ( \
               update job_queue set leased_by = null, due_at = $2, attempts = attempts - 1 \
                where leased_by = $1 returning id, attempts) \
             update jobs j set state = 'queued', attempts = free.attempts \
               from free where j.id = free.id",
            &[&process, &tx.now],
        )
        .await?;
    tx.commit().await?;
    Ok(count)
}
