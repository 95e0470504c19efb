//! `GET /imports/{id}/rows`: what would become of each row, or became of it, in pages.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::entities::IMPORT;
use super::Import;
use super::outcome::{self, Fate, Outcome};
use crate::cx::Cx;
use crate::dispatch::{Answer, Call};
use crate::error::{Code, Error, Result};
use crate::page::{LIMIT_DEFAULT, LIMIT_MAX, unknown_parameter};

/// Chunks whose outcomes are read at a time.
const CHUNKS_AT_ONCE: i64 = 4;

struct Query {
    status: Option<String>,
    limit: usize,
    /// Rows behind this one.
    after: u64,
}

impl Query {
    fn wants(&self, outcome: &Outcome) -> bool {
        let fate = outcome.fate.name();
        self.after < outcome.row && self.status.as_ref().is_none_or(|status| status == fate)
    }
}

pub(crate) async fn page(cx: &mut Cx, call: &Call, id: Uuid) -> Result<Answer> {
    let query = query(&call.query)?;
    cx.get(&IMPORT, id).await?;
    let import = Import::load(cx, id).await?;
    let count = count(cx, id, &query).await?;
    let column = |path: &str| column(&import, path);
    let mut data: Vec<Value> = Vec::new();
    let (mut last, mut more, mut after) = (0, false, query.after);
    while !more {
        let chunks = chunks(cx, id, &query, after).await?;
        let Some((_, end)) = chunks.last() else { break };
        after = *end;
        let outcomes = chunks.iter().map(|(bytes, _)| outcome::read(bytes));
        let outcomes = outcomes.collect::<Result<Vec<_>>>()?.into_iter().flatten();
        for outcome in outcomes.filter(|outcome| query.wants(outcome)) {
            if data.len() >= query.limit {
                more = true;
                break;
            }
            last = outcome.row;
            data.push(outcome.show(column));
        }
    }
    let next = if more { json!(last.to_string()) } else { Value::Null };
    let page = json!({"next": next, "count": {"value": count, "exact": true}});
    Ok(Answer::json(200, &json!({"data": data, "page": page})))
}

/// Rows of the wanted fate, or of all that are known, from what the chunks say of themselves.
async fn count(cx: &Cx, id: Uuid, query: &Query) -> Result<i64> {
    let sql = "select coalesce(sum(fate.value::bigint), 0)::bigint from import_chunks, \
               jsonb_each_text(fates) as fate where org_id = $1 and import_id = $2 \
               and ($3::text is null or fate.key = $3)";
    cx.query_one(sql, &[&cx.org, &id, &query.status]).await?.try_get(0).map_err(Into::into)
}

/// Outcomes and last row of the next chunks that have rows of the wanted fate behind a row.
async fn chunks(cx: &Cx, id: Uuid, query: &Query, after: u64) -> Result<Vec<(Vec<u8>, u64)>> {
    let sql = "select outcome, row_last from import_chunks \
               where org_id = $1 and import_id = $2 and outcome is not null and row_last > $3 \
               and ($4::text is null or fates ? $4) order by seq limit $5";
    let behind = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = cx.query(sql, &[&cx.org, &id, &behind, &query.status, &CHUNKS_AT_ONCE]).await?;
    let chunk = |row: &crate::db::Row| {
        let last: i64 = row.try_get(1)?;
        Ok((row.try_get(0)?, u64::try_from(last).unwrap_or(u64::MAX)))
    };
    rows.iter().map(chunk).collect()
}

/// The file's header for a field's path.
fn column(import: &Import, path: &str) -> Value {
    let head = path.split(['.', '[']).next().unwrap_or_default();
    let place = |name: &str| {
        let columns = import.mapping.columns.iter();
        columns.clone().position(|column| column.target().as_deref() == Some(name)).or_else(|| {
            columns.clone().position(|column| column.field().is_some_and(|f| f.name == name))
        })
    };
    let header = place(path).or_else(|| place(head)).and_then(|at| import.mapping.headers.get(at));
    json!(header)
}

fn query(pairs: &[(String, String)]) -> Result<Query> {
    let mut query = Query { status: None, limit: LIMIT_DEFAULT as usize, after: 0 };
    let refuse = |name: &str, text: String| Err(Error::field(Code::InvalidRequest, name, text));
    for (name, value) in pairs {
        match name.as_str() {
            "status" if Fate::NAMES.contains(&value.as_str()) => query.status = Some(value.clone()),
            "status" => return refuse(name, format!("is one of: {}", Fate::NAMES.join(", "))),
            "limit" => match value.parse::<u32>() {
                Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => query.limit = limit as usize,
                _ => return refuse(name, format!("must be between 1 and {LIMIT_MAX}")),
            },
            "cursor" => match value.parse() {
                Ok(row) => query.after = row,
                Err(_) => {
                    let text = "the cursor is not one of this list";
                    return Err(Error::field(Code::InvalidCursor, name, text));
                }
            },
            _ => return Err(unknown_parameter(name, "status, limit, cursor")),
        }
    }
    Ok(query)
}
