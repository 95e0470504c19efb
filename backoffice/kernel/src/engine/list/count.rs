//! How many rows a list has: exact up to a bound, then as the planner guesses. The exact number comes
//! beside the rows of a page; only where a page has none is it asked for by itself.

use serde_json::{Value, json};
use tokio_postgres::Row;

use super::{CANDIDATES_MAX, Source};
use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::page::{self, Count};
use crate::param::Bound;

pub(super) struct Counted {
    count: Count,
    /// ` from … where …`, and the same behind `with`.
    source: String,
    with: String,
    behind_with: String,
    params: Vec<Bound>,
}

impl Counted {
    pub(super) fn new(source: &Source, params: &[Bound], count: Count) -> Self {
        let (with, behind_with) = (source.with(), source.behind_with());
        Self { count, source: source.text(), with, behind_with, params: params.to_vec() }
    }

    /// A sub-select for the statement of the rows: the number of rows, up to one more than is
    /// counted. A search that found all the candidates it may does not know how many there are: it
    /// says `-1 - n`.
    pub(super) fn column(&self, params: &mut Vec<Bound>) -> Option<String> {
        let Count::UpTo(most) = self.count else { return None };
        params.push(page::limit_bound(most.saturating_add(1)));
        let limit = params.len();
        let rows =
            format!("(select count(*) from (select 1{} limit ${limit}) c)", self.behind_with);
        if self.with.is_empty() {
            return Some(rows);
        }
        Some(format!(
            "(select case when count(*) < {CANDIDATES_MAX} then {rows} else -1 - {rows} end from \"@s\")"
        ))
    }

    /// `{"value", "exact"}`, or null when it was not asked for. `first` is a row of the statement
    /// that `column` stands in; `whole` says that nothing was left out before it.
    pub(super) async fn count(&self, cx: &Cx, first: Option<&Row>, whole: bool) -> Result<Value> {
        let most = match self.count {
            Count::None => return Ok(Value::Null),
            Count::Estimate => {
                return Ok(json!({"value": self.estimate(cx).await?, "exact": false}));
            }
            Count::UpTo(most) => most,
        };
        let found: i64 = match first {
            Some(row) => row.try_get("@n")?,
            None if whole && self.with.is_empty() => 0,
            None => self.alone(cx).await?,
        };
        if most < found {
            let guess = self.estimate(cx).await?.max(found);
            return Ok(json!({"value": guess, "exact": false}));
        }
        Ok(match found {
            0.. => json!({"value": found, "exact": true}),
            _ => json!({"value": -1 - found, "exact": false}),
        })
    }

    async fn alone(&self, cx: &Cx) -> Result<i64> {
        let mut params = self.params.clone();
        let column = self.column(&mut params).unwrap_or_else(|| "0::bigint".to_owned());
        let rows = cx.query_typed(&format!("{}select {column}", self.with), &params).await?;
        let row = rows.first().ok_or_else(|| Error::internal("a count gave no row"))?;
        Ok(row.try_get(0)?)
    }

    /// The planner's guess, at no cost.
    async fn estimate(&self, cx: &Cx) -> Result<i64> {
        let sql = format!("explain (format json) select 1{}", self.source);
        let rows = cx.query_typed(&sql, &self.params).await?;
        let row = rows.first().ok_or_else(|| Error::internal("explain gave no row"))?;
        let plan: Value = row.try_get(0)?;
        plan.pointer("/0/Plan/Plan Rows")
            .and_then(Value::as_i64)
            .ok_or_else(|| Error::internal("explain gave no row count"))
    }
}
