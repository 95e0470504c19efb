//! A person for every role type, a team and a unit for those whose roles reach so far.

use jiff::SignedDuration;
use kernel::accounts::{NewMember, add_member};
use kernel::cx::Cx;
use kernel::error::{Error, Result};
use kernel::settings::Secret;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ledger::ensure;

/// Role type and name; the owner is the administrator of the file.
const PEOPLE: &[(&str, &str)] = &[
    ("administrator", "Adrian Ahrens"),
    ("executive", "Erika Ebert"),
    ("finance", "Finn Fischer"),
    ("people", "Petra Paulsen"),
    ("production", "Paula Pohl"),
    ("project", "Piet Petersen"),
    ("sales_marketing", "Selma Siemens"),
    ("box_office", "Boris Brandt"),
    ("gate_supervisor", "Greta Gerdes"),
    ("crew_member", "Cem Claussen"),
    ("auditor", "Aylin Albers"),
];
/// Who works together: these are in the team and in the unit.
const CREW: &[&str] = &["production", "project", "crew_member"];
/// An auditor's time.
const AUDIT_TIME: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Makes who is not in the file yet; `fresh` when the organization is, so that addresses are free.
pub(crate) async fn seed(cx: &mut Cx, fresh: bool, out: &mut Map<String, Value>) -> Result<()> {
    let team = ensure(cx, "teams", "main-stage", json!({ "name": "Main stage" })).await?;
    let unit = json!({ "name": "Production", "code": "production", "kind": "department" });
    let unit = ensure(cx, "units", "production", unit).await?;
    let mut people = out.remove("people").and_then(as_object).unwrap_or_default();
    for (role, name) in PEOPLE {
        if people.contains_key(*role) {
            continue;
        }
        let (user, person) = person(cx, role, name, fresh).await?;
        if CREW.contains(role) {
            let member = json!({ "team_id": team, "user_id": user });
            ensure(cx, "team_members", &format!("{role}-{user}"), member).await?;
            let member = json!({ "unit_id": unit, "user_id": user });
            ensure(cx, "unit_members", &format!("{role}-{user}"), member).await?;
        }
        people.insert((*role).to_owned(), person);
    }
    out.insert("people".to_owned(), Value::Object(people));
    Ok(())
}

fn as_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

async fn person(cx: &mut Cx, role: &str, name: &str, fresh: bool) -> Result<(Uuid, Value)> {
    let sql = "select id from roles where org_id = $1 and key = $2 and deleted_at is null";
    let id: Uuid = cx.query_one(sql, &[&cx.org, &role]).await?.try_get(0)?;
    let suffix = if fresh { String::new() } else { format!("-{}", &super::random_text()[..8]) };
    let email = format!("{}{suffix}@nordlicht.example", role.replace('_', "-"));
    let password = super::random_text();
    let ends_at = match role {
        "auditor" => Some(
            cx.now
                .checked_add(AUDIT_TIME)
                .map_err(|_| Error::internal("a date is out of range"))?,
        ),
        _ => None,
    };
    let new = NewMember {
        email: &email,
        name: Some(name),
        password: Some(&Secret::new(password.as_str())),
        role: id,
        ends_at,
    };
    let (user, _) = add_member(cx, new).await?;
    Ok((user, json!({ "email": email, "password": password, "name": name })))
}
