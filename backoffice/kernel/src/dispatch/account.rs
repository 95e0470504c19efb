//! Routes of accounts that no entity serves: they stand on global tables. One table, read by
//! dispatch and by the API reference.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::run::object;
use super::{Answer, Call, Cookie, Method, asked, caller, charge};
use crate::accounts::authenticate::{Caller, SessionCaller};
use crate::accounts::organizations::Owner;
use crate::accounts::sessions::{self, SESSION_TIME, SignIn};
use crate::accounts::{
    NewOrganization, NewToken, TOKEN_GRANT, issue_token, open_organization, tokens,
};
use crate::cx::{Cx, Mode};
use crate::entity::{Field, Group, email, instant, json as json_field, slug, text};
use crate::error::{Code, Error, Result};
use crate::rights;
use crate::service::Service;
use crate::settings::Secret;
use crate::{page, validate};

pub(crate) struct Route {
    pub(crate) method: Method,
    /// `{id}` stands for one segment.
    pub(crate) path: &'static str,
    pub(crate) about: &'static str,
    pub(crate) input: &'static [Field],
    /// Status of a good answer.
    pub(crate) status: u16,
    /// Answered without signing in.
    pub(crate) public: bool,
    act: Act,
}

#[derive(Clone, Copy)]
enum Act {
    SignIn,
    Sessions,
    SignOut,
    EndSession,
    Me,
    Organizations,
    OpenOrganization,
    Tokens,
    IssueToken,
    RevokeToken,
}

const SIGN_IN: &[Field] = &[email("email").required(), text("password").required()];
const ORGANIZATION: &[Field] = &[text("name").required(), slug("slug").required()];
const TOKEN: &[Field] =
    &[text("name").required(), json_field("grants").required(), instant("expires_at")];

const fn route(
    method: Method,
    path: &'static str,
    status: u16,
    input: &'static [Field],
    act: Act,
    about: &'static str,
) -> Route {
    Route { method, path, about, input, status, public: matches!(act, Act::SignIn), act }
}

use Method::{Delete, Get, Post};

pub(crate) static ROUTES: &[Route] = &[
    route(Post, "sessions", 201, SIGN_IN, Act::SignIn, "Signs in: a cookie and a bearer token."),
    route(Get, "sessions", 200, &[], Act::Sessions, "Lists the caller's own sessions."),
    route(Delete, "sessions/current", 204, &[], Act::SignOut, "Signs out."),
    route(Delete, "sessions/{id}", 204, &[], Act::EndSession, "Ends a session of the caller's."),
    route(
        Get,
        "me",
        200,
        &[],
        Act::Me,
        "Says who is signed in, in which organizations, with which grants.",
    ),
    route(Get, "organizations", 200, &[], Act::Organizations, "Lists the caller's organizations."),
    route(
        Post,
        "organizations",
        201,
        ORGANIZATION,
        Act::OpenOrganization,
        "Opens an organization with the caller as owner.",
    ),
    route(Get, "api-tokens", 200, &[], Act::Tokens, "Lists the organization's API tokens."),
    route(Post, "api-tokens", 201, TOKEN, Act::IssueToken, "Issues an API token, shown this once."),
    route(Delete, "api-tokens/{id}", 204, &[], Act::RevokeToken, "Revokes an API token."),
];

/// `None`: not a path of accounts. An error: the path is, the method is not.
pub(super) fn find(call: &Call) -> Option<Result<&'static Route>> {
    let fits = |route: &&'static Route| {
        let mut parts = route.path.split('/');
        let all = call.path.iter().all(|segment| match parts.next() {
            Some("{id}") => Uuid::try_parse(segment).is_ok(),
            Some(part) => part == segment,
            None => false,
        });
        all && parts.next().is_none()
    };
    let routes: Vec<&'static Route> = ROUTES.iter().filter(fits).collect();
    if routes.is_empty() {
        return None;
    }
    let found = routes.iter().find(|route| route.method == call.method);
    Some(found.copied().ok_or_else(|| {
        let allowed = routes.iter().map(|route| route.method.name()).collect();
        Error::new(Code::MethodNotAllowed, "the path does not take this method").allow(allowed)
    }))
}

pub(super) async fn run(service: &Service, route: &Route, call: &Call) -> Result<Answer> {
    if let Some((name, _)) = call.query.first() {
        return Err(page::unknown_parameter(name, "none"));
    }
    if matches!(route.act, Act::SignIn) {
        return sign_in(service, input(route, call)?, call).await;
    }
    let who = caller(service, call).await?;
    charge(service, call, None, Group::Organizations)?;
    match route.act {
        Act::Tokens | Act::IssueToken | Act::RevokeToken => token(service, route, call, &who).await,
        Act::Me => Ok(Answer::json(200, &me(&who))),
        _ => own(service, route, call, session(&who)?).await,
    }
}

