//! Descriptors of accounts. Global ones have no route of the engine's.

use super::invitations::INVITATION;
use super::links::LINK;
use super::portals::{PORTAL_ACCOUNT, PORTAL_SESSION};
use super::programs::{API_TOKEN, DEVICE, SERVICE_ACCOUNT};
use super::teams::{TEAM, TEAM_MEMBER};
use crate::engine;
use crate::entity::{
    Check, Entity, Group, Operations, Plan, Retention, Unique, boolean, bytes, choice, email, id,
    instant, integer, json, link, slug, text, text_list,
};
use crate::error::Code;
use crate::mail::MESSAGE;

pub(super) const ALL: &[&Entity] = &[
    &ORGANIZATION,
    &USER,
    &IDENTITY,
    &SESSION,
    &PROOF,
    &ROLE,
    &SERVICE_ACCOUNT,
    &MEMBERSHIP,
    &INVITATION,
    &API_TOKEN,
    &DEVICE,
    &PORTAL_ACCOUNT,
    &PORTAL_SESSION,
    &LINK,
    &TEAM,
    &TEAM_MEMBER,
    &PERSONAL_READ,
    &OPERATION,
    &MESSAGE,
    &crate::custom::CUSTOM_FIELD,
    &crate::privacy::ERASURE,
    &crate::idempotency::IDEMPOTENCY_KEY,
];

/// Who is in which team and which unit, and which unit is below which: what the scopes `team` and
/// `unit` reach follows from it, so it is given apart from everything else.
pub const REACH: &str = "accounts.reach";

static ORGANIZATION: Entity = Entity::new("organizations")
    .global()
    .about("A tenant: everything else belongs to one.")
    .kept("everything else belongs to it")
    .label("name")
    .fields(&[
        text("name").required(),
        slug("slug").required(),
        choice("plan", Plan::NAMES)
            .required()
            .default("'core'")
            .by_action()
            .about("What was bought; set by operators."),
        text("sso_issuer").by_action().about(
            "Issuer whose word on a verified address signs its members in; set by operators.",
        ),
    ])
    .uniques(&[Unique {
        name: "organizations_slug_key",
        fields: &["slug"],
        code: Code::AlreadyExists,
    }]);

pub(super) static USER: Entity = Entity::new("users")
    .global()
    .about("A person who signs in; belongs to organizations by memberships.")
    .kept("logs and rows name people; erasing one is an action")
    .label("email")
    .fields(&[
        email("email").required().personal(),
        text("email_key").computed("lower(email)"),
        text("name").required().personal(),
        text("password_hash").secret().about("PHC string of Argon2id; null without a password."),
        instant("verified_at")
            .by_action()
            .about("Proved to read the mail at the address; nobody signs in before."),
        instant("disabled_at").by_action(),
    ])
    .uniques(&[Unique {
        name: "users_email_key",
        fields: &["email_key"],
        code: Code::AlreadyExists,
    }]);

static IDENTITY: Entity = Entity::new("identities")
    .global()
    .about("A person's name at an outside identity provider.")
    .kept("a few a person, taken away by unlinking")
    .fields(&[
        link("user_id", "accounts.users").required().cascade(),
        text("issuer").required(),
        text("subject").required().personal(),
        choice("linked_by", &["person", "organization"]).required().default("'person'").about(
            "Who said so; an organization's word is good in organizations that trust the issuer.",
        ),
    ])
    .uniques(&[Unique {
        name: "identities_subject_key",
        fields: &["issuer", "subject"],
        code: Code::AlreadyExists,
    }]);

static SESSION: Entity = Entity::new("sessions")
    .global()
    .about("A signed-in person at one browser or program.")
    .retention(&[Retention::days("expires_at", 30)])
    .fields(&[
        link("user_id", "accounts.users").required().cascade(),
        bytes("token_hash", 32).required().secret(),
        instant("expires_at").required(),
        instant("last_seen_at").required(),
        instant("revoked_at").by_action(),
        text("user_agent").personal(),
        text("issuer")
            .about("Who vouched for the person; such a session enters only where that is trusted."),
    ])
    .uniques(&[Unique {
        name: "sessions_token_key",
        fields: &["token_hash"],
        code: Code::AlreadyExists,
    }]);

