//! What is answered without signing in: by a password or by a secret that was mailed.

use serde_json::{Map, Value, json};

use super::{person, secret, string};
use crate::accounts::portals::{self, PORTAL_SESSION_TIME};
use crate::accounts::sessions::{self, SESSION_TIME, SignIn};
use crate::accounts::throttle::Attempt;
use crate::accounts::{browser, invitations, recover};
use crate::dispatch::{Answer, Call, Cookie};
use crate::error::Result;
use crate::service::Service;

type Input = Map<String, Value>;

pub(super) async fn sign_in(service: &Service, call: &Call, input: Input) -> Result<Answer> {
    let password = secret(&input, "password");
    let email = string(&input, "email");
    let with = SignIn {
        email,
        password: &password,
        address: call.address,
        browser: browser::known(service, call.browser.as_deref(), email),
        user_agent: &call.user_agent,
    };
    let opened = sessions::sign_in(service, with).await?;
    let token = opened.token.expose().to_owned();
    let body = json!({"id": opened.id, "token": token, "expires_at": opened.expires_at});
    let cookie = Cookie::Set { token, seconds: SESSION_TIME.as_secs() };
    let browser = browser::cookie(service, email);
    Ok(Answer { cookie: Some(cookie), browser, ..Answer::json(201, &body) })
}

pub(super) async fn look(service: &Service, input: Input) -> Result<Answer> {
    Ok(Answer::json(200, &invitations::look(service, string(&input, "secret")).await?))
}

pub(super) async fn accept(service: &Service, call: &Call, input: Input) -> Result<Answer> {
    // Signed in, it has to be the one invited; a token or a stale cookie is refused as always.
    let signed_in = match &call.secret {
        Some(_) => Some(person(service, call).await?.email),
        None => None,
    };
    let password = input.get("password").and_then(Value::as_str).map(crate::settings::Secret::new);
    let with = invitations::Acceptance {
        secret: string(&input, "secret"),
        name: input.get("name").and_then(Value::as_str),
        password: password.as_ref(),
        signed_in: signed_in.as_deref(),
    };
    let accepted = invitations::accept(service, with).await?;
    let email = accepted.get("email").and_then(Value::as_str).unwrap_or_default();
    let browser = browser::cookie(service, email);
    Ok(Answer { browser, ..Answer::json(200, &accepted) })
}

pub(super) async fn ask_reset(service: &Service, call: &Call, input: Input) -> Result<Answer> {
    recover::ask_reset(service, string(&input, "email"), call.address).await?;
    Ok(Answer::json(202, &json!({"sent_to": string(&input, "email")})))
}

pub(super) async fn reset(service: &Service, _: &Call, input: Input) -> Result<Answer> {
    let password = secret(&input, "password");
    let email = recover::reset(service, string(&input, "secret"), &password).await?;
    // Whoever reads the mail is not to wait behind those who guess.
    Ok(Answer { browser: browser::cookie(service, &email), ..Answer::nothing() })
}

pub(super) async fn ask_portal(service: &Service, call: &Call, input: Input) -> Result<Answer> {
    let email = string(&input, "email");
    let with = Attempt { address: call.address, email, browser: None };
    portals::ask(service, string(&input, "organization"), string(&input, "kind"), with).await?;
    Ok(Answer::json(202, &json!({"sent_to": email})))
}

pub(super) async fn open_portal(service: &Service, call: &Call, input: Input) -> Result<Answer> {
    let opened = portals::open(service, string(&input, "secret"), &call.user_agent).await?;
    let token = opened.token.expose().to_owned();
    let body = json!({"id": opened.id, "token": token, "expires_at": opened.expires_at});
    let cookie = Cookie::Set { token, seconds: PORTAL_SESSION_TIME.as_secs() };
    Ok(Answer { cookie: Some(cookie), ..Answer::json(201, &body) })
}
