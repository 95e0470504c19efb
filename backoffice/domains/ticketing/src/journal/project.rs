//! Stored entries into rows, in order, each in its own savepoint: an entry that fails is parked
//! with its cause, later ones of its order wait behind it, the others go on. The position moves in
//! the same transaction as the rows, so that every entry counts once whenever the process dies.

use inventory::fact::Fact;
use jiff::Timestamp;
use kernel::cx::Cx;
use kernel::error::{Code, Error, Result};
use uuid::Uuid;

use super::facts::{self, COLUMNS, StoredEntry};
use super::parked::{self, Behind, Blocked};
use super::{instructions, orders, raw, scans};

/// Entries of one transaction.
const BATCH_ENTRIES: i64 = 200;

/// What a call of `project` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub projected_seq: u64,
    /// There are stored entries behind `projected_seq` that can be projected now.
    pub more: bool,
    /// When the next parked entry is due.
    pub retry_at: Option<Timestamp>,
}

/// Projects one batch of an event's stored entries and what is due of the parked ones. The caller
/// commits.
pub async fn project(cx: &Cx, event: Uuid) -> Result<Progress> {
    let cursor = raw::lock(cx, event).await?;
    let (mut blocked, parked) = retry(cx, event).await?;
    let full = parked >= parked::PARKED_MAX;
    let limit = if full { 0 } else { BATCH_ENTRIES };
    let after = raw::signed(cursor.projected_seq)?;
    let sql = format!(
        "select {COLUMNS} from gate_journal j where j.event_id = $1 and j.seq > $2 \
          order by j.seq limit $3"
    );
    let rows = cx.query(&sql, &[&event, &after, &limit]).await?;
    let mut last = after;
    for row in &rows {
        let entry = StoredEntry::read(row)?;
        last = entry.seq;
        next(cx, &entry, &mut blocked).await?;
    }
    if last > after {
        let sql = "update gate_cursors set projected_seq = $2 where id = $1";
        cx.execute(sql, &[&event, &last]).await?;
    }
    let projected_seq = raw::unsigned(last)?;
    let more = !full && projected_seq < cursor.head.seq;
    Ok(Progress { projected_seq, more, retry_at: parked::next_retry(cx, event).await? })
}

/// A new entry: projected, or parked behind others or for its own fault.
async fn next(cx: &Cx, entry: &StoredEntry, blocked: &mut Blocked) -> Result<()> {
    let fact = match entry.fact() {
        Ok(fact) => fact,
        Err(cause) => {
            let names = entry.names();
            let order = facts::owner(cx, entry.event, &names).await?;
            blocked.add(order, &names);
            return parked::park(cx, entry, order, &cause.log_text()).await;
        }
    };
    let subject = facts::subject(cx, entry.event, &fact).await?;
    if let Some(Behind(order)) = blocked.by(subject) {
        blocked.add(order, &entry.names());
        return parked::wait(cx, entry, order).await;
    }
    if let Some(cause) = attempt(cx, entry, &fact).await? {
        blocked.add(subject.order(), &entry.names());
        parked::park(cx, entry, subject.order(), &cause).await?;
    }
    Ok(())
}

/// Tries parked entries again, oldest first: those that are due, and those that only waited for an
/// earlier one which has gone. Answers who still blocks, and how many are parked.
async fn retry(cx: &Cx, event: Uuid) -> Result<(Blocked, usize)> {
    let (mut blocked, mut left) = (Blocked::default(), 0);
    for parked in parked::open(cx, event).await? {
        let names = parked.entry.names();
        let due = parked.waits || parked.retry_at <= cx.now;
        let tried = due && !blocked.holds(&parked, &names);
        let cause = match parked.entry.fact() {
            _ if !tried => None,
            Ok(fact) => attempt(cx, &parked.entry, &fact).await?,
            Err(cause) => Some(cause.log_text()),
        };
        if tried && cause.is_none() {
            parked::resolve(cx, &parked).await?;
            continue;
        }
        left += 1;
        blocked.add(parked.order, &names);
        if let Some(cause) = cause {
            parked::postpone(cx, &parked, &cause).await?;
        }
    }
    Ok((blocked, left))
}

/// Applies a fact in a savepoint; `Some` is the cause of a failure that left no trace. What would
/// fail for every entry (the database is gone) is an error of the whole batch.
async fn attempt(cx: &Cx, entry: &StoredEntry, fact: &Fact) -> Result<Option<String>> {
    cx.savepoint().await?;
    match apply(cx, entry, fact).await {
        Ok(()) => {
            cx.release_savepoint().await?;
            Ok(None)
        }
        Err(cause) if concerns_all(&cause) => Err(cause),
        Err(cause) => {
            cx.undo_savepoint().await?;
            Ok(Some(cause.log_text()))
        }
    }
}

fn concerns_all(cause: &Error) -> bool {
    cause.is_retryable()
        || matches!(cause.code(), Code::Unavailable | Code::Overloaded | Code::TimedOut)
}

async fn apply(cx: &Cx, entry: &StoredEntry, fact: &Fact) -> Result<()> {
    match fact {
        Fact::OrderConfirmed(confirmed) => orders::confirmed(cx, entry, confirmed).await,
        Fact::OrderCanceled { order, positions, .. } => {
            orders::canceled(cx, entry, *order, positions).await
        }
        Fact::TicketBlocked { ticket } => orders::block(cx, entry, *ticket, true).await,
        Fact::TicketUnblocked { ticket } => orders::block(cx, entry, *ticket, false).await,
        Fact::TicketReissued { ticket, revision, .. } => {
            orders::reissued(cx, entry, *ticket, *revision).await
        }
        Fact::ScanDecided(scan) => scans::decided(cx, entry, scan).await,
        Fact::ScanRecorded(scan) => scans::recorded(cx, entry, scan).await,
        Fact::ScanSettled { scan, passed, .. } => {
            scans::ended(cx, entry, *scan, if *passed { "passed" } else { "not_passed" }).await
        }
        Fact::ScanAnnulled { scan, .. } => scans::ended(cx, entry, *scan, "annulled").await,
        Fact::InstructionDone { id, refused } => {
            instructions::done(cx, *id, refused.as_ref()).await
        }
        Fact::CatalogueApplied { .. }
        | Fact::PromosListed { .. }
        | Fact::PromosEnded { .. }
        | Fact::HoldCreated { .. }
        | Fact::OrderPlaced(_)
        | Fact::OrdersExpired { .. }
        | Fact::OrderRefundDue { .. }
        | Fact::HoldRenewed { .. }
        | Fact::HoldReleased { .. }
        | Fact::HoldsExpired { .. }
        | Fact::ZoneEmptied { .. }
        | Fact::RoomJoined { .. }
        | Fact::RoomMoved { .. }
        | Fact::RoomEntered { .. }
        | Fact::SeatsApplied { .. }
        | Fact::SeatsBlocked { .. }
        | Fact::SeatsUnblocked { .. }
        | Fact::ZoneCorrected { .. }
        | Fact::EventEvacuated { .. }
        | Fact::EventCanceled {} => Ok(()),
    }
}
