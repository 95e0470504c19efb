//! The job `csv.import`: checks a staged file, writes a checked one, undoes a written one, whichever
//! the import's status says. Killed at any point, it goes on where it was: in mode `all` nothing is
//! written before everything is, in mode `each` a chunk and its mark commit together.

use std::sync::Arc;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::super::entities::IMPORT;
use super::outcome::{self, Counts, Fate, Outcome};
use super::plan::{self, Draft, Seen};
use super::trial::{self, Ground};
use super::{Import, May, Mode, stage, undo, write};
use crate::cx::Cx;
use crate::error::{Code, Error, Result};
use crate::jobs::{DeadJob, Job, JobRun};

/// 200,000 rows of a wide table with rules, three times over.
const JOB_TIME: SignedDuration = SignedDuration::from_mins(30);
const ATTEMPTS_MAX: u32 = 5;

pub(crate) const JOB: Job = Job::new("csv.import", |job| Box::pin(run(job)))
    .time(JOB_TIME)
    .attempts(ATTEMPTS_MAX)
    .on_dead(|cx, dead| Box::pin(told(cx, dead)));

#[derive(Deserialize)]
struct Payload {
    import_id: Uuid,
}

async fn run(job: JobRun) -> Result<Value> {
    let Payload { import_id } = job.parse()?;
    match work(&job, import_id).await {
        // Somebody canceled the import and not its job: the job has done what was asked.
        Err(error) if error.code() == Code::Canceled && !job.is_canceled() => {
            let mut cx = job.begin().await?;
            let ended = ended(&mut cx, import_id, "canceled", Value::Null).await;
            cx.finish(ended).await?;
            Ok(json!({"status": "canceled"}))
        }
        ended => ended,
    }
}

/// The job came to a bad end, and nobody else will say so.
async fn told(cx: &mut Cx, dead: &DeadJob) -> Result<()> {
    let payload = Payload::deserialize(&dead.payload);
    let Payload { import_id } = payload.map_err(|cause| Error::internal(cause.to_string()))?;
    let status = if dead.state == "canceled" { "canceled" } else { "failed" };
    ended(cx, import_id, status, dead.error.clone()).await
}

async fn work(job: &JobRun, id: Uuid) -> Result<Value> {
    let cx = job.begin().await?;
    let import = Import::load(&cx, id).await;
    let import = cx.finish(import).await?;
    match import.status.as_str() {
        "checking" => {
            if check(job, &import).await? == Next::Write {
                return all_or_each(job, import).await;
            }
            Ok(json!({"status": "checked"}))
        }
        "importing" => all_or_each(job, import).await,
        "undoing" => undo::run(job, &import).await,
        "canceled" => Err(canceled()),
        other => Ok(json!({"status": other})),
    }
}

/// The import has come to an end that is none: nobody works on it any more, and its contents go.
async fn ended(cx: &mut Cx, id: Uuid, status: &str, error: Value) -> Result<()> {
    let import = Import::lock(cx, id).await?;
    if ["checking", "importing", "undoing"].contains(&import.status.as_str()) {
        let fields = [
            ("status", json!(status)),
            ("error", error),
            ("finished_at", json!(cx.now.to_string())),
        ];
        cx.set(&IMPORT, id, &fields).await?;
    }
    stage::empty(cx, id).await
}

fn canceled() -> Error {
    Error::new(Code::Canceled, "the import was canceled")
}

/// A part of the file as it was staged.
pub(super) struct Chunk {
    pub(super) id: Uuid,
    pub(super) done: bool,
}

pub(super) async fn chunks(cx: &Cx, import: Uuid) -> Result<Vec<Chunk>> {
    let sql = "select id, done from import_chunks where org_id = $1 and import_id = $2 \
               order by seq";
    let rows = cx.query(sql, &[&cx.org, &import]).await?;
    rows.iter().map(|row| Ok(Chunk { id: row.try_get(0)?, done: row.try_get(1)? })).collect()
}

