//! Sign-in, and the sessions of a person.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::throttle::Attempt;
use super::tokens::{SESSION_PREFIX, draw};
use crate::error::{Code, Error, Result};
use crate::service::Service;
use crate::settings::Secret;

/// A session ends this long after sign-in, used or not.
pub(crate) const SESSION_TIME: SignedDuration = SignedDuration::from_hours(12);
/// Sessions of one person; with one more the longest unused ends.
const SESSIONS_MAX: i32 = 50;
/// The same of those that an issuer vouched for: the issuer can open the next one at any time, and who
/// leaves there is to be out here soon.
const VOUCHED_TIME: SignedDuration = SignedDuration::from_hours(4);
const VOUCHED_MAX: i32 = 5;
const USER_AGENT_CHARS_MAX: usize = 300;

pub(crate) struct SignIn<'a> {
    pub(crate) email: &'a str,
    pub(crate) password: &'a Secret,
    pub(crate) address: IpAddr,
    /// A browser that has signed in as this account before.
    pub(crate) browser: Option<Uuid>,
    pub(crate) user_agent: &'a str,
}

/// A new session; its token is shown this once.
pub struct Opened {
    pub token: Secret,
    pub id: Uuid,
    pub expires_at: Timestamp,
}

/// The same answer, in the same time, for an unknown address and for a wrong password.
pub(crate) async fn sign_in(service: &Service, with: SignIn<'_>) -> Result<Opened> {
    let now = service.now();
    let accounts = service.accounts();
    let attempt = Attempt { address: with.address, email: with.email, browser: with.browser };
    accounts.throttle.enter(attempt, now)?;
    let known = match proved(service, &with).await {
        Ok(known) => known,
        Err(error) => {
            accounts.throttle.undecided(attempt);
            return Err(error);
        }
    };
    let Some(user) = known else {
        return Err(Error::new(Code::InvalidCredentials, Code::InvalidCredentials.title()));
    };
    accounts.throttle.succeeded(attempt);
    open(service, user, with.user_agent, None).await
}

/// The person whose password it is.
async fn proved(service: &Service, with: &SignIn<'_>) -> Result<Option<Uuid>> {
    let client = service.app_client().await?;
    let sql = "select user_id, password_hash, disabled from account_for_sign_in($1)";
    let rows = client.query(&client.prepare_cached(sql).await?, &[&with.email]).await?;
    drop(client);
    let mut known: Option<(Uuid, String)> = None;
    if let Some(row) = rows.first() {
        let hash: Option<String> = row.try_get("password_hash")?;
        let disabled: bool = row.try_get("disabled")?;
        known = hash
            .filter(|_| !disabled)
            .map(|hash| row.try_get("user_id").map(|id| (id, hash)))
            .transpose()?;
    }
    let hash = known.as_ref().map(|(_, hash)| hash.as_str());
    let right = service.accounts().passwords.verify(with.password, hash).await?;
    Ok(known.filter(|_| right).map(|(user, _)| user))
}

/// `issuer`: who vouched, when it was neither a password nor an identity that the person linked.
pub(super) async fn open(
    service: &Service,
    user: Uuid,
    user_agent: &str,
    issuer: Option<&str>,
) -> Result<Opened> {
    let now = service.now();
    let id = service.new_id();
    let (token, hash) = draw(SESSION_PREFIX)?;
    let (time, most) = match issuer {
        Some(_) => (VOUCHED_TIME, VOUCHED_MAX),
        None => (SESSION_TIME, SESSIONS_MAX),
    };
    let expires_at = now.checked_add(time).unwrap_or(Timestamp::MAX);
    let agent: String =
        user_agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARS_MAX).collect();
    let client = service.app_client().await?;
    let sql = "select account_session_open($1, $2, $3, $4, $5, $6, $7, $8)";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(&statement, &[&id, &user, &hash, &now, &expires_at, &agent, &issuer, &most])
        .await?;
    Ok(Opened { token, id, expires_at })
}

/// A person's living sessions; `current` marks the one that asks.
pub(crate) async fn list(service: &Service, user: Uuid, current: Uuid) -> Result<Value> {
    let client = service.app_client().await?;
    let sql = "select * from account_sessions($1, $2)";
    let rows = client.query(&client.prepare_cached(sql).await?, &[&user, &service.now()]).await?;
    let mut data = Vec::with_capacity(rows.len());
    for row in rows {
        let id: Uuid = row.try_get("id")?;
        data.push(json!({
            "id": id,
            "created_at": row.try_get::<_, Timestamp>("created_at")?,
            "last_seen_at": row.try_get::<_, Timestamp>("last_seen_at")?,
            "expires_at": row.try_get::<_, Timestamp>("expires_at")?,
            "user_agent": row.try_get::<_, Option<String>>("user_agent")?,
            "current": id == current,
        }));
    }
    Ok(json!({ "data": data }))
}

pub(crate) async fn revoke(service: &Service, user: Uuid, session: Uuid) -> Result<()> {
    let client = service.app_client().await?;
    let statement = client.prepare_cached("select account_session_revoke($1, $2, $3)").await?;
    let row = client.query_one(&statement, &[&user, &session, &service.now()]).await?;
    if row.try_get::<_, bool>(0)? { Ok(()) } else { Err(Error::not_found("session")) }
}

/// Ends every session of the person but the one that asks; answers how many.
pub(crate) async fn revoke_others(service: &Service, user: Uuid, session: Uuid) -> Result<i64> {
    let client = service.app_client().await?;
    let statement = client.prepare_cached("select account_end_sessions($1, $2, $3)").await?;
    let row = client.query_one(&statement, &[&user, &session, &service.now()]).await?;
    Ok(row.try_get(0)?)
}
