//! The overlay of one entity: its definitions, ready for validation, lists and exports.

use std::sync::Arc;

use crate::cx::{Actor, Cx};
use crate::entity::{Entity, Kind, Level};
use crate::error::{Error, Result};
use crate::param::Bound;
use crate::rights::Access;

use super::TEXT_CHARS_MAX;

/// Kinds that a custom field may have, as `kind` says them.
pub(super) const KINDS: &[&str] = &[
    "text",
    "long_text",
    "boolean",
    "integer",
    "decimal",
    "money",
    "date",
    "instant",
    "choice",
    "email",
    "phone",
    "url",
    "country",
    "currency",
];

/// Those whose words can be searched: they are kept as texts.
pub(super) const SEARCHED_KINDS: &[&str] =
    &["text", "long_text", "choice", "email", "phone", "url"];

/// A definition that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CustomField {
    pub(crate) key: String,
    pub(crate) label: String,
    /// A choice is a text here; `options` says the rest.
    pub(crate) kind: Kind,
    /// What a choice offers; empty for other kinds.
    pub(crate) options: Vec<String>,
    pub(crate) required: bool,
    pub(crate) level: Level,
    /// Lists find rows by its words.
    pub(crate) searched: bool,
}

/// An entity's definitions in their order; retired ones are not among them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) fields: Vec<CustomField>,
}

impl Model {
    pub(crate) fn find(&self, key: &str) -> Option<&CustomField> {
        self.fields.iter().find(|field| field.key == key)
    }
}

impl CustomField {
    /// The value as SQL of its kind's type, for filters and sorts: `$n` is the key as a text, since
    /// keys are organizations' own words and stay parameters. Money gives its amount.
    pub(crate) fn value_sql(&self, alias: &str, n: usize) -> String {
        let place = format!("{alias}\"custom\"");
        if self.kind == Kind::Money {
            return format!("({place} -> ${n} ->> 'amount')::numeric");
        }
        format!("({place} ->> ${n})::{}", crate::kind_sql::sql_type(self.kind))
    }
}

/// The column `custom` without what is retired and what the caller may not read. The definitions are
/// read once a statement, in the statement itself: its answer is never older than they are.
pub(crate) fn shown_sql(
    table: &'static str,
    access: &Access,
    alias: Option<&str>,
    params: &mut Vec<Bound>,
) -> String {
    params.push(Bound::texts(&access.level_names()));
    let of = alias.map(|alias| format!("{alias}.")).unwrap_or_default();
    format!(
        "{of}\"custom\" - array(select d.key from custom_fields d where d.entity = '{table}' \
         and (d.status = 'retired' or d.level <> all(${}))) as \"custom\"",
        params.len()
    )
}

/// The kind behind its name; the names are those of `KINDS`.
pub(super) fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "text" | "choice" => Kind::Text { max: 300 },
        "long_text" => Kind::Text { max: TEXT_CHARS_MAX },
        "boolean" => Kind::Bool,
        "integer" => Kind::Integer { min: i64::MIN, max: i64::MAX },
        "decimal" => Kind::Decimal { scale: 6 },
        "money" => Kind::Money,
        "date" => Kind::Date,
        "instant" => Kind::Instant,
        "email" => Kind::Email,
        "phone" => Kind::Phone,
        "url" => Kind::Url,
        "country" => Kind::Country,
        "currency" => Kind::Currency,
        _ => return None,
    })
}

/// What is not known is not shown to more people than the narrowest level.
fn level(name: &str) -> Level {
    match name {
        "open" => Level::Open,
        "personal" => Level::Personal,
        _ => Level::Confidential,
    }
}

/// The definitions of the active organization, read once in a unit of work.
/// What it adds for its staff is no business of its portals: those find none.
pub(crate) async fn load(cx: &Cx, entity: &'static Entity) -> Result<Arc<Model>> {
    if matches!(cx.actor, Actor::Portal { .. }) {
        return Ok(Arc::default());
    }
    if let Some(model) = cx.custom_of(entity) {
        return Ok(model);
    }
    let sql = "select key, label, kind, options, required, level, searched from custom_fields \
         where org_id = $1 and entity = $2 and status = 'active' order by position, key";
    let rows = cx.query(sql, &[&cx.org, &entity.name]).await?;
    let mut model = Model::default();
    for row in &rows {
        let name: &str = row.try_get("kind")?;
        let Some(kind) = kind(name) else {
            return Err(Error::internal(format!("a custom field has the kind {name}")));
        };
        model.fields.push(CustomField {
            key: row.try_get("key")?,
            label: row.try_get("label")?,
            kind,
            options: row.try_get::<_, Option<Vec<String>>>("options")?.unwrap_or_default(),
            required: row.try_get("required")?,
            level: level(row.try_get("level")?),
            searched: row.try_get("searched")?,
        });
    }
    let model = Arc::new(model);
    cx.keep_custom(entity, model.clone());
    Ok(model)
}