static PROOF: Entity = Entity::new("proofs")
    .global()
    .about("A secret that was mailed once: who shows it has read the mail at that address.")
    .retention(&[Retention::days("expires_at", 30)])
    .fields(&[
        link("user_id", "accounts.users").required().cascade(),
        choice("purpose", &["reset_password", "change_email"]).required(),
        email("email").required().personal(),
        bytes("token_hash", 32).required().secret(),
        instant("expires_at").required(),
        instant("used_at").by_action(),
    ])
    .uniques(&[Unique {
        name: "proofs_token_key",
        fields: &["token_hash"],
        code: Code::AlreadyExists,
    }]);

pub static ROLE: Entity = Entity::new("roles")
    .grant("accounts.roles")
    .group(Group::Organizations)
    .about("What its members may do: grants with rights, as data.")
    .label("name")
    .operations(Operations { read: true, create: false, patch: true, delete: true })
    .fields(&[
        slug("key").required().once(),
        text("name").required(),
        boolean("built_in").required().default("false").by_action(),
        json("grants").required().by_action(),
    ])
    .natural(&["key"])
    .uniques(&[Unique { name: "roles_key_key", fields: &["key"], code: Code::AlreadyExists }])
    .constraints(&[("roles_keep_built_in", Code::Conflict)]);

pub static MEMBERSHIP: Entity = Entity::new("memberships")
    .grant("accounts.memberships")
    .group(Group::Organizations)
    .final_delete()
    .about("A person, or a program, with a role in the organization.")
    .operations(Operations { read: true, create: false, patch: false, delete: true })
    .fields(&[
        link("user_id", "accounts.users").once(),
        link("service_account_id", "accounts.service_accounts").once().cascade(),
        link("role_id", "accounts.roles").required().once(),
        instant("ends_at").by_action().about("From then on the role gives nothing."),
    ])
    .uniques(&[
        Unique {
            name: "memberships_user_role_key",
            fields: &["user_id", "role_id"],
            code: Code::AlreadyExists,
        },
        Unique {
            name: "memberships_service_account_role_key",
            fields: &["service_account_id", "role_id"],
            code: Code::AlreadyExists,
        },
    ])
    .checks(&[Check {
        name: "memberships_one_holder",
        sql: "num_nonnulls(user_id, service_account_id) = 1",
        code: Code::InvalidValue,
        field: "user_id",
    }])
    .constraints(&[
        ("memberships_keep_owner", Code::LastOwner),
        ("memberships_auditor_ends", Code::Required),
    ]);

pub(crate) static PERSONAL_READ: Entity = Entity::new("personal_reads")
    .grant("accounts.personal_reads")
    .group(Group::Organizations)
    .about("Personal or confidential fields that somebody read whose reads are told.")
    .log()
    .fields(&[
        text("actor_kind").required(),
        text("actor_id").required(),
        id("request_id").required(),
        text("table_name").required().about("Whose rows."),
        integer("row_count", 1, i64::MAX).required(),
        text_list("row_ids", engine::TOLD_ROWS_MAX).required().about("The first of them."),
        text_list("field_names", engine::TOLD_FIELDS_MAX).required(),
    ])
    .indexes(&[&["actor_id"], &["table_name"]]);

pub static OPERATION: Entity = Entity::new("operations")
    .grant("accounts.operations")
    .group(Group::Organizations)
    .about("Work that another service finishes; answers of 202 point here.")
    .operations(Operations::READ)
    .fields(&[
        text("kind").required().by_action(),
        choice("status", &["pending", "done", "failed"])
            .required()
            .default("'pending'")
            .by_action(),
        json("result").by_action(),
        json("error").by_action().about("Problem with code and detail, when it failed."),
        instant("finished_at").by_action(),
    ]);