async fn drafts(cx: &Cx, import: &Import, chunk: &Chunk) -> Result<Vec<Draft>> {
    read(reading(cx, import, chunk).await?).await
}

/// Rows of one chunk after the other. While one is written the next is read on another thread: the
/// database and this process work side by side.
#[derive(Default)]
struct Ahead(Option<JoinHandle<Result<Vec<Draft>>>>);

impl Ahead {
    async fn drafts(
        &mut self,
        cx: &Cx,
        import: &Import,
        chunk: &Chunk,
        next: Option<&Chunk>,
    ) -> Result<Vec<Draft>> {
        let begun = match self.0.take() {
            Some(begun) => begun,
            None => reading(cx, import, chunk).await?,
        };
        let drafts = read(begun).await?;
        if let Some(next) = next {
            self.0 = Some(reading(cx, import, next).await?);
        }
        Ok(drafts)
    }
}

async fn read(begun: JoinHandle<Result<Vec<Draft>>>) -> Result<Vec<Draft>> {
    begun.await.map_err(|cause| Error::internal(format!("a chunk was not read: {cause}")))?
}

async fn reading(
    cx: &Cx,
    import: &Import,
    chunk: &Chunk,
) -> Result<JoinHandle<Result<Vec<Draft>>>> {
    let row = cx
        .query_one(
            "select records from import_chunks where org_id = $1 and id = $2",
            &[&cx.org, &chunk.id],
        )
        .await?;
    let records: Option<Vec<u8>> = row.try_get(0)?;
    let records = records.ok_or_else(canceled)?;
    let mapping = Arc::clone(&import.mapping);
    Ok(tokio::task::spawn_blocking(move || plan::read(&mapping, &records)))
}

/// Keeps what became of a chunk's rows.
pub(super) async fn keep(
    cx: &Cx,
    chunk: &Chunk,
    outcomes: &[Outcome],
    written: bool,
) -> Result<()> {
    cx.execute(
        "update import_chunks set outcome = $3, fates = $4, done = $5 \
         where org_id = $1 and id = $2",
        &[&cx.org, &chunk.id, &outcome::write(outcomes), &outcome::fates(outcomes), &written],
    )
    .await
    .map(drop)
}

/// The same whatever becomes of the transaction that told it.
async fn note(cx: &Cx, chunk: &Chunk, outcomes: &[Outcome]) -> Result<()> {
    let apart = cx.apart().await?;
    let kept = keep(&apart, chunk, outcomes, false).await;
    apart.finish(kept).await
}

/// Everything that happens for the import says so in the change log.
pub(super) async fn begin(job: &JobRun, import: &Import) -> Result<Cx> {
    let cx = job.begin().await?;
    cx.because(&import.reason()).await?;
    if import.quiet {
        cx.query("select set_config('app.quiet', 'on', true)", &[]).await?;
    }
    Ok(cx)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Wait,
    Write,
}

/// Writes every chunk as the commit would, and undoes it: what constraints, triggers and rules say is
/// known, and nothing is changed.
async fn check(job: &JobRun, import: &Import) -> Result<Next> {
    let mut cx = begin(job, import).await?;
    let tried = try_all(job, import, &mut cx).await;
    cx.rollback().await?;
    checked(job, import, tried?).await
}

/// What a check found out: rows by what would become of them, and what the end would say to all of
/// them together, where every row is good by itself.
struct Tried {
    counts: Counts,
    refusal: Option<Error>,
}

