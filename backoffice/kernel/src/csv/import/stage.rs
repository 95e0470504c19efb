//! From a request's body to staged chunks: read as it comes, kept in batches, in one transaction, so
//! that a file that breaks off or is no CSV leaves nothing.

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::entities::IMPORT;
use super::super::mapping::Mapping;
use super::super::text::{self, Malformed, Reader, Record};
use super::{
    CHUNK_BYTES, CHUNK_ROWS, FILE_BYTES_MAX, JOB, Matching, May, Mode, OPEN_MAX, OPEN_TIME,
    Options, ROWS_MAX, UNDO_TIME,
};
use crate::actor::Actor;
use crate::custom;
use crate::cx::Cx;
use crate::dispatch::{Answer, Body, Call};
use crate::engine::{self, Lock};
use crate::entity::Entity;
use crate::error::{Code, Error, Result};
use crate::rights::{self, Access};
use crate::service::Service;

const MEDIA_TYPES: &[&str] = &["text/csv", "application/csv", "application/vnd.ms-excel"];

/// 202 with the import's row; its check runs in the background.
pub(crate) async fn answer(
    service: &Service,
    call: &Call,
    actor: Actor,
    org: Uuid,
    entity: &'static Entity,
) -> Result<Answer> {
    rights::may(&actor, &IMPORT, "create")?;
    let options = Options::read(&call.query)?;
    offered(entity, options.matching)?;
    let mut cx = service.open(actor, org, call.request_id, crate::cx::Mode::Write).await?;
    let outcome = stage(&mut cx, call, entity, options).await;
    cx.finish(outcome).await
}

/// The engine itself must offer what the import would do.
fn offered(entity: &Entity, matching: Matching) -> Result<()> {
    let refuse = |what: &str| {
        let text = format!("rows of {} are not {what} by import", entity.route());
        Err(Error::field(Code::InvalidRequest, "match", text))
    };
    if matching.creates() && !entity.operations.create {
        return refuse("created");
    }
    if matching.updates() && !entity.operations.patch {
        return refuse("changed");
    }
    Ok(())
}

async fn stage(
    cx: &mut Cx,
    call: &Call,
    entity: &'static Entity,
    options: Options,
) -> Result<Answer> {
    let Body::Upload(upload) = &call.body else {
        return Err(Error::internal("an import came without its body"));
    };
    if !MEDIA_TYPES.contains(&upload.media_type.as_str()) {
        return Err(Error::new(Code::UnsupportedMediaType, "send the file as text/csv"));
    }
    // Rights are asked before the file is read, and again for its columns.
    May::ask(cx, entity, options.matching, &Mapping::empty())?;
    sweep(cx).await?;
    room(cx).await?;
    let mut staging = Staging::new(cx.new_id(), options.separator);
    let mut pieces = upload.take()?;
    let mut bytes: u64 = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        bytes = bytes.saturating_add(piece.len() as u64);
        if FILE_BYTES_MAX < bytes {
            let most = FILE_BYTES_MAX / (1024 * 1024);
            return Err(Error::new(Code::BodyTooLarge, format!("a file has at most {most} MiB")));
        }
        staging.reader.push(&piece, &mut staging.records).map_err(malformed)?;
        staging.take(cx, entity, &options, Rest::Waits).await?;
    }
    let reader = std::mem::replace(&mut staging.reader, Reader::new(None));
    reader.finish(&mut staging.records).map_err(malformed)?;
    staging.take(cx, entity, &options, Rest::Goes).await?;
    let (id, rows) = (staging.id, staging.rows);
    if staging.mapping.is_none() {
        return Err(Error::new(Code::MalformedCsv, "the file has no header"));
    }
    let job = cx.enqueue(JOB.name, json!({"import_id": id})).await?;
    cx.set(&IMPORT, id, &[("rows_total", json!(rows)), ("job_id", json!(job))]).await?;
    let shown = engine::get::shown_row(cx, &IMPORT, id, Lock::None, &Access::all()).await?;
    Ok(Answer {
        status: 202,
        body: Some(shown.json),
        location: Some(format!("/api/v1/imports/{id}")),
        version: shown.version,
        ..Answer::default()
    })
}

/// Whether a chunk that is not full is kept, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Waits,
    Goes,
}

struct Staging {
    id: Uuid,
    reader: Reader,
    records: Vec<Record>,
    mapping: Option<Mapping>,
    chunk: Vec<u8>,
    chunk_rows: usize,
    seq: i64,
    rows: u64,
}

impl Staging {
    fn new(id: Uuid, separator: Option<u8>) -> Self {
        Self {
            id,
            reader: Reader::new(separator),
            records: Vec::new(),
            mapping: None,
            chunk: Vec::new(),
            chunk_rows: 0,
            seq: 0,
            rows: 0,
        }
    }

