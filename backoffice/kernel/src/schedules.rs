//! Timers of organizations, as rows: a job that a domain offers for it, its input, and when it comes:
//! by an expression of crontab, at an interval, or once. A due time is claimed once however many
//! workers look, and its job is on the queue if and only if the row says so. A schedule runs as
//! whoever wrote it last, with the rights that they have by then. Knows no job.

mod tick;
mod timing;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::action::{Action, Answers, Args, On, Reply};
use crate::cx::{Actor, Cx};
use crate::entity::{
    Check, Entity, Field, Group, Operations, boolean, choice, id, instant, integer,
    json as json_field, link, slug, text, time_zone,
};
use crate::error::{Code, Error, Fault, Result};
use crate::jobs::{Job, JobRun};
use crate::rule::{Change, ChangeOp, Rule};
use crate::validate;

use timing::Timing;

#[cfg(feature = "testkit")]
pub use tick::due;
pub(crate) use tick::keep;

/// A year: what comes less often is told by an expression.
const EVERY_MINUTES_MAX: i64 = 366 * 24 * 60;

pub(crate) static SCHEDULE: Entity = Entity::new("schedules")
    .grant("work.schedules")
    .group(Group::Workflows)
    .label("name")
    .about(
        "A job that comes by itself: again and again, or once. It runs as whoever wrote the \
            schedule last, with the rights that they have by then.",
    )
    .operations(Operations { read: true, create: false, patch: true, delete: true })
    .importable(false)
    .fields(&[
        link("user_id", "accounts.users").by_action().about("Who made it."),
        text("name").required(),
        text("job").required().about("One of those that may be scheduled, like work.replay-dead."),
        json_field("input").required().default("'{}'").about("What the job is given: an object."),
        text("cron").about(
            "Five fields as in crontab(5): minute, hour, day of month, month, day of week. One of \
             cron, every_minutes and at is given.",
        ),
        integer("every_minutes", 1, EVERY_MINUTES_MAX).about("Counted from when it was written."),
        instant("at").about("Once."),
        time_zone("zone").required().default("'UTC'").about(
            "In which cron is read. A time that the clocks skip comes as much later as they were \
             put forward; one that they show twice counts the first time, an hour of * each time.",
        ),
        boolean("active").required().default("true"),
        instant("next_run_at").unlogged().about("Empty when it does not come any more."),
        instant("last_due_at").unlogged().about("The time that the last run was for."),
        instant("last_run_at").unlogged().about("When that run was put on the queue."),
        choice("last_state", STATES).unlogged().about(
            "How the last run is or ended, as /jobs says it. skipped: the job is not offered any \
             more, or operators dropped what was due.",
        ),
        id("last_job_id").unlogged().about("The last run, in /jobs."),
        link("runs_as_id", "accounts.users").unlogged().about("The person as whom it runs."),
        slug("actor_kind").unlogged().about("As what it runs: user, token, service_account."),
        text("actor_id").unlogged(),
        id("token_id").unlogged().about("The API token by which it runs."),
    ])
    .checks(&[Check {
        name: "schedules_when",
        sql: "num_nonnulls(cron, every_minutes, at) = 1",
        code: Code::InvalidValue,
        field: "cron",
    }]);

const STATES: &[&str] = &["queued", "running", "done", "failed", "canceled", "dead", "skipped"];

const INPUT: &[Field] = &[
    text("name").required(),
    text("job").required(),
    json_field("input"),
    text("cron"),
    integer("every_minutes", 1, EVERY_MINUTES_MAX),
    instant("at"),
    time_zone("zone"),
    boolean("active"),
];

pub(crate) const CREATE: Action = Action {
    name: "create",
    entity: &SCHEDULE,
    on: On::Create,
    input: INPUT,
    answers: Answers::Row,
    about: "Lets a job come by itself, as the caller.",
    run: |cx, args| Box::pin(create(cx, args)),
};

/// Whatever writes a schedule says as whom it runs and when it comes next.
pub(crate) const RULE: Rule = Rule {
    name: "schedules.plan",
    on: "work.schedules",
    run: |cx, change| Box::pin(plan(cx, change)),
};

