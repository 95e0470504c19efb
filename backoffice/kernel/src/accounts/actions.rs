//! Roles and members of an organization. Nobody gives rights that they do not have.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{MEMBERSHIP, ROLE};
use crate::action::{Action, Answers, Args, BoxFuture, On, Reply};
use crate::cx::{Actor, Cx};
use crate::entity::{Field, email, json as json_field, link, slug, text};
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
];

const ROLE_INPUT: &[Field] =
    &[slug("key").required(), text("name").required(), json_field("grants").required()];
const GRANTS_INPUT: &[Field] = &[json_field("grants").required()];
const MEMBER_INPUT: &[Field] = &[
    email("email").required().personal(),
    text("name").personal().about("Needed when the address is new."),
    text("password").about("First password of a new person; without one they cannot sign in yet."),
    link("role_id", "accounts.roles").required(),
];

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
    let (_, membership) = add_member(cx, email, text("name"), password.as_ref(), role).await?;
    Ok(Reply::Row(membership))
}

/// Gives the person with this address the role; answers the person's id and the membership's.
pub async fn add_member(
    cx: &mut Cx,
    email: &str,
    name: Option<&str>,
    password: Option<&Secret>,
    role: Uuid,
) -> Result<(Uuid, Uuid)> {
    let unknown =
        |_| Error::field(Code::UnknownReference, "role_id", Code::UnknownReference.title());
    let row = cx
        .query_opt(
            "select grants from roles where org_id = $1 and id = $2 and deleted_at is null",
            &[&cx.org, &role],
        )
        .await?;
    let row = row.ok_or(()).map_err(unknown)?;
    covered(cx, Some(&row.try_get("grants")?), Origin::Stored)?;
    let hash = match password {
        Some(password) => Some(cx.service().accounts().passwords.hash(password).await?),
        None => None,
    };
    let (id, name) = (cx.new_id(), name.unwrap_or(email));
    let row = cx
        .query_one(
            "select user_id from account_user_ensure($1, $2, $3, $4)",
            &[&id, &email, &name, &hash],
        )
        .await?;
    let user: Uuid = row.try_get("user_id")?;
    let body: Map<String, Value> =
        kind::object(json!({"user_id": user, "role_id": role})).unwrap_or_default();
    let membership = cx.insert(&MEMBERSHIP, body).await?;
    Ok((user, membership))
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
        (_, Some(rights)) => rights.cover(&grants, cx.registry()),
        (_, None) => false,
    };
    if held {
        return Ok(());
    }
    Err(Error::field(Code::Forbidden, "grants", "nobody gives what they do not have"))
}
