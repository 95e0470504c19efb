//! Routes of accounts that no entity serves: they stand on global tables, or nobody is signed in
//! yet. One table, read by dispatch and by the API reference.

mod own;
mod public;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::run::object;
use super::{Answer, Call, Method, caller, charge};
use crate::accounts::authenticate::{Caller, SessionCaller};
use crate::accounts::{invitations, portals};
use crate::action::BoxFuture;
use crate::entity::{Field, Group, email, slug, text};
use crate::error::{Code, Error, Result};
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
    /// Sends mail to whom the caller names, or takes a mailed secret: counted tightly by address.
    by_mail: bool,
    act: Act,
}

type Act = for<'a> fn(&'a Service, &'a Call, Map<String, Value>) -> BoxFuture<'a, Result<Answer>>;

const SIGN_IN: &[Field] = &[email("email").required(), text("password").required()];
const ORGANIZATION: &[Field] = &[text("name").required(), slug("slug").required()];
const EMAIL: &[Field] = &[email("email").required()];
const RESET: &[Field] = &[text("secret").required(), text("password").required()];
const PASSWORD: &[Field] = &[text("current").required(), text("password").required()];
const NEW_EMAIL: &[Field] = &[email("email").required(), text("password").required()];

const fn route(method: Method, path: &'static str, status: u16, act: Act) -> Route {
    Route { method, path, about: "", input: &[], status, public: false, by_mail: false, act }
}

impl Route {
    const fn public(mut self) -> Self {
        self.public = true;
        self
    }
    const fn by_mail(self) -> Self {
        Self { public: true, by_mail: true, ..self }
    }
    const fn takes(mut self, input: &'static [Field]) -> Self {
        self.input = input;
        self
    }
    const fn about(mut self, text: &'static str) -> Self {
        self.about = text;
        self
    }
}

use Method::{Delete, Get, Post};

