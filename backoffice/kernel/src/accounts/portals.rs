//! Portals: people from outside (talent, partners, vendors, attendees) who see their own rows. They
//! have no password: a mailed link, good once and for minutes, opens a session. Their requests run
//! as a database role of their own; see `ddl::portal`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::organizations::find_organization;
use super::throttle::Attempt;
use super::tokens::{draw, hash};
use crate::action::{Action, Answers, Args, On, Reply};
use crate::actor::PortalKind;
use crate::cx::{Actor, Cx};
use crate::engine::{self, Lock};
use crate::entity::{
    Entity, Field, Group, Operations, Portal, Retention, Unique, bytes, choice, email, id, instant,
    link, slug, text,
};
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::mail::{self, Letter};
use crate::rights::{self, Shows};
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
    .operations(Operations { read: true, create: false, patch: true, delete: true })
    .about("Somebody from outside who may see and change their own rows, as their portal allows.")
    .fields(&[
        choice("kind", PortalKind::NAMES).required().by_action(),
        id("party_id").required().by_action().subject().about("The party whose rows they are."),
        email("email").required().personal().by_action(),
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
    .retention(&[
        Retention::days("expires_at", 30),
        Retention::days("link_expires_at", 30).only("expires_at is null"),
    ])
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

pub(super) const OPEN_ACCOUNT: Action = Action {
    name: "create",
    entity: &PORTAL_ACCOUNT,
    on: On::Create,
    input: &[
        choice("kind", PortalKind::NAMES).required(),
        id("party_id").required().about("The party whose rows they are."),
        email("email").required().personal(),
        text("name").personal(),
    ],
    answers: Answers::Row,
    about: "Opens a portal to somebody; who opens it may do themselves what the portal shows.",
    run: |cx, args| Box::pin(open_account(cx, args)),
};

pub(super) const SET_EMAIL: Action = Action {
    name: "set-email",
    entity: &PORTAL_ACCOUNT,
    on: On::Row,
    input: &[email("email").required().personal()],
    answers: Answers::Row,
    about: "Gives the portal to another address; sessions and mailed links of the former one end.",
    run: |cx, args| Box::pin(set_email(cx, args)),
};

/// Fields of the two public routes.
pub(crate) const ASK: &[Field] = &[
    slug("organization").required().about("The organization's slug."),
    choice("kind", PortalKind::NAMES).required(),
    email("email").required(),
];
pub(crate) const OPEN: &[Field] = &[text("secret").required()];

async fn open_account(cx: &mut Cx, args: Args) -> Result<Reply> {
    let kind = kind_of(&args.input)?;
    covers_portal(cx, kind)?;
    let party = args.input.get("party_id").and_then(Value::as_str);
    let party = party.and_then(|id| Uuid::try_parse(id).ok());
    demand_party(cx, kind, party.unwrap_or_default()).await?;
    Ok(Reply::Row(cx.insert(&PORTAL_ACCOUNT, args.input).await?))
}

async fn set_email(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let row = cx.load(&PORTAL_ACCOUNT, id, "set-email").await?;
    covers_portal(cx, kind_of(&row)?)?;
    let email = args.input.get("email").cloned().unwrap_or_default();
    cx.set(&PORTAL_ACCOUNT, id, &[("email", email)]).await?;
    cx.execute(
        "update portal_sessions set deleted_at = $3, updated_at = $3
          where org_id = $1 and portal_account_id = $2 and deleted_at is null",
        &[&cx.org, &id, &cx.now],
    )
    .await?;
    Ok(Reply::Row(id))
}

fn kind_of(row: &Map<String, Value>) -> Result<PortalKind> {
    let kind = row.get("kind").and_then(Value::as_str).and_then(PortalKind::parse);
    kind.ok_or_else(|| Error::internal("a portal account of no kind"))
}

/// Nobody opens what they may not enter: every field that the portal shows, or lets be changed, is
/// the caller's on every row. What the plan does not hold the portal does not show either.
fn covers_portal(cx: &Cx, kind: PortalKind) -> Result<()> {
    let refused = |entity: &Entity, right: &str| {
        let text = format!("the portal may {right} {}, the caller may not", entity.route());
        Error::field(Code::Forbidden, "kind", text)
    };
    for entity in cx.registry().entities() {
        for portal in entity.portals.iter().filter(|portal| portal.kind == kind) {
            for (right, fields) in [("read", portal.read), ("update", portal.write)] {
                let access = match rights::may(&cx.actor, entity, right) {
                    _ if fields.is_empty() => continue,
                    Err(error) if error.code() == Code::PlanRequired => continue,
                    access => access.map_err(|_| refused(entity, right))?,
                };
                let fields = fields.iter().filter_map(|name| entity.field(name));
                let all = fields.map(|field| access.shows(field)).all(|own| own == Shows::Always);
                if !(all && access.is_everywhere()) {
                    return Err(refused(entity, right));
                }
            }
        }
    }
    Ok(())
}

/// The party is there and the caller may see it. What parties are the portals' own links say; without
/// such a link there is nothing to look at.
async fn demand_party(cx: &mut Cx, kind: PortalKind, id: Uuid) -> Result<()> {
    let registry = cx.registry();
    let leads = |entity: &'static Entity, portal: &Portal| registry.target(entity, portal.field);
    let portals = || registry.entities().flat_map(|e| e.portals.iter().map(move |p| (e, p)));
    let own = portals().filter(|(_, portal)| portal.kind == kind);
    let Some(party) = own.chain(portals()).find_map(|(entity, portal)| leads(entity, portal))
    else {
        return Ok(());
    };
    let unknown =
        || Error::field(Code::UnknownReference, "party_id", Code::UnknownReference.title());
    let access = rights::may(&cx.actor, party, "read").map_err(|_| unknown())?;
    match engine::get::row(cx, party, id, Lock::None, &access.whole_rows()).await {
        Err(error) if error.code() == Code::NotFound => Err(unknown()),
        found => found.map(drop),
    }
}

/// Mails a link when the organization knows the address in this portal. Answer and work are the
/// same either way.
pub(crate) async fn ask(
    service: &Service,
    organization: &str,
    kind: &str,
    with: Attempt<'_>,
) -> Result<()> {
    service.accounts().resets.enter(with, service.now())?;
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
