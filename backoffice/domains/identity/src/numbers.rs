//! Number series: numbers for invoices, orders, contracts. A gapless series is locked until the
//! caller's transaction ends, so a number that was given is a number that was used. One that may have
//! gaps gives its numbers in a short transaction of its own: nobody waits for anybody, and a number
//! whose document was not made after all stays unused.

use kernel::action::{Action, Answers, Args, On, Reply};
use kernel::cx::Cx;
use kernel::entity::{
    Check, Entity, Field, Group, Unique, boolean, integer, json as json_field, link, slug, text,
};
use kernel::error::{Code, Error, Result};
use serde_json::json;

pub static NUMBER_SERIES: Entity = Entity::new("number_series")
    .grant("identity.number_series")
    .group(Group::Finance)
    .label("code")
    .about("A series of document numbers.")
    .fields(&[
        slug("code").required().once().about("What the series is for: `invoice`, `invoice-2026`."),
        link("legal_entity_id", "identity.legal_entities").once(),
        text("prefix").required().default("''"),
        integer("width", 1, 18).required().default("1").about("Digits, filled with zeros."),
        boolean("gapless").required().default("true").about(
            "No number is left out; documents of the series are then made one after the other.",
        ),
        integer("next_number", 1, 999_999_999_999_999_999).required().by_action().default("1"),
    ])
    .natural(&["code"])
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
    answers: Answers::Object(&[text("number"), json_field("numbers")]),
    about: "Gives the next numbers of a series to documents of the same transaction.",
    run: |cx, args| Box::pin(take_number(cx, args)),
};

const TAKE_NUMBER_INPUT: &[Field] = &[slug("code").required(), integer("count", 1, COUNT_MAX)];

/// Numbers taken at once.
const COUNT_MAX: i64 = 10_000;

const TAKE: &str = "update number_series set next_number = next_number + $2 \
     where code = $1 and deleted_at is null \
     returning prefix, width, next_number - $2";

async fn take_number(cx: &mut Cx, args: Args) -> Result<Reply> {
    let input: contracts::identity::TakeNumber = args.parse()?;
    let count = input.count.unwrap_or(1);
    let unknown =
        || Error::field(Code::UnknownReference, "code", format!("no number series {}", input.code));
    let sql = "select gapless from number_series where code = $1 and deleted_at is null";
    let row = cx.query_opt(sql, &[&input.code]).await?.ok_or_else(unknown)?;
    let row = if row.try_get(0)? {
        cx.query_opt(TAKE, &[&input.code, &count]).await?
    } else {
        let apart = cx.apart().await?;
        let row = apart.query_opt(TAKE, &[&input.code, &count]).await?;
        apart.commit().await?;
        row
    };
    let row = row.ok_or_else(unknown)?;
    let prefix: String = row.try_get(0)?;
    let width: i64 = row.try_get(1)?;
    let first: i64 = row.try_get(2)?;
    let width = usize::try_from(width).map_err(|_| Error::internal("width of a number series"))?;
    let last = first.saturating_add(count);
    let numbers: Vec<String> =
        (first..last).map(|number| format!("{prefix}{number:0width$}")).collect();
    Ok(Reply::Json(json!({ "number": numbers.first(), "numbers": numbers })))
}
