//! Facts and names from outside: currencies of ISO 4217, keys that other systems give our rows.

use kernel::action::{Action, Answers, Args, On, Reply};
use kernel::cx::Cx;
use kernel::entity::{
    Entity, Field, Group, Operations, Plan, Scope, Unique, boolean, currency, id, integer, slug,
    text,
};
use kernel::error::{Code, Error, Result};
use serde::Deserialize;
use uuid::Uuid;

pub(crate) static CURRENCIES: Entity = Entity::new("currencies")
    .global()
    .grant("identity.currencies")
    .group(Group::Finance)
    .label("code")
    .about("A currency of ISO 4217 with the digits of its minor unit.")
    .kept("as many as the standard has")
    .fields(&[
        currency("code").required(),
        integer("numeric_code", 1, 999).required(),
        text("name").required(),
        integer("exponent", 0, 4).required().about("Digits after the point: 2 for EUR, 0 for JPY."),
        boolean("active").required().default("true").about("False once it was withdrawn."),
    ])
    .uniques(&[Unique {
        name: "currencies_code_key",
        fields: &["code"],
        code: Code::AlreadyExists,
    }]);

pub(crate) static EXTERNAL_REFS: Entity = Entity::new("external_refs")
    .grant("identity.external_refs")
    .group(Group::Organizations)
    .label("external_id")
    .about("The key under which another system knows a row of ours.")
    .plan(Plan::Enterprise)
    .operations(Operations { read: true, create: false, patch: false, delete: true })
    .fields(FIELDS)
    .uniques(&[
        Unique {
            name: "external_refs_external_key",
            fields: &["system", "table_name", "external_id"],
            code: Code::AlreadyExists,
        },
        Unique {
            name: "external_refs_row_key",
            fields: &["system", "table_name", "row_id"],
            code: Code::AlreadyExists,
        },
    ])
    .indexes(&[&["table_name", "row_id"]]);

const FIELDS: &[Field] = &[
    slug("system").required().once().about("Name of the other system."),
    text("external_id").required().once(),
    slug("table_name").required().once().about("Table of the row: `parties`."),
    id("row_id").required().once(),
];

/// Create is an action, because no foreign key can lead to "any table".
pub(crate) const CREATE_EXTERNAL_REF: Action = Action {
    name: "create",
    entity: &EXTERNAL_REFS,
    on: On::Create,
    input: FIELDS,
    answers: Answers::Row,
    about: "Notes the key under which another system knows a row.",
    run: |cx, args| Box::pin(create_external_ref(cx, args)),
};

#[derive(Deserialize)]
struct NewRef {
    table_name: String,
    row_id: Uuid,
}

/// The row must be one that the caller may read; a foreign one is as unknown as any.
async fn create_external_ref(cx: &mut Cx, args: Args) -> Result<Reply> {
    let new: NewRef = args.parse()?;
    let entity = cx.registry().entity(&new.table_name).filter(|e| e.scope == Scope::Tenant);
    let entity = entity.ok_or_else(|| {
        Error::field(Code::UnknownReference, "table_name", "there is no such table")
    })?;
    match cx.load(entity, new.row_id, "read").await {
        Ok(_) => {}
        Err(cause) if cause.code() == Code::NotFound => {
            let detail = "there is no such row";
            return Err(Error::field(Code::UnknownReference, "row_id", detail));
        }
        Err(cause) => return Err(cause),
    }
    Ok(Reply::Row(cx.insert(&EXTERNAL_REFS, args.input).await?))
}
