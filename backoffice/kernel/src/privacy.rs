//! Erasing a person (GDPR, article 17): an action that counts first, a job that does it in one
//! transaction. It follows descriptors alone: which fields are personal, which links say whose a row
//! is (`.subject()`, `.cascade()`), what the law keeps (`.keep("…")`). Knows no entity by name.
//!
//! What is erased: personal fields of the person's rows, custom ones too, and those rows' values in
//! the change log; mails, answers kept for repeated requests, jobs, events and imported files that
//! name one of the rows, an address or a number of theirs; what the organization has of their account
//! for signing in. What is left: that the rows were, and when they were erased.

mod account;
mod blank;
mod person;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::action::{Action, Answers, Args, On, Reply};
use crate::cx::Cx;
use crate::db::Row;
use crate::entity::{
    Entity, Field, Group, Operations, boolean, choice, id, instant, json as json_field, link, text,
};
use crate::error::{Code, Error, Fault, Result};
use crate::jobs::{DeadJob, Job, JobRun};
use crate::param::Bound;
use crate::rights;

use account::Account;
use person::Person;

pub(crate) use blank::has_blank;

/// A person with the most rows that are allowed is erased within this.
const JOB_TIME: SignedDuration = SignedDuration::from_mins(30);

pub(crate) static ERASURE: Entity = Entity::new("erasures")
    .grant("accounts.erasures")
    .group(Group::Organizations)
    .label("entity")
    .about("A person taken out of the organization's data, or the count of what that would take.")
    .operations(Operations::READ)
    .importable(false)
    .fields(&[
        link("user_id", "accounts.users").by_action().about("Who asked for it."),
        text("entity").required().by_action().about("Route of the person's row, like parties."),
        id("row_id").required().by_action(),
        choice("status", &["counted", "running", "done", "failed"]).required().by_action(),
        json_field("counts").required().default("'{}'").by_action().about("Rows by table."),
        id("job_id").by_action().about("The job that works on it."),
        json_field("error").by_action().about("Problem with code and detail, when it failed."),
        instant("finished_at").by_action(),
    ]);

const INPUT: &[Field] = &[
    text("entity").required().about("Route of the person's row, like parties."),
    id("row_id").required(),
    boolean("dry_run").about("Counts what would be erased, by table, and erases nothing."),
];

pub(crate) const ERASE: Action = Action {
    name: "create",
    entity: &ERASURE,
    on: On::Create,
    input: INPUT,
    answers: Answers::Row,
    about: "Erases a person: their personal fields, what the change log, mails, jobs and files hold \
            of them. Refused with a list where the law keeps a row.",
    run: |cx, args| Box::pin(erase(cx, args)),
};

pub(crate) const JOB: Job = Job::new("accounts.erase", |run| Box::pin(work(run)))
    .time(JOB_TIME)
    .on_dead(|cx, dead| Box::pin(told(cx, dead)));

#[derive(Deserialize)]
struct Input {
    entity: String,
    row_id: Uuid,
    #[serde(default)]
    dry_run: Option<bool>,
}

async fn erase(cx: &mut Cx, args: Args) -> Result<Reply> {
    let input: Input = args.parse()?;
    let entity = route(cx, &input.entity)?;
    demand_row(cx, entity, input.row_id).await?;
    let person = Person::find(cx, entity, input.row_id).await?;
    refuse_kept(&person)?;
    refuse_imports(cx, &person).await?;
    let account = Account::find(cx, person.terms()).await?;
    account.demand_end(cx).await?;
    let dry_run = input.dry_run.unwrap_or(false);
    let mut counts = person.counts();
    counts.extend(account.counts());
    counts.extend(traces(cx, &person, Pass::Count).await?);
    let fields = json!({
        "id": cx.new_id(),
        "user_id": cx.actor.user(),
        "entity": input.entity,
        "row_id": input.row_id,
        "status": if dry_run { "counted" } else { "running" },
        "counts": counts,
        "finished_at": dry_run.then(|| cx.now.to_string()),
    });
    let Value::Object(fields) = fields else { return Err(Error::internal("no object")) };
    let erasure = cx.insert(&ERASURE, fields).await?;
    if !dry_run {
        let job = cx.enqueue(JOB.name, json!({"erasure_id": erasure})).await?;
        cx.set(&ERASURE, erasure, &[("job_id", json!(job))]).await?;
    }
    Ok(Reply::Row(erasure))
}

fn route(cx: &Cx, name: &str) -> Result<&'static Entity> {
    let member = cx.registry().route(name).filter(|member| person::is_of_people(member.entity));
    member.map(|member| member.entity).ok_or_else(|| {
        Error::field(Code::InvalidValue, "entity", "is the route of an entity with personal fields")
    })
}

/// Who erases a row must reach it, deleted or not.
async fn demand_row(cx: &Cx, entity: &'static Entity, id: Uuid) -> Result<()> {
    let access = rights::may(&cx.actor, entity, "read")?;
    let mut params = vec![Bound::uuid(cx.org), Bound::uuid(id)];
    let mut place = String::new();
    access.rows_sql(None, &mut place, &mut params);
    let sql = format!("select from \"{}\" where org_id = $1 and id = $2{place}", entity.name);
    match cx.query_typed(&sql, &params).await?.is_empty() {
        true => Err(Error::not_found(&format!("row in {}", entity.route()))),
        false => Ok(()),
    }
}

