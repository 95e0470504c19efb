//! Descriptors of accounts. Global ones have no route of the engine's.

use crate::engine;
use crate::entity::{
    Entity, Group, Operations, Unique, boolean, bytes, choice, email, id, instant, integer, json,
    link, slug, text, text_list,
};
use crate::error::Code;

pub(super) const ALL: &[&Entity] = &[
    &ORGANIZATION,
    &USER,
    &IDENTITY,
    &SESSION,
    &API_TOKEN,
    &ROLE,
    &MEMBERSHIP,
    &TEAM,
    &TEAM_MEMBER,
    &PERSONAL_READ,
    &OPERATION,
];

static ORGANIZATION: Entity = Entity::new("organizations")
    .global()
    .about("A tenant: everything else belongs to one.")
    .label("name")
    .fields(&[text("name").required(), slug("slug").required()])
    .uniques(&[Unique {
        name: "organizations_slug_key",
        fields: &["slug"],
        code: Code::AlreadyExists,
    }]);

static USER: Entity = Entity::new("users")
    .global()
    .about("A person who signs in; belongs to organizations by memberships.")
    .label("email")
    .fields(&[
        email("email").required().personal(),
        text("email_key").computed("lower(email)"),
        text("name").required().personal(),
        text("password_hash").secret().about("PHC string of Argon2id; null without a password."),
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
    .fields(&[
        link("user_id", "accounts.users").required().cascade(),
        text("issuer").required(),
        text("subject").required().personal(),
    ])
    .uniques(&[Unique {
        name: "identities_subject_key",
        fields: &["issuer", "subject"],
        code: Code::AlreadyExists,
    }]);

static SESSION: Entity = Entity::new("sessions")
    .global()
    .about("A signed-in person at one browser or program.")
    .fields(&[
        link("user_id", "accounts.users").required().cascade(),
        bytes("token_hash", 32).required().secret(),
        instant("expires_at").required(),
        instant("last_seen_at").required(),
        instant("revoked_at").by_action(),
        text("user_agent").personal(),
    ])
    .uniques(&[Unique {
        name: "sessions_token_key",
        fields: &["token_hash"],
        code: Code::AlreadyExists,
    }]);

static API_TOKEN: Entity = Entity::new("api_tokens")
    .global()
    .about("A key of a program, never more than its maker may do.")
    .label("name")
    .fields(&[
        link("organization_id", "accounts.organizations").required().cascade(),
        link("user_id", "accounts.users").required().cascade(),
        text("name").required(),
        bytes("token_hash", 32).required().secret(),
        text("hint").required().about("The token's first characters, to tell tokens apart."),
        json("grants").required(),
        instant("expires_at"),
        instant("revoked_at").by_action(),
        instant("last_used_at").by_action(),
    ])
    .uniques(&[Unique {
        name: "api_tokens_token_key",
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
    .uniques(&[Unique { name: "roles_key_key", fields: &["key"], code: Code::AlreadyExists }])
    .constraints(&[("roles_keep_built_in", Code::Conflict)]);

pub static MEMBERSHIP: Entity = Entity::new("memberships")
    .grant("accounts.memberships")
    .group(Group::Organizations)
    .about("A person with a role in the organization.")
    .operations(Operations { read: true, create: false, patch: false, delete: true })
    .fields(&[
        link("user_id", "accounts.users").required().once(),
        link("role_id", "accounts.roles").required().once(),
        instant("ends_at").by_action().about("From then on the role gives nothing."),
    ])
    .uniques(&[Unique {
        name: "memberships_user_role_key",
        fields: &["user_id", "role_id"],
        code: Code::AlreadyExists,
    }])
    .constraints(&[
        ("memberships_keep_owner", Code::LastOwner),
        ("memberships_auditor_ends", Code::Required),
    ]);

pub static TEAM: Entity = Entity::new("teams")
    .grant("accounts.teams")
    .group(Group::Organizations)
    .about("People who work on the same rows: the scope team reaches what belongs to one's teams.")
    .label("name")
    .fields(&[text("name").required()])
    .uniques(&[Unique { name: "teams_name_key", fields: &["name"], code: Code::AlreadyExists }]);

pub static TEAM_MEMBER: Entity = Entity::new("team_members")
    .grant("accounts.teams")
    .group(Group::Organizations)
    .about("A person in a team.")
    .fields(&[
        link("team_id", "accounts.teams").required().once().cascade(),
        link("user_id", "accounts.users").required().once(),
    ])
    .uniques(&[Unique {
        name: "team_members_user_key",
        fields: &["user_id", "team_id"],
        code: Code::AlreadyExists,
    }]);

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
