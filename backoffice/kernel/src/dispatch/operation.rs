//! Waiting for work that another service finishes: the row when it is done in time, the problem when
//! it failed, else 202 with where to look.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, Call, run};
use crate::cx::{Actor, Mode};
use crate::entity::Entity;
use crate::error::{Code, Error, Result};
use crate::service::Service;

/// A caller waits this long; then 202.
const WAIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);

pub(super) struct Wait {
    pub(super) operation: Uuid,
    pub(super) entity: &'static Entity,
    pub(super) row: Option<Uuid>,
    pub(super) status: u16,
}

pub(super) async fn wait(
    service: &Service,
    call: &Call,
    actor: &Actor,
    org: Uuid,
    wait: Wait,
) -> Result<Answer> {
    let polls = WAIT.as_millis() / POLL.as_millis();
    for _ in 0..polls {
        if let Some(answer) = look(service, call, actor, org, &wait).await? {
            return Ok(answer);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(pending(wait.operation))
}

/// 202: not done yet, and where to look.
pub(super) fn pending(operation: Uuid) -> Answer {
    let place = format!("/api/v1/operations/{operation}");
    let body = json!({"id": operation, "status": "pending", "location": place});
    Answer { location: Some(place), ..Answer::json(202, &body) }
}

/// One short transaction a look, so that waiting holds no connection.
async fn look(
    service: &Service,
    call: &Call,
    actor: &Actor,
    org: Uuid,
    wait: &Wait,
) -> Result<Option<Answer>> {
    let cx = service.open(actor.clone(), org, call.request_id, Mode::Read).await?;
    let sql = "select status, result, error from operations where org_id = $1 and id = $2";
    let row = cx.query_opt(sql, &[&org, &wait.operation]).await?;
    let row =
        row.ok_or_else(|| Error::internal("an action awaits an operation that is not there"))?;
    let answer = match row.try_get::<_, &str>("status")? {
        "done" => {
            let result: Option<Value> = row.try_get("result")?;
            Some(match target(wait, result.as_ref()) {
                Some(id) => run::written(&cx, wait.entity, id, wait.status).await?,
                None => Answer::json(wait.status, &result.unwrap_or(Value::Null)),
            })
        }
        "failed" => return Err(failure(row.try_get("error")?)),
        _ => None,
    };
    cx.commit().await?;
    Ok(answer)
}

/// The row to answer: the one the action named, else the one that the result names as `row`.
fn target(wait: &Wait, result: Option<&Value>) -> Option<Uuid> {
    let named = || result?.get("row")?.as_str().and_then(|text| Uuid::try_parse(text).ok());
    wait.row.or_else(named)
}

/// The other service's refusal, as a problem of ours where we know its code.
fn failure(error: Option<Value>) -> Error {
    let text = |name: &str| error.as_ref()?.get(name)?.as_str();
    let code = text("code").and_then(Code::parse).unwrap_or(Code::Conflict);
    let detail = text("detail").unwrap_or(code.title()).to_owned();
    Error::new(code, detail)
}
