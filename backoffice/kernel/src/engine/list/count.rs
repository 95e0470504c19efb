//! How many rows a list has: exact up to a bound, then as the planner guesses. The exact number comes
//! beside the rows of a page; only where a page has none is it asked for by itself.

use serde_json::{Value, json};
use tokio_postgres::Row;

use super::search::{Among, CANDIDATES};
use super::{List, Source};
use crate::error::{Error, Result};
use crate::page::{self, Count};
use crate::param::Bound;

/// Column with the number, beside the rows.
pub(super) const COLUMN: &str = "@n";

/// A sub-select for the statement of the rows: the number of rows, up to one more than is counted. A
/// search that found all the candidates it may does not know how many there are: it says `-1 - n`.
pub(super) fn column(source: &Source, count: Count, params: &mut Vec<Bound>) -> Option<String> {
    let Count::UpTo(most) = count else { return None };
    params.push(page::limit_bound(most.saturating_add(1)));
    let limit = params.len();
    let rows =
        format!("(select count(*) from (select 1{} limit ${limit}) c)", source.behind_with());
    Some(match &source.found {
        None => rows,
        Some(found) => format!(
            "(select case when count(*) < {} then {rows} else -1 - {rows} end from {CANDIDATES})",
            found.most
        ),
    })
}

/// `{"value", "exact"}`, or null when it was not asked for. `first` is a row of the statement that
/// `column` stands in, where it gave one.
pub(super) async fn of(list: List<'_>, among: Among, first: Option<&Row>) -> Result<Value> {
    let most = match list.query.count {
        Count::None => return Ok(Value::Null),
        Count::Estimate => {
            return Ok(json!({"value": estimate(list).await?, "exact": false}));
        }
        Count::UpTo(most) => most,
    };
    let found: i64 = match first {
        Some(row) => row.try_get(COLUMN)?,
        None if list.query.after.is_none() && list.query.search.is_none() => 0,
        None => alone(list, among).await?,
    };
    if most < found {
        let guess = estimate(list).await?.max(found);
        return Ok(json!({"value": guess, "exact": false}));
    }
    Ok(match found {
        0.. => json!({"value": found, "exact": true}),
        _ => json!({"value": -1 - found, "exact": false}),
    })
}

async fn alone(list: List<'_>, among: Among) -> Result<i64> {
    let mut params = Vec::new();
    let source = list.source_among(among, &mut params);
    let column = column(&source, list.query.count, &mut params);
    let column = column.unwrap_or_else(|| "0::bigint".to_owned());
    let sql = format!("{}select {column}", source.with());
    let rows = list.cx.query_typed(&sql, &params).await?;
    let row = rows.first().ok_or_else(|| Error::internal("a count gave no row"))?;
    Ok(row.try_get(0)?)
}

/// The planner's guess, at no cost.
async fn estimate(list: List<'_>) -> Result<i64> {
    let mut params = Vec::new();
    let sql = format!("explain (format json) select 1{}", list.source(&mut params).text());
    let rows = list.cx.query_typed(&sql, &params).await?;
    let row = rows.first().ok_or_else(|| Error::internal("explain gave no row"))?;
    let plan: Value = row.try_get(0)?;
    plan.pointer("/0/Plan/Plan Rows")
        .and_then(Value::as_i64)
        .ok_or_else(|| Error::internal("explain gave no row count"))
}
