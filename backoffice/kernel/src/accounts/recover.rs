//! Passwords and addresses change: by the password itself, or by a secret that was mailed (one
//! purpose, one use, short). Nothing here tells whether an address is known.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::keys;
use super::throttle::Attempt;
use super::tokens::{draw, hash};
use crate::cx::{Actor, Cx};
use crate::error::{Code, Error, Result};
use crate::mail::{self, Letter};
use crate::service::Service;
use crate::settings::Secret;

/// A mailed secret is good for this long.
const PROOF_TIME: SignedDuration = SignedDuration::from_mins(60);
/// Mails of one purpose that a person gets within `PROOF_TIME`; more are left out silently.
const PROOFS_MAX: i32 = 5;
const RESET_PREFIX: &str = "pwd_";
const EMAIL_PREFIX: &str = "adr_";

/// Mails a secret to the address when a person has it. Answer and work are the same either way.
pub(crate) async fn ask_reset(service: &Service, email: &str, address: IpAddr) -> Result<()> {
    // Each one costs a mail, good or not: an address gets as many as it gets wrong passwords.
    let attempt = Attempt { address, email, browser: None };
    service.accounts().resets.enter(attempt, service.now())?;
    let cx = nobody(service).await?;
    let outcome = reset_letter(&cx, email).await;
    cx.finish(outcome).await
}

async fn reset_letter(cx: &Cx, email: &str) -> Result<()> {
    let (secret, hash) = draw(RESET_PREFIX)?;
    let rows = cx
        .query(
            "select email from account_reset_open($1, $2, $3, $4, $5, $6)",
            &[&cx.new_id(), &email, &hash, &cx.now, &ends(cx.now), &PROOFS_MAX],
        )
        .await?;
    let known: Option<String> = rows.first().map(|row| row.try_get("email")).transpose()?;
    let place = mail::place(cx.service(), "reset-password");
    let minutes = PROOF_TIME.as_mins();
    let body = format!(
        "Somebody asked to set a new password for this address.\n\n\
         Set it with this link within {minutes} minutes:\n\n{place}\n\n\
         If it was not you, do nothing: your password stays as it is.\n"
    );
    let letter = Letter {
        purpose: "reset_password",
        to: known.as_deref().unwrap_or(email),
        subject: "Set a new password",
        body: &body,
    };
    match known {
        Some(_) => mail::post(cx, letter, Some(&secret)).await,
        None => mail::pretend(cx, letter, Some(&secret)).await,
    }
}

/// Sets the password; every session of the person ends. Answers the address.
pub(crate) async fn reset(service: &Service, secret: &str, password: &Secret) -> Result<String> {
    let client = service.app_client().await?;
    let sql = "select account_proof_is_open($1, 'reset_password', $2)";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_one(&statement, &[&hash(secret), &service.now()]).await?;
    // Hashing costs: it is not done for a secret that is not good.
    if !row.try_get::<_, bool>(0)? {
        return Err(spent());
    }
    drop(client);
    let password_hash = service.accounts().passwords.hash(password).await?;
    let cx = nobody(service).await?;
    let outcome = reset_use(&cx, secret, &password_hash).await;
    cx.finish(outcome).await
}

async fn reset_use(cx: &Cx, secret: &str, password_hash: &str) -> Result<String> {
    let rows = cx
        .query(
            "select user_id, email from account_reset_use($1, $2, $3)",
            &[&hash(secret), &password_hash, &cx.now],
        )
        .await?;
    let row = rows.first().ok_or_else(spent)?;
    let (user, email): (Uuid, String) = (row.try_get("user_id")?, row.try_get("email")?);
    password_notice(cx, user, &email).await?;
    Ok(email)
}

async fn password_notice(cx: &Cx, user: Uuid, email: &str) -> Result<()> {
    let rows = keys::rows(cx, user).await?;
    let mut body = "Your password was changed, and other sign-ins have ended.\n\n\
                    If it was not you, set a new one at once and tell who runs this service.\n"
        .to_owned();
    if !rows.is_empty() {
        body.push_str("\nThese go on without the password. Take back what you do not know:\n\n");
        for key in &rows {
            body.push_str(&format!("- {}\n", key.line()));
        }
    }
    let letter = Letter {
        purpose: "password_changed",
        to: email,
        subject: "Your password was changed",
        body: &body,
    };
    mail::post(cx, letter, None).await
}

/// Who is signed in and changes something of their own.
pub(crate) struct Own {
    pub(crate) user: Uuid,
    pub(crate) session: Uuid,
}

