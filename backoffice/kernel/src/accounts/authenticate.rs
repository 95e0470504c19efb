//! From a presented secret to who acts: session or API token, organizations, rights.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio_postgres::Row;
use uuid::Uuid;

use super::known::{Hash, Proved};
use super::links::LINK_PREFIX;
use super::portals::PORTAL_PREFIX;
use super::tokens::{DEVICE_PREFIX, SESSION_PREFIX, TOKEN_PREFIX, sha256, stored};
use crate::actor::PortalKind;
use crate::cx::Actor;
use crate::entity::Plan;
use crate::error::{Code, Error, Result};
use crate::registry::Registry;
use crate::rights::{Grant, Person, Rights};
use crate::service::Service;

/// A token's text has exactly this many characters behind its prefix.
const RANDOM_CHARS: usize = 43;

/// Who presented a good secret.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    Session(SessionCaller),
    Token { actor: Actor, organization: Uuid },
}

#[derive(Debug, Clone)]
pub(crate) struct SessionCaller {
    pub(crate) session: Uuid,
    pub(crate) user: Uuid,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) expires_at: Timestamp,
    /// An organization's issuer vouched for the person, who showed nothing of their own.
    pub(crate) is_vouched: bool,
    pub(crate) organizations: Vec<Member>,
}

/// An organization of a person, with the union of the roles there.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) slug: String,
    grants: Vec<Grant>,
    plan: Plan,
    rights: Arc<Rights>,
}

impl Caller {
    /// The actor in the organization that was asked for, or the only one there is. A foreign
    /// organization and an unknown one are the same refusal.
    pub(crate) fn enter(&self, asked: Option<Uuid>) -> Result<(Actor, Uuid)> {
        let refused = || Error::new(Code::Forbidden, "the caller is not in this organization");
        match self {
            Self::Token { actor, organization } => {
                if asked.is_some_and(|asked| asked != *organization) {
                    return Err(refused());
                }
                Ok((actor.clone(), *organization))
            }
            Self::Session(session) => {
                let member = match (asked, session.organizations.as_slice()) {
                    (Some(id), all) => all.iter().find(|m| m.id == id).ok_or_else(refused)?,
                    (None, [only]) => only,
                    (None, _) => {
                        return Err(Error::new(
                            Code::OrganizationRequired,
                            "name the organization in the header X-Organization",
                        ));
                    }
                };
                let rights = Arc::clone(&member.rights);
                let actor = Actor::User { id: session.user, session: session.session, rights };
                Ok((actor, member.id))
            }
        }
    }
}

impl SessionCaller {
    /// The person outside every organization, for the change log.
    pub(crate) fn itself(&self, registry: &'static Registry) -> Actor {
        let person = Person { org: Uuid::nil(), user: self.user, units: Vec::new() };
        let rights = Arc::new(Rights::new(registry, person, Vec::new()));
        Actor::User { id: self.user, session: self.session, rights }
    }

    /// Who is signed in, as the API shows it.
    pub(crate) fn show(&self) -> Value {
        json!({
            "user": {"id": self.user, "email": self.email, "name": self.name},
            "session": {"id": self.session, "expires_at": self.expires_at},
            "organizations": self.organizations.iter().map(|member| {
                let grants: Vec<Value> = member.grants.iter().map(Grant::show).collect();
                json!({
                    "id": member.id, "name": member.name, "slug": member.slug,
                    "plan": member.plan.name(), "grants": grants,
                })
            }).collect::<Vec<_>>(),
        })
    }
}

