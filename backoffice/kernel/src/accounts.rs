//! People, organizations and how they prove who they are: entities, roles as data, sign-in,
//! sessions, API tokens. Global tables are reached through definer functions only
//! (`sql/accounts.sql`). Knows no HTTP.

pub(crate) mod actions;
pub(crate) mod authenticate;
mod builtin;
mod entities;
mod introspect;
pub(crate) mod organizations;
pub(crate) mod passwords;
pub(crate) mod sessions;
mod throttle;
pub(crate) mod tokens;

use crate::entity::Domain;
use crate::error::Result;

pub use actions::{NewMember, add_member};
pub(crate) use entities::PERSONAL_READ;
pub use entities::{MEMBERSHIP, OPERATION, ROLE, TEAM, TEAM_MEMBER};
pub use organizations::{NewOrganization, Owner, find_organization, open_organization};
pub use tokens::{NewToken, issue_token};

/// Right on API tokens; their table is global, so no entity's grant says it.
pub(crate) const TOKEN_GRANT: &str = "accounts.api_tokens";
pub(crate) const TOKEN_TABLE: &str = "api_tokens";

/// The kernel's own domain; every registry begins with it.
pub static DOMAIN: Domain = Domain {
    name: "accounts",
    entities: entities::ALL,
    actions: actions::ALL,
    sql: &[("accounts.sql", include_str!("../sql/accounts.sql"))],
    internal: &[introspect::ROUTE],
    loops: &[crate::partitions::KEEP],
    ..Domain::EMPTY
};

/// What sign-in needs beside the database.
pub(crate) struct Accounts {
    pub(crate) passwords: passwords::Passwords,
    pub(crate) throttle: throttle::Throttle,
}

impl Accounts {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            passwords: passwords::Passwords::new()?,
            throttle: throttle::Throttle::default(),
        })
    }
}

#[cfg(test)]
mod tests;