/// Changes the password; the other sessions end.
pub(crate) async fn change_password(
    service: &Service,
    own: Own,
    current: &Secret,
    password: &Secret,
) -> Result<()> {
    demand_password(service, own.user, current, "current").await?;
    let password_hash = service.accounts().passwords.hash(password).await?;
    let cx = nobody(service).await?;
    let outcome = async {
        let row = cx
            .query_one(
                "select account_password_set($1, $2, $3, $4) as email",
                &[&own.user, &own.session, &password_hash, &cx.now],
            )
            .await?;
        password_notice(&cx, own.user, &row.try_get::<_, String>("email")?).await
    };
    let outcome = outcome.await;
    cx.finish(outcome).await
}

async fn demand_password(service: &Service, user: Uuid, given: &Secret, field: &str) -> Result<()> {
    // Whoever holds a session could guess here without end.
    let throttle = &service.accounts().throttle;
    throttle.enter_person(user, service.now())?;
    let right = is_password(service, user, given).await;
    if !matches!(right, Ok(false)) {
        throttle.leave_person(user);
    }
    if right? {
        return Ok(());
    }
    Err(Error::field(Code::InvalidCredentials, field, "the password is wrong"))
}

async fn is_password(service: &Service, user: Uuid, given: &Secret) -> Result<bool> {
    let client = service.app_client().await?;
    let statement = client.prepare_cached("select account_password_of($1)").await?;
    let stored: Option<String> = client.query_one(&statement, &[&user]).await?.try_get(0)?;
    drop(client);
    service.accounts().passwords.verify(given, stored.as_deref()).await
}

/// Mails a secret to the new address; the old one stays until that address is proved.
pub(crate) async fn ask_email(
    service: &Service,
    own: Own,
    email: &str,
    password: &Secret,
) -> Result<()> {
    demand_password(service, own.user, password, "password").await?;
    let cx = nobody(service).await?;
    let outcome = email_letter(&cx, own.user, email).await;
    cx.finish(outcome).await
}

async fn email_letter(cx: &Cx, user: Uuid, email: &str) -> Result<()> {
    let (secret, hash) = draw(EMAIL_PREFIX)?;
    let row = cx
        .query_one(
            "select account_email_open($1, $2, $3, $4, $5, $6, $7)",
            &[&cx.new_id(), &user, &email, &hash, &cx.now, &ends(cx.now), &PROOFS_MAX],
        )
        .await?;
    let place = mail::place(cx.service(), "confirm-email");
    let minutes = PROOF_TIME.as_mins();
    let body = format!(
        "You asked to use this address to sign in.\n\n\
         While signed in, confirm it with this link within {minutes} minutes:\n\n{place}\n\n\
         If it was not you, do nothing.\n"
    );
    let subject = "Confirm your new address";
    let letter = Letter { purpose: "change_email", to: email, subject, body: &body };
    match row.try_get::<_, bool>(0)? {
        true => mail::post(cx, letter, Some(&secret)).await,
        false => mail::pretend(cx, letter, Some(&secret)).await,
    }
}

/// The address is the person's own now. Only the person who asked can say so: the secret in
/// somebody else's hands changes nothing.
pub(crate) async fn confirm_email(service: &Service, own: Own, secret: &str) -> Result<()> {
    let cx = nobody(service).await?;
    let outcome = email_use(&cx, own.user, secret).await;
    cx.finish(outcome).await
}

async fn email_use(cx: &Cx, user: Uuid, secret: &str) -> Result<()> {
    let rows = cx
        .query(
            "select old_email, new_email from account_email_use($1, $2, $3)",
            &[&hash(secret), &user, &cx.now],
        )
        .await
        .map_err(|error| match error.code() {
            Code::AlreadyExists => {
                Error::field(Code::AlreadyExists, "email", "another person has this address")
            }
            _ => error,
        })?;
    let row = rows.first().ok_or_else(spent)?;
    let (old, new): (String, String) = (row.try_get("old_email")?, row.try_get("new_email")?);
    let body = format!(
        "You sign in with {new} from now on.\n\n\
         If it was not you, tell who runs this service at once.\n"
    );
    let subject = "Your address was changed";
    let letter = Letter { purpose: "email_changed", to: &old, subject, body: &body };
    mail::post(cx, letter, None).await
}

/// One answer for a secret that never was, was used or is too old.
fn spent() -> Error {
    Error::field(Code::NotFound, "secret", "the secret is not good (any more)")
}

fn ends(now: Timestamp) -> Timestamp {
    now.checked_add(PROOF_TIME).unwrap_or(Timestamp::MAX)
}

/// A transaction outside every organization: the nil one has no rows.
async fn nobody(service: &Service) -> Result<Cx> {
    service.begin(Actor::Service("accounts"), Uuid::nil()).await
}
