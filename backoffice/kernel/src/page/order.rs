//! The order of a list and the cursor that continues it. A cursor holds the last row's keys, the
//! moment at which the list began, and a hash of what the list is, so it fits one list only.

use std::io::Write;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Asking, ListQuery, Shape};
use crate::engine::is_amount;
use crate::entity::Kind;
use crate::error::{Code, Error, Result};
use crate::filter::{self, Column, push};
use crate::kind;
use crate::param::Bound;

/// Sort keys in one list, the final `id` not counted.
pub(crate) const SORT_KEYS_MAX: usize = 4;
/// Characters of a text that lists are sorted by.
pub(super) const SORT_CHARS_MAX: u32 = 300;
/// Characters of a cursor.
const CURSOR_CHARS_MAX: usize = 16_384;
/// Digits of `numeric(19,4)`.
const AMOUNT: Kind = Kind::Decimal { scale: 4 };
const WHOLE: Kind = Kind::Integer { min: i64::MIN, max: i64::MAX };

/// Nulls come last when ascending, first when descending.
#[derive(Debug, Clone)]
pub(crate) struct SortKey {
    value: KeyValue,
    pub(crate) kind: Kind,
    pub(crate) descending: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum KeyValue {
    /// SQL of the kernel's own.
    Plain(String),
    /// Of the table `t`.
    Column(Column),
    Currency(Column),
}

impl SortKey {
    fn sql(&self, params: &mut Vec<Bound>) -> String {
        match &self.value {
            KeyValue::Plain(sql) => sql.clone(),
            KeyValue::Column(column) => column.sql("t", params),
            KeyValue::Currency(column) => column.currency_sql("t", params),
        }
    }

    /// Whether both order by the same value.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// `-created_at,name`; `id` comes last, so that the order is total.
pub(super) fn keys(
    asking: Asking<'_>,
    text: Option<&str>,
    ranked: bool,
    shape: &Shape,
) -> Result<Vec<SortKey>> {
    let fallback = match shape {
        _ if ranked && text.is_none() => {
            return Ok(vec![key("s.found_rank", WHOLE, true), by_id(true)]);
        }
        Shape::Tree(_) => asking.entity.label.unwrap_or("id"),
        _ => "-id",
    };
    let fallback = text.is_none().then_some(fallback);
    let mut keys: Vec<SortKey> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for part in text.or(fallback).unwrap_or_default().split(',') {
        let (name, descending) = direction(part);
        if names.contains(&name) {
            return Err(refuse(format!("{name} stands there twice")));
        }
        names.push(name);
        let nothing = || refuse("names a field that there is not");
        let Asking { entity, access, custom, .. } = asking;
        let column = filter::readable(entity, access, custom, name, "sort", nothing);
        // Nobody asked for the label: one that has no order or is not readable everywhere is none.
        let column = match (column, fallback) {
            (Ok(column), _) if has_order(column.kind) => column,
            (_, Some(_)) => Column::own("id", Kind::Id),
            (column, None) => {
                return Err(refuse(format!("{} has no order", column?.name)));
            }
        };
        // Amounts stand in order within their currency.
        if is_amount(column.kind) {
            let value = KeyValue::Currency(column.clone());
            keys.push(SortKey { value, kind: Kind::Currency, descending });
        }
        let kind = if is_amount(column.kind) { AMOUNT } else { column.kind };
        keys.push(SortKey { value: KeyValue::Column(column), kind, descending });
    }
    if names.len() > SORT_KEYS_MAX {
        return Err(refuse(format!("a list is sorted by at most {SORT_KEYS_MAX} fields")));
    }
    let last = by_id(keys.last().is_some_and(|key| key.descending));
    if !keys.iter().any(|key| key.is_like(&last)) {
        keys.push(last);
    }
    Ok(keys)
}

pub(super) fn key(sql: &str, kind: Kind, descending: bool) -> SortKey {
    SortKey { value: KeyValue::Plain(sql.to_owned()), kind, descending }
}

fn by_id(descending: bool) -> SortKey {
    let value = KeyValue::Column(Column::own("id", Kind::Id));
    SortKey { value, kind: Kind::Id, descending }
}

pub(super) fn direction(part: &str) -> (&str, bool) {
    part.strip_prefix('-').map_or((part, false), |name| (name, true))
}

pub(super) fn refuse(message: impl Into<String>) -> Error {
    Error::field(Code::InvalidSort, "sort", message)
}

/// A cursor carries the last row's values, so what is sorted by is short: four texts of the longest
/// kind that is allowed fit into `CURSOR_CHARS_MAX`.
pub(crate) fn has_order(kind: Kind) -> bool {
    match kind {
        Kind::Json
        | Kind::Bytes { .. }
        | Kind::TextList { .. }
        | Kind::Url
        | Kind::Rrule
        | Kind::Geo => false,
        Kind::Text { max } => max <= SORT_CHARS_MAX,
        _ => true,
    }
}

/// Of the list's place and of the parameters that say which rows it has, in which order.
pub(super) fn hash<'a>(
    asking: Asking<'_>,
    parameters: impl Iterator<Item = &'a (String, String)>,
) -> String {
    let mut digest = Sha256::new();
    let mut put = |text: &str| {
        digest.update(text.len().to_be_bytes());
        digest.update(text.as_bytes());
    };
    put(asking.entity.name);
    if let Some((field, id)) = asking.parent {
        put(field.name);
        put(&id.to_string());
    }
    let mut parameters: Vec<_> = parameters.collect();
    parameters.sort_unstable();
    for (name, value) in parameters {
        put(name);
        put(value);
    }
    let digest = digest.finalize();
    data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default())
}