    /// Keeps what was read.
    async fn take(
        &mut self,
        cx: &mut Cx,
        entity: &'static Entity,
        options: &Options,
        rest: Rest,
    ) -> Result<()> {
        for record in std::mem::take(&mut self.records) {
            let Some(mapping) = &self.mapping else {
                self.begin(cx, entity, options, &record).await?;
                continue;
            };
            // An empty line is a null where there is one column, else no row.
            if record.is_blank() && mapping.columns.len() > 1 {
                continue;
            }
            self.rows += 1;
            if ROWS_MAX < self.rows {
                let text = format!("a file has at most {ROWS_MAX} rows");
                return Err(Error::new(Code::BodyTooLarge, text));
            }
            // The row's number stands in front of its cells.
            let number = text::Cell::text(record.row.to_string());
            let cells = std::iter::once(&number).chain(&record.cells);
            text::write_record(cells, b',', &mut self.chunk);
            self.chunk_rows += 1;
            if self.chunk_rows >= CHUNK_ROWS || self.chunk.len() >= CHUNK_BYTES {
                self.keep(cx).await?;
            }
        }
        if rest == Rest::Goes && self.chunk_rows > 0 {
            self.keep(cx).await?;
        }
        Ok(())
    }

    /// The header: what the columns are, whether the caller may write them, the import's row.
    async fn begin(
        &mut self,
        cx: &mut Cx,
        entity: &'static Entity,
        options: &Options,
        header: &Record,
    ) -> Result<()> {
        let model = custom::load(cx, entity).await?;
        let mapping =
            Mapping::read(cx.registry(), entity, &model, &header.cells, &options.mapping)?;
        mapping.permitted(&cx.actor, cx.registry(), entity)?;
        May::ask(cx, entity, options.matching, &mapping)?;
        matchable(entity, options.matching, &mapping)?;
        let mut row = Map::new();
        let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
        put("id", json!(self.id));
        put("entity", json!(entity.route()));
        put("user_id", json!(cx.actor.user()));
        put("mode", json!(if options.mode == Mode::All { "all" } else { "each" }));
        let matching = match options.matching {
            Matching::Create => "create",
            Matching::Update => "update",
            Matching::Upsert => "upsert",
        };
        put("matching", json!(matching));
        put("dry_run", json!(options.dry_run));
        put("quiet", json!(options.quiet));
        put("mapping", mapping.show());
        cx.insert(&IMPORT, row).await?;
        self.mapping = Some(mapping);
        Ok(())
    }

    async fn keep(&mut self, cx: &Cx) -> Result<()> {
        let records = std::mem::take(&mut self.chunk);
        let rows = i64::try_from(std::mem::take(&mut self.chunk_rows)).unwrap_or(i64::MAX);
        cx.execute(
            "insert into import_chunks (org_id, id, import_id, seq, row_count, records) \
             values ($1, $2, $3, $4, $5, $6)",
            &[&cx.org, &cx.new_id(), &self.id, &self.seq, &rows, &records],
        )
        .await?;
        self.seq += 1;
        Ok(())
    }
}

/// Rows that may be there already must be found: by their id or by their natural key.
fn matchable(entity: &'static Entity, matching: Matching, mapping: &Mapping) -> Result<()> {
    if !matching.updates() || mapping.finds_rows(entity) {
        return Ok(());
    }
    let key = entity.natural_key().map(|key| key.fields.join(", "));
    let text = match key {
        Some(key) => format!("rows are found by the column id or by: {key}"),
        None => "rows are found by the column id".to_owned(),
    };
    Err(Error::field(Code::Required, "header", text))
}

fn malformed(cause: Malformed) -> Error {
    let Malformed { row, column, reason } = cause;
    Error::field(
        Code::MalformedCsv,
        format!("row[{row}].column[{column}]"),
        format!("row {row}, column {column}: {reason}"),
    )
}

async fn room(cx: &Cx) -> Result<()> {
    let row = cx
        .query_one(
            "select count(*) from imports where org_id = $1 \
             and status in ('checking', 'checked', 'importing', 'undoing')",
            &[&cx.org],
        )
        .await?;
    if OPEN_MAX <= row.try_get(0)? {
        let text = format!("{OPEN_MAX} imports are open: commit or cancel some");
        return Err(Error::new(Code::LimitReached, text));
    }
    Ok(())
}

/// Empties what nobody came back for. Each import does it for its organization, so that nothing has
/// to walk over all of them.
async fn sweep(cx: &Cx) -> Result<()> {
    let (stale, past_undo) = (cx.now - OPEN_TIME, cx.now - UNDO_TIME);
    cx.execute(
        "update imports set status = 'expired', finished_at = $3 \
         where org_id = $1 and status in ('checking', 'checked') and created_at < $2",
        &[&cx.org, &stale, &cx.now],
    )
    .await?;
    cx.execute(
        "update import_chunks c set records = null, outcome = case when i.finished_at < $2 then null \
         else outcome end from imports i \
         where c.org_id = $1 and i.org_id = $1 and i.id = c.import_id \
         and (i.finished_at < $2 and c.outcome is not null or i.status = 'expired' and c.records is not null)",
        &[&cx.org, &past_undo],
    )
    .await
    .map(drop)
}

/// The file's contents are not kept longer than they are needed.
pub(super) async fn empty(cx: &Cx, import: Uuid) -> Result<()> {
    cx.execute(
        "update import_chunks set records = null \
         where org_id = $1 and import_id = $2 and records is not null",
        &[&cx.org, &import],
    )
    .await
    .map(drop)
}
