//! From a request's body to staged chunks: read as it comes, each batch kept in a transaction of its
//! own, so that nobody's slow line holds a connection. Until all of it is there the import has the
//! status `uploading`; of a file that breaks off or is no CSV nothing is kept but that it was there,
//! and what a killed process leaves is swept.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::entities::IMPORT;
use super::super::mapping::Mapping;
use super::super::text::{self, Malformed, Reader, Record};
use super::{
    CHUNK_BYTES, CHUNK_ROWS, FILE_BYTES_MAX, JOB, Matching, May, Mode, OPEN_MAX, OPEN_TIME,
    Options, ROWS_MAX, UNDO_TIME, UPLOAD_TIME,
};
use crate::actor::Actor;
use crate::custom;
use crate::cx::Cx;
use crate::dispatch::idempotency::{self, Key};
use crate::dispatch::{Answer, Body, Call, Done, Target};
use crate::engine::{self, Lock};
use crate::entity::Entity;
use crate::error::{Code, Error, Result};
use crate::rights::{self, Access};
use crate::service::Service;
use crate::stream::Upload;

const MEDIA_TYPES: &[&str] = &["text/csv", "application/csv", "application/vnd.ms-excel"];
/// A caller that sends nothing for this long has left.
const STALL_WAIT: Duration = Duration::from_secs(20);

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
    let Body::Upload(upload) = &call.body else {
        return Err(Error::internal("an import came without its body"));
    };
    if !MEDIA_TYPES.contains(&upload.media_type.as_str()) {
        return Err(Error::new(Code::UnsupportedMediaType, "send the file as text/csv"));
    }
    let _place = service
        .uploads()
        .try_acquire_owned()
        .map_err(|_| Error::new(Code::Overloaded, "too many files are coming in").retry_after(5))?;
    let door = Door { service, call, actor, org, entity, options };
    let cx = door.open().await?;
    let welcome = door.welcome(&cx).await;
    cx.finish(welcome).await?;
    let keeping = if door.was_here().await? { Keeping::Nothing } else { Keeping::Chunks };
    let mut staging = Staging::new(service.new_id(), door.options.separator, keeping);
    let answer = match staging.fill(&door, upload).await {
        Ok(()) => staging.end(&door).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(Ended::Now(answer)) => Ok(answer),
        Ok(Ended::Before(answer)) => staging.discard(&door, None).await.map(|()| answer),
        Err(error) => {
            // The refusal is the answer; what cannot be taken away now is swept.
            if let Err(second) = staging.discard(&door, Some(&error)).await {
                tracing::warn!(error = second.log_text(), "a broken upload was left to the sweep");
            }
            Err(error)
        }
    }
}

/// Whose file this is and what is asked for it.
struct Door<'a> {
    service: &'a Service,
    call: &'a Call,
    actor: Actor,
    org: Uuid,
    entity: &'static Entity,
    options: Options,
}

impl Door<'_> {
    async fn open(&self) -> Result<Cx> {
        let mode = crate::cx::Mode::Write;
        self.service.open(self.actor.clone(), self.org, self.call.request_id, mode).await
    }

    /// Rights are asked before the file is read, and again for its columns.
    async fn welcome(&self, cx: &Cx) -> Result<()> {
        May::ask(cx, self.entity, self.options.matching, &Mapping::empty())?;
        sweep(cx).await?;
        room(cx).await
    }

    /// Whether a request with this one's key was here already: then the file is read only to tell
    /// whether it is the same one. The claim is undone.
    async fn was_here(&self) -> Result<bool> {
        let cx = self.open().await?;
        let claimed = async {
            let Some(key) = idempotency::key(self.call, &cx)? else { return Ok(false) };
            let target = Target::Import { entity: self.entity };
            match idempotency::claim(&cx, &key, &target).await {
                Ok(done) => Ok(done.is_some()),
                Err(error) if error.code() == Code::IdempotencyKeyReused => Ok(true),
                Err(error) => Err(error),
            }
        };
        let claimed = claimed.await;
        cx.rollback().await?;
        claimed
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Chunks,
    Nothing,
}

/// Whether the answer is this request's, or that of an earlier one with its key.
enum Ended {
    Now(Answer),
    Before(Answer),
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

struct Staging {
    id: Uuid,
    reader: Reader,
    records: Vec<Record>,
    mapping: Option<Mapping>,
    keeping: Keeping,
    /// The import's row is there.
    begun: bool,
    chunk: Chunk,
    seq: i64,
    rows: u64,
}

/// Rows on their way to a chunk.
#[derive(Default)]
struct Chunk {
    records: Vec<u8>,
    rows: usize,
    first: u64,
    last: u64,
}

impl Staging {
    fn new(id: Uuid, separator: Option<u8>, keeping: Keeping) -> Self {
        Self {
            id,
            reader: Reader::new(separator),
            records: Vec::new(),
            mapping: None,
            keeping,
            begun: false,
            chunk: Chunk::default(),
            seq: 0,
            rows: 0,
        }
    }

