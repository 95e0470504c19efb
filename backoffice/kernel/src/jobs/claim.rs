//! Taking jobs that are due, and keeping them: the lease stands on the queue's row itself, by the
//! clock of the database, so one that is not renewed is free by time alone, whatever the clocks of
//! workers say, and nobody has to sweep it.

use jiff::SignedDuration;
use serde_json::Value;
use uuid::Uuid;

use super::Priority;
use super::places::Free;
use crate::db::Row;
use crate::error::Result;
use crate::service::Service;

/// A lease that was not renewed for this long is over: its worker is dead or cut off.
pub(super) const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// Due jobs of a priority among which one claim chooses, oldest first.
const WINDOW_ROWS: i64 = 200;
/// Organizations that one claim looks at when those of the window have all that they may.
const ORGS_MAX: i64 = 256;

/// A job as a worker took it. Together with `process`, `attempt` says whose it is: a later claim has
/// another one.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) id: Uuid,
    pub(super) org: Uuid,
    pub(super) name: String,
    pub(super) priority: Priority,
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
    pub(super) free: Free,
    /// Jobs that this process runs already.
    pub(super) running: &'a [Uuid],
    /// Of these organizations only; of all when absent.
    pub(super) orgs: Option<&'a [Uuid]>,
}

/// From the due ones to the taken ones. Each organization's jobs are numbered after those of it that
/// run: the first of each go before the second of any, and none beyond the bound. A row that another
/// worker locks is passed over; one that it has taken since is seen again as it is now.
macro_rules! claim_sql {
    ($due:literal) => {
        concat!(
            "with due as (",
            $due,
            "), placed as (
                select due.*, coalesce(held.count, 0)
                       + row_number() over (partition by due.org_id
                                            order by due.priority, due.due_at, due.id) as nth
                  from due left join unnest($9::uuid[], $10::bigint[]) as held (org, count)
                         on held.org = due.org_id
            ), high as (
                select q.id from placed p join job_queue q on q.id = p.id
                 where p.priority = 0 and p.nth <= $11 and q.due_at <= $2
                   and (q.leased_until is null or q.leased_until <= clock_timestamp())
                 order by p.nth, p.due_at, p.id limit $7 for update of q skip locked
            ), common as (
                select q.id from placed p join job_queue q on q.id = p.id
                 where p.priority > 0 and p.nth <= $11 and q.due_at <= $2
                   and (q.leased_until is null or q.leased_until <= clock_timestamp())
                 order by p.priority, p.nth, p.due_at, p.id
                 limit least($8, $7 - (select count(*) from high)) for update of q skip locked
            ), taken as (
                update job_queue q
                   set leased_by = $5, attempts = q.attempts + 1,
                       leased_until = clock_timestamp() + $6::bigint * interval '1 second'
                  from (select id from high union all select id from common) as ready
                 where q.id = ready.id
                returning q.id, q.attempts, q.priority
            )
            update jobs j set state = 'running', attempts = taken.attempts,
                              started_at = coalesce(j.started_at, $2)
              from taken where j.id = taken.id
            returning j.id, j.org_id, j.name, taken.attempts, j.payload, j.actor_kind, j.actor_id,
                      j.request_id, j.causation, j.cancel_asked_at is not null, j.token_id,
                      taken.priority"
        )
    };
}

/// The oldest of each priority: the index is read from its beginning and no further than the window.
#[cfg_attr(not(feature = "testkit"), expect(unreachable_pub, reason = "tests look at its plan"))]
pub const CLAIM: &str = claim_sql!(
    "select q.id, q.org_id, q.priority, q.due_at
       from unnest($1::bigint[]) as rank (rank)
      cross join lateral (
            select id, org_id, priority, due_at from job_queue
             where priority = rank.rank and due_at <= $2 and name = any($3) and id <> all($4)
               and (leased_until is null or leased_until <= clock_timestamp())
             order by due_at, id limit $12) as q"
);

