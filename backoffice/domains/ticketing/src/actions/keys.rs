//! Signing keys of events: made here, sealed under the master key, opened by the gate only.

use data_encoding::BASE64;
use jiff::Timestamp;
use kernel::action::{Args, Reply};
use kernel::cx::Cx;
use kernel::error::{Code, Error, Result};
use keys::{SealedKey, SigningKey};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::gate::{event_number, is_known, object};
use crate::secrets;
use crate::tables::feeds::EVENT_KEYS;

#[derive(Deserialize)]
struct Rotate {
    event_id: Uuid,
    #[serde(default)]
    retire_at: Option<Timestamp>,
}

/// A new key signs from now on. Tickets of the ones before stay good, wherever the event is moved
/// to, unless the caller says when these retire.
pub(super) async fn rotate(cx: &mut Cx, args: Args) -> Result<Reply> {
    let Rotate { event_id, retire_at } = args.parse()?;
    let number = event_number(cx, event_id).await?;
    if !is_known(cx, event_id).await? {
        let detail = "the event has no key yet: opening its sale makes the first";
        return Err(Error::field(Code::NotReady, "event_id", detail));
    }
    if let Some(retire_at) = retire_at {
        retire(cx, event_id, retire_at).await?;
    }
    Ok(Reply::Row(add_key(cx, event_id, number).await?))
}

async fn retire(cx: &Cx, event: Uuid, retire_at: Timestamp) -> Result<()> {
    if retire_at <= cx.now {
        let detail = "must be in the future, else tickets end now: revoke the key for that";
        return Err(Error::field(Code::OutOfRange, "retire_at", detail));
    }
    cx.execute(
        "update event_keys set not_after = least(not_after, $2) \
          where event_id = $1 and revoked_at is null and not_before < $2",
        &[&event, &retire_at],
    )
    .await?;
    Ok(())
}

pub(super) async fn revoke(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let row = cx.load(&EVENT_KEYS, id, "revoke").await?;
    if row.get("revoked_at").is_none_or(serde_json::Value::is_null) {
        cx.set(&EVENT_KEYS, id, &[("revoked_at", json!(cx.now))]).await?;
    }
    Ok(Reply::Row(id))
}

/// Makes, seals and stores a key that lives from now on; from the next second where another began
/// in this one, because the youngest signs.
pub(super) async fn add_key(cx: &mut Cx, event: Uuid, number: u32) -> Result<Uuid> {
    let master = secrets::master(cx.service())?;
    let key = SigningKey::generate(number).map_err(|cause| Error::internal(cause.to_string()))?;
    let youngest = "select max(not_before) from event_keys where event_id = $1";
    let youngest: Option<Timestamp> = cx.query_one(youngest, &[&event]).await?.try_get(0)?;
    let after = youngest.map_or(i64::MIN, |youngest| youngest.as_second().saturating_add(1));
    let not_before = cx.now.as_second().max(after);
    let sealed = SealedKey::seal(&key, &master, not_before)
        .map_err(|cause| Error::internal(cause.to_string()))?;
    let row = json!({
        "event_id": event,
        "kid": key.kid().to_string(),
        "public_key": BASE64.encode(&key.public()),
        "not_before": Timestamp::from_second(not_before)
            .map_err(|_| Error::internal("now is out of range"))?,
        "sealed": sealed,
    });
    cx.insert(&EVENT_KEYS, object(row)).await
}