async fn try_all(job: &JobRun, import: &Import, cx: &mut Cx) -> Result<Tried> {
    cx.suppose();
    if import.mode == Mode::Each {
        cx.parts_stand_alone();
    }
    let ground = trial::ground(cx, import);
    if ground == Ground::Copy {
        trial::lay(cx, import.entity).await?;
    }
    // Rows of others are locked for a batch only, but where rows stand above rows of earlier batches.
    let apart = ground == Ground::Table && !write::links_itself(cx, import.entity);
    let mut seen = Seen::new();
    let mut counts = Counts::default();
    let (chunks, mut ahead) = (chunks(cx, import.id).await?, Ahead::default());
    for (place, chunk) in chunks.iter().enumerate() {
        standing(cx, import.id, "checking").await?;
        let may = May::ask(cx, import.entity, import.matching, &import.mapping)?;
        let drafts = ahead.drafts(cx, import, chunk, chunks.get(place + 1)).await?;
        trial::mark(cx).await?;
        let mut outcomes = write::chunk(cx, import, &may, drafts, &mut seen, ground).await?;
        if apart {
            trial::undo(cx).await?
        } else {
            trial::stand(cx).await?
        }
        for outcome in outcomes.iter_mut().filter(|one| one.fate == Fate::Create) {
            // The row is not there, and will not have this id.
            (outcome.id, outcome.version) = (None, None);
        }
        counts.add(&outcomes);
        note(cx, chunk, &outcomes).await?;
        job.progress(counts.rows(), Some(import.rows_total)).await?;
    }
    let asks = ground == Ground::Whole && counts.faulty == 0;
    let refusal = if asks { trial::end(cx).await? } else { None };
    Ok(Tried { counts, refusal })
}

async fn checked(job: &JobRun, import: &Import, tried: Tried) -> Result<Next> {
    let Tried { counts, refusal } = tried;
    let faultless = (counts.faulty == 0 && refusal.is_none()) || import.mode == Mode::Each;
    let next = if import.dry_run || !faultless { Next::Wait } else { Next::Write };
    let mut cx = begin(job, import).await?;
    let written = async {
        still(&cx, import.id, "checking").await?;
        let mut fields = counts.fields();
        let error = refusal.map_or(Value::Null, |refusal| refusal.problem(cx.request_id));
        fields.push(("error", error));
        fields.push(("status", json!(if next == Next::Wait { "checked" } else { "importing" })));
        cx.set(&IMPORT, import.id, &fields).await
    };
    match written.await {
        Ok(()) if next == Next::Wait => {
            job.finish(cx, json!({"status": "checked"})).await?;
        }
        written => cx.finish(written).await?,
    }
    Ok(next)
}

/// The import is locked and has this status; somebody may have canceled it meanwhile.
pub(super) async fn still(cx: &Cx, id: Uuid, status: &str) -> Result<()> {
    let sql = "select status from imports where org_id = $1 and id = $2 for update";
    let row = cx.query_one(sql, &[&cx.org, &id]).await?;
    let present: &str = row.try_get(0)?;
    if present == status { Ok(()) } else { Err(canceled()) }
}

/// The same without a lock, for between two batches: whoever cancels is not kept waiting.
async fn standing(cx: &Cx, id: Uuid, status: &str) -> Result<()> {
    let sql = "select status from imports where org_id = $1 and id = $2";
    let row = cx.query_one(sql, &[&cx.org, &id]).await?;
    let present: &str = row.try_get(0)?;
    if present == status { Ok(()) } else { Err(canceled()) }
}

async fn all_or_each(job: &JobRun, import: Import) -> Result<Value> {
    import.demand_columns()?;
    match import.mode {
        Mode::All => all(job, &import).await,
        Mode::Each => each(job, &import).await,
    }
}

/// One transaction: rows, outcomes, the import's end and the job's.
async fn all(job: &JobRun, import: &Import) -> Result<Value> {
    let mut cx = begin(job, import).await?;
    match write_all(job, import, &mut cx).await {
        Ok(counts) => end(job, cx, import, counts).await,
        Err(error) => cx.finish(Err(error)).await,
    }
}

