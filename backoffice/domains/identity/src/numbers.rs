//! Number series: gapless numbers for invoices, orders, contracts. The row lock of the series is
//! held until the caller's transaction ends, so a number that was given is a number that was used.

use kernel::action::{Action, Answers, Args, On, Reply};
use kernel::cx::Cx;
use kernel::entity::{Check, Entity, Field, Group, Unique, integer, link, slug, text};
use kernel::error::{Code, Error, Result};
use serde_json::json;

pub static NUMBER_SERIES: Entity = Entity::new("number_series")
    .grant("identity.number_series")
    .group(Group::Finance)
    .label("code")
    .about("A gapless series of document numbers.")
    .fields(&[
        slug("code").required().once().about("What the series is for: `invoice`, `invoice-2026`."),
        link("legal_entity_id", "identity.legal_entities").once(),
        text("prefix").required().default("''"),
        integer("width", 1, 18).required().default("1").about("Digits, filled with zeros."),
        integer("next_number", 1, 999_999_999_999_999_999).required().by_action().default("1"),
    ])
    .uniques(&[Unique {
        name: "number_series_code_key",
        fields: &["code"],
        code: Code::AlreadyExists,
    }])
    .checks(&[Check {
        name: "number_series_prefix_length",
        sql: "char_length(prefix) <= 40",
        code: Code::TooLong,
        field: "prefix",
    }]);

pub(crate) const TAKE_NUMBER: Action = Action {
    name: "take-number",
    entity: &NUMBER_SERIES,
    on: On::Internal,
    input: TAKE_NUMBER_INPUT,
    answers: Answers::Object(&[text("number")]),
    about: "Gives the next number of a series to a document of the same transaction.",
    run: |cx, args| Box::pin(take_number(cx, args)),
};

const TAKE_NUMBER_INPUT: &[Field] = &[slug("code").required()];

async fn take_number(cx: &mut Cx, args: Args) -> Result<Reply> {
    let input: contracts::identity::TakeNumber = args.parse()?;
    let row = cx
        .query_opt(
            "update number_series set next_number = next_number + 1 \
             where code = $1 and deleted_at is null \
             returning prefix, width, next_number - 1",
            &[&input.code],
        )
        .await?
        .ok_or_else(|| {
            Error::field(Code::UnknownReference, "code", format!("no number series {}", input.code))
        })?;
    let prefix: String = row.try_get(0)?;
    let width: i64 = row.try_get(1)?;
    let number: i64 = row.try_get(2)?;
    let width = usize::try_from(width).map_err(|_| Error::internal("width of a number series"))?;
    Ok(Reply::Json(json!({ "number": format!("{prefix}{number:0width$}") })))
}
