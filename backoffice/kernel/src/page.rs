//! Keyset pages: the order of a list, the cursor that continues it, and their SQL. A cursor holds
//! the last row's keys and a hash of sort and filters, so it fits one list only.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;

use crate::entity::{Entity, Kind};
use crate::error::{Code, Error, Result};
use crate::filter::{self, Condition, push};
use crate::kind;
use crate::param::{Bound, Param};
use crate::rights::Access;

pub const LIMIT_DEFAULT: u32 = 50;
pub const LIMIT_MAX: u32 = 200;
/// Counts are exact up to here, then estimated.
pub const COUNT_EXACT_MAX: i64 = 10_000;
/// Sort keys in one list, the final `id` not counted.
pub const SORT_KEYS_MAX: usize = 4;
/// Characters of a text that lists are sorted by.
const SORT_CHARS_MAX: u32 = 300;
/// Characters of a cursor.
const CURSOR_CHARS_MAX: usize = 8_192;

#[derive(Debug, Clone, Copy)]
pub(crate) struct SortKey {
    pub(crate) column: &'static str,
    pub(crate) kind: Kind,
    pub(crate) descending: bool,
}

/// What a list was asked for.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) sort: Vec<SortKey>,
    pub(crate) limit: u32,
    /// Values of the sort keys of the last row seen; `None` stands for null.
    pub(crate) after: Option<Vec<Option<Bound>>>,
    hash: String,
}

/// Reads the parameters of a list; unknown and repeated ones are refused.
pub(crate) fn parse(entity: &Entity, query: &[(String, String)]) -> Result<ListQuery> {
    let mut conditions = Vec::new();
    let (mut sort, mut limit, mut cursor) = (None, None, None);
    for (name, value) in query {
        if let Some(condition) = filter::parse(entity, name, value) {
            conditions.push(condition?);
            continue;
        }
        let slot = match name.as_str() {
            "sort" => &mut sort,
            "limit" => &mut limit,
            "cursor" => &mut cursor,
            _ => return Err(unknown_parameter(name, "filter[…], sort, limit, cursor")),
        };
        if slot.replace(value.as_str()).is_some() {
            return Err(Error::field(
                Code::InvalidRequest,
                name,
                "the parameter stands there twice",
            ));
        }
    }
    if conditions.len() > filter::FILTERS_MAX {
        let most = filter::FILTERS_MAX;
        return Err(Error::new(
            Code::InvalidFilter,
            format!("a list takes at most {most} filters"),
        ));
    }
    let sort = sort_keys(entity, sort.unwrap_or("-id"))?;
    let limit = limit.map_or(Ok(LIMIT_DEFAULT), read_limit)?;
    let hash = hash(entity, &sort, &conditions);
    let after = cursor.map(|text| read_cursor(text, &sort, &hash)).transpose()?;
    Ok(ListQuery { conditions, sort, limit, after, hash })
}

pub(crate) fn unknown_parameter(name: &str, known: &str) -> Error {
    let shown: String = name.chars().take(100).collect();
    Error::field(Code::UnknownParameter, shown, format!("known parameters are: {known}"))
}

fn read_limit(text: &str) -> Result<u32> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| {
        Error::field(Code::InvalidRequest, "limit", format!("must be between 1 and {LIMIT_MAX}"))
    })
}

/// `-created_at,name`; `id` comes last, so that the order is total.
fn sort_keys(entity: &Entity, text: &str) -> Result<Vec<SortKey>> {
    let refuse = |message: String| Err(Error::field(Code::InvalidSort, "sort", message));
    let mut keys: Vec<SortKey> = Vec::new();
    for part in text.split(',') {
        let (descending, name) = match part.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, part),
        };
        let Some((column, kind)) = filter::column(entity, name) else {
            return refuse("names a field that there is not".to_owned());
        };
        if !has_order(kind) {
            return refuse(format!("{column} has no order"));
        }
        if keys.iter().any(|key| key.column == column) {
            return refuse(format!("{column} stands there twice"));
        }
        keys.push(SortKey { column, kind, descending });
    }
    if keys.len() > SORT_KEYS_MAX {
        return refuse(format!("a list is sorted by at most {SORT_KEYS_MAX} fields"));
    }
    if !keys.iter().any(|key| key.column == "id") {
        let descending = keys.last().is_some_and(|key| key.descending);
        keys.push(SortKey { column: "id", kind: Kind::Id, descending });
    }
    Ok(keys)
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

