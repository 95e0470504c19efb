//! `filter[field]=value` and `filter[field][operator]=value` into typed conditions. Names come from
//! descriptors, values are parameters: nothing of the caller's text reaches SQL.

use std::fmt::Write;

use tokio_postgres::types::Type;

use crate::entity::{Entity, Field, Kind};
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::param::{Bound, Param};

/// Conditions in one list.
pub(crate) const FILTERS_MAX: usize = 20;
/// Values in one `in`.
pub(crate) const IN_VALUES_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Contains,
    Starts,
    Null,
}

impl Operator {
    const NAMES: &[(&'static str, Self)] = &[
        ("eq", Self::Eq),
        ("ne", Self::Ne),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("in", Self::In),
        ("contains", Self::Contains),
        ("starts", Self::Starts),
        ("null", Self::Null),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("eq", |(name, _)| name)
    }
}

/// Operators of a kind.
pub(crate) fn operators(kind: Kind) -> &'static [Operator] {
    use Operator::{Contains, Eq, Gt, Gte, In, Lt, Lte, Ne, Null, Starts};
    match kind {
        Kind::Text { .. }
        | Kind::Slug
        | Kind::Email
        | Kind::Phone
        | Kind::Url
        | Kind::Language
        | Kind::TimeZone => &[Eq, Ne, In, Contains, Starts, Null],
        Kind::Currency
        | Kind::Country
        | Kind::Choice(_)
        | Kind::Link { .. }
        | Kind::Id
        | Kind::File => &[Eq, Ne, In, Null],
        Kind::Bool => &[Eq, Ne, Null],
        Kind::Integer { .. }
        | Kind::Money
        | Kind::Price
        | Kind::Decimal { .. }
        | Kind::Percent { .. }
        | Kind::Rate
        | Kind::Quantity { .. }
        | Kind::Duration
        | Kind::Date
        | Kind::Instant => &[Eq, Ne, Gt, Gte, Lt, Lte, In, Null],
        Kind::Rrule => &[Contains, Starts, Null],
        Kind::TextList { .. } => &[Contains, Null],
        Kind::Json | Kind::Bytes { .. } | Kind::Geo => &[Null],
    }
}

/// A column that lists can filter and sort by: standard ones and shown fields.
pub(crate) fn column(entity: &Entity, name: &str) -> Option<(&'static str, Kind)> {
    const WHOLE: Kind = Kind::Integer { min: i64::MIN, max: i64::MAX };
    let versioned = crate::ddl::is_versioned(entity);
    match name {
        "id" => Some(("id", Kind::Id)),
        "created_at" => Some(("created_at", Kind::Instant)),
        "updated_at" if versioned => Some(("updated_at", Kind::Instant)),
        "version" if versioned => Some(("version", WHOLE)),
        _ => {
            let field: &'static Field = entity.field(name).filter(|field| !field.secret)?;
            Some((field.name, field.kind))
        }
    }
}

#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) column: &'static str,
    pub(crate) operator: Operator,
    /// Absent for `null`, whose sense stands in `negated`.
    value: Option<Bound>,
    negated: bool,
    /// The column is a list and the value one of its elements.
    element: bool,
    /// The caller's text, for the cursor's hash.
    pub(crate) text: String,
}

/// Reads one parameter; `None` when its name is no filter.
pub(crate) fn parse(entity: &Entity, name: &str, text: &str) -> Option<Result<Condition>> {
    let inner = name.strip_prefix("filter[")?.strip_suffix(']')?;
    let (field, operator) = inner.split_once("][").unwrap_or((inner, "eq"));
    Some(condition(entity, field, operator, text, name))
}

