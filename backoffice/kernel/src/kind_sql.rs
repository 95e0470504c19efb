//! What each kind is in SQL: column types and the CHECK that holds even against our own mistakes.
//! Pure text; the finer rules (formats, control characters) are the engine's validation.

use crate::entity::{Access, Field, Kind};

#[cfg(test)]
mod tests;

/// A JSON value's bound, in bytes of its text.
pub const JSON_BYTES_MAX: usize = 64 * 1024;
/// A text in a list has at most this many characters; validation keeps it, not the column.
pub const LIST_TEXT_CHARS_MAX: usize = 300;

/// Digits after the point of a rate, and of a latitude or longitude.
pub const RATE_SCALE: u8 = 10;
pub const GEO_SCALE: u8 = 7;
/// A duration is at most a hundred years of 365.25 days, in seconds, forth or back.
pub const DURATION_SECONDS_MAX: i64 = 3_155_760_000;
/// Characters of a recurrence rule.
pub const RRULE_CHARS_MAX: usize = 1_000;

/// A column as the generator and the catalogue know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub sql_type: String,
    pub not_null: bool,
    pub default: Option<String>,
    /// Expression of a stored generated column.
    pub generated: Option<String>,
}

/// Name of the second column of a money or price field.
pub fn currency_column(field: &str) -> String {
    format!("{field}_currency")
}

/// Name of the second column, of the kinds that have two: the currency, the longitude.
pub fn second_column(kind: Kind, field: &str) -> Option<String> {
    match kind {
        Kind::Money | Kind::Price => Some(currency_column(field)),
        Kind::Geo => Some(format!("{field}_longitude")),
        _ => None,
    }
}

/// The columns of a field: one, or two for money, prices and places.
pub fn columns(field: &Field) -> Vec<Column> {
    let generated = match field.access {
        Access::Computed(sql) => Some(sql.to_owned()),
        Access::Writable | Access::WriteOnce | Access::ByAction => None,
    };
    let main = Column {
        name: field.name.to_owned(),
        sql_type: sql_type(field.kind),
        not_null: field.required,
        default: field.default.map(str::to_owned),
        generated,
    };
    let Some(name) = second_column(field.kind, field.name) else { return vec![main] };
    let sql_type = match field.kind {
        Kind::Geo => main.sql_type.clone(),
        _ => "text".to_owned(),
    };
    let second = Column { name, sql_type, default: None, generated: None, ..main.clone() };
    vec![main, second]
}

/// How the kind's (first) column stores a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    Text,
    Bool,
    Whole,
    Number { digits: u32, scale: u32 },
    Date,
    Instant,
    Uuid,
    Json,
    Bytes,
    Texts,
}

/// The one place that says so; SQL's and the wire's names of types follow from it.
pub(crate) fn stored(kind: Kind) -> Stored {
    let number = |digits: u32, scale: u8| Stored::Number { digits, scale: u32::from(scale) };
    match kind {
        Kind::Text { .. }
        | Kind::Slug
        | Kind::Email
        | Kind::Phone
        | Kind::Url
        | Kind::Currency
        | Kind::Country
        | Kind::Language
        | Kind::TimeZone
        | Kind::Rrule
        | Kind::Choice(_) => Stored::Text,
        Kind::Bool => Stored::Bool,
        Kind::Integer { .. } | Kind::Duration => Stored::Whole,
        Kind::Money | Kind::Price => number(19, 4),
        Kind::Decimal { scale } | Kind::Quantity { scale } => number(28, scale),
        Kind::Percent { scale } => number(u32::from(scale) + 3, scale),
        Kind::Rate => number(28, RATE_SCALE),
        Kind::Geo => number(u32::from(GEO_SCALE) + 3, GEO_SCALE),
        Kind::Date => Stored::Date,
        Kind::Instant => Stored::Instant,
        Kind::Link { .. } | Kind::Id | Kind::File => Stored::Uuid,
        Kind::Json => Stored::Json,
        Kind::Bytes { .. } => Stored::Bytes,
        Kind::TextList { .. } => Stored::Texts,
    }
}

pub fn sql_type(kind: Kind) -> String {
    match stored(kind) {
        Stored::Text => "text",
        Stored::Bool => "boolean",
        Stored::Whole => "bigint",
        Stored::Number { digits, scale } => return format!("numeric({digits},{scale})"),
        Stored::Date => "date",
        Stored::Instant => "timestamp with time zone",
        Stored::Uuid => "uuid",
        Stored::Json => "jsonb",
        Stored::Bytes => "bytea",
        Stored::Texts => "text[]",
    }
    .to_owned()
}

/// CHECK expression of a field, if its type says too little.
pub fn check(field: &Field) -> Option<String> {
    let name = field.name;
    let check = match field.kind {
        Kind::Text { max } => format!("char_length({name}) <= {max}"),
        Kind::Slug => format!("{name} ~ '^[a-z0-9][a-z0-9_-]{{0,62}}$'"),
        Kind::Email => format!("char_length({name}) <= 254 and position('@' in {name}) > 1"),
        Kind::Phone => format!("char_length({name}) <= 40"),
        Kind::Url => format!("char_length({name}) <= 2000"),
        Kind::Currency => format!("{name} ~ '^[A-Z]{{3}}$'"),
        Kind::Country => format!("{name} ~ '^[A-Z]{{2}}$'"),
        Kind::Language => format!("char_length({name}) <= 35"),
        Kind::TimeZone => format!("char_length({name}) <= 64"),
        Kind::Choice(options) => format!("{name} in ({})", literals(options)),
        Kind::Integer { min: i64::MIN, max: i64::MAX } => return None,
        Kind::Integer { min, max: i64::MAX } => format!("{name} >= {min}"),
        Kind::Integer { min: i64::MIN, max } => format!("{name} <= {max}"),
        Kind::Integer { min, max } => format!("{name} between {min} and {max}"),
        Kind::Percent { .. } => format!("{name} between 0 and 100"),
        Kind::Duration => {
            format!("{name} between -{DURATION_SECONDS_MAX} and {DURATION_SECONDS_MAX}")
        }
        Kind::Rrule => format!("char_length({name}) <= {RRULE_CHARS_MAX}"),
        Kind::Geo => format!(
            "({name} is null) = ({name}_longitude is null) and {name} between -90 and 90 \
             and {name}_longitude between -180 and 180"
        ),
        Kind::Money | Kind::Price => {
            let currency = currency_column(name);
            format!("({name} is null) = ({currency} is null) and {currency} ~ '^[A-Z]{{3}}$'")
        }
        Kind::Json => format!("octet_length({name}::text) <= {JSON_BYTES_MAX}"),
        Kind::Bytes { max } => format!("octet_length({name}) <= {max}"),
        Kind::TextList { max_items } => {
            format!("cardinality({name}) <= {max_items} and array_position({name}, null) is null")
        }
        Kind::Bool
        | Kind::Decimal { .. }
        | Kind::Quantity { .. }
        | Kind::Rate
        | Kind::Date
        | Kind::Instant
        | Kind::Link { .. }
        | Kind::Id
        | Kind::File => return None,
    };
    Some(check)
}

fn literals(options: &[&str]) -> String {
    options.iter().map(|option| literal(option)).collect::<Vec<_>>().join(", ")
}

/// A text as an SQL literal (`standard_conforming_strings` is on since PostgreSQL 9.1).
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
