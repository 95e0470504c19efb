//! Decisions at the doors into the access log and onto registrations.

use inventory::command::{Direction, Verdict};
use inventory::fact::ScanDecided;
use kernel::cx::Cx;
use kernel::error::{Error, Result};
use serde::Serialize;
use uuid::Uuid;

use super::facts::StoredEntry;
use super::raw::signed;

pub(super) async fn decided(cx: &Cx, entry: &StoredEntry, scan: &ScanDecided) -> Result<()> {
    let registration = match scan.ticket {
        Some(ticket) => Some(registration(cx, entry, ticket).await?),
        None => None,
    };
    log(cx, entry, scan, registration).await?;
    let admitted = scan.verdict == Verdict::Admit && scan.direction == Direction::Entry;
    if let Some(registration) = registration.filter(|_| admitted) {
        cx.execute(
            "update event_registrations \
                set checked_in_at = $2, \
                    status = case status when 'confirmed' then 'checked_in' else status end \
              where id = $1 and checked_in_at is null",
            &[&registration, &entry.at],
        )
        .await?;
    }
    Ok(())
}

async fn registration(cx: &Cx, entry: &StoredEntry, ticket: u64) -> Result<Uuid> {
    let sql = "select id from event_registrations where event_id = $1 and ticket_number = $2";
    let row = cx.query_opt(sql, &[&entry.event, &signed(ticket)?]).await?;
    let row = row.ok_or_else(|| Error::internal(format!("ticket {ticket} has no registration")))?;
    Ok(row.try_get(0)?)
}

async fn log(
    cx: &Cx,
    entry: &StoredEntry,
    scan: &ScanDecided,
    registration: Option<Uuid>,
) -> Result<()> {
    let number = "select number from events where id = $1";
    let number: i64 = cx.query_one(number, &[&entry.event]).await?.try_get(0)?;
    let reason = scan.reason.as_ref().map(word).transpose()?;
    let ticket = scan.ticket.map(signed).transpose()?;
    cx.execute(
        "insert into credential_access_log \
           (event_id, journal_seq, scan, registration_id, ticket_number, device_id, lane, zone, \
            direction, verdict, reason, forced, checked_in_by, scanned_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        &[
            &entry.event,
            &entry.seq,
            &format!("{number}-{}", entry.seq),
            &registration,
            &ticket,
            &scan.by.is_none().then_some(scan.device),
            &scan.lane,
            &scan.zone,
            &word(&scan.direction)?,
            &word(&scan.verdict)?,
            &reason,
            &scan.forced,
            &scan.by,
            &entry.at,
        ],
    )
    .await?;
    Ok(())
}

/// An enum of the journal as its word on the wire.
pub(super) fn word(value: &impl Serialize) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(Error::internal("a word of the journal is not a text")),
    }
}