async fn create(cx: &mut Cx, args: Args) -> Result<Reply> {
    let mut row = args.input;
    row.retain(|_, value| !value.is_null());
    let given: Vec<&str> = TIMES.iter().copied().filter(|name| row.contains_key(*name)).collect();
    match given.as_slice() {
        [] => return Err(Error::field(Code::Required, "cron", ONE_OF)),
        [_] => {}
        [_, more @ ..] => {
            let fault = |name: &&str| Fault::new(*name, Code::InvalidValue, ONE_OF);
            return Err(Error::faults(more.iter().map(fault).collect()));
        }
    }
    row.insert("user_id".to_owned(), json!(cx.actor.user()));
    Ok(Reply::Row(cx.insert(&SCHEDULE, row).await?))
}

const TIMES: &[&str] = &["cron", "every_minutes", "at"];
const ONE_OF: &str = "one of cron, every_minutes and at is given";

async fn plan(cx: &mut Cx, change: Change) -> Result<()> {
    let Some(row) = &change.after else { return Ok(()) };
    let changes = |names: &[&str]| names.iter().any(|name| change.changes(name));
    let again = matches!(change.op, ChangeOp::Create | ChangeOp::Restore);
    let times = again || changes(TIMES) || changes(&["zone", "active"]);
    if !times && !changes(&["job", "input"]) {
        return Ok(());
    }
    demand_program(&cx.actor)?;
    offered(cx, row)?;
    let timing = Timing::of(row)?;
    let next = match row.get("active") {
        Some(Value::Bool(false)) => None,
        _ if times => timing.first(cx.now),
        _ => moment(row, "next_run_at")?,
    };
    if next.is_none() && change.changes("at") && row.get("active") == Some(&json!(true)) {
        return Err(Error::field(Code::InvalidValue, "at", "must be in the future"));
    }
    let (kind, id) = (cx.actor.kind(), cx.actor.id_text());
    let (user, token) = (cx.actor.user(), cx.actor.token());
    let sql = "select plan_schedule($1, $2, $3, $4, $5, $6)";
    cx.query_one(sql, &[&change.id, &next, &kind, &id, &user, &token]).await.map(drop)
}

/// Only those whose rights can be looked up again when the time comes.
fn demand_program(actor: &Actor) -> Result<()> {
    match actor {
        Actor::User { .. }
        | Actor::Token { .. }
        | Actor::ServiceAccount { .. }
        | Actor::Service(_) => Ok(()),
        Actor::Device { .. } | Actor::Portal { .. } | Actor::Link { .. } | Actor::Public => {
            let text = "a schedule runs as whoever wrote it: a person or a program of the staff";
            Err(Error::new(Code::Forbidden, text))
        }
    }
}

/// The job may be scheduled, and takes this input.
fn offered(cx: &Cx, row: &Map<String, Value>) -> Result<()> {
    let name = row.get("job").and_then(Value::as_str).unwrap_or_default();
    let Some(fields) = cx.registry().job(name).and_then(|job| job.schedulable) else {
        let all = cx.registry().jobs().filter(|job| job.schedulable.is_some());
        let names: Vec<&str> = all.map(|job| job.name).collect();
        let text = format!("must be one of {}", names.join(", "));
        return Err(Error::field(Code::UnknownReference, "job", text));
    };
    let Some(Value::Object(input)) = row.get("input") else {
        return Err(Error::field(Code::InvalidValue, "input", "must be an object"));
    };
    validate::input(fields, input.clone()).map(drop).map_err(|error| error.below("input"))
}

fn moment(row: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>> {
    let text = row.get(name).and_then(Value::as_str);
    text.map(str::parse).transpose().map_err(|_| Error::internal(format!("{name} is no instant")))
}

/// Runs what ended badly once more, every night or so: for causes that others mend by day.
pub(crate) const REPLAY: Job = Job::new("work.replay-dead", |run| Box::pin(replay(run)))
    .schedulable(&[text("name").about("Only jobs of this name.")]);

async fn replay(run: JobRun) -> Result<Value> {
    let mut cx = run.begin().await?;
    match cx.call("work.jobs.replay-dead", run.payload().clone()).await {
        Ok(answer) => run.finish(cx, answer).await,
        Err(error) => {
            cx.rollback().await?;
            Err(error)
        }
    }
}
