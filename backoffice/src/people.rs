//! `backoffice user …` and `backoffice organization …`: what the operators of the house decide about
//! people and organizations. They own the house, so nobody has to prove an address to them. A password
//! comes from standard input, never from the process list.

use std::collections::BTreeMap;
use std::io::BufRead as _;

use kernel::accounts::{
    NewMember, add_member, find_organization, operator_disable, operator_enable,
    operator_set_password, operator_set_plan, operator_trust_issuer,
};
use kernel::cx::Actor;
use kernel::entity::Plan;
use kernel::error::Error;
use kernel::service::Service;
use kernel::settings::Secret;
use uuid::Uuid;

use crate::{Failure, print};

/// A command with its options: `user add --email …`.
pub(crate) struct Order {
    words: (String, String),
    options: BTreeMap<String, String>,
}

/// Reads what follows the first word.
pub(crate) fn order(first: String, parser: &mut lexopt::Parser) -> Result<Order, lexopt::Error> {
    use lexopt::prelude::{Long, Value, ValueExt as _};
    let mut second = String::new();
    let mut options = BTreeMap::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(word) if second.is_empty() => second = word.string()?,
            Long(name) if OPTIONS.contains(&name) => {
                let name = name.to_owned();
                let value = parser.value()?.string()?;
                options.insert(name, value);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Order { words: (first, second), options })
}

const OPTIONS: &[&str] = &["email", "issuer", "name", "organization", "plan", "role"];

pub(crate) async fn run(service: &Service, order: &Order) -> Result<(), Failure> {
    match (order.words.0.as_str(), order.words.1.as_str()) {
        ("user", "add") => add(service, order).await,
        ("user", "password") => {
            let user = operator_set_password(service, order.get("email")?, &password()?).await?;
            print(&format!("{user}\n"))
        }
        ("user", "disable") => {
            let user = operator_disable(service, order.get("email")?).await?;
            print(&format!("{user}\n"))
        }
        ("user", "enable") => {
            let user = operator_enable(service, order.get("email")?).await?;
            print(&format!("{user}\n"))
        }
        ("organization", "plan") => {
            let plan = Plan::parse(order.get("plan")?).ok_or_else(|| {
                Failure::new(format!("--plan must be one of {}", Plan::NAMES.join(", ")))
            })?;
            operator_set_plan(service, organization(service, order).await?, plan).await?;
            Ok(())
        }
        ("organization", "trust") => {
            let issuer = order.options.get("issuer").map(String::as_str);
            operator_trust_issuer(service, organization(service, order).await?, issuer).await?;
            Ok(())
        }
        (first, second) => Err(Failure::new(format!("no such command: {first} {second}"))),
    }
}

impl Order {
    fn get(&self, name: &str) -> Result<&str, Failure> {
        let value = self.options.get(name).map(String::as_str);
        value.ok_or_else(|| Failure::new(format!("--{name} is missing")))
    }
}

async fn organization(service: &Service, order: &Order) -> Result<Uuid, Failure> {
    let slug = order.get("organization")?;
    let found = find_organization(service, slug).await?;
    found.ok_or_else(|| Failure::new(format!("no organization has the slug {slug}")))
}

/// A person with a role. Somebody known keeps their password; the given one is for a new person.
async fn add(service: &Service, order: &Order) -> Result<(), Failure> {
    let org = organization(service, order).await?;
    let password = password()?;
    let mut cx = service.begin(Actor::Service("operator"), org).await?;
    let sql = "select id from roles where org_id = $1 and key = $2 and deleted_at is null";
    let role = cx.query_opt(sql, &[&org, &order.get("role")?]).await?;
    let role = role.ok_or_else(|| Failure::new("the organization has no such role"))?;
    let new = NewMember {
        email: order.get("email")?,
        name: order.options.get("name").map(String::as_str),
        password: Some(&password),
        role: role.try_get(0).map_err(Error::from)?,
        ends_at: None,
    };
    let (user, _) = add_member(&mut cx, new).await?;
    cx.commit().await?;
    print(&format!("{user}\n"))
}

/// The first line of standard input.
fn password() -> Result<Secret, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}
