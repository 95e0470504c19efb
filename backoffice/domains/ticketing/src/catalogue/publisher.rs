//! The consumer that turns changes into documents: makes the documents that they touch anew and
//! numbers those that differ. One process at a time works for a consumer, under a lock held until its
//! commit, so that the order of cursors is the order of commits.

use kernel::cx::{Actor, Cx, WorkTx};
use kernel::error::{Error, Result};
use kernel::jobs::JobRun;
use kernel::outbox::{Consumer, Event, Hear};
use kernel::service::Service;
use serde_json::Value;
use uuid::Uuid;

use super::documents;
use crate::tables::feeds::DOCUMENT_CHARS_MAX;

/// What says that an instruction is gone is kept this long: a gate that was away longer has it from
/// the journal, which ended the instruction.
const GONE_KEPT: &str = "1 day";

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
        table: "check_in_lanes",
        kind: Kind::Event,
        sql: "select event_id from check_in_lanes where id = $1",
    },
    Touches {
        table: "check_in_lane_types",
        kind: Kind::Event,
        sql: "select l.event_id from check_in_lane_types p \
                join check_in_lanes l on l.org_id = p.org_id and l.id = p.lane_id \
               where p.id = $1",
    },
    Touches {
        table: "check_in_questions",
        kind: Kind::Event,
        sql: "select event_id from check_in_questions where id = $1",
    },
    Touches {
        table: "check_in_question_types",
        kind: Kind::Event,
        sql: "select q.event_id from check_in_question_types p \
                join check_in_questions q on q.org_id = p.org_id and q.id = p.question_id \
               where p.id = $1",
    },
    Touches {
        table: "ticket_type_windows",
        kind: Kind::Event,
        sql: "select z.event_id from ticket_type_windows w \
                join check_in_zones z on z.org_id = w.org_id and z.id = w.zone_id \
               where w.id = $1",
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

pub(crate) const CONSUMER: Consumer = Consumer {
    name: "ticketing.catalogue",
    topics: &[
        "events.*",
        "ticket_types.*",
        "quotas.*",
        "quota_ticket_types.*",
        "check_in_zones.*",
        "ticket_type_zones.*",
        "check_in_lanes.*",
        "check_in_lane_types.*",
        "check_in_questions.*",
        "check_in_question_types.*",
        "ticket_type_windows.*",
        "event_keys.*",
        "event_secrets.*",
        "check_in_devices.*",
        "check_in_device_events.*",
        "gate_instructions.*",
    ],
    run: Hear::Work(|tx, events| Box::pin(publish(tx, events))),
};

/// Makes the documents that the events touch anew; answers the events whose document could not be
/// made: one of them holds nobody else up.
async fn publish(tx: &WorkTx, events: &[Event]) -> Result<Vec<(i64, Error)>> {
    let service = tx.service();
    let mut failed = Vec::new();
    // Several changes of one thing in a batch are one document, made or not made once.
    let mut tried: Vec<((Uuid, Kind, Uuid), Option<String>)> = Vec::new();
    for event in events {
        let document = match subject(service, event).await {
            Ok(Some(document)) => document,
            Ok(None) => continue,
            Err(cause) => {
                failed.push((event.id, cause));
                continue;
            }
        };
        if !tried.iter().any(|(known, _)| *known == document) {
            let made = renew(service, tx, document).await;
            tried.push((document, made.err().map(|cause| cause.log_text())));
        }
        if let Some((_, Some(cause))) = tried.iter().find(|(known, _)| *known == document) {
            failed.push((event.id, Error::internal(cause)));
        }
    }
    Ok(failed)
}

/// The document that a change touches.
async fn subject(service: &Service, change: &Event) -> Result<Option<(Uuid, Kind, Uuid)>> {
    let touches = TOUCHES.iter().find(|touches| touches.table == change.table());
    let Some(touches) = touches else { return Ok(None) };
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

/// The job that forgets instructions which are gone.
pub(crate) async fn sweep(run: JobRun) -> Result<Value> {
    let tx = run.service().work().await?;
    // The newest row stays in any case: the cursor is read from it.
    let sql = format!(
        "delete from catalogue_documents where kind = 'instruction' \
            and gone_at < $1::timestamptz - interval '{GONE_KEPT}' \
            and cursor < (select max(cursor) from catalogue_documents)"
    );
    let swept = tx.execute(&sql, &[&tx.now]).await?;
    tx.commit().await?;
    Ok(serde_json::json!({"swept": swept}))
}

#[cfg(test)]
mod tests;
