//! `POST /<route>/import` and what follows: a file is staged, checked row by row without changing
//! anything, then written by a job, in one transaction or batch by batch, and can be undone. Rows
//! pass the engine as bodies do: the same validation, rights and rules.

mod job;
mod lookup;
mod outcome;
mod plan;
mod rows;
mod stage;
mod trial;
mod undo;
mod write;

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::entities::{IMPORT, MATCHINGS, MODES};
use super::export::separator;
use super::mapping::{Column, Mapping};
use crate::action::{Args, Reply};
use crate::custom::{self, CustomField};
use crate::cx::Cx;
use crate::entity::{Entity, Field};
use crate::error::{Code, Error, Result};
use crate::page;
use crate::registry::Registry;
use crate::rights::{self, Access};

pub(crate) use job::JOB;
pub(crate) use rows::page as rows;
pub(crate) use stage::answer;

/// Bytes of one file.
pub(crate) const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Rows of one file, the header not counted.
pub(crate) const ROWS_MAX: u64 = 200_000;
/// Rows that are written by one statement.
const CHUNK_ROWS: usize = 1_000;
/// Bytes after which a chunk is full whatever its rows.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Imports of one organization that are not finished; one more is refused.
const OPEN_MAX: i64 = 20;
/// A checked import that nobody commits is emptied.
const OPEN_TIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// An upload that has not come to its end by then is over: whoever took it in is gone.
const UPLOAD_TIME: SignedDuration = SignedDuration::from_hours(1);
/// An import can be undone for so long.
const UNDO_TIME: SignedDuration = SignedDuration::from_hours(30 * 24);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    All,
    Each,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matching {
    Create,
    Update,
    Upsert,
}

impl Matching {
    fn creates(self) -> bool {
        self != Self::Update
    }

    fn updates(self) -> bool {
        self != Self::Create
    }
}

/// What the caller asks, from the query.
#[derive(Debug)]
struct Options {
    mode: Mode,
    matching: Matching,
    dry_run: bool,
    quiet: bool,
    separator: Option<u8>,
    mapping: Map<String, Value>,
}

impl Options {
    fn read(query: &[(String, String)]) -> Result<Self> {
        let mut options = Self {
            mode: Mode::All,
            matching: Matching::Create,
            dry_run: true,
            quiet: false,
            separator: None,
            mapping: Map::new(),
        };
        for (place, (name, value)) in query.iter().enumerate() {
            if query.iter().take(place).any(|(other, _)| other == name) {
                return Err(page::repeated_parameter(name));
            }
            match name.as_str() {
                "mode" => options.mode = mode(value).ok_or_else(|| not_one_of(name, MODES))?,
                "match" => {
                    options.matching =
                        matching(value).ok_or_else(|| not_one_of(name, MATCHINGS))?;
                }
                "dry_run" => options.dry_run = yes(name, value)?,
                "quiet" => options.quiet = yes(name, value)?,
                "separator" => options.separator = Some(separator(value)?),
                "mapping" => options.mapping = mapping(value)?,
                _ => {
                    let known = "mode, match, dry_run, quiet, separator, mapping";
                    return Err(page::unknown_parameter(name, known));
                }
            }
        }
        Ok(options)
    }
}

fn mode(name: &str) -> Option<Mode> {
    match name {
        "all" => Some(Mode::All),
        "each" => Some(Mode::Each),
        _ => None,
    }
}

fn matching(name: &str) -> Option<Matching> {
    match name {
        "create" => Some(Matching::Create),
        "update" => Some(Matching::Update),
        "upsert" => Some(Matching::Upsert),
        _ => None,
    }
}

fn not_one_of(name: &str, options: &[&str]) -> Error {
    Error::field(Code::InvalidRequest, name, format!("is one of: {}", options.join(", ")))
}

fn yes(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::field(Code::InvalidRequest, name, "is true or false")),
    }
}