type Reader = fn(&'static Registry, &[Row]) -> Result<Option<Caller>>;

/// A kind of secret.
struct Way {
    prefix: &'static str,
    /// Function of the database that says whose the secret is.
    function: &'static str,
    read: Reader,
    /// What `account_digest` calls it, where it knows it.
    digest: Option<&'static str>,
}

static WAYS: &[Way] = &[
    Way {
        prefix: SESSION_PREFIX,
        function: "account_session",
        read: session,
        digest: Some("session"),
    },
    Way { prefix: TOKEN_PREFIX, function: "account_token", read: token, digest: Some("token") },
    Way { prefix: DEVICE_PREFIX, function: "account_device", read: device, digest: None },
    Way { prefix: PORTAL_PREFIX, function: "account_portal", read: portal, digest: None },
    Way { prefix: LINK_PREFIX, function: "account_link", read: link, digest: None },
];

fn way(secret: &str) -> Option<&'static Way> {
    let shaped = |way: &&Way| {
        secret.strip_prefix(way.prefix).is_some_and(|rest| {
            rest.len() == RANDOM_CHARS
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
    };
    WAYS.iter().find(shaped)
}

/// 401 for anything that is not a living secret, without saying which part is wrong.
pub(crate) async fn authenticate(service: &Service, secret: &str) -> Result<Caller> {
    let refused = || Error::new(Code::Unauthenticated, "the token is not valid (any more)");
    let way = way(secret).ok_or_else(refused)?;
    let hash = sha256(secret);
    let known = &service.accounts().known;
    let client = service.app_client().await?;
    let sql = format!("select * from {}($1, $2)", way.function);
    let statement = client.prepare_cached(&sql).await?;
    // The secret is compared by its hash in an index: equal or not, no prefix can be felt out.
    let rows = client.query(&statement, &[&hash.as_slice(), &service.now()]).await?;
    let Some(caller) = (way.read)(service.registry(), &rows)? else {
        known.forget(&hash);
        return Err(refused());
    };
    if let (Some(_), Some(first)) = (way.digest, rows.first()) {
        let digest = first.try_get("digest")?;
        known.keep(hash, Arc::new(Proved { caller: caller.clone(), digest }));
    }
    Ok(caller)
}

/// Whom the secret was proved to be of a moment ago, and what has to hold for it to be so still.
pub(crate) fn recall(service: &Service, secret: &str) -> Option<(Arc<Proved>, Proof)> {
    let kind = way(secret)?.digest?;
    let hash = sha256(secret);
    let proved = service.accounts().known.find(&hash)?;
    let proof = Proof { kind, hash, digest: proved.digest.clone() };
    Some((proved, proof))
}

/// What a transaction has to find before anything that it reads is told.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    kind: &'static str,
    hash: Hash,
    digest: String,
}

impl Proof {
    /// The call that finds it: our own words and digits, no text of a caller's.
    pub(crate) fn sql(&self, now: Timestamp) -> String {
        let hash = data_encoding::HEXLOWER.encode(&self.hash);
        format!("account_digest('{}', '\\x{hash}', '{now}')", self.kind)
    }

    pub(crate) fn holds(&self, found: Option<&str>) -> bool {
        found.is_some_and(|found| found.as_bytes().ct_eq(self.digest.as_bytes()).into())
    }
}

fn session(registry: &'static Registry, rows: &[Row]) -> Result<Option<Caller>> {
    let Some(first) = rows.first() else { return Ok(None) };
    let user = first.try_get("user_id")?;
    let mut caller = SessionCaller {
        session: first.try_get("session_id")?,
        user,
        email: first.try_get("email")?,
        name: first.try_get("user_name")?,
        expires_at: first.try_get("expires_at")?,
        is_vouched: first.try_get("is_vouched")?,
        organizations: Vec::new(),
    };
    let mut roles: Vec<(&Row, Uuid, Vec<Grant>)> = Vec::new();
    for row in rows {
        let Some(id) = row.try_get::<_, Option<Uuid>>("organization_id")? else { continue };
        let grants = stored(&row.try_get("grants")?)?;
        match roles.iter_mut().find(|(_, organization, _)| *organization == id) {
            Some((.., held)) => held.extend(grants),
            None => roles.push((row, id, grants)),
        }
    }
    for (row, id, grants) in roles {
        let person = Person { org: id, user, units: row.try_get("units")? };
        let plan = plan(row)?;
        let rights = Rights::new(registry, person, vec![grants.clone()]).with_plan(plan);
        caller.organizations.push(Member {
            id,
            name: row.try_get("organization_name")?,
            slug: row.try_get("organization_slug")?,
            grants,
            plan,
            rights: Arc::new(rights),
        });
    }
    Ok(Some(Caller::Session(caller)))
}

fn token(registry: &'static Registry, rows: &[Row]) -> Result<Option<Caller>> {
    let Some(first) = rows.first() else { return Ok(None) };
    let own = stored(&first.try_get("token_grants")?)?;
    let mut maker = Vec::new();
    for row in rows {
        maker.extend(stored(&row.try_get("grants")?)?);
    }
    let organization: Uuid = first.try_get("organization_id")?;
    let id: Uuid = first.try_get("token_id")?;
    let user: Option<Uuid> = first.try_get("user_id")?;
    let account: Option<Uuid> = first.try_get("service_account_id")?;
    let Some(holder) = user.or(account) else { return Ok(None) };
    let person = Person { org: organization, user: holder, units: first.try_get("units")? };
    let rights = Arc::new(Rights::new(registry, person, vec![maker, own]).with_plan(plan(first)?));
    let actor = match user {
        Some(user) => Actor::Token { id, user, rights },
        None => Actor::ServiceAccount { id: holder, token: id, rights },
    };
    Ok(Some(Caller::Token { actor, organization }))
}

fn device(registry: &'static Registry, rows: &[Row]) -> Result<Option<Caller>> {
    let Some(row) = rows.first() else { return Ok(None) };
    let own = stored(&row.try_get("device_grants")?)?;
    let mut maker = Vec::new();
    for row in rows {
        maker.extend(stored(&row.try_get("grants")?)?);
    }
    let (id, organization) = (row.try_get("device_id")?, row.try_get("organization_id")?);
    let person = Person { org: organization, user: id, units: Vec::new() };
    let rights = Arc::new(Rights::new(registry, person, vec![maker, own]).with_plan(plan(row)?));
    Ok(Some(Caller::Token { actor: Actor::Device { id, rights }, organization }))
}

/// Who wanted a job, as it was written down.
pub(crate) struct Wanted<'a> {
    /// [`Actor::kind`].
    pub(crate) kind: &'a str,
    /// [`Actor::id_text`], where it is a UUID.
    pub(crate) id: Option<Uuid>,
    pub(crate) token: Option<Uuid>,
    /// Under which a part of the house acts.
    pub(crate) service: &'static str,
}