/// A cursor before it is known to fit.
pub(super) struct Cursor {
    pub(super) at: Timestamp,
    hash: String,
    keys: Vec<Value>,
}

fn strange() -> Error {
    Error::field(Code::InvalidCursor, "cursor", "the cursor is not one of this list")
}

impl Cursor {
    pub(super) fn read(text: &str) -> Result<Self> {
        if text.len() > CURSOR_CHARS_MAX {
            return Err(strange());
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| strange())?;
        let cursor: Value = serde_json::from_slice(&bytes).map_err(|_| strange())?;
        let hash = cursor.get("h").and_then(Value::as_str).ok_or_else(strange)?.to_owned();
        let keys = cursor.get("k").and_then(Value::as_array).ok_or_else(strange)?.clone();
        let at = cursor.get("t").and_then(Value::as_i64).ok_or_else(strange)?;
        let at = Timestamp::from_microsecond(at).map_err(|_| strange())?;
        Ok(Self { at, hash, keys })
    }

    /// The values of the keys, when the cursor is one of this list.
    pub(super) fn after(self, sort: &[SortKey], hash: &str) -> Result<Vec<Option<Bound>>> {
        if self.hash != hash || self.keys.len() != sort.len() {
            return Err(strange());
        }
        let read = |(key, value): (&SortKey, &Value)| match value {
            Value::Null => Ok(None),
            Value::String(text) => {
                let value = kind::read(boundless(key.kind), text).map_err(|_| strange())?;
                Ok(Some(Bound { value, ty: kind::pg_type(key.kind) }))
            }
            _ => Err(strange()),
        };
        sort.iter().zip(&self.keys).map(read).collect()
    }
}

/// A stored value may be outside the bounds that new values keep.
fn boundless(kind: Kind) -> Kind {
    match kind {
        Kind::Integer { .. } => WHOLE,
        Kind::Link { .. } | Kind::Id | Kind::File => Kind::Id,
        Kind::Percent { scale } => Kind::Decimal { scale },
        Kind::Bool
        | Kind::Money
        | Kind::Price
        | Kind::Decimal { .. }
        | Kind::Rate
        | Kind::Quantity { .. }
        | Kind::Duration
        | Kind::Date
        | Kind::Instant => kind,
        _ => Kind::Text { max: 20_000 },
    }
}

impl ListQuery {
    /// ` and (…)` for the rows behind the cursor: lexicographic over the keys, nulls where
    /// `order_sql` puts them.
    pub(crate) fn after_sql(&self, sql: &mut String, params: &mut Vec<Bound>) {
        let Some(after) = &self.after else { return };
        let mut alternatives = Vec::new();
        let mut equal = String::new();
        for (key, value) in self.sort.iter().zip(after) {
            let column = key.sql(params);
            let (beyond, same) = match value {
                Some(value) => {
                    params.push(value.clone());
                    let n = params.len();
                    let beyond = if key.descending {
                        format!("{column} < ${n}")
                    } else {
                        format!("({column} > ${n} or {column} is null)")
                    };
                    (beyond, format!("{column} = ${n}"))
                }
                None if key.descending => {
                    (format!("{column} is not null"), format!("{column} is null"))
                }
                None => ("false".to_owned(), format!("{column} is null")),
            };
            alternatives.push(format!("({equal}{beyond})"));
            push(&mut equal, &format!("{same} and "));
        }
        push(sql, &format!(" and ({})", alternatives.join(" or ")));
    }

    pub(crate) fn order_sql(&self, params: &mut Vec<Bound>) -> String {
        order_sql(&self.sort, params)
    }

    /// Continues behind a row, given its keys as a JSON array of texts and nulls.
    pub(crate) fn cursor(&self, keys: &[u8]) -> Result<String> {
        let mut text = Vec::with_capacity(keys.len() + 64);
        write!(text, "{{\"h\":\"{}\",\"t\":{},\"k\":", self.hash, self.at.as_microsecond())
            .map_err(|cause| Error::internal(cause.to_string()))?;
        text.extend_from_slice(keys);
        text.push(b'}');
        Ok(BASE64URL_NOPAD.encode(&text))
    }
}

pub(crate) fn order_sql(sort: &[SortKey], params: &mut Vec<Bound>) -> String {
    let keys: Vec<String> = sort.iter().map(|key| ordered(&key.sql(params), key)).collect();
    keys.join(", ")
}

/// The same order over the columns that `keys_sql` selects, in a query around.
pub(crate) fn outer_order_sql(sort: &[SortKey], alias: &str) -> String {
    let keys = sort.iter().enumerate();
    let keys: Vec<String> =
        keys.map(|(n, key)| ordered(&format!("{alias}.\"@k{n}\""), key)).collect();
    keys.join(", ")
}

/// `, …` for the select list: the keys as `@k0`, `@k1`, ….
pub(crate) fn keys_sql(sort: &[SortKey], params: &mut Vec<Bound>) -> String {
    let keys = sort.iter().enumerate();
    keys.map(|(n, key)| format!(", {} as \"@k{n}\"", key.sql(params))).collect()
}

fn ordered(sql: &str, key: &SortKey) -> String {
    let direction = if key.descending { "desc nulls first" } else { "asc nulls last" };
    format!("{sql} {direction}")
}
