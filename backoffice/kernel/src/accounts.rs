//! People, organizations and how they prove who they are: entities, roles as data, sign-in,
//! sessions, API tokens. Global tables are reached through definer functions only
//! (`sql/accounts.sql`). Knows no HTTP.

pub(crate) mod actions;
pub(crate) mod authenticate;
pub(crate) mod browser;
mod builtin;
mod entities;
pub(crate) mod external;
mod introspect;
pub(crate) mod invitations;
pub(crate) mod keys;
pub(crate) mod known;
mod links;
pub(crate) mod members;
pub(crate) mod organizations;
pub(crate) mod passwords;
pub(crate) mod people;
pub(crate) mod portals;
mod programs;
pub(crate) mod recover;
pub(crate) mod sessions;
mod teams;
pub(crate) mod throttle;
pub(crate) mod tokens;

use crate::entity::Domain;
use crate::error::Result;

pub use builtin::refresh_built_in_roles;
pub(crate) use entities::PERSONAL_READ;
pub use entities::{MEMBERSHIP, OPERATION, REACH, ROLE};
pub use external::{
    External, link_identity, operator_trust_issuer, sign_in_external, unlink_identity,
};
pub(crate) use invitations::INVITATION;
pub use links::LINK;
pub use organizations::{NewOrganization, Owner, find_organization, open_organization};
pub use people::{
    NewMember, add_member, operator_disable, operator_enable, operator_set_password,
    operator_set_plan,
};
pub use portals::PORTAL_ACCOUNT;
pub use programs::{API_TOKEN, DEVICE, SERVICE_ACCOUNT};
pub use sessions::Opened;
pub use teams::{TEAM, TEAM_MEMBER, demand_reach};
pub use tokens::{NewToken, issue_token};

/// The kernel's own domain; every registry begins with it.
pub static DOMAIN: Domain = Domain {
    name: "accounts",
    entities: entities::ALL,
    actions: actions::ALL,
    rules: &[crate::custom::RULE, actions::MEMBERSHIP_ENDS, teams::JOINING],
    sql: &[
        ("accounts.sql", include_str!("../sql/accounts.sql")),
        ("people.sql", include_str!("../sql/people.sql")),
        ("external.sql", include_str!("../sql/external.sql")),
        ("writing.sql", include_str!("../sql/writing.sql")),
        ("portals.sql", include_str!("../sql/portals.sql")),
        ("privacy.sql", include_str!("../sql/privacy.sql")),
    ],
    internal: &[introspect::ROUTE],
    loops: &[crate::partitions::KEEP],
    jobs: &[crate::privacy::JOB, crate::mail::SEND],
    ..Domain::EMPTY
};

/// What sign-in needs beside the database.
pub(crate) struct Accounts {
    pub(crate) passwords: passwords::Passwords,
    /// Failed sign-ins.
    pub(crate) throttle: throttle::Throttle,
    /// Asked resets, each of which counts.
    pub(crate) resets: throttle::Throttle,
    /// Callers of a moment ago.
    pub(crate) known: known::Known,
    /// Mailed invitations, each of which counts.
    pub(crate) invitations: throttle::Throttle,
}

impl Accounts {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            passwords: passwords::Passwords::new()?,
            throttle: throttle::Throttle::default(),
            resets: throttle::Throttle::default(),
            known: known::Known::default(),
            invitations: throttle::Throttle::default(),
        })
    }
}

#[cfg(test)]
mod tests;