/// Who wanted a job, with the rights they have now; 403 when they may nothing any more. Portals and
/// links are not opened again: what they wanted runs as nobody's.
pub(crate) async fn acting(service: &Service, org: Uuid, wanted: Wanted<'_>) -> Result<Actor> {
    let gone = || Error::new(Code::Forbidden, "whoever wanted this may nothing here any more");
    let (user, device) = match wanted.kind {
        "system" | "service" => return Ok(Actor::Service(wanted.service)),
        "portal" | "link" | "public" => return Ok(Actor::Public),
        "device" => (None, wanted.id),
        _ => (wanted.id, None),
    };
    let cx = service.read(Actor::Public, org).await?;
    let sql = "select * from job_actor($1, $2, $3, $4)";
    let rows = cx.query(sql, &[&wanted.token, &user, &device, &cx.now]).await?;
    cx.commit().await?;
    let first = rows.first().ok_or_else(gone)?;
    let user: Option<Uuid> = first.try_get("user_id")?;
    let account: Option<Uuid> = first.try_get("service_account_id")?;
    let holder = user.or(account).or(device).ok_or_else(gone)?;
    let mut held = Vec::new();
    for row in &rows {
        held.extend(stored(&row.try_get("grants")?)?);
    }
    let mut layers = vec![held];
    if let Some(own) = first.try_get::<_, Option<Value>>("token_grants")? {
        layers.push(stored(&own)?);
    }
    let person = Person { org, user: holder, units: first.try_get("units")? };
    let rights = Arc::new(Rights::new(service.registry(), person, layers).with_plan(plan(first)?));
    match (wanted.kind, wanted.token) {
        ("user", None) => Ok(Actor::User { id: holder, session: Uuid::nil(), rights }),
        ("token", Some(id)) => Ok(Actor::Token { id, user: holder, rights }),
        ("service_account", Some(token)) => Ok(Actor::ServiceAccount { id: holder, token, rights }),
        ("device", None) => Ok(Actor::Device { id: holder, rights }),
        (kind, _) => Err(Error::internal(format!("a job of an actor of kind {kind}"))),
    }
}

fn portal(registry: &'static Registry, rows: &[Row]) -> Result<Option<Caller>> {
    let Some(row) = rows.first() else { return Ok(None) };
    let (id, organization) = (row.try_get("account_id")?, row.try_get("organization_id")?);
    let kind = PortalKind::parse(row.try_get("kind")?)
        .ok_or_else(|| Error::internal("a portal of an unknown kind"))?;
    let person = Person { org: organization, user: id, units: Vec::new() };
    let rights = Arc::new(Rights::new(registry, person, Vec::new()).with_plan(plan(row)?));
    let (session, party) = (row.try_get("session_id")?, row.try_get("party_id")?);
    let actor = Actor::Portal { id, session, kind, party, rights };
    Ok(Some(Caller::Token { actor, organization }))
}

fn link(registry: &'static Registry, rows: &[Row]) -> Result<Option<Caller>> {
    let Some(row) = rows.first() else { return Ok(None) };
    // A table that this release no longer has: nothing is left to do with the link.
    let Some(entity) = registry.entity(row.try_get("table_name")?) else { return Ok(None) };
    let (id, organization) = (row.try_get("link_id")?, row.try_get("organization_id")?);
    let maker: Option<Uuid> = row.try_get("made_by")?;
    let user = maker.unwrap_or(id);
    let person = Person { org: organization, user, units: row.try_get("units")? };
    let mut layers = Vec::new();
    if maker.is_some() {
        let mut held = Vec::new();
        for row in rows {
            held.extend(stored(&row.try_get("grants")?)?);
        }
        layers.push(held);
        if let Some(own) = row.try_get::<_, Option<Value>>("token_grants")? {
            layers.push(stored(&own)?);
        }
    }
    let rights = Arc::new(Rights::new(registry, person, layers).with_plan(plan(row)?));
    let right = Arc::from(row.try_get::<_, &str>("purpose")?);
    let actor = Actor::Link { id, table: entity.name, row: row.try_get("row_id")?, right, rights };
    Ok(Some(Caller::Token { actor, organization }))
}

fn plan(row: &Row) -> Result<Plan> {
    Plan::parse(row.try_get("plan")?).ok_or_else(|| Error::internal("an unknown plan"))
}
