//! The demonstration organization, written through the engine so that every rule applies. A second
//! run finds what the first one made, by the references that it left, and adds what is missing.
//! Knows entities and actions by name only.

mod event;
mod ledger;
mod people;

use kernel::accounts::{
    NewMember, NewOrganization, NewToken, Owner, add_member, find_organization, issue_token,
    open_organization,
};
use kernel::cx::{Actor, Cx};
use kernel::error::{Error, Result};
use kernel::service::Service;
use kernel::settings::Secret;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const ORGANIZATION: &str = "Nordlicht Live";
const SLUG: &str = "nordlicht-live";
const ADMIN_EMAIL: &str = "admin@nordlicht.example";
const ADMIN_NAME: &str = "Nora Nordlicht";

/// Seeds and answers the demonstration's ids and tokens. `before` is what an earlier run answered:
/// tokens and the password are shown once, so those in it are kept and only missing ones are made.
pub async fn run(service: &Service, before: Option<&Value>) -> Result<Value> {
    let known = find_organization(service, SLUG).await?;
    let kept = before.filter(|before| {
        known.is_some_and(|org| before.get("organization_id") == Some(&json!(org)))
    });
    let mut out = kept.and_then(Value::as_object).cloned().unwrap_or_default();
    let (org, owner) = match known {
        Some(org) => (org, None),
        None => open(service, &mut out).await?,
    };
    out.insert("organization_id".to_owned(), json!(org));
    let mut cx = service.begin(Actor::Service("seed"), org).await?;
    // Two seeds at once would make everything twice.
    cx.query("select pg_advisory_xact_lock(hashtextextended('seed', 0))", &[]).await?;
    let admin = admin(&mut cx, owner, &mut out).await?;
    token(&mut cx, admin, &mut out).await?;
    people::seed(&mut cx, owner.is_some(), &mut out).await?;
    event::seed(&mut cx, &mut out).await?;
    cx.commit().await?;
    Ok(Value::Object(out))
}

async fn open(service: &Service, out: &mut Map<String, Value>) -> Result<(Uuid, Option<Uuid>)> {
    let password = random_text();
    let new = NewOrganization {
        name: ORGANIZATION,
        slug: SLUG,
        owner: Owner::New {
            email: ADMIN_EMAIL,
            name: ADMIN_NAME,
            password: &Secret::new(password.as_str()),
        },
    };
    let (org, owner) = open_organization(service, new).await?;
    remember_admin(out, owner, ADMIN_EMAIL, &password);
    Ok((org, Some(owner)))
}

/// The administrator of the file; a new one where nobody knows the password of the first any more.
async fn admin(cx: &mut Cx, owner: Option<Uuid>, out: &mut Map<String, Value>) -> Result<Uuid> {
    let known = out.get("admin_id").and_then(Value::as_str);
    if let Some(known) = known.and_then(|text| Uuid::try_parse(text).ok()).or(owner)
        && out.contains_key("admin_password")
    {
        return Ok(known);
    }
    let email = format!("admin-{}@nordlicht.example", &random_text()[..8]);
    let password = random_text();
    let sql = "select id from roles where key = 'owner' and deleted_at is null";
    let role: Uuid = cx.query_one(sql, &[]).await?.try_get(0)?;
    let secret = Secret::new(password.as_str());
    let new = NewMember {
        email: &email,
        name: Some(ADMIN_NAME),
        password: Some(&secret),
        role,
        ends_at: None,
    };
    let (user, _) = add_member(cx, new).await?;
    remember_admin(out, user, &email, &password);
    Ok(user)
}

fn remember_admin(out: &mut Map<String, Value>, id: Uuid, email: &str, password: &str) {
    out.insert("admin_id".to_owned(), json!(id));
    out.insert("admin_email".to_owned(), json!(email));
    out.insert("admin_password".to_owned(), json!(password));
}

async fn token(cx: &mut Cx, admin: Uuid, out: &mut Map<String, Value>) -> Result<()> {
    if out.contains_key("api_token") {
        return Ok(());
    }
    let new = NewToken {
        name: "Demonstration".to_owned(),
        grants: json!([{
            "grant": "*", "rights": ["*"], "levels": ["open", "personal", "confidential"],
        }]),
        expires_at: None,
    };
    let (_, token) = issue_token(cx, admin, new).await?;
    out.insert("api_token".to_owned(), json!(token.expose()));
    Ok(())
}

/// 122 random bits as text.
fn random_text() -> String {
    Uuid::new_v4().simple().to_string()
}

fn object(value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::internal("a seed is not an object")),
    }
}
