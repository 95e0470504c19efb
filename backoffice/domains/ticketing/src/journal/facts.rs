//! Stored entries as facts, and the order that each belongs to. Knows no rows but registrations and
//! instructions, which it asks for that order.

use inventory::entry::VERSION;
use inventory::fact::Fact;
use inventory::time::Millis;
use jiff::Timestamp;
use kernel::cx::Cx;
use kernel::db::Row;
use kernel::error::{Error, Result};
use serde_json::Value;
use uuid::Uuid;

use super::raw::signed;

/// An entry as it was stored.
pub(super) struct StoredEntry {
    pub(super) event: Uuid,
    pub(super) seq: i64,
    pub(super) at: Timestamp,
    v: i64,
    kind: String,
    data: String,
}

/// Columns that `StoredEntry::read` takes, of `gate_journal j`.
pub(super) const COLUMNS: &str = "j.event_id, j.seq, j.at_ms, j.v, j.kind, j.data";

impl StoredEntry {
    pub(super) fn read(row: &Row) -> Result<Self> {
        let at_ms: i64 = row.try_get(2)?;
        Ok(Self {
            event: row.try_get(0)?,
            seq: row.try_get(1)?,
            at: timestamp(Millis(at_ms))?,
            v: row.try_get(3)?,
            kind: row.try_get(4)?,
            data: row.try_get(5)?,
        })
    }

    /// Read from the members `order`, `ticket` and `tickets`, which mean the same in every kind.
    pub(super) fn names(&self) -> Names {
        let Ok(data) = serde_json::from_str::<Value>(&self.data) else { return Names::default() };
        let number = |ticket: &Value| ticket.as_u64().or_else(|| ticket.get("ticket")?.as_u64());
        let tickets = data.get("tickets").and_then(Value::as_array).into_iter().flatten();
        let order = data.get("order").and_then(Value::as_str);
        Names {
            order: order.and_then(|text| Uuid::try_parse(text).ok()),
            tickets: tickets.chain(data.get("ticket")).filter_map(number).collect(),
        }
    }

    /// This version and the one before are read; unknown fields are ignored, unknown kinds are not.
    pub(super) fn fact(&self) -> Result<Fact> {
        let readable = i64::from(VERSION.saturating_sub(1))..=i64::from(VERSION);
        if !readable.contains(&self.v) {
            let cause =
                format!("entry {} has version {}, which is not read here", self.seq, self.v);
            return Err(Error::internal(cause));
        }
        let kind = serde_json::Value::from(self.kind.as_str());
        let text = format!(r#"{{"kind":{kind},"data":{}}}"#, self.data);
        serde_json::from_str(&text).map_err(|cause| {
            // The message of the parser may quote values; line and column say enough.
            let (line, column) = (cause.line(), cause.column());
            Error::internal(format!(
                "entry {} of kind {} cannot be read at {line}:{column}",
                self.seq, self.kind
            ))
        })
    }
}

/// What the data of an entry names, whether or not its kind is known here.
#[derive(Default)]
pub(super) struct Names {
    pub(super) order: Option<Uuid>,
    pub(super) tickets: Vec<u64>,
}

/// What an entry is about, for "later entries of the same order wait behind it".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Order(Uuid),
    /// A ticket whose registration is not there (yet).
    Ticket(u64),
    Nothing,
}

impl Subject {
    pub(super) fn order(self) -> Option<Uuid> {
        match self {
            Self::Order(order) => Some(order),
            Self::Ticket(_) | Self::Nothing => None,
        }
    }
}

pub(super) async fn subject(cx: &Cx, event: Uuid, fact: &Fact) -> Result<Subject> {
    match fact {
        Fact::OrderConfirmed(confirmed) => Ok(Subject::Order(confirmed.order)),
        Fact::OrderCanceled { order, .. } => Ok(Subject::Order(*order)),
        Fact::TicketBlocked { ticket }
        | Fact::TicketUnblocked { ticket }
        | Fact::TicketReissued { ticket, .. } => of_ticket(cx, event, *ticket).await,
        Fact::ScanDecided(scan) => match scan.ticket {
            Some(ticket) => of_ticket(cx, event, ticket).await,
            None => Ok(Subject::Nothing),
        },
        Fact::ScanRecorded(scan) => of_ticket(cx, event, scan.ticket).await,
        Fact::ScanSettled { scan, .. } | Fact::ScanAnnulled { scan, .. } => {
            of_scan(cx, event, *scan).await
        }
        Fact::InstructionDone { id, .. } => {
            let sql = "select order_id from gate_instructions where id = $1";
            let row = cx.query_opt(sql, &[id]).await?;
            let order: Option<Uuid> = row.map(|row| row.try_get(0)).transpose()?.flatten();
            Ok(order.map_or(Subject::Nothing, Subject::Order))
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
        | Fact::EventCanceled {} => Ok(Subject::Nothing),
    }
}

/// The order of an entry that cannot be read.
pub(super) async fn owner(cx: &Cx, event: Uuid, names: &Names) -> Result<Option<Uuid>> {
    match (names.order, names.tickets.first()) {
        (None, Some(ticket)) => Ok(of_ticket(cx, event, *ticket).await?.order()),
        (order, _) => Ok(order),
    }
}

async fn of_ticket(cx: &Cx, event: Uuid, ticket: u64) -> Result<Subject> {
    let sql = "select order_id from event_registrations where event_id = $1 and ticket_number = $2";
    let row = cx.query_opt(sql, &[&event, &signed(ticket)?]).await?;
    match row {
        Some(row) => Ok(Subject::Order(row.try_get(0)?)),
        None => Ok(Subject::Ticket(ticket)),
    }
}

/// The order of a decision that was logged; one that waits itself holds no order back.
async fn of_scan(cx: &Cx, event: Uuid, scan: u64) -> Result<Subject> {
    let sql = "select ticket_number from credential_access_log \
                where event_id = $1 and journal_seq = $2";
    let row = cx.query_opt(sql, &[&event, &signed(scan)?]).await?;
    let ticket: Option<i64> = row.map(|row| row.try_get(0)).transpose()?.flatten();
    match ticket.and_then(|ticket| u64::try_from(ticket).ok()) {
        Some(ticket) => of_ticket(cx, event, ticket).await,
        None => Ok(Subject::Nothing),
    }
}

pub(super) fn timestamp(at: Millis) -> Result<Timestamp> {
    Timestamp::from_millisecond(at.0)
        .map_err(|_| Error::internal("an instant of the journal is out of range"))
}