fn hash(entity: &Entity, sort: &[SortKey], conditions: &[Condition]) -> String {
    let mut digest = Sha256::new();
    let mut put = |text: &str| {
        digest.update(text.len().to_be_bytes());
        digest.update(text.as_bytes());
    };
    put(entity.name);
    for key in sort {
        put(key.column);
        put(if key.descending { "-" } else { "+" });
    }
    let mut filters: Vec<_> = conditions
        .iter()
        .map(|condition| (condition.column, condition.operator, condition.text.as_str()))
        .collect();
    filters.sort_unstable();
    for (column, operator, text) in filters {
        put(column);
        put(operator.name());
        put(text);
    }
    let digest = digest.finalize();
    data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default())
}

fn read_cursor(text: &str, sort: &[SortKey], hash: &str) -> Result<Vec<Option<Bound>>> {
    let refuse =
        || Error::field(Code::InvalidCursor, "cursor", "the cursor is not one of this list");
    if text.len() > CURSOR_CHARS_MAX {
        return Err(refuse());
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| refuse())?;
    let cursor: Value = serde_json::from_slice(&bytes).map_err(|_| refuse())?;
    if cursor.get("h").and_then(Value::as_str) != Some(hash) {
        return Err(refuse());
    }
    let keys = cursor.get("k").and_then(Value::as_array).ok_or_else(refuse)?;
    if keys.len() != sort.len() {
        return Err(refuse());
    }
    let read = |(key, value): (&SortKey, &Value)| match value {
        Value::Null => Ok(None),
        Value::String(text) => {
            let value = kind::read(boundless(key.kind), text).map_err(|_| refuse())?;
            Ok(Some(Bound { value, ty: kind::pg_type(key.kind) }))
        }
        _ => Err(refuse()),
    };
    sort.iter().zip(keys).map(read).collect()
}

/// A stored value may be outside the bounds that new values keep.
fn boundless(kind: Kind) -> Kind {
    match kind {
        Kind::Integer { .. } => Kind::Integer { min: i64::MIN, max: i64::MAX },
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
    /// 403 where a filter or an order would tell of a field what is not shown.
    pub(crate) fn permitted(&self, entity: &Entity, access: &Access) -> Result<()> {
        let filters =
            self.conditions.iter().map(|one| (one.column, format!("filter[{}]", one.column)));
        let keys = self.sort.iter().map(|key| (key.column, "sort".to_owned()));
        for (column, parameter) in filters.chain(keys) {
            if let Some(field) = entity.field(column) {
                access.readable_everywhere(field).map_err(|error| error.at(&parameter))?;
            }
        }
        Ok(())
    }

    /// ` and (…)` for the rows behind the cursor: lexicographic over the keys, nulls where
    /// PostgreSQL puts them (last when ascending, first when descending).
    pub(crate) fn after_sql(&self, sql: &mut String, params: &mut Vec<Bound>) {
        let Some(after) = &self.after else { return };
        let mut alternatives = Vec::new();
        let mut equal = String::new();
        for (key, value) in self.sort.iter().zip(after) {
            let column = key.column;
            let (beyond, same) = match value {
                Some(value) => {
                    params.push(value.clone());
                    let n = params.len();
                    let beyond = if key.descending {
                        format!("\"{column}\" < ${n}")
                    } else {
                        format!("(\"{column}\" > ${n} or \"{column}\" is null)")
                    };
                    (beyond, format!("\"{column}\" = ${n}"))
                }
                None if key.descending => {
                    (format!("\"{column}\" is not null"), format!("\"{column}\" is null"))
                }
                None => ("false".to_owned(), format!("\"{column}\" is null")),
            };
            alternatives.push(format!("({equal}{beyond})"));
            push(&mut equal, &format!("{same} and "));
        }
        push(sql, &format!(" and ({})", alternatives.join(" or ")));
    }

    pub(crate) fn order_sql(&self) -> String {
        let keys: Vec<String> = self
            .sort
            .iter()
            .map(|key| {
                let direction = if key.descending { "desc" } else { "asc" };
                format!("\"{}\" {direction}", key.column)
            })
            .collect();
        keys.join(", ")
    }

    /// Continues behind a row, given its shown JSON.
    pub(crate) fn cursor(&self, last: &Value) -> Result<String> {
        let mut keys = Vec::with_capacity(self.sort.len());
        for key in &self.sort {
            let value = last.get(key.column).unwrap_or(&Value::Null);
            let value = match key.kind {
                Kind::Money | Kind::Price => value.get("amount").unwrap_or(&Value::Null),
                _ => value,
            };
            keys.push(match value {
                Value::Null | Value::String(_) => value.clone(),
                Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
                _ => return Err(Error::internal("a sort key is no plain value")),
            });
        }
        let text = json!({"h": self.hash, "k": keys}).to_string();
        Ok(BASE64URL_NOPAD.encode(text.as_bytes()))
    }
}

/// The count's parameters are those of the conditions; a helper for both statements.
pub(crate) fn limit_bound(limit: i64) -> Bound {
    Bound { value: Param::Int(limit), ty: Type::INT8 }
}