fn refuse_kept(person: &Person) -> Result<()> {
    let faults: Vec<Fault> = person
        .kept()
        .map(|(entity, rows, reason)| {
            let text = format!("{rows} in {} are kept: {reason}", entity.route());
            Fault::new("row_id", Code::Conflict, &text)
        })
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::fields(Code::Conflict, faults)),
    }
}

/// A file that waits, or is worked on, would bring back what is erased. Nothing is done before whoever
/// sent it, or may cancel it, has decided: it may hold rows of many others.
async fn refuse_imports(cx: &Cx, person: &Person) -> Result<()> {
    let sql = "select open_imports_naming($1)";
    let mut faults = Vec::new();
    for row in cx.query(sql, &[&person.terms()]).await? {
        let id: Uuid = row.try_get(0)?;
        let text = format!("import {id} names the person: commit or cancel it first");
        faults.push(Fault::new("row_id", Code::Conflict, &text));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::fields(Code::Conflict, faults)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Count,
    Erase,
}

/// What machine tables and imported files hold of the person, by table.
async fn traces(cx: &Cx, person: &Person, pass: Pass) -> Result<Map<String, Value>> {
    let mut counts = Map::new();
    let sql = "select name, rows from erase_traces($1, $2)";
    for row in cx.query(sql, &[&person.terms(), &(pass == Pass::Erase)]).await? {
        let rows: i64 = row.try_get(1)?;
        if rows > 0 {
            counts.insert(row.try_get(0)?, json!(rows));
        }
    }
    Ok(counts)
}

#[derive(Deserialize)]
struct Payload {
    erasure_id: Uuid,
}

async fn work(run: JobRun) -> Result<Value> {
    let Payload { erasure_id } = run.parse()?;
    let mut cx = run.begin().await?;
    match all(&run, &mut cx, erasure_id).await {
        Ok(counts) => run.finish(cx, counts).await,
        Err(error) => {
            cx.rollback().await?;
            // One that may go better the next time is tried again, and so is one that another
            // worker has; what the law keeps stays kept.
            let kept = !error.list().is_empty();
            if error.code().status() < 500 && (kept || error.code() != Code::Conflict) {
                failed(&run, erasure_id, &error).await?;
                return Ok(json!({"status": "failed"}));
            }
            Err(error)
        }
    }
}

/// The erasure, locked, unless it has come to an end.
async fn running(cx: &Cx, id: Uuid) -> Result<Option<Row>> {
    let sql =
        "select entity, row_id, status from erasures where org_id = $1 and id = $2 for update";
    let row = cx.query_opt(sql, &[&cx.org, &id]).await?;
    let row = row.ok_or_else(|| Error::not_found("row in erasures"))?;
    Ok((row.try_get::<_, &str>(2)? == "running").then_some(row))
}

/// Everything in one transaction: no one sees half of a person.
async fn all(run: &JobRun, cx: &mut Cx, id: Uuid) -> Result<Value> {
    let Some(row) = running(cx, id).await? else { return Ok(json!({})) };
    let entity = route(cx, row.try_get(0)?)?;
    let person = Person::find(cx, entity, row.try_get(1)?).await?;
    refuse_kept(&person)?;
    refuse_imports(cx, &person).await?;
    let account = Account::find(cx, person.terms()).await?;
    let mut counts = person.counts();
    counts.extend(account.counts());
    account.end(cx, person.terms()).await?;
    // Before the fields are empty: they say what to look for.
    counts.extend(traces(cx, &person, Pass::Erase).await?);
    let steps = person.tables().count() as u64;
    for (done, (entity, rows)) in person.tables().enumerate() {
        blank::rows(cx, entity, rows).await?;
        // After it: the log told of the fields that were emptied, too.
        let sql =
            "select coalesce(sum(erase_changes($1, row)), 0)::bigint from unnest($2::uuid[]) row";
        let row = cx.query_one(sql, &[&entity.name, &rows]).await?;
        let told = counts.entry("changes").or_insert(json!(0));
        *told = json!(told.as_i64().unwrap_or(0) + row.try_get::<_, i64>(0)?);
        run.progress(done as u64 + 1, Some(steps)).await?;
    }
    let fields = [
        ("status", json!("done")),
        ("counts", json!(counts)),
        ("finished_at", json!(cx.now.to_string())),
    ];
    cx.set(&ERASURE, id, &fields).await?;
    Ok(json!(counts))
}

async fn failed(run: &JobRun, id: Uuid, error: &Error) -> Result<()> {
    let mut cx = run.begin().await?;
    let problem = error.problem(cx.request_id);
    let written = fail(&mut cx, id, problem).await;
    cx.finish(written).await
}

/// The job was canceled, or no attempt is left: nobody works on it any more.
async fn told(cx: &mut Cx, dead: &DeadJob) -> Result<()> {
    let payload = Payload::deserialize(&dead.payload);
    let Payload { erasure_id } = payload.map_err(|cause| Error::internal(cause.to_string()))?;
    fail(cx, erasure_id, dead.error.clone()).await
}

/// Nothing of the person was erased; whoever wants it asks anew.
async fn fail(cx: &mut Cx, id: Uuid, problem: Value) -> Result<()> {
    if running(cx, id).await?.is_none() {
        return Ok(());
    }
    let fields = [
        ("status", json!("failed")),
        ("error", problem),
        ("finished_at", json!(cx.now.to_string())),
    ];
    cx.set(&ERASURE, id, &fields).await
}
