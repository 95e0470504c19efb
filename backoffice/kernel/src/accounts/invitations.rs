//! How a person comes into an organization: invited by address, and in only once they proved that
//! they read the mail there. The secret goes to the address and nowhere else.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use uuid::Uuid;

use super::people::{self, Person};
use super::tokens::{draw, hash};
use super::{MEMBERSHIP, actions};
use crate::action::{Action, Answers, Args, On, Reply};
use crate::cx::{Actor, Cx};
use crate::entity::{
    Entity, Field, Group, Operations, Retention, bytes, email, instant, link, text,
};
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::mail::{self, Letter};
use crate::rights::{self, Rights};
use crate::service::Service;
use crate::settings::Secret;

/// An invitation is good for this long.
const INVITATION_TIME: SignedDuration = SignedDuration::from_hours(7 * 24);
pub(crate) const INVITATION_PREFIX: &str = "inv_";

pub(crate) static INVITATION: Entity = Entity::new("invitations")
    .grant("accounts.invitations")
    .group(Group::Organizations)
    .final_delete()
    .label("email")
    .operations(Operations { read: true, create: false, patch: false, delete: true })
    .about("Somebody asked into the organization; deleting takes the invitation back.")
    .retention(&[Retention::days("expires_at", 90)])
    .fields(&[
        email("email").required().by_action().personal(),
        text("name").by_action().personal(),
        link("role_id", "accounts.roles").required().by_action().cascade(),
        link("invited_by_id", "accounts.users").by_action(),
        bytes("token_hash", 32).required().secret(),
        instant("ends_at").by_action().about("The role ends then."),
        instant("expires_at").required().by_action(),
        instant("accepted_at").by_action(),
    ])
    .lookups(&["token_hash"]);

pub(super) const INVITE: Action = Action {
    name: "create",
    entity: &INVITATION,
    on: On::Create,
    input: &[
        email("email").required().personal(),
        text("name").personal().about("What the invitation calls them."),
        link("role_id", "accounts.roles").required(),
        instant("ends_at").about("The role ends then; required for an auditor."),
    ],
    answers: Answers::Row,
    about: "Invites a person by mail to take a role; who invites has what the role gives.",
    run: |cx, args| Box::pin(invite(cx, args)),
};

pub(super) const SEND_AGAIN: Action = Action {
    name: "send-again",
    entity: &INVITATION,
    on: On::Row,
    input: &[],
    answers: Answers::Row,
    about: "Mails the invitation again with a new secret and a new end; the former secret dies.",
    run: |cx, args| Box::pin(send_again(cx, args)),
};

async fn invite(cx: &mut Cx, args: Args) -> Result<Reply> {
    let text = |name: &str| args.input.get(name).and_then(Value::as_str);
    let role = text("role_id").and_then(|id| Uuid::try_parse(id).ok());
    let (Some(email), Some(role)) = (text("email"), role) else {
        return Err(Error::internal("validated input lost its fields"));
    };
    actions::covers_role(cx, role).await?;
    actions::demand_future(cx, text("ends_at").and_then(|at| at.parse().ok()))?;
    // An earlier invitation to the same role is replaced, not doubled.
    cx.execute(
        "update invitations set deleted_at = $4, updated_at = $4
          where org_id = $1 and role_id = $2 and lower(email) = lower($3)
            and accepted_at is null and deleted_at is null",
        &[&cx.org, &role, &email, &cx.now],
    )
    .await?;
    let (secret, hash) = draw(INVITATION_PREFIX)?;
    let id = cx.new_id();
    let row = object(json!({
        "id": id,
        "email": email,
        "name": text("name"),
        "role_id": role,
        "invited_by_id": cx.actor.user(),
        "ends_at": text("ends_at"),
        "token_hash": kind::bytes_json(&hash),
        "expires_at": ends(cx.now),
    }));
    cx.insert(&INVITATION, row).await?;
    send(cx, email, &secret).await?;
    Ok(Reply::Row(id))
}

async fn send_again(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let row = cx.load(&INVITATION, id, "send-again").await?;
    if row.get("accepted_at").is_some_and(|at| !at.is_null()) {
        return Err(Error::new(Code::AlreadyUsed, "the invitation was accepted"));
    }
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let role = Uuid::try_parse(&text("role_id"))
        .map_err(|_| Error::internal("an invitation has no role"))?;
    // What was right to give then may be more than the sender has.
    actions::covers_role(cx, role).await?;
    let (secret, hash) = draw(INVITATION_PREFIX)?;
    let fields = [("token_hash", kind::bytes_json(&hash)), ("expires_at", json!(ends(cx.now)))];
    cx.set(&INVITATION, id, &fields).await?;
    send(cx, &text("email"), &secret).await?;
    Ok(Reply::Row(id))
}

fn ends(now: Timestamp) -> Timestamp {
    now.checked_add(INVITATION_TIME).unwrap_or(Timestamp::MAX)
}

async fn send(cx: &Cx, to: &str, secret: &Secret) -> Result<()> {
    cx.service().accounts().invitations.enter_invitation(cx.org, to, cx.now)?;
    let organization = cx.query_one("select organization_name()", &[]).await?;
    let organization = mail::shown(organization.try_get(0)?);
    let days = INVITATION_TIME.as_hours() / 24;
    let place = mail::place(cx.service(), "accept-invitation");
    let body = format!(
        "You are invited to join {organization}.\n\n\
         Accept with this link within {days} days:\n\n{place}\n\n\
         Whoever has the link can accept in your name: keep it to yourself. If you do not know\n\
         {organization}, do nothing; the invitation ends by itself.\n"
    );
    let subject = format!("Invitation to {organization}");
    let letter = Letter { purpose: "invitation", to, subject: &subject, body: &body };
    mail::post(cx, letter, Some(secret)).await
}

