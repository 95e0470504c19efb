//! Portals: people from outside (talent, partners, vendors, attendees) who see their own rows. They
//! have no password: a mailed link, good once and for minutes, opens a session. Their requests run
//! as a database role of their own; see `ddl::portal`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::organizations::find_organization;
use super::throttle::Attempt;
use super::tokens::{draw, hash};
use crate::actor::PortalKind;
use crate::cx::{Actor, Cx};
use crate::entity::{
    Entity, Field, Group, Operations, Unique, bytes, choice, email, id, instant, link, slug, text,
};
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::mail::{self, Letter};
use crate::service::Service;
use crate::settings::Secret;

/// The mailed link is good for this long.
const LINK_TIME: SignedDuration = SignedDuration::from_mins(15);
/// A session ends this long after it was opened, used or not.
pub(crate) const PORTAL_SESSION_TIME: SignedDuration = SignedDuration::from_hours(24);
/// Links that an account gets within `LINK_TIME`; more are left out silently.
const LINKS_MAX: i64 = 5;
const USER_AGENT_CHARS_MAX: usize = 300;
const LINK_PREFIX: &str = "plink_";
pub(crate) const PORTAL_PREFIX: &str = "port_";

pub static PORTAL_ACCOUNT: Entity = Entity::new("portal_accounts")
    .grant("accounts.portal_accounts")
    .group(Group::Organizations)
    .final_delete()
    .label("email")
    .about("Somebody from outside who may see and change their own rows, as their portal allows.")
    .fields(&[
        choice("kind", PortalKind::NAMES).required().once(),
        id("party_id").required().once().subject().about("The party whose rows they are."),
        email("email").required().personal(),
        text("email_key").computed("lower(email)").personal(),
        text("name").personal(),
        instant("last_used_at").unlogged(),
    ])
    .uniques(&[Unique {
        name: "portal_accounts_email_key",
        fields: &["email_key", "kind"],
        code: Code::AlreadyExists,
    }])
    .indexes(&[&["party_id"]]);

pub(super) static PORTAL_SESSION: Entity = Entity::new("portal_sessions")
    .grant("accounts.portal_accounts")
    .group(Group::Organizations)
    .final_delete()
    .operations(Operations { read: true, create: false, patch: false, delete: true })
    .about("A way into a portal: mailed, opened once, ended. Deleting ends it.")
    .fields(&[
        link("portal_account_id", "accounts.portal_accounts").required().cascade().by_action(),
        bytes("link_hash", 32).required().secret(),
        instant("link_expires_at").required().by_action(),
        bytes("token_hash", 32).secret(),
        instant("opened_at").by_action(),
        instant("expires_at").by_action(),
        text("user_agent").by_action().personal(),
    ])
    .lookups(&["link_hash", "token_hash"]);

/// Fields of the two public routes.
pub(crate) const ASK: &[Field] = &[
    slug("organization").required().about("The organization's slug."),
    choice("kind", PortalKind::NAMES).required(),
    email("email").required(),
];
pub(crate) const OPEN: &[Field] = &[text("secret").required()];

/// Mails a link when the organization knows the address in this portal. Answer and work are the
/// same either way.
pub(crate) async fn ask(
    service: &Service,
    organization: &str,
    kind: &str,
    with: Attempt<'_>,
) -> Result<()> {
    service.accounts().resets.check(with, service.now())?;
    service.accounts().resets.failed(with, service.now());
    let org = find_organization(service, organization).await?.unwrap_or_default();
    let mut cx = service.begin(Actor::Service("accounts"), org).await?;
    let outcome = letter(&mut cx, kind, with.email).await;
    cx.finish(outcome).await
}

