//! A page of rows with its count, written into one buffer.

use std::io::Write;

use serde_json::Value;
use uuid::Uuid;

use super::{as_map, reach, select_list, shown, told, write_row};
use crate::cx::Cx;
use crate::entity::{Entity, Field};
use crate::error::{Error, Result};
use crate::filter::push;
use crate::page::{self, COUNT_EXACT_MAX, ListQuery};
use crate::param::Bound;
use crate::rights::Access;

/// The parent of a child collection: the child's link field and the parent's id.
pub(crate) type Parent = Option<(&'static Field, Uuid)>;

/// `{"data":[…],"page":{"next":…,"count":{"value":n,"exact":true}}}`.
pub(crate) async fn page(
    cx: &Cx,
    entity: &'static Entity,
    query: &ListQuery,
    access: &Access,
    parent: Parent,
) -> Result<Vec<u8>> {
    let columns = shown(entity, access);
    let mut params = Vec::new();
    let mut place = reach(entity, cx.org, access, &mut params);
    if let Some((field, id)) = parent {
        params.push(Bound::uuid(id));
        push(&mut place, &format!(" and \"{}\" = ${}", field.name, params.len()));
    }
    for condition in &query.conditions {
        condition.sql(&mut place, &mut params);
    }
    let counted = Counted { entity, place: place.clone(), params: params.clone() };
    query.after_sql(&mut place, &mut params);
    let list = select_list(&columns, access, &mut params);
    // One row more than asked tells whether there is a next page.
    params.push(page::limit_bound(i64::from(query.limit) + 1));
    let sql = format!(
        "select {list} from \"{}\"{place} order by {} limit ${}",
        entity.name,
        query.order_sql(),
        params.len()
    );
    let (rows, count) = tokio::try_join!(biased; cx.query_typed(&sql, &params), counted.count(cx))?;
    let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let page = rows.get(..rows.len().min(most)).unwrap_or_default();
    told::tell(cx, entity, page, &columns, access).await?;
    let mut out = Vec::with_capacity(page.len().saturating_mul(256) + 128);
    out.extend_from_slice(b"{\"data\":[");
    let mut last_start = 0;
    for (place, row) in page.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        last_start = out.len();
        write_row(row, &columns, &mut out)?;
    }
    let next = if rows.len() > most {
        let last = as_map(out.get(last_start..).unwrap_or_default())?;
        Value::String(query.cursor(&Value::Object(last))?)
    } else {
        Value::Null
    };
    let (value, exact) = count;
    write!(
        out,
        "],\"page\":{{\"next\":{next},\"count\":{{\"value\":{value},\"exact\":{exact}}}}}}}"
    )
    .map_err(|cause| Error::internal(cause.to_string()))?;
    Ok(out)
}

struct Counted {
    entity: &'static Entity,
    place: String,
    params: Vec<Bound>,
}

impl Counted {
    /// Rows that match, and whether the figure is exact.
    async fn count(&self, cx: &Cx) -> Result<(i64, bool)> {
        let mut params = self.params.clone();
        params.push(page::limit_bound(COUNT_EXACT_MAX + 1));
        let sql = format!(
            "select count(*) from (select 1 from \"{}\"{} limit ${}) as counted",
            self.entity.name,
            self.place,
            params.len()
        );
        let rows = cx.query_typed(&sql, &params).await?;
        let row = rows.first().ok_or_else(|| Error::internal("a count gave no row"))?;
        let value: i64 = row.try_get(0)?;
        if value <= COUNT_EXACT_MAX {
            return Ok((value, true));
        }
        Ok((self.estimate(cx).await?.max(value), false))
    }

    /// The planner's guess, at no cost.
    async fn estimate(&self, cx: &Cx) -> Result<i64> {
        let sql =
            format!("explain (format json) select 1 from \"{}\"{}", self.entity.name, self.place);
        let rows = cx.query_typed(&sql, &self.params).await?;
        let row = rows.first().ok_or_else(|| Error::internal("explain gave no row"))?;
        let plan: Value = row.try_get(0)?;
        plan.pointer("/0/Plan/Plan Rows")
            .and_then(Value::as_i64)
            .ok_or_else(|| Error::internal("explain gave no row count"))
    }
}
