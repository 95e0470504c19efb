//! Tokens of programs and devices: a prefix and 256 random bits, shown once; the database keeps the
//! SHA-256. Nobody issues more than they may do themselves.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::actions::covered;
use super::{API_TOKEN, DEVICE, SERVICE_ACCOUNT};
use crate::action::{Action, Answers, Args, On, Reply};
use crate::cx::{Actor, Cx};
use crate::entity::{Field, id, instant, json as json_field, text};
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::rights::{self, Grant};
use crate::settings::Secret;

pub(crate) const TOKEN_PREFIX: &str = "atlvs_";
pub(crate) const SESSION_PREFIX: &str = "sess_";
pub(crate) const DEVICE_PREFIX: &str = "dev_";
/// Characters of a token that lists show.
const HINT_CHARS: usize = 12;

const INPUT: &[Field] =
    &[text("name").required(), json_field("grants").required(), instant("expires_at")];
const SHOWN: Answers = Answers::Object(&[id("id").required(), text("token").required().secret()]);

pub(super) const ISSUE: Action = Action {
    name: "create",
    entity: &API_TOKEN,
    on: On::Create,
    input: INPUT,
    answers: SHOWN,
    about: "Issues an API token of the caller's own, shown this once.",
    run: |cx, args| Box::pin(create(cx, args)),
};

pub(super) const ISSUE_FOR_ACCOUNT: Action = Action {
    name: "issue-token",
    entity: &SERVICE_ACCOUNT,
    on: On::Row,
    input: INPUT,
    answers: SHOWN,
    about: "Issues an API token of the service account, shown this once.",
    run: |cx, args| Box::pin(create_for_account(cx, args)),
};

pub(super) const ADD_DEVICE: Action = Action {
    name: "create",
    entity: &DEVICE,
    on: On::Create,
    input: INPUT,
    answers: SHOWN,
    about: "Signs a device in with rights that the caller has; its token is shown this once.",
    run: |cx, args| Box::pin(create_device(cx, args)),
};

pub(super) const RENEW_DEVICE: Action = Action {
    name: "issue-token",
    entity: &DEVICE,
    on: On::Row,
    input: &[],
    answers: SHOWN,
    about: "Gives the device a new token, shown this once; the former one ends, and the caller's rights \
            bound it from then on.",
    run: |cx, args| Box::pin(renew_device(cx, args)),
};

/// 256 random bits as text, and their hash.
pub(crate) fn draw(prefix: &str) -> Result<(Secret, Vec<u8>)> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::internal(format!("no randomness for a token: {cause}")))?;
    let token = Secret::new(format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes)));
    let hash = hash(token.expose());
    Ok((token, hash))
}

/// A token has 256 random bits, so a plain hash keeps it: there is nothing to guess.
pub(crate) fn hash(token: &str) -> Vec<u8> {
    sha256(token).to_vec()
}