    /// Reads the body to its end; full chunks are kept, the last one waits.
    async fn fill(&mut self, door: &Door<'_>, upload: &Upload) -> Result<()> {
        let mut pieces = upload.take()?;
        let mut digest = door.call.idempotency_key.as_ref().map(|_| Sha256::new());
        let mut bytes: u64 = 0;
        while let Some(piece) = next(&mut pieces).await? {
            let piece = piece?;
            bytes = bytes.saturating_add(piece.len() as u64);
            if FILE_BYTES_MAX < bytes {
                let most = FILE_BYTES_MAX / (1024 * 1024);
                let text = format!("a file has at most {most} MiB");
                return Err(Error::new(Code::BodyTooLarge, text));
            }
            if let Some(digest) = &mut digest {
                digest.update(&piece);
            }
            self.reader.push(&piece, &mut self.records).map_err(malformed)?;
            self.take(door).await?;
        }
        let reader = std::mem::replace(&mut self.reader, Reader::new(None));
        reader.finish(&mut self.records).map_err(malformed)?;
        self.take(door).await?;
        if let Some(digest) = digest {
            upload.digest.get_or_init(|| digest.finalize().to_vec());
        }
        if self.mapping.is_none() {
            return Err(Error::new(Code::MalformedCsv, "the file has no header"));
        }
        Ok(())
    }

    /// Takes what was read into chunks.
    async fn take(&mut self, door: &Door<'_>) -> Result<()> {
        for record in std::mem::take(&mut self.records) {
            let Some(mapping) = &self.mapping else {
                let cx = door.open().await?;
                let mapping = header(&cx, door, &record).await;
                self.mapping = Some(cx.finish(mapping).await?);
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
            if self.keeping == Keeping::Nothing {
                continue;
            }
            self.chunk.push(&record);
            if self.chunk.is_full() {
                let mut cx = door.open().await?;
                let kept = self.keep(&mut cx, door).await;
                cx.finish(kept).await?;
            }
        }
        Ok(())
    }

    /// Keeps the chunk, behind the import's row. Whoever canceled meanwhile stops it.
    async fn keep(&mut self, cx: &mut Cx, door: &Door<'_>) -> Result<()> {
        if self.begun {
            super::job::still(cx, self.id, "uploading").await?;
        } else {
            let mapping = self.mapping.as_ref().ok_or_else(|| Error::internal("no header"))?;
            let row = row(cx, self.id, door, mapping);
            cx.insert(&IMPORT, row).await?;
            self.begun = true;
        }
        let chunk = std::mem::take(&mut self.chunk);
        if chunk.rows == 0 {
            return Ok(());
        }
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        cx.execute(
            "insert into import_chunks \
             (org_id, id, import_id, seq, row_count, row_first, row_last, records) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                &cx.org,
                &cx.new_id(),
                &self.id,
                &self.seq,
                &number(chunk.rows as u64),
                &number(chunk.first),
                &number(chunk.last),
                &chunk.records,
            ],
        )
        .await?;
        self.seq += 1;
        Ok(())
    }

    /// The last chunk, the job and the answer, which commit together.
    async fn end(&mut self, door: &Door<'_>) -> Result<Ended> {
        let mut cx = door.open().await?;
        let ended = self.last(&mut cx, door).await;
        cx.finish(ended).await
    }

    async fn last(&mut self, cx: &mut Cx, door: &Door<'_>) -> Result<Ended> {
        let key = idempotency::key(door.call, cx)?;
        if let Some(answer) = before(cx, key.as_ref(), door.entity).await? {
            return Ok(Ended::Before(answer));
        }
        self.keep(cx, door).await?;
        let job = cx.enqueue(JOB.name, json!({"import_id": self.id})).await?;
        let fields = [
            ("status", json!("checking")),
            ("rows_total", json!(self.rows)),
            ("job_id", json!(job)),
        ];
        cx.set(&IMPORT, self.id, &fields).await?;
        let all = Access::all();
        let shown = engine::get::shown_row(cx, &IMPORT, self.id, Lock::None, &all).await?;
        let answer = Answer {
            status: 202,
            body: Some(shown.json),
            location: Some(format!("/api/v1/imports/{}", self.id)),
            version: shown.version,
            ..Answer::default()
        };
        let Some(key) = key else { return Ok(Ended::Now(answer)) };
        let done = Done::Answer(answer);
        idempotency::keep(cx, &key, &done).await?;
        match done {
            Done::Answer(answer) => Ok(Ended::Now(answer)),
            Done::Await { .. } => Err(Error::internal("an import does not wait")),
        }
    }

