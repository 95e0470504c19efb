//! What a person holds and what goes on without their password: API tokens, devices and links that
//! they made, in all their organizations. Theirs to see and to take back, whatever their roles say.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cx::{Actor, Cx};
use crate::error::{Error, Result};
use crate::mail;
use crate::service::Service;

/// The newest of them are listed.
const KEYS_MAX: i32 = 200;

pub(super) struct Key {
    /// `api_token`, `device`, `link`.
    kind: String,
    id: Uuid,
    name: String,
    /// First characters of its secret; links show none.
    hint: Option<String>,
    organization: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl Key {
    /// For a letter: names are somebody's, and bring no link into it.
    pub(super) fn line(&self) -> String {
        let kind = self.kind.replace('_', " ");
        let hint = self.hint.as_deref().map(|hint| format!(" ({hint}…)")).unwrap_or_default();
        let day = self.created_at.strftime("%Y-%m-%d");
        let (name, organization) = (mail::shown(&self.name), mail::shown(&self.organization));
        format!("{kind} {name}{hint}, of {organization}, made on {day}")
    }

    fn show(&self) -> Value {
        json!({
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "hint": self.hint,
            "organization": self.organization,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
        })
    }
}

pub(super) async fn rows(cx: &Cx, user: Uuid) -> Result<Vec<Key>> {
    let sql = "select * from account_keys($1, $2, $3)";
    let rows = cx.query(sql, &[&user, &cx.now, &KEYS_MAX]).await?;
    let key = |row: &crate::db::Row| {
        Ok(Key {
            kind: row.try_get("kind")?,
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            hint: row.try_get("hint")?,
            organization: row.try_get("organization_name")?,
            created_at: row.try_get("created_at")?,
            expires_at: row.try_get("expires_at")?,
        })
    };
    rows.iter().map(key).collect()
}

pub(crate) async fn list(service: &Service, user: Uuid) -> Result<Value> {
    let cx = service.read(Actor::Service("accounts"), Uuid::nil()).await?;
    let rows = rows(&cx, user).await;
    let rows = cx.finish(rows).await?;
    Ok(json!({"data": rows.iter().map(Key::show).collect::<Vec<_>>()}))
}

/// Takes one back, with what it issued.
pub(crate) async fn revoke(service: &Service, actor: Actor, user: Uuid, key: Uuid) -> Result<()> {
    let cx = service.begin(actor, Uuid::nil()).await?;
    let sql = "select account_key_revoke($1, $2, $3)";
    let gone = cx.query_one(sql, &[&user, &key, &cx.now]).await;
    let gone = gone.and_then(|row| Ok(row.try_get::<_, bool>(0)?));
    match cx.finish(gone).await? {
        true => Ok(()),
        false => Err(Error::not_found("key")),
    }
}
