//! Descriptors of what acts without a person in front of it: service accounts, API tokens, devices.

use crate::entity::{
    Check, Entity, Field, Group, Operations, Unique, bytes, instant, json, link, long_text, text,
};
use crate::error::Code;

const READ_AND_DELETE: Operations =
    Operations { read: true, create: false, patch: false, delete: true };

/// Who made a device or a link, where it was a program.
pub(super) const MADE_BY_ACCOUNT: Field =
    link("made_by_account_id", "accounts.service_accounts").by_action().cascade();
pub(super) const ISSUED_BY: Field = link("issued_by_id", "accounts.api_tokens")
    .by_action()
    .cascade()
    .about("The token that made it and takes it along when it is revoked.");

pub static SERVICE_ACCOUNT: Entity = Entity::new("service_accounts")
    .grant("accounts.service_accounts")
    .group(Group::Organizations)
    .final_delete()
    .label("name")
    .about("A program with roles of its own, which it has by memberships; it has no password.")
    .fields(&[text("name").required(), long_text("purpose")])
    .natural(&["name"])
    .uniques(&[Unique {
        name: "service_accounts_name_key",
        fields: &["name"],
        code: Code::AlreadyExists,
    }]);

pub static API_TOKEN: Entity = Entity::new("api_tokens")
    .grant("accounts.api_tokens")
    .group(Group::Organizations)
    .final_delete()
    .label("name")
    .operations(READ_AND_DELETE)
    .about("A key of a program, never more than its maker or its service account may do.")
    .fields(&[
        link("user_id", "accounts.users").by_action(),
        link("service_account_id", "accounts.service_accounts").by_action().cascade(),
        text("name").required().by_action(),
        bytes("token_hash", 32).required().secret(),
        text("hint").required().by_action().about("The first characters, to tell tokens apart."),
        json("grants").required().by_action(),
        instant("expires_at").by_action(),
        ISSUED_BY,
        instant("last_used_at").unlogged(),
    ])
    .lookups(&["token_hash"])
    .checks(&[Check {
        name: "api_tokens_one_holder",
        sql: "num_nonnulls(user_id, service_account_id) = 1",
        code: Code::InvalidValue,
        field: "user_id",
    }]);

pub static DEVICE: Entity = Entity::new("devices")
    .grant("accounts.devices")
    .group(Group::Organizations)
    .final_delete()
    .label("name")
    .operations(READ_AND_DELETE)
    .about("A device of the staff, signed in by a token of its own; its rights are its lines, as far as \
            its maker has them now.")
    .fields(&[
        text("name").required().by_action(),
        json("grants").required().by_action(),
        bytes("token_hash", 32).required().secret(),
        text("hint").required().by_action().about("The first characters of its token."),
        instant("expires_at").by_action(),
        link("made_by_id", "accounts.users").by_action().about("Whose rights bound the device's."),
        MADE_BY_ACCOUNT,
        ISSUED_BY,
        instant("last_used_at").unlogged(),
    ])
    .lookups(&["token_hash"])
    .uniques(&[Unique { name: "devices_name_key", fields: &["name"], code: Code::AlreadyExists }]);
