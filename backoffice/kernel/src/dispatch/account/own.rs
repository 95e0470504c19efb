//! What a signed-in person does with what is their own, and what concerns no single entity.

use serde_json::{Map, Value, json};

use super::{own_person, path_id, person, secret, string};
use crate::accounts::authenticate::Caller;
use crate::accounts::organizations::Owner;
use crate::accounts::recover::{self, Own};
use crate::accounts::{
    NewOrganization, keys as held, members, open_organization as open_new, portals, sessions,
};
use crate::cx::{Actor, Mode};
use crate::dispatch::{Answer, Call, Cookie, asked, caller};
use crate::error::{Code, Error, Result};
use crate::service::Service;

type Input = Map<String, Value>;

pub(super) async fn me(service: &Service, call: &Call) -> Result<Answer> {
    let body = match caller(service, call).await? {
        Caller::Session(session) => session.show(),
        Caller::Token { actor, organization } => json!({
            (actor.kind()): {"id": actor.id_text()},
            "organizations": [{"id": organization}],
        }),
    };
    Ok(Answer::json(200, &body))
}

pub(super) async fn sessions(service: &Service, call: &Call) -> Result<Answer> {
    let who = person(service, call).await?;
    Ok(Answer::json(200, &sessions::list(service, who.user, who.session).await?))
}

pub(super) async fn sign_out(service: &Service, call: &Call) -> Result<Answer> {
    let who = person(service, call).await?;
    sessions::revoke(service, who.user, who.session).await?;
    Ok(Answer { cookie: Some(Cookie::Clear), ..Answer::nothing() })
}

pub(super) async fn end_session(service: &Service, call: &Call) -> Result<Answer> {
    let who = own_person(service, call).await?;
    sessions::revoke(service, who.user, path_id(call)?).await?;
    Ok(Answer::nothing())
}

pub(super) async fn end_others(service: &Service, call: &Call) -> Result<Answer> {
    let who = own_person(service, call).await?;
    let ended = sessions::revoke_others(service, who.user, who.session).await?;
    Ok(Answer::json(200, &json!({"ended": ended})))
}

pub(super) async fn password(service: &Service, call: &Call, input: Input) -> Result<Answer> {
    let who = own_person(service, call).await?;
    let own = Own { user: who.user, session: who.session };
    let (current, new) = (secret(&input, "current"), secret(&input, "password"));
    recover::change_password(service, own, &current, &new).await?;
    Ok(Answer::nothing())
}

pub(super) async fn email(service: &Service, call: &Call, input: Input) -> Result<Answer> {
    let who = own_person(service, call).await?;
    let own = Own { user: who.user, session: who.session };
    let (email, password) = (string(&input, "email"), secret(&input, "password"));
    recover::ask_email(service, own, email, &password).await?;
    Ok(Answer::json(202, &json!({"sent_to": email})))
}

pub(super) async fn confirm_email(service: &Service, call: &Call, input: Input) -> Result<Answer> {
    let who = own_person(service, call).await?;
    let own = Own { user: who.user, session: who.session };
    recover::confirm_email(service, own, string(&input, "secret")).await?;
    Ok(Answer::nothing())
}

pub(super) async fn keys(service: &Service, call: &Call) -> Result<Answer> {
    let who = own_person(service, call).await?;
    Ok(Answer::json(200, &held::list(service, who.user).await?))
}

pub(super) async fn revoke_key(service: &Service, call: &Call) -> Result<Answer> {
    let who = own_person(service, call).await?;
    let actor = who.itself(service.registry());
    held::revoke(service, actor, who.user, path_id(call)?).await?;
    Ok(Answer::nothing())
}

pub(super) async fn organizations(service: &Service, call: &Call) -> Result<Answer> {
    let shown = person(service, call).await?.show();
    Ok(Answer::json(200, &json!({"data": shown.get("organizations")})))
}

pub(super) async fn open_organization(
    service: &Service,
    call: &Call,
    input: Input,
) -> Result<Answer> {
    let who = own_person(service, call).await?;
    let new = NewOrganization {
        name: string(&input, "name"),
        slug: string(&input, "slug"),
        owner: Owner::User(who.user),
    };
    let (id, _) = open_new(service, new).await?;
    let body = json!({"id": id, "name": input.get("name"), "slug": input.get("slug")});
    Ok(Answer::json(201, &body))
}

pub(super) async fn members(service: &Service, call: &Call) -> Result<Answer> {
    let (actor, org) = caller(service, call).await?.enter(asked(call)?)?;
    let cx = service.open(actor, org, call.request_id, Mode::Read).await?;
    let outcome = members::list(&cx).await;
    cx.finish(outcome).await.map(|list| Answer::json(200, &list))
}

pub(super) async fn leave_portal(service: &Service, call: &Call) -> Result<Answer> {
    match caller(service, call).await? {
        Caller::Token { actor: Actor::Portal { session, .. }, organization } => {
            portals::end(service, organization, session).await?;
            Ok(Answer { cookie: Some(Cookie::Clear), ..Answer::nothing() })
        }
        _ => Err(Error::new(Code::Forbidden, "only who is signed in to a portal may")),
    }
}