fn condition(
    entity: &Entity,
    field: &str,
    operator: &str,
    text: &str,
    parameter: &str,
) -> Result<Condition> {
    let shown: String = parameter.chars().take(100).collect();
    let refuse = |message: String| Err(Error::field(Code::InvalidFilter, shown.clone(), message));
    let Some((column, kind)) = column(entity, field) else {
        return refuse("there is no such field".to_owned());
    };
    let allowed = operators(kind);
    let known = Operator::NAMES.iter().find(|(name, _)| *name == operator).map(|(_, one)| *one);
    let Some(operator) = known.filter(|operator| allowed.contains(operator)) else {
        let names: Vec<&str> = allowed.iter().map(|operator| operator.name()).collect();
        return refuse(format!("{column} can be filtered by: {}", names.join(", ")));
    };
    let element = matches!(kind, Kind::TextList { .. });
    let text_owned = text.to_owned();
    let mut made =
        Condition { column, operator, value: None, negated: false, element, text: text_owned };
    let value = match operator {
        Operator::Null => match text {
            "true" => return Ok(made),
            "false" => {
                made.negated = true;
                return Ok(made);
            }
            _ => return refuse("null is true or false".to_owned()),
        },
        Operator::In => many(kind, text),
        Operator::Contains | Operator::Starts if !element => pattern(operator, text),
        _ => loose(kind, text).map(|value| Bound { value, ty: text_type(kind) }),
    };
    match value {
        Ok(value) => {
            made.value = Some(value);
            Ok(made)
        }
        Err(message) => refuse(message),
    }
}

fn text_type(kind: Kind) -> Type {
    match kind {
        Kind::TextList { .. } => Type::TEXT,
        _ => kind::pg_type(kind),
    }
}

/// Range and form do not matter to a comparison, only that the value has the column's type.
fn loose(kind: Kind, text: &str) -> std::result::Result<Param, String> {
    let kind = match kind {
        Kind::Integer { .. } => Kind::Integer { min: i64::MIN, max: i64::MAX },
        Kind::Percent { scale } => Kind::Decimal { scale },
        Kind::Slug | Kind::Email | Kind::Phone | Kind::Url | Kind::Language | Kind::TimeZone => {
            Kind::Text { max: PATTERN_CHARS_MAX }
        }
        other => other,
    };
    kind::read(kind, text).map_err(|refusal| refusal.message)
}

const PATTERN_CHARS_MAX: u32 = 300;

fn many(kind: Kind, text: &str) -> std::result::Result<Bound, String> {
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > IN_VALUES_MAX {
        return Err(format!("in takes at most {IN_VALUES_MAX} values"));
    }
    let values: std::result::Result<Vec<Param>, String> =
        parts.into_iter().map(|part| loose(kind, part)).collect();
    Ok(Bound { value: Param::List(values?), ty: kind::pg_array_type(kind) })
}

/// A LIKE pattern in which the caller's own `%`, `_` and `\` mean themselves.
fn pattern(operator: Operator, text: &str) -> std::result::Result<Bound, String> {
    let text = match loose(Kind::Text { max: PATTERN_CHARS_MAX }, text)? {
        Param::Text(text) => text,
        _ => return Err("must be a text".to_owned()),
    };
    let mut like = String::with_capacity(text.len().saturating_add(2));
    if operator == Operator::Contains {
        like.push('%');
    }
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            like.push('\\');
        }
        like.push(c);
    }
    like.push('%');
    Ok(Bound { value: Param::Text(like), ty: Type::TEXT })
}

impl Condition {
    /// Appends ` and …` and the parameter.
    pub(crate) fn sql(&self, sql: &mut String, params: &mut Vec<Bound>) {
        let column = self.column;
        let Some(value) = &self.value else {
            let not = if self.negated { "not " } else { "" };
            push(sql, &format!(" and \"{column}\" is {not}null"));
            return;
        };
        params.push(value.clone());
        let n = params.len();
        let text = match self.operator {
            Operator::Eq => format!("\"{column}\" = ${n}"),
            Operator::Ne => format!("\"{column}\" is distinct from ${n}"),
            Operator::Gt => format!("\"{column}\" > ${n}"),
            Operator::Gte => format!("\"{column}\" >= ${n}"),
            Operator::Lt => format!("\"{column}\" < ${n}"),
            Operator::Lte => format!("\"{column}\" <= ${n}"),
            Operator::In => format!("\"{column}\" = any(${n})"),
            Operator::Contains if self.element => format!("${n} = any(\"{column}\")"),
            Operator::Contains | Operator::Starts => format!("\"{column}\" ilike ${n}"),
            Operator::Null => return,
        };
        push(sql, &format!(" and {text}"));
    }
}

/// Writing to a `String` cannot fail.
pub(crate) fn push(sql: &mut String, text: &str) {
    let written = sql.write_str(text);
    debug_assert!(written.is_ok());
}