/// An invitation that a secret opens.
struct Open {
    org: Uuid,
    id: Uuid,
    email: String,
    name: Option<String>,
    role: Uuid,
    ends_at: Option<Timestamp>,
    organization: String,
    role_name: String,
    expires_at: Timestamp,
    /// Somebody proved this address before.
    known: bool,
}

async fn open(service: &Service, secret: &str) -> Result<Open> {
    let client = service.app_client().await?;
    let statement = client.prepare_cached("select * from invitation_open($1, $2)").await?;
    let rows = client.query(&statement, &[&hash(secret), &service.now()]).await?;
    let row = rows.first().ok_or_else(spent)?;
    Ok(Open {
        org: row.try_get("org_id")?,
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: row.try_get("role_id")?,
        ends_at: row.try_get("ends_at")?,
        organization: row.try_get("organization_name")?,
        role_name: row.try_get("role_name")?,
        expires_at: row.try_get("expires_at")?,
        known: row.try_get("known")?,
    })
}

/// One answer for a secret that never was, was used, taken back or is too old.
fn spent() -> Error {
    Error::field(Code::NotFound, "secret", "the secret is not good (any more)")
}

/// What the holder of the secret may know before accepting.
pub(crate) async fn look(service: &Service, secret: &str) -> Result<Value> {
    let open = open(service, secret).await?;
    Ok(json!({
        "email": open.email,
        "name": open.name,
        "organization": {"id": open.org, "name": open.organization},
        "role": open.role_name,
        "ends_at": open.ends_at,
        "expires_at": open.expires_at,
        "known": open.known,
    }))
}

/// What comes with an acceptance.
pub(crate) struct Acceptance<'a> {
    pub(crate) secret: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) password: Option<&'a Secret>,
    /// The signed-in person, if there is one: then it must be the one invited.
    pub(crate) signed_in: Option<&'a str>,
}

/// Makes the membership. A person whose address was never proved sets name and password, which
/// replaces whatever stood there before; a known one keeps theirs and signs in with it.
pub(crate) async fn accept(service: &Service, with: Acceptance<'_>) -> Result<Value> {
    let open = open(service, with.secret).await?;
    if with.signed_in.is_some_and(|email| email.to_lowercase() != open.email.to_lowercase()) {
        return Err(Error::new(Code::Forbidden, "the invitation is for another address"));
    }
    let hash = match (open.known, with.password) {
        (true, None) => None,
        (true, Some(_)) => {
            let text = "the person has a password: leave it out and sign in with that one";
            return Err(Error::field(Code::Conflict, "password", text));
        }
        (false, Some(password)) => Some(service.accounts().passwords.hash(password).await?),
        (false, None) => {
            return Err(Error::field(Code::Required, "password", "a value is required"));
        }
    };
    let name = match (open.known, with.name.or(open.name.as_deref())) {
        (false, None) => {
            return Err(Error::field(Code::Required, "name", "a value is required"));
        }
        (_, name) => name.unwrap_or(&open.email).to_owned(),
    };
    let actor = Actor::Link {
        id: open.id,
        table: INVITATION.name,
        row: open.id,
        right: Arc::from("accept"),
        rights: Arc::new(no_rights(service, open.org, open.id)),
    };
    let mut cx = service.begin(actor, open.org).await?;
    let person = Person { email: &open.email, name: &name, password_hash: hash.as_deref() };
    let outcome = join(&mut cx, &open, with.secret, person).await;
    cx.finish(outcome).await
}

async fn join(cx: &mut Cx, open: &Open, secret: &str, person: Person<'_>) -> Result<Value> {
    // Locked and looked at again: of two acceptances one comes second.
    let row = cx
        .query_opt(
            "select id from invitations
              where org_id = $1 and id = $2 and token_hash = $3 and accepted_at is null
                and deleted_at is null and expires_at > $4 for update",
            &[&cx.org, &open.id, &hash(secret), &cx.now],
        )
        .await?;
    row.ok_or_else(spent)?;
    let proved = people::prove(cx, person).await?;
    if proved.newly == open.known {
        // Somebody proved the address between the look and the lock.
        return Err(Error::new(Code::Conflict, "the person became known meanwhile: try again"));
    }
    let body =
        object(json!({"user_id": proved.user, "role_id": open.role, "ends_at": open.ends_at}));
    cx.insert(&MEMBERSHIP, body).await?;
    cx.set(&INVITATION, open.id, &[("accepted_at", json!(cx.now))]).await?;
    Ok(json!({
        "user_id": proved.user,
        "email": open.email,
        "organization": {"id": open.org, "name": open.organization},
    }))
}

fn no_rights(service: &Service, org: Uuid, id: Uuid) -> Rights {
    let nobody = rights::Person { org, user: id, units: Vec::new() };
    Rights::new(service.registry(), nobody, Vec::new())
}

fn object(value: Value) -> Map<String, Value> {
    kind::object(value).unwrap_or_default()
}

/// Fields of the two public routes.
pub(crate) const SECRET: &[Field] = &[text("secret").required()];
pub(crate) const ACCEPT: &[Field] = &[
    text("secret").required(),
    text("name").personal().about("Needed when the address is new."),
    text("password").about("Needed when the address is new; refused when it is known."),
];