pub(crate) static ROUTES: &[Route] = &[
    route(Post, "sessions", 201, |s, c, i| Box::pin(public::sign_in(s, c, i)))
        .public()
        .takes(SIGN_IN)
        .about("Signs in: a cookie and a bearer token."),
    route(Post, "invitations/look", 200, |s, _, i| Box::pin(public::look(s, i)))
        .by_mail()
        .takes(invitations::SECRET)
        .about("Shows the holder of an invitation's secret what it is about."),
    route(Post, "invitations/accept", 200, |s, c, i| Box::pin(public::accept(s, c, i)))
        .by_mail()
        .takes(invitations::ACCEPT)
        .about("Accepts an invitation by its secret: the person is a member from then on."),
    route(Post, "password-resets", 202, |s, c, i| Box::pin(public::ask_reset(s, c, i)))
        .by_mail()
        .takes(EMAIL)
        .about("Mails a secret for a new password, if somebody has the address."),
    route(Post, "password-resets/use", 204, |s, c, i| Box::pin(public::reset(s, c, i)))
        .by_mail()
        .takes(RESET)
        .about("Sets a new password by the mailed secret; every session of the person ends."),
    route(Post, "portal/sign-ins", 202, |s, c, i| Box::pin(public::ask_portal(s, c, i)))
        .by_mail()
        .takes(portals::ASK)
        .about("Mails a link into a portal, if the organization knows the address there."),
    route(Post, "portal/sessions", 201, |s, c, i| Box::pin(public::open_portal(s, c, i)))
        .by_mail()
        .takes(portals::OPEN)
        .about("Signs in to a portal by the mailed secret: a cookie and a bearer token."),
    route(Delete, "portal/sessions/current", 204, |s, c, _| Box::pin(own::leave_portal(s, c)))
        .about("Signs out of a portal."),
    route(Get, "sessions", 200, |s, c, _| Box::pin(own::sessions(s, c)))
        .about("Lists the caller's own sessions."),
    route(Delete, "sessions/current", 204, |s, c, _| Box::pin(own::sign_out(s, c)))
        .about("Signs out."),
    route(Delete, "sessions/others", 200, |s, c, _| Box::pin(own::end_others(s, c)))
        .about("Ends every session of the caller's but this one."),
    route(Delete, "sessions/{id}", 204, |s, c, _| Box::pin(own::end_session(s, c)))
        .about("Ends a session of the caller's."),
    route(Get, "me", 200, |s, c, _| Box::pin(own::me(s, c)))
        .about("Says who is signed in, in which organizations, with which grants."),
    route(Post, "me/password", 204, |s, c, i| Box::pin(own::password(s, c, i)))
        .takes(PASSWORD)
        .about("Changes the caller's password; the other sessions end."),
    route(Post, "me/email", 202, |s, c, i| Box::pin(own::email(s, c, i)))
        .takes(NEW_EMAIL)
        .about("Mails a secret to the address that the caller wants to have."),
    route(Post, "me/email/confirm", 204, |s, c, i| Box::pin(own::confirm_email(s, c, i)))
        .takes(invitations::SECRET)
        .about("Gives the caller the address that the secret went to."),
    route(Get, "me/keys", 200, |s, c, _| Box::pin(own::keys(s, c)))
        .about("Lists tokens, devices and links of the caller's that live, in every organization."),
    route(Delete, "me/keys/{id}", 204, |s, c, _| Box::pin(own::revoke_key(s, c)))
        .about("Takes one of these back."),
    route(Get, "organizations", 200, |s, c, _| Box::pin(own::organizations(s, c)))
        .about("Lists the caller's organizations."),
    route(Post, "organizations", 201, |s, c, i| Box::pin(own::open_organization(s, c, i)))
        .takes(ORGANIZATION)
        .about("Opens an organization with the caller as owner."),
    route(Get, "members", 200, |s, c, _| Box::pin(own::members(s, c)))
        .about("Lists the people of the organization with their roles."),
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
    // Who is asked first: strangers learn nothing about the form, and guesses are not charged to
    // anybody's account.
    if route.public {
        charge_stranger(service, route, call)?;
    } else {
        caller(service, call).await?;
        charge(service, call, None, Group::Organizations)?;
    }
    let input = match route.input {
        [] => Map::new(),
        fields => validate::input(fields, object(call)?)?,
    };
    (route.act)(service, call, input).await
}

/// Before anything is done: a secret that is shown here proves nothing yet, so it spares nobody the
/// count by address.
fn charge_stranger(service: &Service, route: &Route, call: &Call) -> Result<()> {
    if call.charges.is_empty() {
        service.limits().charge_address(&call.charges, call.address)?;
    }
    if route.by_mail {
        service.limits().charge_by_mail(&call.charges, call.address)?;
    }
    Ok(())
}

fn string<'a>(input: &'a Map<String, Value>, name: &str) -> &'a str {
    input.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn secret(input: &Map<String, Value>, name: &str) -> Secret {
    Secret::new(string(input, name))
}

/// The signed-in person who showed something of their own. An organization's issuer speaks for the
/// person inside that organization, not about the account.
async fn own_person(service: &Service, call: &Call) -> Result<SessionCaller> {
    let who = person(service, call).await?;
    if who.is_vouched {
        let text = "an organization's single sign-on does not reach the account itself";
        return Err(Error::new(Code::Forbidden, text));
    }
    Ok(who)
}

/// The signed-in person; tokens, devices and portals are none.
async fn person(service: &Service, call: &Call) -> Result<SessionCaller> {
    match caller(service, call).await? {
        Caller::Session(session) => Ok(session),
        _ => Err(Error::new(Code::Forbidden, "only a signed-in person may")),
    }
}

fn path_id(call: &Call) -> Result<Uuid> {
    let id = call.path.last().and_then(|text| Uuid::try_parse(text).ok());
    id.ok_or_else(|| Error::field(Code::InvalidId, "id", "the id in the path is not a UUID"))
}
