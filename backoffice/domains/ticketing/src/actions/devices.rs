//! Tokens of check-in devices: random, shown once, kept as a hash.

use data_encoding::HEXLOWER;
use kernel::action::{Args, Reply};
use kernel::cx::Cx;
use kernel::error::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::tables::admission::CHECK_IN_DEVICES;

/// What a device token begins with, so that leaks are found by search.
const PREFIX: &str = "atlvs_device_";

pub(super) async fn issue_token(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    cx.load(&CHECK_IN_DEVICES, id, "issue-token").await?;
    // Two random UUIDs are 244 random bits.
    let token = format!("{PREFIX}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let hash = HEXLOWER.encode(&Sha256::digest(token.as_bytes()));
    let fields = [
        ("token_hash", json!(hash)),
        ("token_issued_at", json!(cx.now)),
        ("revoked_at", Value::Null),
    ];
    cx.set(&CHECK_IN_DEVICES, id, &fields).await?;
    Ok(Reply::Json(json!({ "token": token })))
}

pub(super) async fn revoke(cx: &mut Cx, args: Args) -> Result<Reply> {
    let id = args.row()?;
    let row = cx.load(&CHECK_IN_DEVICES, id, "revoke").await?;
    if row.get("revoked_at").is_none_or(Value::is_null) {
        cx.set(&CHECK_IN_DEVICES, id, &[("revoked_at", json!(cx.now))]).await?;
    }
    Ok(Reply::Row(id))
}
