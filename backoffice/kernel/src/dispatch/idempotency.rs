//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that is sent twice has one
//! effect. The key and the answer are kept in the transaction of the effect, so there is never one
//! without the other; a second request with the key waits for the first and is given its answer.
//!
//! A refused request keeps nothing, since nothing was done: it may be sent again with its key. An
//! answer that holds a secret (a new token) is not kept, neither is one above the bound: the second
//! request is told that it was done.
//!
//! A kept answer is sealed with the key itself, of which only a digest is kept: who reads the table
//! reads no answer. It is given again to a caller who may the same as then; to one whose rights have
//! changed it may show what they no longer see, so they are told that it was done.

use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::route::Target;
use super::run::Done;
use super::{Answer, Body, Call, Method};
use crate::cx::{Actor, Cx};
use crate::error::{Code, Error, Result};
use crate::{rights, seal};

/// For so long an answer is kept, and a key is not used for anything else.
pub(crate) const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Characters of a key.
pub(crate) const KEY_CHARS_MAX: usize = 255;
/// Bytes of an answer that is kept.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;
const HEADER: &str = "Idempotency-Key";

/// A key of the caller's with the request that it stands for.
pub(crate) struct Key {
    id: Uuid,
    hash: Vec<u8>,
    /// What the caller may do now.
    rights: Vec<u8>,
    /// Opens the kept answer.
    secret: Zeroizing<[u8; 32]>,
}

/// The request's key, if it has one; reading needs none.
pub(crate) fn key(call: &Call, cx: &Cx) -> Result<Option<Key>> {
    let Some(text) = call.idempotency_key.as_deref().filter(|_| call.method != Method::Get) else {
        return Ok(None);
    };
    // A structured field's string (RFC 8941, 3.3.3) has quotes; most clients leave them out.
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let plain = inner.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if inner.is_empty() || inner.len() > KEY_CHARS_MAX || !plain {
        let text = format!("must be 1 to {KEY_CHARS_MAX} visible ASCII characters");
        return Err(Error::field(Code::InvalidRequest, HEADER, text));
    }
    if matches!(cx.actor, Actor::Portal { .. }) {
        // Portals change fields of rows that are there: the same change twice is one.
        return Err(Error::field(Code::InvalidRequest, HEADER, "portals take no such key"));
    }
    let actor = cx.actor.id_text();
    // Two tokens of one service account may do different things: neither is given the other's answer.
    let token = cx.actor.token().unwrap_or_default();
    let of = |purpose: &str| {
        digest(&[
            purpose.as_bytes(),
            cx.org.as_bytes(),
            cx.actor.kind().as_bytes(),
            actor.as_bytes(),
            token.as_bytes(),
            inner.as_bytes(),
        ])
    };
    let id = of("id").first_chunk::<16>().map(|bytes| Uuid::from_bytes(*bytes));
    let secret = of("answer").first_chunk::<32>().copied();
    let (id, secret) = id.zip(secret).ok_or_else(|| Error::internal("a digest is too short"))?;
    let rights = rights::fingerprint(&cx.actor);
    Ok(Some(Key { id, hash: request_hash(call), rights, secret: Zeroizing::new(secret) }))
}

/// What makes two requests the same one.
fn request_hash(call: &Call) -> Vec<u8> {
    let body: &[u8] = match &call.body {
        Body::None | Body::Other => &[],
        Body::Upload(upload) => upload.digest.get().map(Vec::as_slice).unwrap_or_default(),
        Body::Json(bytes) => bytes,
    };
    let mut parts: Vec<&[u8]> = vec![call.method.name().as_bytes()];
    parts.extend(call.path.iter().map(String::as_bytes));
    parts.extend(call.query.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    parts.push(call.if_match.as_deref().unwrap_or_default().as_bytes());
    parts.push(call.if_none_match.as_deref().unwrap_or_default().as_bytes());
    parts.push(body);
    digest(&parts)
}

/// Each part with its length, so that no two lists of parts have one text.
fn digest(parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finalize().to_vec()
}

/// The kept answer of the first request with this key; `None` when this is the first.
pub(crate) async fn claim(cx: &Cx, key: &Key, target: &Target) -> Result<Option<Done>> {
    let expires =
        cx.now.checked_add(KEPT_FOR).map_err(|cause| Error::internal(cause.to_string()))?;
    let sql = "select fresh, request_hash, rights_hash, kept, status, body, row_version, location, \
         operation_id, row_id from idempotency_claim($1, $2, $3, $4, $5)";
    let row = cx.query_one(sql, &[&key.id, &key.hash, &key.rights, &cx.now, &expires]).await?;
    if row.try_get("fresh")? {
        return Ok(None);
    }
    if row.try_get::<_, &[u8]>("request_hash")? != key.hash.as_slice() {
        let text = "the key was used for another request";
        return Err(Error::field(Code::IdempotencyKeyReused, HEADER, text));
    }
    if !row.try_get::<_, bool>("kept")? {
        let text = "the request was done; its answer was not kept";
        return Err(Error::field(Code::AlreadyUsed, HEADER, text));
    }
    if row.try_get::<_, &[u8]>("rights_hash")? != key.rights.as_slice() {
        let text = "the request was done; the caller's rights have changed since";
        return Err(Error::field(Code::AlreadyUsed, HEADER, text));
    }
    let status: i64 = row.try_get("status")?;
    let status = u16::try_from(status).map_err(|_| Error::internal("a kept status"))?;
    let operation: Option<Uuid> = row.try_get("operation_id")?;
    if let (Some(operation), Some(entity)) = (operation, target.entity()) {
        return Ok(Some(Done::Await { operation, entity, row: row.try_get("row_id")?, status }));
    }
    let sealed: Option<&[u8]> = row.try_get("body")?;
    let body = sealed.map(|sealed| seal::open_with(&key.secret, key.id.as_bytes(), sealed));
    Ok(Some(Done::Answer(Answer {
        status,
        body: body.transpose()?.map(|plain| plain.to_vec()),
        version: row.try_get("row_version")?,
        location: row.try_get("location")?,
        ..Answer::default()
    })))
}

/// Keeps what was done, in the transaction that did it.
pub(crate) async fn keep(cx: &Cx, key: &Key, done: &Done) -> Result<()> {
    let sql = "select idempotency_keep($1, $2, $3, $4, $5, $6, $7, $8)";
    match done {
        Done::Answer(answer) => {
            let size = answer.body.as_ref().map_or(0, Vec::len);
            let kept = size <= BODY_BYTES_MAX && !answer.secret;
            let body = answer.body.as_deref().filter(|_| kept);
            let body = body.map(|plain| seal::seal_with(&key.secret, key.id.as_bytes(), plain));
            let body = body.transpose()?;
            let status = i64::from(answer.status);
            let nothing: Option<Uuid> = None;
            let (version, place) = (&answer.version, &answer.location);
            cx.query(sql, &[&key.id, &kept, &status, &body, version, place, &nothing, &nothing])
                .await
                .map(drop)
        }
        Done::Await { operation, row, status, .. } => {
            let status = i64::from(*status);
            let (body, version): (Option<&[u8]>, Option<i64>) = (None, None);
            let place: Option<&str> = None;
            cx.query(sql, &[&key.id, &true, &status, &body, &version, &place, operation, row])
                .await
                .map(drop)
        }
    }
}
