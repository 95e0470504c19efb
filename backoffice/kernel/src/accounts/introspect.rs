//! `POST /internal/v1/introspect`: the other service asks what a person's or program's token may
//! do (after RFC 7662). Knows tokens and rights, not what they are asked for.

use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::authenticate::authenticate;
use crate::action::{BoxFuture, InternalCall, InternalReply, InternalRoute};
use crate::cx::Actor;
use crate::error::{Code, Error, Result};
use crate::rights;
use crate::service::Service;

pub(super) const ROUTE: InternalRoute = InternalRoute {
    method: "POST",
    path: "/internal/v1/introspect",
    run: |service, call| -> BoxFuture<'static, Result<InternalReply>> {
        Box::pin(introspect(service, call))
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    token: String,
    organization: Uuid,
    /// `ticketing.access_log` and `read`, for example.
    grant: String,
    right: String,
}

/// `{"active": the token lives, "may": and has this right on all rows of the organization}`.
async fn introspect(service: Service, call: InternalCall) -> Result<InternalReply> {
    let question: Question = serde_json::from_slice(&call.body)
        .map_err(|cause| Error::new(Code::MalformedJson, cause.to_string()))?;
    let (active, may) = match authenticate(&service, &question.token).await {
        Ok(caller) => {
            let entered = caller.enter(Some(question.organization));
            let may = |actor: &Actor| {
                rights::may_everywhere(actor, &question.grant, &question.right).is_ok()
            };
            (true, entered.is_ok_and(|(actor, _)| may(&actor)))
        }
        Err(error) if error.code() == Code::Unauthenticated => (false, false),
        Err(error) => return Err(error),
    };
    let body = json!({"active": active, "may": may}).to_string().into_bytes();
    Ok(InternalReply { status: 200, body })
}