async fn letter(cx: &mut Cx, kind: &str, email: &str) -> Result<()> {
    let (secret, hash) = draw(LINK_PREFIX)?;
    let since = cx.now.checked_sub(LINK_TIME).unwrap_or(Timestamp::MIN);
    let row = cx
        .query_opt(
            "select a.id, a.email from portal_accounts a
              where a.org_id = $1 and a.email_key = lower($2) and a.kind = $3
                and a.deleted_at is null
                and (select count(*) from portal_sessions s
                      where s.org_id = a.org_id and s.portal_account_id = a.id
                        and s.created_at > $4) < $5",
            &[&cx.org, &email, &kind, &since, &LINKS_MAX],
        )
        .await?;
    let name = cx.query_one("select coalesce(organization_name(), '')", &[]).await?;
    let name = mail::shown(name.try_get(0)?);
    let place = mail::place(cx.service(), "portal");
    let minutes = LINK_TIME.as_mins();
    let subject = format!("Sign in to {name}");
    let body = format!(
        "Sign in to {name} with this link within {minutes} minutes:\n\n{place}\n\n\
         It works once. If it was not you who asked, do nothing.\n"
    );
    let Some(row) = row else {
        let letter = Letter { purpose: "portal", to: email, subject: &subject, body: &body };
        return mail::pretend(cx, letter, Some(&secret)).await;
    };
    let account: Uuid = row.try_get("id")?;
    let to: String = row.try_get("email")?;
    let session = json!({
        "portal_account_id": account,
        "link_hash": kind::bytes_json(&hash),
        "link_expires_at": cx.now.checked_add(LINK_TIME).unwrap_or(Timestamp::MAX),
    });
    cx.insert(&PORTAL_SESSION, object(session)).await?;
    let letter = Letter { purpose: "portal", to: &to, subject: &subject, body: &body };
    mail::post(cx, letter, Some(&secret)).await
}

pub(crate) struct OpenedPortal {
    pub(crate) token: Secret,
    pub(crate) id: Uuid,
    pub(crate) expires_at: Timestamp,
}

/// Opens a session by the mailed secret, once.
pub(crate) async fn open(
    service: &Service,
    secret: &str,
    user_agent: &str,
) -> Result<OpenedPortal> {
    let client = service.app_client().await?;
    let statement = client.prepare_cached("select * from portal_link($1, $2)").await?;
    let rows = client.query(&statement, &[&hash(secret), &service.now()]).await?;
    let row = rows.first().ok_or_else(spent)?;
    let (org, id): (Uuid, Uuid) = (row.try_get("org_id")?, row.try_get("id")?);
    drop(client);
    let mut cx = service.begin(Actor::Service("accounts"), org).await?;
    let outcome = use_link(&mut cx, id, secret, user_agent).await;
    cx.finish(outcome).await
}

async fn use_link(cx: &mut Cx, id: Uuid, secret: &str, agent: &str) -> Result<OpenedPortal> {
    // Locked and looked at again: of two who open it one comes second.
    let row = cx
        .query_opt(
            "select id from portal_sessions
              where org_id = $1 and id = $2 and link_hash = $3 and opened_at is null
                and deleted_at is null and link_expires_at > $4 for update",
            &[&cx.org, &id, &hash(secret), &cx.now],
        )
        .await?;
    row.ok_or_else(spent)?;
    let (token, hash) = draw(PORTAL_PREFIX)?;
    let expires_at = cx.now.checked_add(PORTAL_SESSION_TIME).unwrap_or(Timestamp::MAX);
    let agent: String =
        agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARS_MAX).collect();
    let fields = [
        ("token_hash", kind::bytes_json(&hash)),
        ("opened_at", json!(cx.now)),
        ("expires_at", json!(expires_at)),
        ("user_agent", json!(agent)),
    ];
    cx.set(&PORTAL_SESSION, id, &fields).await?;
    Ok(OpenedPortal { token, id, expires_at })
}

/// Ends the session that asks.
pub(crate) async fn end(service: &Service, org: Uuid, session: Uuid) -> Result<()> {
    let mut cx = service.begin(Actor::Service("accounts"), org).await?;
    let outcome = cx.delete(&PORTAL_SESSION, session).await;
    cx.finish(outcome).await
}

/// One answer for a secret that never was, was used or is too old.
fn spent() -> Error {
    Error::field(Code::NotFound, "secret", "the secret is not good (any more)")
}

fn object(value: Value) -> Map<String, Value> {
    kind::object(value).unwrap_or_default()
}
