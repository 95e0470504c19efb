//! The loop that turns changes into documents: claims rows of the outbox, makes the documents that
//! they touch anew, numbers those that differ. One publisher works at a time, under an advisory
//! lock held until its commit, so that the order of cursors is the order of commits.

use std::time::Duration;

use kernel::cx::{Actor, Cx, WorkTx};
use kernel::db::Row;
use kernel::error::{Error, Result};
use kernel::service::{Service, Shutdown};
use serde_json::Value;
use uuid::Uuid;

use super::documents;
use crate::tables::feeds::DOCUMENT_CHARS_MAX;

/// Changes taken at once.
const BATCH_ROWS: i64 = 200;
/// Between two looks at an empty outbox.
const IDLE_PAUSE: Duration = Duration::from_millis(50);
/// Key of the advisory lock.
const LOCK: i64 = 4_146_010;
/// Done rows of the outbox are kept this long, and what says that an instruction is gone: a gate
/// that was away longer has it from the journal, which ended the instruction.
const DONE_KEPT: &str = "1 day";
/// Between two clean-ups.
const SWEEP_EVERY_S: i64 = 60;
/// A change whose document cannot be made is tried again after attempts² seconds, at most these.
const RETRY_S_MAX: i32 = 300;

/// What a change of a table touches: the kind of document, and the query from row to document.
struct Touches {
    table: &'static str,
    kind: Kind,
    sql: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Event,
    Device,
    Instruction,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Device => "device",
            Self::Instruction => "instruction",
        }
    }
}

static TOUCHES: &[Touches] = &[
    Touches { table: "events", kind: Kind::Event, sql: "select $1::uuid" },
    Touches {
        table: "ticket_types",
        kind: Kind::Event,
        sql: "select event_id from ticket_types where id = $1",
    },
    Touches {
        table: "quotas",
        kind: Kind::Event,
        sql: "select event_id from quotas where id = $1",
    },
    Touches {
        table: "quota_ticket_types",
        kind: Kind::Event,
        sql: "select q.event_id from quota_ticket_types p \
                join quotas q on q.org_id = p.org_id and q.id = p.quota_id where p.id = $1",
    },
    Touches {
        table: "check_in_zones",
        kind: Kind::Event,
        sql: "select event_id from check_in_zones where id = $1",
    },
    Touches {
        table: "ticket_type_zones",
        kind: Kind::Event,
        sql: "select z.event_id from ticket_type_zones p \
                join check_in_zones z on z.org_id = p.org_id and z.id = p.zone_id \
               where p.id = $1",
    },
    Touches {
        table: "event_keys",
        kind: Kind::Event,
        sql: "select event_id from event_keys where id = $1",
    },
    Touches {
        table: "event_secrets",
        kind: Kind::Event,
        sql: "select event_id from event_secrets where id = $1",
    },
    Touches { table: "check_in_devices", kind: Kind::Device, sql: "select $1::uuid" },
    Touches {
        table: "check_in_device_events",
        kind: Kind::Device,
        sql: "select device_id from check_in_device_events where id = $1",
    },
    Touches { table: "gate_instructions", kind: Kind::Instruction, sql: "select $1::uuid" },
];

/// A claimed row of the outbox.
struct Change {
    id: i64,
    org: Uuid,
    touches: Option<&'static Touches>,
    row: Uuid,
}

pub(crate) async fn publish(service: Service, end: Shutdown) -> Result<()> {
    let mut swept_at = i64::MIN;
    while !end.requested() {
        let published = publish_batch(&service).await?;
        let now = service.now().as_second();
        if now.saturating_sub(swept_at) >= SWEEP_EVERY_S {
            swept_at = now;
            sweep(&service).await?;
        }
        if published == 0 && !end.pause(IDLE_PAUSE).await {
            break;
        }
    }
    Ok(())
}

/// One batch: how many changes were taken.
async fn publish_batch(service: &Service) -> Result<usize> {
    let tx = service.work().await?;
    let locked = tx.query_one("select pg_try_advisory_xact_lock($1)", &[&LOCK]).await?;
    if !locked.try_get::<_, bool>(0)? {
        tx.rollback().await?;
        return Ok(0);
    }
    let changes = claim(&tx).await?;
    if changes.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    let mut done = Vec::new();
    // Several changes of one thing in a batch are one document, made or not made once.
    let mut tried: Vec<((Uuid, Kind, Uuid), Option<Error>)> = Vec::new();
    for change in &changes {
        let document = match subject(service, change).await {
            Ok(Some(document)) => document,
            Ok(None) => {
                done.push(change.id);
                continue;
            }
            Err(cause) => {
                put_off(&tx, change, &cause).await?;
                continue;
            }
        };
        if !tried.iter().any(|(known, _)| *known == document) {
            tried.push((document, renew(service, &tx, document).await.err()));
        }
        match tried.iter().find(|(known, _)| *known == document) {
            Some((_, Some(cause))) => put_off(&tx, change, cause).await?,
            _ => done.push(change.id),
        }
    }
    tx.execute("update outbox set done_at = now() where id = any($1)", &[&done]).await?;
    tx.commit().await?;
    Ok(changes.len())
}