fn mapping(text: &str) -> Result<Map<String, Value>> {
    match crate::strict_json::read(text.as_bytes()) {
        Ok(Value::Object(mapping)) => Ok(mapping),
        _ => Err(Error::field(
            Code::InvalidRequest,
            "mapping",
            "is a JSON object from headers to fields, or to null",
        )),
    }
}

/// The rights that an import needs on the rows themselves, before and at every step.
struct May {
    create: Option<Access>,
    update: Option<Access>,
    /// What the sender may read, on the rows that may be changed: what a comparison may tell.
    read: Option<Access>,
}

impl May {
    fn ask(
        cx: &Cx,
        entity: &'static Entity,
        matching: Matching,
        mapping: &Mapping,
    ) -> Result<Self> {
        // The body of every row has these fields, whatever their values.
        let body: Map<String, Value> =
            mapping.fields().map(|field| (field.name.to_owned(), Value::Null)).collect();
        let ask = |wanted: bool, right: &str| -> Result<Option<Access>> {
            if !wanted {
                return Ok(None);
            }
            let access = rights::may(&cx.actor, entity, right)?;
            let hidden = |column: &&Column| match column {
                Column::Custom(field) => !access.shows_level(field.level),
                _ => false,
            };
            if let Some(column) = mapping.columns.iter().find(hidden) {
                let name = column.target().unwrap_or_default();
                let text = Code::FieldNotPermitted.title();
                return Err(Error::field(Code::FieldNotPermitted, name, text));
            }
            access.for_body(entity, &body).map(Some)
        };
        let (create, update) =
            (ask(matching.creates(), "create")?, ask(matching.updates(), "update")?);
        // Rows that may be changed and not read are not compared either.
        let read = rights::may(&cx.actor, entity, "read").ok();
        let read = read.filter(|read| update.as_ref().is_none_or(|own| !read.is_narrower(own)));
        Ok(Self { create, update, read })
    }

    /// Whether the sender may be told that a row has this value already.
    fn reads(&self, field: &Field) -> bool {
        self.read.as_ref().is_some_and(|read| read.readable_everywhere(field).is_ok())
    }

    fn reads_custom(&self, field: &CustomField) -> bool {
        self.read.as_ref().is_some_and(|read| read.shows_level(field.level))
    }
}

/// An import as its row says it.
struct Import {
    id: Uuid,
    /// Who sent the file; no person, where a program did.
    sender: Option<Uuid>,
    entity: &'static Entity,
    status: String,
    mode: Mode,
    matching: Matching,
    dry_run: bool,
    quiet: bool,
    mapping: Arc<Mapping>,
    /// Every column of the file is still one of the table.
    fits: bool,
    rows_total: u64,
}

impl Import {
    /// As the change log gives the reason of everything that the import did.
    fn reason(&self) -> String {
        format!("import {}", self.id)
    }

    /// Nothing of a file is left out in silence.
    fn demand_columns(&self) -> Result<()> {
        if self.fits {
            return Ok(());
        }
        Err(Error::new(Code::NotReady, "a custom field that the file names was retired"))
    }

    /// The same, locked: what follows from its status holds until the transaction ends.
    async fn lock(cx: &Cx, id: Uuid) -> Result<Self> {
        let sql = "select id from imports where org_id = $1 and id = $2 for update";
        cx.query_opt(sql, &[&cx.org, &id]).await?;
        Self::load(cx, id).await
    }

