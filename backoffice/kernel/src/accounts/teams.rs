//! Teams and who is in them. They move the boundary of rights: whoever joins a team reaches what its
//! members reach under the scope `team`. So they have a grant of their own, and nobody lets anybody
//! into a team that they do not reach themselves.

use serde_json::Value;
use uuid::Uuid;

use super::entities::REACH;
use crate::cx::Cx;
use crate::entity::{Entity, Group, Unique, link, text};
use crate::error::{Code, Error, Result};
use crate::rights;
use crate::rule::{Change, ChangeOp, Rule};

pub static TEAM: Entity = Entity::new("teams")
    .grant(REACH)
    .group(Group::Organizations)
    .about("People who work on the same rows: the scope team reaches what belongs to one's teams.")
    .label("name")
    .fields(&[text("name").required()])
    .natural(&["name"])
    .uniques(&[Unique { name: "teams_name_key", fields: &["name"], code: Code::AlreadyExists }]);

pub static TEAM_MEMBER: Entity = Entity::new("team_members")
    .grant(REACH)
    .group(Group::Organizations)
    .about("A person in a team.")
    .fields(&[
        link("team_id", "accounts.teams").required().once().cascade(),
        link("user_id", "accounts.users").required().once(),
    ])
    .natural(&["user_id", "team_id"])
    .uniques(&[Unique {
        name: "team_members_user_key",
        fields: &["user_id", "team_id"],
        code: Code::AlreadyExists,
    }]);

/// A row of one's own is in the scope `own`; a team that one is not in is in no scope but `all`. The
/// second decides who may come in: else everybody with the first could let themselves into any team.
pub(super) const JOINING: Rule = Rule {
    name: "team_members.reached",
    on: "accounts.team_members",
    run: |cx, change| Box::pin(joins(cx, change)),
};

async fn joins(cx: &mut Cx, change: Change) -> Result<()> {
    let user = change.after.as_ref().and_then(|row| row.get("user_id")).and_then(Value::as_str);
    let own = cx.actor.own_id().is_some_and(|own| user == Some(own.to_string().as_str()));
    // Whose own membership it is, that one is in the team already, now that the row is written.
    if let Some(right) = right(change.op)
        && own
        && !rights::may(&cx.actor, &TEAM, right).is_ok_and(|access| access.is_everywhere())
    {
        return Err(out_of_reach("team_id"));
    }
    demand_reach(cx, &TEAM, "team_id", change).await
}

/// Refuses a row whose maker does not reach what its link names under the right by which they make
/// it: the rule of every table that moves the boundary of rights.
pub async fn demand_reach(
    cx: &mut Cx,
    target: &'static Entity,
    field: &'static str,
    change: Change,
) -> Result<()> {
    let Some(right) = right(change.op).filter(|_| change.changes(field)) else { return Ok(()) };
    let id = change.after.as_ref().and_then(|row| row.get(field)).and_then(Value::as_str);
    let Some(id) = id.and_then(|text| Uuid::try_parse(text).ok()) else { return Ok(()) };
    cx.load(target, id, right).await.map(drop).map_err(|error| match error.code() {
        Code::NotFound | Code::Forbidden => out_of_reach(field),
        _ => error,
    })
}

/// By which right a row comes to be as it is; none is needed for it to go.
fn right(op: ChangeOp) -> Option<&'static str> {
    match op {
        ChangeOp::Create => Some("create"),
        ChangeOp::Update => Some("update"),
        // Who may delete may restore.
        ChangeOp::Restore => Some("delete"),
        ChangeOp::Delete => None,
    }
}

fn out_of_reach(field: &str) -> Error {
    let text = "out of the caller's reach: nobody lets others in where they are not";
    Error::field(Code::Forbidden, field, text)
}
