//! API tokens: `atlvs_` and 256 random bits, shown once; the database keeps the SHA-256.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::cx::{Actor, Cx};
use crate::error::{Code, Error, Result};
use crate::rights;
use crate::settings::Secret;

pub(crate) const TOKEN_PREFIX: &str = "atlvs_";
pub(crate) const SESSION_PREFIX: &str = "sess_";
/// Characters of a token that lists show.
const HINT_CHARS: usize = 12;

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
    Sha256::digest(token.as_bytes()).to_vec()
}

pub struct NewToken {
    pub name: String,
    /// `[{"grant", "rights", "scope"}]`.
    pub grants: Value,
    pub expires_at: Option<Timestamp>,
}

/// Makes a token of the active organization for `user`; answers its id and, this once, its text.
pub async fn issue_token(cx: &Cx, user: Uuid, new: NewToken) -> Result<(Uuid, Secret)> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > 300 || name.chars().any(char::is_control) {
        return Err(Error::field(Code::InvalidValue, "name", "must be 1 to 300 characters"));
    }
    if new.expires_at.is_some_and(|at| at <= cx.now) {
        return Err(Error::field(Code::OutOfRange, "expires_at", "must be in the future"));
    }
    let grants = rights::parse(&new.grants, Some(cx.registry()))?;
    let held = match (&cx.actor, cx.actor.rights()) {
        (Actor::Service(_), _) => true,
        (_, Some(rights)) => rights.cover(&grants),
        (_, None) => false,
    };
    if !held {
        return Err(Error::field(Code::Forbidden, "grants", "nobody gives what they do not have"));
    }
    let id = cx.new_id();
    let (token, hash) = draw(TOKEN_PREFIX)?;
    let hint: String = token.expose().chars().take(HINT_CHARS).collect();
    cx.execute(
        "select api_token_open($1, $2, $3, $4, $5, $6, $7)",
        &[&id, &user, &name, &hash, &hint, &new.grants, &new.expires_at],
    )
    .await?;
    Ok((id, token))
}

/// Tokens of the active organization, newest first, without their texts.
pub(crate) async fn list(cx: &Cx) -> Result<Value> {
    let rows = cx.query("select * from api_token_list()", &[]).await?;
    let mut data = Vec::with_capacity(rows.len());
    for row in rows {
        data.push(json!({
            "id": row.try_get::<_, Uuid>("id")?,
            "user_id": row.try_get::<_, Uuid>("user_id")?,
            "name": row.try_get::<_, String>("name")?,
            "hint": row.try_get::<_, String>("hint")?,
            "grants": row.try_get::<_, Value>("grants")?,
            "created_at": row.try_get::<_, Timestamp>("created_at")?,
            "expires_at": row.try_get::<_, Option<Timestamp>>("expires_at")?,
            "last_used_at": row.try_get::<_, Option<Timestamp>>("last_used_at")?,
        }));
    }
    Ok(json!({ "data": data }))
}

pub(crate) async fn revoke(cx: &Cx, id: Uuid) -> Result<()> {
    let row = cx.query_one("select api_token_revoke($1, $2)", &[&id, &cx.now]).await?;
    if row.try_get::<_, bool>(0)? { Ok(()) } else { Err(Error::not_found("token")) }
}
