//! `GET /internal/v1/catalogue`: documents by cursor, long poll.

use std::time::Duration;

use kernel::action::{BoxFuture, InternalCall, InternalReply, InternalRoute};
use kernel::db::Row;
use kernel::error::{Code, Error, Result};
use kernel::installation::feed_epoch;
use kernel::service::Service;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use uuid::Uuid;

const LIMIT_DEFAULT: i64 = 500;
const LIMIT_MAX: i64 = 1_000;
/// A page ends before the document that would make it longer; the first one always fits.
const PAGE_BYTES_MAX: i64 = 16 * 1024 * 1024;
const WAIT_MS_MAX: u64 = 30_000;
/// Between two looks while nothing is new.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) static ROUTES: &[InternalRoute] = &[InternalRoute {
    method: "GET",
    path: "/internal/v1/catalogue",
    run: |service, call| -> BoxFuture<'static, Result<InternalReply>> {
        Box::pin(catalogue(service, call))
    },
}];

#[derive(Serialize)]
struct Feed {
    /// When it changes, cursors begin anew: the reader starts over, however far it was.
    epoch: Uuid,
    cursor: i64,
    more: bool,
    changes: Vec<Document>,
}

#[derive(Serialize)]
struct Document {
    cursor: i64,
    kind: String,
    id: Uuid,
    organization: Uuid,
    body: Option<Box<RawValue>>,
}

struct Query {
    after: i64,
    limit: i64,
    wait: Duration,
}

async fn catalogue(service: Service, call: InternalCall) -> Result<InternalReply> {
    let query = parse(&call.query)?;
    let until = Instant::now() + query.wait;
    let mut ending = false;
    loop {
        let feed = read(&service, &query).await?;
        // A cursor behind the reader's is told at once: the reader must start over.
        let news = !feed.changes.is_empty() || feed.cursor < query.after;
        if news || Instant::now() >= until || ending {
            let body = serde_json::to_vec(&feed)
                .map_err(|cause| Error::internal(format!("catalogue: {cause}")))?;
            return Ok(InternalReply { status: 200, body });
        }
        ending = !call.shutdown.pause(LOOK_EVERY).await;
    }
}

async fn read(service: &Service, query: &Query) -> Result<Feed> {
    let tx = service.work().await?;
    let last = tx.query_one("select coalesce(max(cursor), 0) from catalogue_documents", &[]);
    let last: i64 = last.await?.try_get(0)?;
    let epoch = feed_epoch(&tx).await?;
    if last <= query.after {
        tx.rollback().await?;
        return Ok(Feed { epoch, cursor: last, more: false, changes: Vec::new() });
    }
    // A snapshot needs no trace of what is gone. `last` was read first: what is committed in
    // between has a greater cursor and comes with the next page.
    let sql = "select cursor, kind, id, org_id, body, newest from (\
                 select cursor, kind, id, org_id, body, max(cursor) over () as newest, \
                        sum(coalesce(octet_length(body), 0)) over (order by cursor) \
                          - coalesce(octet_length(body), 0) as before \
                   from (select * from catalogue_documents \
                          where cursor > $1 and cursor <= $2 and ($1 > 0 or body is not null) \
                          order by cursor limit $3::bigint + 1) candidates) page \
                where before = 0 or before + octet_length(coalesce(body, '')) <= $4 \
                order by cursor limit $3::bigint";
    let rows = tx.query(sql, &[&query.after, &last, &query.limit, &PAGE_BYTES_MAX]).await?;
    tx.rollback().await?;
    let changes: Vec<Document> = rows.iter().map(document).collect::<Result<_>>()?;
    let newest: i64 = rows.first().map_or(Ok(0), |row| row.try_get(5))?;
    let (cursor, more) = match changes.last() {
        Some(document) if document.cursor < newest => (document.cursor, true),
        _ => (last, false),
    };
    Ok(Feed { epoch, cursor, more, changes })
}

fn document(row: &Row) -> Result<Document> {
    let body: Option<String> = row.try_get(4)?;
    let body = body
        .map(RawValue::from_string)
        .transpose()
        .map_err(|cause| Error::internal(format!("a stored document is not JSON: {cause}")))?;
    Ok(Document {
        cursor: row.try_get(0)?,
        kind: row.try_get(1)?,
        id: row.try_get(2)?,
        organization: row.try_get(3)?,
        body,
    })
}

fn parse(pairs: &[(String, String)]) -> Result<Query> {
    let mut query = Query { after: 0, limit: LIMIT_DEFAULT, wait: Duration::ZERO };
    for (name, value) in pairs {
        let number = value.parse::<i64>().ok().filter(|number| *number >= 0).ok_or_else(|| {
            Error::field(Code::InvalidRequest, name.clone(), "expected a whole number from 0 on")
        });
        match name.as_str() {
            "after" => query.after = number?,
            "limit" => query.limit = number?.clamp(1, LIMIT_MAX),
            "wait_ms" => query.wait = wait(number?),
            other => {
                let detail = format!("there is no parameter {other}");
                return Err(Error::field(Code::UnknownParameter, other, detail));
            }
        }
    }
    Ok(query)
}

fn wait(wait_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0).min(WAIT_MS_MAX))
}