fn input(route: &Route, call: &Call) -> Result<Map<String, Value>> {
    validate::input(route.input, object(call)?)
}

async fn sign_in(service: &Service, input: Map<String, Value>, call: &Call) -> Result<Answer> {
    let password = Secret::new(string(&input, "password"));
    let with = SignIn {
        email: string(&input, "email"),
        password: &password,
        address: call.address,
        user_agent: &call.user_agent,
    };
    let opened = sessions::sign_in(service, with).await?;
    let token = opened.token.expose().to_owned();
    let body = json!({"id": opened.id, "token": token, "expires_at": opened.expires_at});
    let cookie = Cookie::Set { token, seconds: SESSION_TIME.as_secs() };
    Ok(Answer { cookie: Some(cookie), ..Answer::json(201, &body) })
}

fn string<'a>(input: &'a Map<String, Value>, name: &str) -> &'a str {
    input.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn session(who: &Caller) -> Result<&SessionCaller> {
    match who {
        Caller::Session(session) => Ok(session),
        Caller::Token { .. } => Err(Error::new(Code::Forbidden, "only a signed-in person may")),
    }
}

fn me(who: &Caller) -> Value {
    match who {
        Caller::Session(session) => session.show(),
        Caller::Token { actor, organization } => {
            json!({"token": {"id": actor.id_text()}, "organizations": [{"id": organization}]})
        }
    }
}

async fn own(service: &Service, route: &Route, call: &Call, who: &SessionCaller) -> Result<Answer> {
    match route.act {
        Act::Sessions => {
            let list = sessions::list(service, who.user, who.session).await?;
            Ok(Answer::json(200, &list))
        }
        Act::SignOut => {
            sessions::revoke(service, who.user, who.session).await?;
            Ok(Answer { cookie: Some(Cookie::Clear), ..Answer::nothing() })
        }
        Act::EndSession => {
            sessions::revoke(service, who.user, path_id(call)?).await?;
            Ok(Answer::nothing())
        }
        Act::Organizations => {
            let shown = who.show();
            Ok(Answer::json(200, &json!({"data": shown.get("organizations")})))
        }
        Act::OpenOrganization => {
            let input = input(route, call)?;
            let new = NewOrganization {
                name: string(&input, "name"),
                slug: string(&input, "slug"),
                owner: Owner::User(who.user),
            };
            let (id, _) = open_organization(service, new).await?;
            let body = json!({"id": id, "name": input.get("name"), "slug": input.get("slug")});
            Ok(Answer::json(201, &body))
        }
        _ => Err(Error::internal("a route of accounts has no body")),
    }
}

async fn token(service: &Service, route: &Route, call: &Call, who: &Caller) -> Result<Answer> {
    let (actor, org) = who.enter(asked(call)?)?;
    let (mode, right) = match route.act {
        Act::Tokens => (Mode::Read, "read"),
        Act::IssueToken => (Mode::Write, "create"),
        _ => (Mode::Write, "delete"),
    };
    // The list is the organization's: a reach of one's own is not enough for it.
    rights::may_everywhere(&actor, TOKEN_GRANT, right)?;
    let cx = service.open(actor, org, call.request_id, mode).await?;
    let outcome = token_act(&cx, route, call).await;
    cx.finish(outcome).await
}

async fn token_act(cx: &Cx, route: &Route, call: &Call) -> Result<Answer> {
    Ok(match route.act {
        Act::Tokens => Answer::json(200, &tokens::list(cx).await?),
        Act::IssueToken => {
            let mut input = input(route, call)?;
            let expires_at = string(&input, "expires_at").parse().ok();
            let grants = input.remove("grants").unwrap_or_default();
            let name = string(&input, "name").to_owned();
            let maker = cx.actor.user().ok_or_else(|| {
                Error::new(Code::Forbidden, "a token needs a person as its maker")
            })?;
            let (id, token) = issue_token(cx, maker, NewToken { name, grants, expires_at }).await?;
            Answer::json(201, &json!({"id": id, "token": token.expose()}))
        }
        _ => {
            tokens::revoke(cx, path_id(call)?).await?;
            Answer::nothing()
        }
    })
}

fn path_id(call: &Call) -> Result<Uuid> {
    let id = call.path.last().and_then(|text| Uuid::try_parse(text).ok());
    id.ok_or_else(|| Error::field(Code::InvalidId, "id", "the id in the path is not a UUID"))
}
