//! What people do to jobs: stop one, run dead ones again.

use serde_json::{Value, json};

use super::JOB;
use super::enqueue::told;
use crate::action::{Action, Answers, Args, On, Reply};
use crate::cx::Cx;
use crate::entity::{integer, text};
use crate::error::{Code, Error, Result};

/// Dead letters that one call replays.
const REPLAY_MAX: i64 = 10_000;

pub(crate) const CANCEL: Action = Action {
    name: "cancel",
    entity: &JOB,
    on: On::Row,
    input: &[],
    answers: Answers::Row,
    about: "Cancels a job that waits; asks one that runs to stop at its next step.",
    run: |cx, args| Box::pin(cancel(cx, args)),
};

pub(crate) const REPLAY: Action = Action {
    name: "replay",
    entity: &JOB,
    on: On::Row,
    input: &[],
    answers: Answers::Row,
    about: "Runs a job that failed, died or was canceled once more, as whoever enqueued it.",
    run: |cx, args| Box::pin(replay(cx, args)),
};

pub(crate) const REPLAY_DEAD: Action = Action {
    name: "replay-dead",
    entity: &JOB,
    on: On::Collection,
    input: &[text("name").about("Only jobs of this name.")],
    answers: Answers::Object(&[integer("replayed", 0, REPLAY_MAX).required()]),
    about: "Runs all failed and dead jobs once more, at most 10,000 a call.",
    run: |cx, args| Box::pin(replay_dead(cx, args)),
};

async fn cancel(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let told = told(cx.registry());
    let row = cx.query_one("select cancel_job($1, $2, $3)", &[&id, &cx.now, &told]).await?;
    match row.try_get::<_, Option<&str>>(0)? {
        Some("queued" | "running") => Ok(Reply::Row(id)),
        state => {
            let text = format!("the job is {} already", state.unwrap_or("gone"));
            Err(Error::field(Code::InvalidTransition, "state", text))
        }
    }
}

async fn replay(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let sql = "select replay_jobs($1, null, $2, 1)";
    match cx.query_one(sql, &[&id, &cx.now]).await?.try_get::<_, i64>(0)? {
        0 => {
            let text = "only a job that failed, died or was canceled is replayed";
            Err(Error::field(Code::InvalidTransition, "state", text))
        }
        _ => Ok(Reply::Row(id)),
    }
}

async fn replay_dead(cx: &mut Cx, args: Args) -> Result<Reply> {
    let name = args.input.get("name").and_then(Value::as_str);
    let sql = "select replay_jobs(null, $1, $2, $3)";
    let row = cx.query_one(sql, &[&name, &cx.now, &REPLAY_MAX]).await?;
    let replayed: i64 = row.try_get(0)?;
    Ok(Reply::Json(json!({"replayed": replayed})))
}
