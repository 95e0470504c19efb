//! Decisions at the doors into the access log and onto registrations.

use inventory::command::{Direction, Reason, Verdict};
use inventory::fact::{ScanDecided, ScanRecorded};
use jiff::Timestamp;
use kernel::cx::Cx;
use kernel::error::{Error, Result};
use serde::Serialize;
use uuid::Uuid;

use super::facts::{StoredEntry, timestamp};
use super::raw::signed;

pub(super) async fn decided(cx: &Cx, entry: &StoredEntry, scan: &ScanDecided) -> Result<()> {
    let row = Row {
        ticket: scan.ticket,
        device: scan.by.is_none().then_some(scan.device),
        lane: &scan.lane,
        zone: &scan.zone,
        direction: scan.direction,
        verdict: scan.verdict,
        reason: scan.reason,
        forced: scan.forced,
        by: scan.by,
        at: entry.at,
        offline: false,
    };
    row.project(cx, entry).await
}

/// A scan that was decided without the store, at the time when it happened.
pub(super) async fn recorded(cx: &Cx, entry: &StoredEntry, scan: &ScanRecorded) -> Result<()> {
    let row = Row {
        ticket: Some(scan.ticket),
        device: Some(scan.device),
        lane: &scan.lane,
        zone: &scan.zone,
        direction: scan.direction,
        verdict: scan.verdict,
        reason: None,
        forced: false,
        by: None,
        at: timestamp(scan.happened_at)?,
        offline: true,
    };
    row.project(cx, entry).await
}

/// What became of a decision. Where nobody went through, the registration is as if it had not been.
pub(super) async fn ended(cx: &Cx, entry: &StoredEntry, scan: u64, verdict: &str) -> Result<()> {
    let logged = cx
        .query_opt(
            "insert into credential_access_log \
               (event_id, journal_seq, of_seq, scan, registration_id, ticket_number, device_id, \
                lane, zone, direction, verdict, scanned_at, offline) \
             select event_id, $2, journal_seq, scan, registration_id, ticket_number, device_id, \
                    lane, zone, direction, $4, $5, offline \
               from credential_access_log where event_id = $1 and journal_seq = $3 \
             returning registration_id",
            &[&entry.event, &entry.seq, &signed(scan)?, &verdict, &entry.at],
        )
        .await?;
    let logged = logged.ok_or_else(|| Error::internal(format!("scan {scan} is not logged")))?;
    let registration: Option<Uuid> = logged.try_get(0)?;
    if let Some(registration) = registration.filter(|_| verdict != "passed") {
        cx.execute(
            "update event_registrations r \
                set checked_in_at = still.first, \
                    status = case when still.first is null and r.status = 'checked_in' \
                                  then 'confirmed' else r.status end \
               from (select min(a.scanned_at) as first from credential_access_log a \
                      where a.registration_id = $1 and a.direction = 'entry' \
                        and a.verdict in ('admit', 'reserve') \
                        and not exists (select 1 from credential_access_log e \
                                         where e.event_id = a.event_id \
                                           and e.of_seq = a.journal_seq \
                                           and e.verdict in ('not_passed', 'annulled'))) still \
              where r.id = $1",
            &[&registration],
        )
        .await?;
    }
    Ok(())
}

/// A row of the access log.
struct Row<'a> {
    ticket: Option<u64>,
    device: Option<Uuid>,
    lane: &'a str,
    zone: &'a str,
    direction: Direction,
    verdict: Verdict,
    reason: Option<Reason>,
    forced: bool,
    by: Option<Uuid>,
    at: Timestamp,
    offline: bool,
}

impl Row<'_> {
    async fn project(&self, cx: &Cx, entry: &StoredEntry) -> Result<()> {
        let registration = match self.ticket {
            Some(ticket) => Some(registration(cx, entry, ticket).await?),
            None => None,
        };
        self.log(cx, entry, registration).await?;
        let admitted = self.verdict.lets_through() && self.direction == Direction::Entry;
        if let Some(registration) = registration.filter(|_| admitted) {
            // The earliest counts, whenever it became known.
            cx.execute(
                "update event_registrations \
                    set checked_in_at = least(checked_in_at, $2), \
                        status = case status when 'confirmed' then 'checked_in' else status end \
                  where id = $1 and (checked_in_at is null or $2 < checked_in_at)",
                &[&registration, &self.at],
            )
            .await?;
        }
        Ok(())
    }

    async fn log(&self, cx: &Cx, entry: &StoredEntry, registration: Option<Uuid>) -> Result<()> {
        let number = "select number from events where id = $1";
        let number: i64 = cx.query_one(number, &[&entry.event]).await?.try_get(0)?;
        let ticket = self.ticket.map(signed).transpose()?;
        cx.execute(
            "insert into credential_access_log \
               (event_id, journal_seq, scan, registration_id, ticket_number, device_id, lane, \
                zone, direction, verdict, reason, rule, forced, checked_in_by, scanned_at, \
                offline) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            &[
                &entry.event,
                &entry.seq,
                &format!("{number}-{}", entry.seq),
                &registration,
                &ticket,
                &self.device,
                &self.lane,
                &self.zone,
                &word(&self.direction)?,
                &word(&self.verdict)?,
                &self.reason.map(Reason::code),
                &self.reason.and_then(Reason::rule),
                &self.forced,
                &self.by,
                &self.at,
                &self.offline,
            ],
        )
        .await?;
        Ok(())
    }
}

async fn registration(cx: &Cx, entry: &StoredEntry, ticket: u64) -> Result<Uuid> {
    let sql = "select id from event_registrations where event_id = $1 and ticket_number = $2";
    let row = cx.query_opt(sql, &[&entry.event, &signed(ticket)?]).await?;
    let row = row.ok_or_else(|| Error::internal(format!("ticket {ticket} has no registration")))?;
    Ok(row.try_get(0)?)
}

/// An enum of the journal as its word on the wire.
pub(super) fn word(value: &impl Serialize) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(Error::internal("a word of the journal is not a text")),
    }
}
