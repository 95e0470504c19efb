//! `POST /<route>/bulk`: many writes of one entity in one transaction. `each` keeps what went well and
//! answers every operation; `all` keeps everything or nothing and then names every fault of every
//! operation. Operations run in their order; neighbours that are alike go into few statements.

mod alike;
mod read;

use serde_json::{Map, Value, json};

use super::perform::{Operation, perform};
use super::{Answer, run};
use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::{Code, Error, Fault, Result};

/// Operations of one bulk; more are refused, with 422.
pub(crate) const OPERATIONS_MAX: usize = 500;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    All,
    Each,
}

/// An operation's outcome, and where in the operation the fields stand that its faults name.
struct Told {
    below: &'static str,
    outcome: Result<Answer>,
}

pub(super) async fn bulk(
    cx: &mut Cx,
    entity: &'static Entity,
    body: Map<String, Value>,
) -> Result<Answer> {
    let (mode, operations) = read::read(cx.registry(), entity, body)?;
    if mode == Mode::Each {
        cx.parts_stand_alone();
    }
    let mut out = b"{\"results\":[".to_vec();
    let mut faults = Vec::new();
    let mut secret = false;
    let mut index = 0;
    for run in alike::runs(cx, entity, operations) {
        for Told { below, outcome } in alike::perform(cx, entity, run).await? {
            if index > 0 {
                out.push(b',');
            }
            match (outcome, mode) {
                (Ok(answer), _) => {
                    secret |= answer.secret;
                    shown(&answer, &mut out);
                }
                (Err(error), Mode::All) => told(index, below, &error, &mut faults),
                (Err(error), Mode::Each) => refused(cx, &error, &mut out),
            }
            index += 1;
        }
    }
    if !faults.is_empty() {
        return Err(Error::fields(Code::BulkRefused, faults));
    }
    out.extend_from_slice(b"]}");
    Ok(Answer { status: 200, body: Some(out), secret, ..Answer::default() })
}

/// One operation in a part of its own. An error is about the whole transaction.
async fn alone(cx: &mut Cx, entity: &'static Entity, operation: Operation) -> Result<Told> {
    let below = operation.below();
    cx.savepoint().await?;
    let outcome = match one(cx, entity, operation).await {
        Ok(answer) => cx.end_part().await.map(|()| answer),
        Err(error) => Err(error),
    };
    let outcome = match outcome {
        Err(error) if concerns_all(&error) => return Err(error),
        Err(error) => {
            cx.undo_savepoint().await?;
            Err(error)
        }
        good => good,
    };
    Ok(Told { below, outcome })
}

/// About the whole transaction: it runs again or ends.
fn concerns_all(error: &Error) -> bool {
    error.is_retryable() || error.code().status() >= 500
}

async fn one(cx: &mut Cx, entity: &'static Entity, operation: Operation) -> Result<Answer> {
    let outcome = perform(cx, entity, operation).await?;
    Ok(match run::answer(cx, entity, outcome).await? {
        run::Done::Answer(answer) => answer,
        // A bulk does not wait: the operation is there to be looked at.
        run::Done::Await { operation, .. } => super::operation::pending(operation),
    })
}

/// `{"status":200,"data":…}`; the row's text goes in as it is.
fn shown(answer: &Answer, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{\"status\":{}", answer.status).as_bytes());
    if let Some(body) = &answer.body {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(body);
    }
    out.push(b'}');
}

fn refused(cx: &Cx, error: &Error, out: &mut Vec<u8>) {
    let result = json!({"status": error.code().status(), "error": error.problem(cx.request_id)});
    out.extend_from_slice(result.to_string().as_bytes());
}

fn told(index: usize, below: &str, error: &Error, faults: &mut Vec<Fault>) {
    if error.list().is_empty() {
        faults.push(Fault::new(format!("operations[{index}]"), error.code(), error.detail()));
    }
    for fault in error.list() {
        let path = format!("operations[{index}]{below}.{}", fault.field);
        faults.push(Fault::new(path, fault.code, fault.message.clone()));
    }
}

impl Operation {
    /// Where in an operation the fields stand that its faults name.
    fn below(&self) -> &'static str {
        match self {
            Self::Create(_) | Self::Update { .. } | Self::Upsert { .. } => ".data",
            Self::Act { .. } => ".input",
            Self::Delete { .. } | Self::Restore { .. } => "",
        }
    }
}
