//! Roles and members of an organization. Nobody gives rights that they do not have.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{MEMBERSHIP, ROLE};
use crate::action::{Action, Answers, Args, BoxFuture, On, Reply};
use crate::cx::{Actor, Cx};
use crate::entity::{Field, email, instant, json as json_field, link, slug, text};
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::rights;
use crate::settings::Secret;

pub(super) const ALL: &[Action] = &[
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
        about: "Gives a person a role; the person is made when the address is new.",
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
    email("email").required().personal(),
    text("name").personal().about("Needed when the address is new."),
    text("password").about("First password of a new person; without one they cannot sign in yet."),
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
    cx.set(&ROLE, id, &[("grants", grants)]).await?;
    Ok(Reply::Row(id))
}

async fn create_member(cx: &mut Cx, args: Args) -> Result<Reply> {
    let text = |name: &str| args.input.get(name).and_then(Value::as_str);
    let role = text("role_id").and_then(|id| Uuid::try_parse(id).ok());
    let (Some(email), Some(role)) = (text("email"), role) else {
        return Err(Error::internal("validated input lost its fields"));
    };
    let password = text("password").map(Secret::new);
    let new = NewMember {
        email,
        name: text("name"),
        password: password.as_ref(),
        role,
        ends_at: text("ends_at").and_then(|at| at.parse().ok()),
    };
    let (_, membership) = add_member(cx, new).await?;
    Ok(Reply::Row(membership))
}

/// A person with this address, known or new, and the role they get.
pub struct NewMember<'a> {
    pub email: &'a str,
    pub name: Option<&'a str>,
    pub password: Option<&'a Secret>,
    pub role: Uuid,
    pub ends_at: Option<Timestamp>,
}

/// Gives the person with this address the role; answers the person's id and the membership's.
pub async fn add_member(cx: &mut Cx, new: NewMember<'_>) -> Result<(Uuid, Uuid)> {
    covered(cx, Some(&role_grants(cx, new.role).await?), Origin::Stored)?;
    if new.ends_at.is_some_and(|at| at <= cx.now) {
        return Err(Error::field(Code::OutOfRange, "ends_at", "must be in the future"));
    }
    let hash = match new.password {
        Some(password) => Some(cx.service().accounts().passwords.hash(password).await?),
        None => None,
    };
    let (id, name) = (cx.new_id(), new.name.unwrap_or(new.email));
    let row = cx
        .query_one(
            "select user_id from account_user_ensure($1, $2, $3, $4)",
            &[&id, &new.email, &name, &hash],
        )
        .await?;
    let user: Uuid = row.try_get("user_id")?;
    let body = json!({"user_id": user, "role_id": new.role, "ends_at": new.ends_at});
    let membership = cx.insert(&MEMBERSHIP, kind::object(body).unwrap_or_default()).await?;
    Ok((user, membership))
}

/// Grants of a living role, as stored.
async fn role_grants(cx: &Cx, role: Uuid) -> Result<Value> {
    let unknown =
        || Error::field(Code::UnknownReference, "role_id", Code::UnknownReference.title());
    let row = cx
        .query_opt(
            "select grants from roles where org_id = $1 and id = $2 and deleted_at is null",
            &[&cx.org, &role],
        )
        .await?;
    Ok(row.ok_or_else(unknown)?.try_get("grants")?)
}

async fn set_end(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let membership = cx.load(&MEMBERSHIP, id, "set-end").await?;
    let role = membership.get("role_id").and_then(Value::as_str);
    let role = role.and_then(|id| Uuid::try_parse(id).ok());
    let role = role.ok_or_else(|| Error::internal("a membership without a role"))?;
    covered(cx, Some(&role_grants(cx, role).await?), Origin::Stored)?;
    let ends_at = args.input.get("ends_at").cloned().unwrap_or_default();
    cx.set(&MEMBERSHIP, id, &[("ends_at", ends_at)]).await?;
    Ok(Reply::Row(id))
}

/// Grants that come in are checked against the registry; stored ones were.
enum Origin {
    Given,
    Stored,
}

fn covered(cx: &Cx, grants: Option<&Value>, origin: Origin) -> Result<()> {
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
    Err(Error::field(Code::Forbidden, "grants", "nobody gives what they do not have"))
}
