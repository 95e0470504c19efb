//! Persons: who proved an address, who is made by an operator, who is shut out. A person belongs to
//! no organization; the table is reached through definer functions.

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{MEMBERSHIP, actions};
use crate::cx::{Actor, Cx};
use crate::db::{Admin, Row};
use crate::entity::{Kind, Plan};
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::service::Service;
use crate::settings::Secret;

pub(super) struct Person<'a> {
    pub(super) email: &'a str,
    pub(super) name: &'a str,
    pub(super) password_hash: Option<&'a str>,
}

pub(super) struct Proved {
    pub(super) user: Uuid,
    /// The address had not been proved before: name and password are the given ones now, and what
    /// was signed in or issued under the address has ended.
    pub(super) newly: bool,
}

/// The person who reads the mail at this address. Somebody who was proved before stays untouched.
pub(super) async fn prove(cx: &Cx, person: Person<'_>) -> Result<Proved> {
    let row = cx
        .query_one(
            "select user_id, newly from account_prove($1, $2, $3, $4, $5)",
            &[&cx.new_id(), &person.email, &person.name, &person.password_hash, &cx.now],
        )
        .await?;
    Ok(Proved { user: row.try_get("user_id")?, newly: row.try_get("newly")? })
}

/// A person with this address, known or new, and the role they get.
pub struct NewMember<'a> {
    pub email: &'a str,
    pub name: Option<&'a str>,
    pub password: Option<&'a Secret>,
    pub role: Uuid,
    pub ends_at: Option<Timestamp>,
}

/// Gives the person with this address the role, without an invitation: the house's own command
/// line and its seeds, who own the house. The person counts as proved. Answers the person's id and
/// the membership's.
pub async fn add_member(cx: &mut Cx, new: NewMember<'_>) -> Result<(Uuid, Uuid)> {
    operator(&cx.actor)?;
    actions::covers_role(cx, new.role).await?;
    actions::demand_future(cx, new.ends_at)?;
    let hash = hashed(cx.service(), new.email, new.password).await?;
    let name = new.name.unwrap_or(new.email);
    let person = Person { email: new.email, name, password_hash: hash.as_deref() };
    let proved = prove(cx, person).await?;
    let body = json!({"user_id": proved.user, "role_id": new.role, "ends_at": new.ends_at});
    let membership = cx.insert(&MEMBERSHIP, kind::object(body).unwrap_or_default()).await?;
    Ok((proved.user, membership))
}

/// Sets a person's password from the command line; every session of theirs ends.
pub async fn operator_set_password(
    service: &Service,
    email: &str,
    password: &Secret,
) -> Result<Uuid> {
    let hash = hashed(service, email, Some(password)).await?;
    let sql = "select account_operator_password($1, $2, $3) as user_id";
    changed(service, sql, &[&email, &hash, &service.now()]).await
}

/// Shuts a person out, everywhere and at once.
pub async fn operator_disable(service: &Service, email: &str) -> Result<Uuid> {
    let sql = "select account_operator_disable($1, $2) as user_id";
    changed(service, sql, &[&email, &service.now()]).await
}

/// Lets a person in again who was shut out.
pub async fn operator_enable(service: &Service, email: &str) -> Result<Uuid> {
    let sql = "select account_operator_enable($1) as user_id";
    changed(service, sql, &[&email]).await
}

/// Says what an organization has bought.
pub async fn operator_set_plan(service: &Service, organization: Uuid, plan: Plan) -> Result<()> {
    operate(service, organization, "select organization_set_plan($1)", &plan.name()).await
}

/// Runs an operator's statement with one organization active; 404 when it answers false.
pub(super) async fn operate(
    service: &Service,
    organization: Uuid,
    sql: &str,
    value: &(dyn crate::db::ToSql + Sync),
) -> Result<()> {
    let operator = operator_connection(service).await?;
    let set = "select set_config('app.org_id', $1, false)";
    let row = match operator.query(set, &[&organization.to_string()]).await {
        Ok(_) => operator.query_one(sql, &[value]).await,
        Err(error) => Err(error),
    };
    operator.close().await;
    let row = row?;
    match row.try_get::<_, bool>(0)? {
        true => Ok(()),
        false => Err(Error::not_found("organization")),
    }
}

/// The role of the operators' commands, whose password a process that answers requests does not have.
async fn operator_connection(service: &Service) -> Result<Admin> {
    let url = &service.settings().database.migrate_url;
    if url.is_empty() {
        return Err(Error::new(Code::Unavailable, "DATABASE_MIGRATE_URL is not set"));
    }
    Admin::connect(url).await
}

async fn changed(
    service: &Service,
    sql: &str,
    params: &[&(dyn crate::db::ToSql + Sync)],
) -> Result<Uuid> {
    let operator = operator_connection(service).await?;
    let row: Result<Row> = operator.query_one(sql, params).await;
    operator.close().await;
    let row = row?;
    let user: Option<Uuid> = row.try_get("user_id")?;
    user.ok_or_else(|| Error::not_found("person with this address"))
}

async fn hashed(
    service: &Service,
    email: &str,
    password: Option<&Secret>,
) -> Result<Option<String>> {
    if let Err(refusal) = kind::read(Kind::Email, email) {
        return Err(Error::field(refusal.code, "email", refusal.message));
    }
    match password {
        Some(password) => service.accounts().passwords.hash(password).await.map(Some),
        None => Ok(None),
    }
}

fn operator(actor: &Actor) -> Result<()> {
    match actor {
        Actor::Service(_) => Ok(()),
        _ => Err(Error::new(Code::Forbidden, "people come in by invitation")),
    }
}