pub(crate) fn sha256(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

pub struct NewToken {
    pub name: String,
    /// Lines of a role: `[{"grant", "rights", "scope"}]`.
    pub grants: Value,
    pub expires_at: Option<Timestamp>,
}

/// Whose token it is, or whose rights bound what was made.
#[derive(Clone, Copy)]
pub(super) enum Holder {
    User(Uuid),
    ServiceAccount(Uuid),
}

impl Holder {
    /// The person or program behind the caller; devices, portals and links have none.
    pub(super) fn of(actor: &Actor) -> Result<Self> {
        match actor {
            Actor::User { id, .. } | Actor::Token { user: id, .. } => Ok(Self::User(*id)),
            Actor::ServiceAccount { id, .. } => Ok(Self::ServiceAccount(*id)),
            _ => Err(Error::new(Code::Forbidden, "only a person or a service account may")),
        }
    }

    fn columns(self) -> (Option<Uuid>, Option<Uuid>) {
        match self {
            Self::User(id) => (Some(id), None),
            Self::ServiceAccount(id) => (None, Some(id)),
        }
    }
}

/// Columns of a device or link that say who made it, by which token. What the house itself makes is
/// bounded by nobody's rights.
pub(super) fn made_by(actor: &Actor) -> Result<[(&'static str, Value); 3]> {
    let (user, account) = match actor {
        Actor::Service(_) => (None, None),
        _ => Holder::of(actor)?.columns(),
    };
    Ok([
        ("made_by_id", json!(user)),
        ("made_by_account_id", json!(account)),
        ("issued_by_id", json!(actor.token())),
    ])
}

/// Makes a token of the active organization for `user`; answers its id and, this once, its text.
pub async fn issue_token(cx: &mut Cx, user: Uuid, new: NewToken) -> Result<(Uuid, Secret)> {
    issue(cx, Holder::User(user), new).await
}

async fn issue(cx: &mut Cx, holder: Holder, new: NewToken) -> Result<(Uuid, Secret)> {
    let name = checked_name(&new.name)?;
    let expires_at = ends(cx, new.expires_at).await?;
    covered(cx, Some(&new.grants), super::actions::Origin::Given)?;
    let (token, hash) = draw(TOKEN_PREFIX)?;
    let (user, account) = holder.columns();
    let row = json!({
        "user_id": user,
        "service_account_id": account,
        "name": name,
        "token_hash": kind::bytes_json(&hash),
        "hint": hint(&token),
        "grants": new.grants,
        "expires_at": expires_at,
        "issued_by_id": cx.actor.token(),
    });
    let id = cx.insert(&API_TOKEN, object(row)).await?;
    Ok((id, token))
}

/// What a token issues ends with it at the latest.
pub(super) async fn ends(cx: &Cx, asked: Option<Timestamp>) -> Result<Option<Timestamp>> {
    if asked.is_some_and(|at| at <= cx.now) {
        return Err(Error::field(Code::OutOfRange, "expires_at", "must be in the future"));
    }
    let Some(issuer) = cx.actor.token() else { return Ok(asked) };
    let row = cx
        .query_one(
            "select expires_at from api_tokens where org_id = $1 and id = $2",
            &[&cx.org, &issuer],
        )
        .await?;
    let own: Option<Timestamp> = row.try_get(0)?;
    Ok(match (asked, own) {
        (Some(asked), Some(own)) => Some(asked.min(own)),
        (asked, own) => asked.or(own),
    })
}

fn checked_name(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 300 || name.chars().any(char::is_control) {
        return Err(Error::field(Code::InvalidValue, "name", "must be 1 to 300 characters"));
    }
    Ok(name)
}

fn hint(token: &Secret) -> String {
    token.expose().chars().take(HINT_CHARS).collect()
}

fn given(mut input: Map<String, Value>) -> NewToken {
    let grants = input.remove("grants").unwrap_or_default();
    let text = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default();
    let expires_at = text("expires_at").parse().ok();
    NewToken { name: text("name").to_owned(), grants, expires_at }
}

fn shown((id, token): (Uuid, Secret)) -> Reply {
    Reply::Json(json!({"id": id, "token": token.expose()}))
}

async fn create(cx: &mut Cx, args: Args) -> Result<Reply> {
    let holder = Holder::of(&cx.actor)?;
    Ok(shown(issue(cx, holder, given(args.input)).await?))
}

async fn create_for_account(cx: &mut Cx, args: Args) -> Result<Reply> {
    let account = args.row()?;
    Ok(shown(issue(cx, Holder::ServiceAccount(account), given(args.input)).await?))
}

async fn create_device(cx: &mut Cx, args: Args) -> Result<Reply> {
    let new = given(args.input);
    let name = checked_name(&new.name)?;
    let expires_at = ends(cx, new.expires_at).await?;
    covered(cx, Some(&new.grants), super::actions::Origin::Given)?;
    let (token, hash) = draw(DEVICE_PREFIX)?;
    let mut row = object(json!({
        "name": name,
        "grants": new.grants,
        "token_hash": kind::bytes_json(&hash),
        "hint": hint(&token),
        "expires_at": expires_at,
    }));
    row.extend(made_by(&cx.actor)?.map(|(name, value)| (name.to_owned(), value)));
    let id = cx.insert(&DEVICE, row).await?;
    Ok(shown((id, token)))
}

async fn renew_device(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let row = cx.load(&DEVICE, id, "issue-token").await?;
    // Whoever reads the new token acts as the device.
    covered(cx, row.get("grants"), super::actions::Origin::Stored)?;
    let old = row.get("expires_at").and_then(Value::as_str).and_then(|at| at.parse().ok());
    let expires_at = match old {
        // A device that ended stays so.
        Some(at) if at <= cx.now => Some(at),
        old => ends(cx, old).await?,
    };
    let (token, hash) = draw(DEVICE_PREFIX)?;
    let mut fields = vec![
        ("token_hash", kind::bytes_json(&hash)),
        ("hint", json!(hint(&token))),
        ("expires_at", json!(expires_at)),
    ];
    // Whoever renews it answers for it from now on.
    fields.extend(made_by(&cx.actor)?);
    cx.set(&DEVICE, id, &fields).await?;
    Ok(shown((id, token)))
}

fn object(value: Value) -> Map<String, Value> {
    kind::object(value).unwrap_or_default()
}

/// Grants as they were stored; a broken row gives nothing and is told to the log.
pub(super) fn stored(grants: &Value) -> Result<Vec<Grant>> {
    rights::parse(grants, None)
        .map_err(|error| Error::internal(format!("stored grants cannot be read: {error}")))
}
