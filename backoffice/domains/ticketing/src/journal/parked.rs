//! Entries that could not be projected yet: kept with their cause, tried again later and later,
//! while everything else goes on.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use kernel::cx::Cx;
use kernel::error::Result;
use uuid::Uuid;

use super::facts::{COLUMNS, Names, StoredEntry, Subject};

/// First pause before an entry is tried again; it doubles with each attempt.
const RETRY_FIRST_S: i64 = 1;
const RETRY_S_MAX: i64 = 3_600;

/// Open rows of one event; at the bound nothing new of it is projected until some have gone.
pub(super) const PARKED_MAX: usize = 10_000;

/// Cause of an entry that waits for another.
const WAITS: &str = "waits for an earlier entry of its order or ticket";

/// An open row of `gate_parked` with its entry.
pub(super) struct Parked {
    pub(super) entry: StoredEntry,
    pub(super) id: Uuid,
    pub(super) order: Option<Uuid>,
    pub(super) attempts: i64,
    pub(super) retry_at: Timestamp,
    /// It was never tried itself, so it may go as soon as those before it have gone.
    pub(super) waits: bool,
}

/// Orders, and tickets of orders that are not there yet, whose later entries have to wait.
#[derive(Default)]
pub(super) struct Blocked {
    orders: HashSet<Uuid>,
    tickets: HashMap<u64, Option<Uuid>>,
}

/// The order that is waited for, where it is known.
pub(super) struct Behind(pub(super) Option<Uuid>);

impl Blocked {
    /// Whether `subject` has to wait, and for whom.
    pub(super) fn by(&self, subject: Subject) -> Option<Behind> {
        match subject {
            Subject::Order(order) => self.orders.get(&order).map(|order| Behind(Some(*order))),
            Subject::Ticket(ticket) => self.tickets.get(&ticket).map(|order| Behind(*order)),
            Subject::Nothing => None,
        }
    }

    pub(super) fn holds(&self, parked: &Parked, names: &Names) -> bool {
        match parked.order {
            Some(order) => self.orders.contains(&order),
            None => names.tickets.iter().any(|ticket| self.tickets.contains_key(ticket)),
        }
    }

    pub(super) fn add(&mut self, order: Option<Uuid>, names: &Names) {
        self.orders.extend(order);
        self.tickets.extend(names.tickets.iter().map(|ticket| (*ticket, order)));
    }
}

/// All open rows of an event, oldest first.
pub(super) async fn open(cx: &Cx, event: Uuid) -> Result<Vec<Parked>> {
    let sql = format!(
        "select {COLUMNS}, p.id, p.order_id, p.attempts, p.retry_at, p.cause from gate_parked p \
           join gate_journal j on j.org_id = p.org_id and j.event_id = p.event_id \
                and j.seq = p.seq \
          where p.event_id = $1 and p.state = 'parked' order by p.seq"
    );
    let rows = cx.query(&sql, &[&event]).await?;
    rows.iter()
        .map(|row| {
            Ok(Parked {
                entry: StoredEntry::read(row)?,
                id: row.try_get(6)?,
                order: row.try_get(7)?,
                attempts: row.try_get(8)?,
                retry_at: row.try_get(9)?,
                waits: row.try_get::<_, String>(10)? == WAITS,
            })
        })
        .collect()
}

/// Parks an entry that was tried and failed.
pub(super) async fn park(
    cx: &Cx,
    entry: &StoredEntry,
    order: Option<Uuid>,
    cause: &str,
) -> Result<()> {
    tracing::warn!(event = %entry.event, seq = entry.seq, cause, "an entry was parked");
    cx.service().metrics().count("journal_parked", 1);
    insert(cx, entry, order, cause, 1).await
}

/// Parks an entry behind another of its order.
pub(super) async fn wait(cx: &Cx, entry: &StoredEntry, order: Option<Uuid>) -> Result<()> {
    insert(cx, entry, order, WAITS, 0).await
}

async fn insert(
    cx: &Cx,
    entry: &StoredEntry,
    order: Option<Uuid>,
    cause: &str,
    attempts: i64,
) -> Result<()> {
    cx.execute(
        "insert into gate_parked (event_id, seq, order_id, cause, attempts, retry_at) \
         values ($1, $2, $3, $4, $5, $6)",
        &[&entry.event, &entry.seq, &order, &cause, &attempts, &retry_at(cx.now, attempts)],
    )
    .await?;
    Ok(())
}

/// It failed again.
pub(super) async fn postpone(cx: &Cx, parked: &Parked, cause: &str) -> Result<()> {
    let attempts = parked.attempts.saturating_add(1);
    cx.execute(
        "update gate_parked set cause = $2, attempts = $3, retry_at = $4 where id = $1",
        &[&parked.id, &cause, &attempts, &retry_at(cx.now, attempts)],
    )
    .await?;
    Ok(())
}

pub(super) async fn resolve(cx: &Cx, parked: &Parked) -> Result<()> {
    cx.execute("update gate_parked set state = 'done' where id = $1", &[&parked.id]).await?;
    Ok(())
}

/// When the next open row of an event is due.
pub(super) async fn next_retry(cx: &Cx, event: Uuid) -> Result<Option<Timestamp>> {
    let sql = "select min(retry_at) from gate_parked \
                where event_id = $1 and state = 'parked' and attempts > 0";
    Ok(cx.query_one(sql, &[&event]).await?.try_get(0)?)
}

fn retry_at(now: Timestamp, attempts: i64) -> Timestamp {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(20);
    let pause_s = RETRY_FIRST_S.saturating_mul(1_i64 << doublings).min(RETRY_S_MAX);
    now.saturating_add(SignedDuration::from_secs(pause_s)).unwrap_or(now)
}