    /// Empties what was kept of a file that is not to be imported, and says why it is not.
    async fn discard(&self, door: &Door<'_>, why: Option<&Error>) -> Result<()> {
        if !self.begun {
            return Ok(());
        }
        let mut cx = door.open().await?;
        let done = async {
            let error = why.map_or(Value::Null, |error| error.problem(cx.request_id));
            let status = if why.is_some() { "failed" } else { "canceled" };
            if super::job::still(&cx, self.id, "uploading").await.is_ok() {
                let fields = [
                    ("status", json!(status)),
                    ("error", error),
                    ("finished_at", json!(cx.now.to_string())),
                ];
                cx.set(&IMPORT, self.id, &fields).await?;
            }
            empty(&cx, self.id).await
        };
        let done = done.await;
        cx.finish(done).await
    }
}

impl Chunk {
    /// The row's number stands in front of its cells.
    fn push(&mut self, record: &Record) {
        if self.rows == 0 {
            self.first = record.row;
        }
        self.last = record.row;
        self.rows += 1;
        let number = text::Cell::text(record.row.to_string());
        let cells = std::iter::once(&number).chain(&record.cells);
        text::write_record(cells, b',', &mut self.records);
    }

    fn is_full(&self) -> bool {
        self.rows >= CHUNK_ROWS || self.records.len() >= CHUNK_BYTES
    }
}

async fn next<T>(pieces: &mut (impl Stream<Item = T> + Unpin)) -> Result<Option<T>> {
    tokio::time::timeout(STALL_WAIT, pieces.next())
        .await
        .map_err(|_| Error::new(Code::RequestTimeout, "the file did not arrive in time"))
}

/// The answer of an earlier request with the same key.
async fn before(cx: &Cx, key: Option<&Key>, entity: &'static Entity) -> Result<Option<Answer>> {
    let Some(key) = key else { return Ok(None) };
    match idempotency::claim(cx, key, &Target::Import { entity }).await? {
        Some(Done::Answer(answer)) => Ok(Some(answer)),
        Some(Done::Await { .. }) => Err(Error::internal("an import does not wait")),
        None => Ok(None),
    }
}

/// What the columns are, and whether the caller may write them.
async fn header(cx: &Cx, door: &Door<'_>, header: &Record) -> Result<Mapping> {
    let (entity, options) = (door.entity, &door.options);
    let model = custom::load(cx, entity).await?;
    let mapping = Mapping::read(cx.registry(), entity, &model, &header.cells, &options.mapping)?;
    mapping.permitted(&cx.actor, cx.registry(), entity)?;
    May::ask(cx, entity, options.matching, &mapping)?;
    matchable(entity, options.matching, &mapping)?;
    Ok(mapping)
}

fn row(cx: &Cx, id: Uuid, door: &Door<'_>, mapping: &Mapping) -> Map<String, Value> {
    let options = &door.options;
    let matching = match options.matching {
        Matching::Create => "create",
        Matching::Update => "update",
        Matching::Upsert => "upsert",
    };
    let fields = [
        ("id", json!(id)),
        ("entity", json!(door.entity.route())),
        ("user_id", json!(cx.actor.user())),
        ("mode", json!(if options.mode == Mode::All { "all" } else { "each" })),
        ("matching", json!(matching)),
        ("dry_run", json!(options.dry_run)),
        ("quiet", json!(options.quiet)),
        ("mapping", mapping.show()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
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
             and status in ('uploading', 'checking', 'checked', 'importing', 'undoing')",
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
    let (stale, cut_off) = (cx.now - OPEN_TIME, cx.now - UPLOAD_TIME);
    cx.execute(
        "update imports set status = 'expired', finished_at = $4, updated_at = $4, \
         version = version + 1 where org_id = $1 \
         and (status in ('checking', 'checked') and created_at < $2 \
              or status = 'uploading' and created_at < $3)",
        &[&cx.org, &stale, &cut_off, &cx.now],
    )
    .await?;
    cx.execute(
        "update import_chunks c set records = null, \
         outcome = case when i.finished_at < $2 then null else outcome end from imports i \
         where c.org_id = $1 and i.org_id = $1 and i.id = c.import_id and c.id in ( \
           select c.id from import_chunks c join imports i on i.org_id = $1 and i.id = c.import_id \
           where c.org_id = $1 and (i.finished_at < $2 and c.outcome is not null \
                 or i.status in ('expired', 'canceled', 'failed') and c.records is not null) \
           for update of c skip locked)",
        &[&cx.org, &(cx.now - UNDO_TIME)],
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