async fn write_all(job: &JobRun, import: &Import, cx: &mut Cx) -> Result<Counts> {
    let may = May::ask(cx, import.entity, import.matching, &import.mapping)?;
    let mut seen = Seen::new();
    let mut counts = Counts::default();
    let (chunks, mut ahead) = (chunks(cx, import.id).await?, Ahead::default());
    for (place, chunk) in chunks.iter().enumerate() {
        standing(cx, import.id, "importing").await?;
        let drafts = ahead.drafts(cx, import, chunk, chunks.get(place + 1)).await?;
        let outcomes = write::chunk(cx, import, &may, drafts, &mut seen, Ground::Table).await?;
        counts.add(&outcomes);
        if outcomes.iter().any(|one| one.fate == Fate::Faulty) {
            // Told although nothing of it will be there.
            note(cx, chunk, &outcomes).await?;
        } else {
            keep(cx, chunk, &outcomes, true).await?;
        }
        job.progress(counts.rows(), Some(import.rows_total)).await?;
    }
    if counts.faulty > 0 {
        let text = format!("{} rows are faulty: nothing is imported", counts.faulty);
        return Err(Error::new(Code::NotReady, text));
    }
    Ok(counts)
}

/// A transaction a chunk; faulty rows stay out.
async fn each(job: &JobRun, import: &Import) -> Result<Value> {
    let cx = begin(job, import).await?;
    let chunks = chunks(&cx, import.id).await;
    let chunks = cx.finish(chunks).await?;
    let mut seen = Seen::new();
    let mut counts = Counts::default();
    for chunk in &chunks {
        let mut cx = begin(job, import).await?;
        // A row that breaks what must hold at the end is faulty alone.
        cx.parts_stand_alone();
        let one = one_of_each(import, &mut cx, chunk, &mut seen, &mut counts).await;
        cx.finish(one).await?;
        job.progress(counts.rows(), Some(import.rows_total)).await?;
    }
    let cx = begin(job, import).await?;
    end(job, cx, import, counts).await
}

async fn one_of_each(
    import: &Import,
    cx: &mut Cx,
    chunk: &Chunk,
    seen: &mut Seen,
    counts: &mut Counts,
) -> Result<()> {
    standing(cx, import.id, "importing").await?;
    let may = May::ask(cx, import.entity, import.matching, &import.mapping)?;
    let mut drafts = drafts(cx, import, chunk).await?;
    if chunk.done {
        // Written by a run that did not come to its end: only its keys matter to later rows.
        plan::once(import.entity, &mut drafts, seen);
        counts.add(&outcomes(cx, chunk).await?);
        return Ok(());
    }
    let outcomes = write::chunk(cx, import, &may, drafts, seen, Ground::Table).await?;
    still(cx, import.id, "importing").await?;
    counts.add(&outcomes);
    keep(cx, chunk, &outcomes, true).await?;
    cx.set(&IMPORT, import.id, &counts.fields()).await
}

pub(super) async fn outcomes(cx: &Cx, chunk: &Chunk) -> Result<Vec<Outcome>> {
    let row = cx
        .query_one(
            "select outcome from import_chunks where org_id = $1 and id = $2",
            &[&cx.org, &chunk.id],
        )
        .await?;
    let bytes: Option<Vec<u8>> = row.try_get(0)?;
    bytes.map_or_else(|| Ok(Vec::new()), |bytes| outcome::read(&bytes))
}

async fn end(job: &JobRun, mut cx: Cx, import: &Import, counts: Counts) -> Result<Value> {
    let written = async {
        still(&cx, import.id, "importing").await?;
        stage::empty(&cx, import.id).await?;
        let mut fields = counts.fields();
        fields.push(("status", json!("done")));
        fields.push(("finished_at", json!(cx.now.to_string())));
        cx.set(&IMPORT, import.id, &fields).await
    };
    match written.await {
        Ok(()) => job.finish(cx, json!({"status": "done"})).await,
        Err(error) => cx.finish(Err(error)).await,
    }
}
