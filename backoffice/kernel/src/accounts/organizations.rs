//! A new organization: its row, its built-in roles, its first owner, in one transaction.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::people::{self, Person};
use super::{MEMBERSHIP, ROLE, builtin};
use crate::cx::{Actor, Cx};
use crate::entity::Kind;
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::service::Service;
use crate::settings::Secret;

pub struct NewOrganization<'a> {
    pub name: &'a str,
    pub slug: &'a str,
    pub owner: Owner<'a>,
}

/// The first owner: someone known, or someone by address, whom the operator vouches for.
pub enum Owner<'a> {
    User(Uuid),
    New { email: &'a str, name: &'a str, password: &'a Secret },
}

/// Answers the organization's id and the owner's. A taken slug is 409.
pub async fn open_organization(
    service: &Service,
    new: NewOrganization<'_>,
) -> Result<(Uuid, Uuid)> {
    check("name", Kind::Text { max: 300 }, new.name)?;
    check("slug", Kind::Slug, new.slug)?;
    let hash = match new.owner {
        Owner::User(_) => None,
        Owner::New { email, name, password } => {
            check("owner.email", Kind::Email, email)?;
            check("owner.name", Kind::Text { max: 300 }, name)?;
            Some(service.accounts().passwords.hash(password).await?)
        }
    };
    let org = service.new_id();
    let mut cx = service.begin(Actor::Service("accounts"), org).await?;
    let outcome = fill(&mut cx, new, hash).await;
    let owner = cx.finish(outcome).await?;
    Ok((org, owner))
}

async fn fill(cx: &mut Cx, new: NewOrganization<'_>, hash: Option<String>) -> Result<Uuid> {
    cx.execute("select organization_open($1, $2)", &[&new.name.trim(), &new.slug]).await?;
    let owner = match new.owner {
        Owner::User(id) => id,
        Owner::New { email, name, .. } => {
            let person = Person { email, name, password_hash: hash.as_deref() };
            people::prove(cx, person).await?.user
        }
    };
    for role in builtin::ROLES {
        let (key, grants) = (role.key, role.grants());
        let body = json!({"key": key, "name": role.name, "built_in": true, "grants": grants});
        let role = cx.insert(&ROLE, object(body)).await?;
        if key == "owner" {
            cx.insert(&MEMBERSHIP, object(json!({"user_id": owner, "role_id": role}))).await?;
        }
    }
    Ok(owner)
}

/// The organization with this slug, for what runs before there is a session.
pub async fn find_organization(service: &Service, slug: &str) -> Result<Option<Uuid>> {
    let client = service.app_client().await?;
    let statement = client.prepare_cached("select organization_by_slug($1)").await?;
    Ok(client.query_one(&statement, &[&slug]).await?.try_get(0)?)
}

fn check(field: &str, kind: Kind, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::field(Code::Required, field, "a value is required"));
    }
    match kind::read(kind, text) {
        Ok(_) => Ok(()),
        Err(refusal) => Err(Error::field(refusal.code, field, refusal.message)),
    }
}

fn object(value: Value) -> Map<String, Value> {
    kind::object(value).unwrap_or_default()
}