/// Every open row is taken, in order: those that touch no document are done by being seen, since
/// the catalogue is the outbox's one consumer.
async fn claim(tx: &WorkTx) -> Result<Vec<Change>> {
    let rows = tx
        .query(
            "select id, org_id, topic, row_id from outbox \
              where done_at is null and (taken_at is null or taken_at < now() - \
                    least(attempts * attempts, $2) * interval '1 second') \
              order by id limit $1 for update skip locked",
            &[&BATCH_ROWS, &RETRY_S_MAX],
        )
        .await?;
    rows.iter().map(change).collect()
}

fn change(row: &Row) -> Result<Change> {
    let topic: String = row.try_get(2)?;
    let table = topic.split_once('.').map_or(topic.as_str(), |(table, _)| table);
    Ok(Change {
        id: row.try_get(0)?,
        org: row.try_get(1)?,
        touches: TOUCHES.iter().find(|touches| touches.table == table),
        row: row.try_get(3)?,
    })
}

/// The document that a change touches.
async fn subject(service: &Service, change: &Change) -> Result<Option<(Uuid, Kind, Uuid)>> {
    let Some(touches) = change.touches else { return Ok(None) };
    let cx = open(service, change.org).await?;
    let row = cx.query_opt(touches.sql, &[&change.row]).await?;
    cx.rollback().await?;
    row.map(|row| Ok((change.org, touches.kind, row.try_get(0)?))).transpose()
}

/// Makes a document from the rows as they are now, which is at or after the change that was
/// claimed, and numbers it if it differs from the one that is out.
async fn renew(service: &Service, tx: &WorkTx, document: (Uuid, Kind, Uuid)) -> Result<()> {
    let (org, kind, id) = document;
    let cx = open(service, org).await?;
    let body: Option<Value> = match kind {
        Kind::Event => documents::event(&cx, id).await?,
        Kind::Device => documents::device(&cx, id).await?,
        Kind::Instruction => documents::instruction(&cx, id).await?,
    };
    cx.rollback().await?;
    let body = body.map(|body| body.to_string());
    // Said here, because a statement that fails would take the whole batch with it.
    if body.as_ref().is_some_and(|body| body.chars().count() > DOCUMENT_CHARS_MAX as usize) {
        let (kind, bound) = (kind.name(), DOCUMENT_CHARS_MAX);
        return Err(Error::internal(format!("the {kind} {id} has more than {bound} characters")));
    }
    let known = tx.query_opt("select body from catalogue_documents where id = $1", &[&id]).await?;
    let same = match &known {
        Some(row) => row.try_get::<_, Option<String>>(0)? == body,
        None => body.is_none(),
    };
    if same {
        return Ok(());
    }
    let gone_at = body.is_none().then_some(tx.now);
    tx.execute(
        "insert into catalogue_documents (id, org_id, kind, cursor, body, gone_at) \
         values ($1, $2, $3, (select coalesce(max(cursor), 0) + 1 from catalogue_documents), $4, $5) \
         on conflict (id) do update set cursor = excluded.cursor, body = excluded.body, \
                gone_at = excluded.gone_at",
        &[&id, &org, &kind.name(), &body, &gone_at],
    )
    .await?;
    Ok(())
}

async fn open(service: &Service, org: Uuid) -> Result<Cx> {
    service.begin(Actor::Service("catalogue"), org).await
}

/// One document that cannot be made holds nobody else up.
async fn put_off(tx: &WorkTx, change: &Change, cause: &Error) -> Result<()> {
    tracing::error!(outbox = change.id, row = %change.row, cause = %cause.log_text(),
        "a document of the catalogue could not be made");
    tx.execute(
        "update outbox set taken_at = now(), attempts = attempts + 1, error = $2 where id = $1",
        &[&change.id, &cause.log_text()],
    )
    .await?;
    Ok(())
}

async fn sweep(service: &Service) -> Result<()> {
    let tx = service.work().await?;
    let sql = format!("delete from outbox where done_at < now() - interval '{DONE_KEPT}'");
    tx.execute(&sql, &[]).await?;
    // The newest row stays in any case: the cursor is read from it.
    let sql = format!(
        "delete from catalogue_documents where kind = 'instruction' \
            and gone_at < now() - interval '{DONE_KEPT}' \
            and cursor < (select max(cursor) from catalogue_documents)"
    );
    tx.execute(&sql, &[]).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests;