    /// By its id alone: whoever comes here was let through to it.
    async fn load(cx: &Cx, id: Uuid) -> Result<Self> {
        let row = cx
            .query_opt(
                "select user_id, entity, status, mode, matching, dry_run, quiet, mapping, rows_total \
                 from imports where org_id = $1 and id = $2",
                &[&cx.org, &id],
            )
            .await?;
        let row = row.ok_or_else(|| Error::not_found("row in imports"))?;
        let route: String = row.try_get("entity")?;
        let member = cx.registry().route(&route);
        let entity = member
            .map(|member| member.entity)
            .ok_or_else(|| Error::new(Code::Conflict, format!("there are no {route} any more")))?;
        let broken = || Error::internal("an import has no mode or no matching");
        let mapping: Value = row.try_get("mapping")?;
        let model = custom::load(cx, entity).await?;
        let rows_total: i64 = row.try_get("rows_total")?;
        let kept = mapping;
        let mapping = Mapping::restore(cx.registry(), entity, &model, &kept)?;
        Ok(Self {
            id,
            sender: row.try_get("user_id")?,
            entity,
            status: row.try_get("status")?,
            mode: mode(row.try_get("mode")?).ok_or_else(broken)?,
            matching: matching(row.try_get("matching")?).ok_or_else(broken)?,
            dry_run: row.try_get("dry_run")?,
            quiet: row.try_get("quiet")?,
            fits: mapping.show() == kept,
            mapping: Arc::new(mapping),
            rows_total: u64::try_from(rows_total).unwrap_or_default(),
        })
    }
}

/// Whether files of rows are taken at all: only what a worker knows how to write is let in.
pub(crate) fn is_served(registry: &Registry) -> bool {
    registry.job(JOB.name).is_some()
}

pub(crate) async fn commit(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let import = Import::lock(cx, id).await?;
    stands(&import, "commit", &["checked"])?;
    import.demand_columns()?;
    May::ask(cx, import.entity, import.matching, &import.mapping)?;
    let row = cx.get(&IMPORT, id).await?;
    let count = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or_default();
    if import.mode == Mode::All && count("rows_faulty") > 0 {
        let text = format!("{} rows are faulty: nothing is imported", count("rows_faulty"));
        return Err(Error::new(Code::NotReady, text));
    }
    if row.get("error").is_some_and(|error| !error.is_null()) {
        let text = "the rows are refused together, as error says: nothing is imported";
        return Err(Error::new(Code::NotReady, text));
    }
    start(cx, id, "importing").await
}

pub(crate) async fn cancel(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let import = Import::lock(cx, id).await?;
    stands(&import, "cancel", &["uploading", "checking", "checked", "importing"])?;
    let now = json!(cx.now.to_string());
    cx.set(&IMPORT, id, &[("status", json!("canceled")), ("finished_at", now)]).await?;
    // Whoever works on it looks at the status before each batch and before it commits, and empties
    // the chunks itself: it has locked some of them.
    if import.status == "checked" {
        stage::empty(cx, id).await?;
    }
    Ok(Reply::Row(id))
}

pub(crate) async fn undo(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let import = Import::lock(cx, id).await?;
    stands(&import, "undo", &["done", "failed", "canceled"])?;
    undo::permitted(cx, &import)?;
    let row = cx.get(&IMPORT, id).await?;
    let finished = row.get("finished_at").and_then(Value::as_str);
    let finished = finished.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    if finished.is_none_or(|at| UNDO_TIME < cx.now.duration_since(at)) {
        let text = format!("an import can be undone for {} days", UNDO_TIME.as_hours() / 24);
        return Err(Error::new(Code::Conflict, text));
    }
    start(cx, id, "undoing").await
}

fn stands(import: &Import, action: &str, from: &[&str]) -> Result<()> {
    if from.contains(&import.status.as_str()) {
        return Ok(());
    }
    let text = format!("{action} is not possible while status is {}", import.status);
    Err(Error::field(Code::InvalidTransition, "status", text))
}

/// Hands the import to a job; both commit together.
async fn start(cx: &mut Cx, id: Uuid, status: &str) -> Result<Reply> {
    let job = cx.enqueue(JOB.name, json!({"import_id": id})).await?;
    let fields = [
        ("status", json!(status)),
        ("job_id", json!(job)),
        ("rows_done", json!(0)),
        ("finished_at", Value::Null),
    ];
    cx.set(&IMPORT, id, &fields).await?;
    Ok(Reply::Row(id))
}
