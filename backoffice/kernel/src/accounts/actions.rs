//! Roles of an organization and who has them. Nobody gives rights that they do not have.

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{MEMBERSHIP, ROLE, invitations, links, portals, tokens};
use crate::action::{Action, Answers, Args, BoxFuture, On, Reply};
use crate::cx::{Actor, Cx};
use crate::engine::{self, Lock};
use crate::entity::{Field, instant, json as json_field, link, slug, text};
use crate::error::{Code, Error, Result};
use crate::rights::{self, Access, Rights};
use crate::rule::{Change, ChangeOp, Rule};

pub(super) const ALL: &[Action] = &[
    invitations::INVITE,
    invitations::SEND_AGAIN,
    tokens::ISSUE,
    tokens::ISSUE_FOR_ACCOUNT,
    tokens::ADD_DEVICE,
    tokens::RENEW_DEVICE,
    links::MAKE,
    crate::privacy::ERASE,
    portals::OPEN_ACCOUNT,
    portals::SET_EMAIL,
    Action {
        name: "create",
        entity: &ROLE,
        on: On::Create,
        input: ROLE_INPUT,
        answers: Answers::Row,
        about: "Makes a role from grants that the caller has.",
        run: |cx, args| boxed(create_role(cx, args)),
    },
    Action {
        name: "set-grants",
        entity: &ROLE,
        on: On::Row,
        input: GRANTS_INPUT,
        answers: Answers::Row,
        about: "Replaces a role's grants; built-in roles stay as they are.",
        run: |cx, args| boxed(set_grants(cx, args)),
    },
    Action {
        name: "create",
        entity: &MEMBERSHIP,
        on: On::Create,
        input: MEMBER_INPUT,
        answers: Answers::Row,
        about: "Gives a member, or a service account, one more role; people come in by invitation.",
        run: |cx, args| boxed(create_member(cx, args)),
    },
    Action {
        name: "set-end",
        entity: &MEMBERSHIP,
        on: On::Row,
        input: END_INPUT,
        answers: Answers::Row,
        about: "Says when the role ends; null for never. Needs what the role gives.",
        run: |cx, args| boxed(set_end(cx, args)),
    },
];

const ROLE_INPUT: &[Field] =
    &[slug("key").required(), text("name").required(), json_field("grants").required()];
const GRANTS_INPUT: &[Field] = &[json_field("grants").required()];
const MEMBER_INPUT: &[Field] = &[
    link("user_id", "accounts.users")
        .about("Somebody who is a member already; others are invited."),
    link("service_account_id", "accounts.service_accounts"),
    link("role_id", "accounts.roles").required(),
    ENDS_AT,
];
const END_INPUT: &[Field] = &[ENDS_AT];
const ENDS_AT: Field = instant("ends_at").about(
    "From then on the role gives nothing; required for an auditor, impossible for the last owner.",
);

fn boxed<'a>(
    action: impl Future<Output = Result<Reply>> + Send + 'a,
) -> BoxFuture<'a, Result<Reply>> {
    Box::pin(action)
}

async fn create_role(cx: &mut Cx, args: Args) -> Result<Reply> {
    covered(cx, args.input.get("grants"), Origin::Given)?;
    let id = cx.insert(&ROLE, args.input).await?;
    Ok(Reply::Row(id))
}

async fn set_grants(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let role = cx.load(&ROLE, id, "set-grants").await?;
    if role.get("built_in") == Some(&Value::Bool(true)) {
        return Err(Error::new(Code::Conflict, "built-in roles stay as they are: make another"));
    }
    // Taking rights away from others is a matter of having them, too.
    covered(cx, role.get("grants"), Origin::Stored)?;
    covered(cx, args.input.get("grants"), Origin::Given)?;
    let grants = args.input.get("grants").cloned().unwrap_or_default();
    covered_now(cx, &grants).await?;
    cx.set(&ROLE, id, &[("grants", grants)]).await?;
    Ok(Reply::Row(id))
}

async fn create_member(cx: &mut Cx, args: Args) -> Result<Reply> {
    let given = |name: &str| args.input.get(name).and_then(Value::as_str);
    let id = |name: &str| given(name).and_then(|id| Uuid::try_parse(id).ok());
    let role = id("role_id").ok_or_else(|| Error::internal("validated input lost its fields"))?;
    match (id("user_id"), id("service_account_id")) {
        (Some(_), None) | (None, Some(_)) => {}
        _ => {
            let text = "name either a person or a service account";
            return Err(Error::field(Code::InvalidValue, "user_id", text));
        }
    }
    covers_role(cx, role).await?;
    demand_future(cx, given("ends_at").and_then(|at| at.parse().ok()))?;
    Ok(Reply::Row(cx.insert(&MEMBERSHIP, args.input).await?))
}

