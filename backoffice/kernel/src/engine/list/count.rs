//! How many rows a list has: exact up to a bound, then as the planner guesses.

use serde_json::{Value, json};

use super::{CANDIDATES_MAX, Source};
use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::page::{self, Count};
use crate::param::Bound;

pub(super) struct Counted {
    source: String,
    found: Option<String>,
    params: Vec<Bound>,
}

impl Counted {
    pub(super) fn new(source: &Source, params: &[Bound]) -> Self {
        Self { source: source.text(), found: source.found.clone(), params: params.to_vec() }
    }

    /// `{"value", "exact"}`, or null when it was not asked for.
    pub(super) async fn count(&self, cx: &Cx, count: Count) -> Result<Value> {
        let (value, exact) = match count {
            Count::None => return Ok(Value::Null),
            Count::Estimate => (self.estimate(cx).await?, false),
            Count::UpTo(most) => self.up_to(cx, most).await?,
        };
        Ok(json!({"value": value, "exact": exact}))
    }

    async fn up_to(&self, cx: &Cx, most: i64) -> Result<(i64, bool)> {
        let mut params = self.params.clone();
        params.push(page::limit_bound(most.saturating_add(1)));
        // A search that looked at all the candidates it may does not know how many there are.
        let found = self.found.as_ref().map(|call| format!("(select count(*) from {call})"));
        let sql = format!(
            "select count(*), {} from (select 1{} limit ${}) as counted",
            found.unwrap_or_else(|| "0::bigint".to_owned()),
            self.source,
            params.len()
        );
        let rows = cx.query_typed(&sql, &params).await?;
        let row = rows.first().ok_or_else(|| Error::internal("a count gave no row"))?;
        let (value, candidates): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if value <= most {
            return Ok((value, candidates < CANDIDATES_MAX));
        }
        Ok((self.estimate(cx).await?.max(value), false))
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