/// The oldest of each organization and priority.
const CLAIM_OF: &str = claim_sql!(
    "select q.id, q.org_id, q.priority, q.due_at
       from unnest($1::bigint[]) as rank (rank) cross join unnest($13::uuid[]) as own (org)
      cross join lateral (
            select id, org_id, priority, due_at from job_queue
             where org_id = own.org and priority = rank.rank and due_at <= $2 and name = any($3)
               and id <> all($4) and (leased_until is null or leased_until <= clock_timestamp())
             order by due_at, id limit $12) as q"
);

pub(super) async fn claim(service: &Service, want: &Want<'_>) -> Result<Vec<Claim>> {
    let names: Vec<&str> = service.registry().jobs().map(|job| job.name).collect();
    let ranks: Vec<i64> = Priority::ALL.iter().map(|priority| priority.rank()).collect();
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let free = &want.free;
    let (all, common, each) = (count(free.all), count(free.common), count(free.each));
    let held_by: Vec<Uuid> = free.taken.keys().copied().collect();
    let held: Vec<i64> = free.taken.values().map(|held| count(*held)).collect();
    let tx = service.work().await?;
    let (lease, process, running) = (LEASE.as_secs(), want.process, want.running);
    let rows = match want.orgs {
        None => {
            tx.query(
                CLAIM,
                &[
                    &ranks,
                    &tx.now,
                    &names,
                    &running,
                    &process,
                    &lease,
                    &all,
                    &common,
                    &held_by,
                    &held,
                    &each,
                    &WINDOW_ROWS,
                ],
            )
            .await?
        }
        Some(orgs) => {
            tx.query(
                CLAIM_OF,
                &[
                    &ranks, &tx.now, &names, &running, &process, &lease, &all, &common, &held_by,
                    &held, &each, &each, &orgs,
                ],
            )
            .await?
        }
    };
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
        priority: Priority::of(row.try_get(11)?),
    })
}

/// The next organizations that have jobs at all, after this one in the order of their ids: the index
/// is read once for each, however many jobs it has.
pub(super) async fn organizations(service: &Service, after: Option<Uuid>) -> Result<Vec<Uuid>> {
    let tx = service.work().await?;
    let rows = tx
        .query(
            "with recursive orgs (org, n) as ( \
               (select org_id, 1::bigint from job_queue \
                 where $1::uuid is null or org_id > $1 order by org_id limit 1) \
               union all \
               select (select q.org_id from job_queue q where q.org_id > orgs.org \
                        order by q.org_id limit 1), orgs.n + 1 \
                 from orgs where orgs.org is not null and orgs.n < $2) \
             select org from orgs where org is not null",
            &[&after, &ORGS_MAX],
        )
        .await?;
    tx.commit().await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Extends leases; answers the jobs still held, with whether somebody asked to cancel them.
pub(super) async fn renew(
    service: &Service,
    process: Uuid,
    running: &[Uuid],
) -> Result<Vec<(Uuid, bool)>> {
    let tx = service.work().await?;
    let rows = tx
        .query(
            "with held as ( \
               update job_queue \
                  set leased_until = clock_timestamp() + $3::bigint * interval '1 second' \
                where leased_by = $1 and id = any($2) returning id) \
             select j.id, j.cancel_asked_at is not null from held join jobs j on j.id = held.id",
            &[&process, &running, &LEASE.as_secs()],
        )
        .await?;
    tx.commit().await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Gives unfinished jobs back at an orderly end; the attempts of `stopped` are not counted, since
/// nothing but this end stopped them.
pub(super) async fn release(service: &Service, process: Uuid, stopped: &[Uuid]) -> Result<u64> {
    let tx = service.work().await?;
    let count = tx
        .execute(
            "with free as ( \
               update job_queue \
                  set leased_by = null, leased_until = null, \
                      attempts = attempts - (id = any($2))::integer \
                where leased_by = $1 returning id, attempts) \
             update jobs j set state = 'queued', attempts = free.attempts \
               from free where j.id = free.id",
            &[&process, &stopped],
        )
        .await?;
    tx.commit().await?;
    Ok(count)
}