/// A role that ended before it began is a slip of the pen.
pub(super) fn demand_future(cx: &Cx, ends_at: Option<Timestamp>) -> Result<()> {
    if ends_at.is_some_and(|at| at <= cx.now) {
        return Err(Error::field(Code::OutOfRange, "ends_at", "must be in the future"));
    }
    Ok(())
}

/// Refuses a role that gives more than the caller has, and one that is not there. Whether the caller
/// reaches it was asked before: of an action's input by dispatch, else it is the role of a row that
/// they reach.
pub(super) async fn covers_role(cx: &Cx, role: Uuid) -> Result<()> {
    let grants = grants_of(cx, role).await?;
    covered(cx, Some(&grants), Origin::Stored)?;
    covered_now(cx, &grants).await
}

async fn grants_of(cx: &Cx, role: Uuid) -> Result<Value> {
    let found = engine::get::row(cx, &ROLE, role, Lock::None, &Access::all()).await;
    let row = found.map_err(|error| match error.code() {
        Code::NotFound => {
            Error::field(Code::UnknownReference, "role_id", Code::UnknownReference.title())
        }
        _ => error,
    })?;
    Ok(row.get("grants").cloned().unwrap_or_default())
}

/// What the caller's rights were when the request came may be gone by now, and what is given here
/// would stay. So the roles are read once more, in this transaction, under a lock that keeps them
/// until it ends: whoever takes them away comes before this, or after it.
async fn covered_now(cx: &Cx, grants: &Value) -> Result<()> {
    let (user, account) = match &cx.actor {
        Actor::User { id, .. } | Actor::Token { user: id, .. } => (Some(*id), None),
        Actor::ServiceAccount { id, .. } => (None, Some(*id)),
        _ => return Ok(()),
    };
    let rows = cx
        .query(
            "select r.grants from memberships m
               join roles r on r.org_id = m.org_id and r.id = m.role_id and r.deleted_at is null
              where m.org_id = $1 and (m.user_id = $2 or m.service_account_id = $3)
                and m.deleted_at is null and (m.ends_at is null or m.ends_at > $4)
              order by m.id for share of m, r",
            &[&cx.org, &user, &account, &cx.now],
        )
        .await?;
    let mut held = Vec::new();
    for row in &rows {
        held.extend(tokens::stored(&row.try_get("grants")?)?);
    }
    let person = rights::Person {
        org: cx.org,
        user: user.or(account).unwrap_or_default(),
        units: Vec::new(),
    };
    if Rights::new(cx.registry(), person, vec![held]).cover(&rights::parse(grants, None)?) {
        return Ok(());
    }
    Err(not_held())
}

fn not_held() -> Error {
    Error::field(Code::Forbidden, "grants", "nobody gives what they do not have")
}

/// Whoever takes a role from somebody has what it gives, as whoever gives it: else a lesser role
/// removes a greater one. It holds for what goes along with a service account, too.
pub(super) const MEMBERSHIP_ENDS: Rule = Rule {
    name: "memberships.covered",
    on: "accounts.memberships",
    run: |cx, change| Box::pin(covers_end(cx, change)),
};

async fn covers_end(cx: &mut Cx, change: Change) -> Result<()> {
    if change.op != ChangeOp::Delete {
        return Ok(());
    }
    let row = change.before.ok_or_else(|| Error::internal("a deletion of nothing"))?;
    // With the rights at the call: a role of one's own is gone by now, and may be.
    let grants = grants_of(cx, role_of(&row)?).await?;
    covered(cx, Some(&grants), Origin::Stored)
}

fn role_of(membership: &Map<String, Value>) -> Result<Uuid> {
    let role = membership.get("role_id").and_then(Value::as_str);
    let role = role.and_then(|id| Uuid::try_parse(id).ok());
    role.ok_or_else(|| Error::internal("a membership without a role"))
}

async fn set_end(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let membership = cx.load(&MEMBERSHIP, id, "set-end").await?;
    covers_role(cx, role_of(&membership)?).await?;
    let ends_at = args.input.get("ends_at").cloned().unwrap_or_default();
    cx.set(&MEMBERSHIP, id, &[("ends_at", ends_at)]).await?;
    Ok(Reply::Row(id))
}

/// Grants that come in are checked against the registry; stored ones were.
pub(super) enum Origin {
    Given,
    Stored,
}

pub(super) fn covered(cx: &Cx, grants: Option<&Value>, origin: Origin) -> Result<()> {
    let grants = grants.ok_or_else(|| Error::internal("grants are missing"))?;
    let registry = match origin {
        Origin::Given => Some(cx.registry()),
        Origin::Stored => None,
    };
    let grants = rights::parse(grants, registry)?;
    let held = match (&cx.actor, cx.actor.rights()) {
        (Actor::Service(_), _) => true,
        (_, Some(rights)) => rights.cover(&grants),
        (_, None) => false,
    };
    if held {
        return Ok(());
    }
    Err(not_held())
}
