//! Groups of a list: one statement for a page of groups, one for the totals in the same pipeline,
//! and one more for the first rows of each group when a board asks for them. Amounts are added up
//! within their currency.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::rows::Rows;
use super::{List, key_values, write_end};
use crate::engine::{Told, is_amount, told};
use crate::entity::Kind;
use crate::error::{Error, Result};
use crate::filter::{Column, push};
use crate::kind;
use crate::money;
use crate::page::group::{Figure, Function, GroupKey, Groups};
use crate::page::order::{keys_sql, order_sql};
use crate::page::{Count, limit_bound};
use crate::param::{Bound, Param};

/// Digits after the point of an average.
const AVERAGE_SCALE: u32 = 6;

pub(super) async fn page(list: List<'_>, groups: &Groups) -> Result<Vec<u8>> {
    let (cx, query) = (list.cx, list.query);
    let mut params = Vec::new();
    let base = base(list, groups, &mut params);
    let base_params = params.clone();
    let sql = groups_sql(list, groups, &base, &mut params);
    let totals = totals_sql(groups, &base, query.count);
    let (found, total) = tokio::try_join!(
        biased;
        cx.query_typed(&sql, &params),
        cx.query_typed(&totals, &base_params),
    )?;
    let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let shown = found.get(..most.min(found.len())).unwrap_or_default();
    let first = groups.keys.len();
    let mut data = Vec::with_capacity(shown.len());
    let mut names = Vec::with_capacity(shown.len());
    for row in shown {
        let mut group = figures(row, first, groups)?;
        group.insert("group".to_owned(), group_values(row, &groups.keys)?);
        data.push(Value::Object(group));
        names.push(Param::Text(row.try_get("@key")?));
    }
    if let Some(rows) = groups.rows {
        add_rows(list, groups, rows, names, &mut data).await?;
    }
    let last = if found.len() > most { shown.last() } else { None };
    let key_place = first + width(groups) + 1;
    let next =
        last.map(|row| query.cursor(&key_values(row, key_place, &query.sort)?)).transpose()?;
    let total = total.first().ok_or_else(|| Error::internal("totals gave no row"))?;
    let count = match query.count {
        Count::None => Value::Null,
        _ => json!({"value": total.try_get::<_, i64>(width(groups))?, "exact": true}),
    };
    // Behind the figures and the number of groups stands the number of rows.
    tell(list, groups, total.try_get(width(groups) + 1)?).await?;
    let totals = Value::Object(figures(total, 0, groups)?);
    let mut out = format!("{{\"totals\":{totals},\"data\":").into_bytes();
    let text = Value::Array(data).to_string();
    out.extend_from_slice(text.strip_suffix(']').unwrap_or_default().as_bytes());
    write_end(&mut out, next, &count)?;
    Ok(out)
}

/// Keys and figures tell of rows as their fields do.
async fn tell(list: List<'_>, groups: &Groups, rows: i64) -> Result<()> {
    let List { cx, entity, query, access } = list;
    let keys = groups.keys.iter().map(|key| &key.column);
    let figures = groups.figures.iter().filter_map(|figure| figure.column.as_ref());
    let columns: Vec<String> = keys.chain(figures).map(Column::told).collect();
    let names = columns.iter().map(String::as_str).chain(query.touched());
    told::tell(cx, entity, access, Told::Count(rows), names).await?;
    list.tell_linked(rows).await
}

/// `select …` of keys (`@g0`, …), values (`@c0`, …) and their currencies (`@u0`, …), row by row.
fn base(list: List<'_>, groups: &Groups, params: &mut Vec<Bound>) -> String {
    let source = list.source(params);
    let mut columns: Vec<String> = groups
        .keys
        .iter()
        .enumerate()
        .map(|(n, key)| format!("{} as \"@g{n}\"", key_sql(key, groups, params)))
        .collect();
    for (n, figure) in groups.figures.iter().enumerate() {
        let Some(column) = &figure.column else { continue };
        columns.push(format!("{} as \"@c{n}\"", column.sql("t", params)));
        if is_amount(column.kind) {
            columns.push(format!("{} as \"@u{n}\"", column.currency_sql("t", params)));
        }
    }
    format!("select {}{}", columns.join(", "), source.text())
}

fn key_sql(key: &GroupKey, groups: &Groups, params: &mut Vec<Bound>) -> String {
    let column = key.column.sql("t", params);
    let Some(period) = key.period else { return column };
    let at = if key.column.kind == Kind::Instant {
        params.push(Bound { value: Param::Text(groups.zone.clone()), ty: Type::TEXT });
        format!("{column} at time zone ${}", params.len())
    } else {
        format!("{column}::timestamp")
    };
    format!("date_trunc('{period}', {at})::date")
}

fn key_names(groups: &Groups) -> String {
    let names: Vec<String> = (0..groups.keys.len()).map(|n| format!("\"@g{n}\"")).collect();
    names.join(", ")
}

/// Columns: keys, figures, `@key`, the keys of the order.
fn groups_sql(list: List<'_>, groups: &Groups, base: &str, params: &mut Vec<Bound>) -> String {
    let names = key_names(groups);
    let mut inside = String::new();
    let mut outside = String::new();
    let mut joins = String::new();
    for (n, figure) in groups.figures.iter().enumerate() {
        match by_currency(figure, n) {
            None => {
                push(&mut inside, &format!(", {} as \"@f{n}\"", figure_sql(figure, n)));
                push(&mut outside, &format!(", g.\"@f{n}\""));
            }
            Some(value) => {
                push(&mut outside, &format!(", m{n}.\"@m\""));
                push(
                    &mut joins,
                    &format!(
                        " left join (select x.\"@key\", jsonb_object_agg(x.\"@u\", x.\"@v\") as \"@m\" \
                         from (select row({names})::text as \"@key\", \"@u{n}\" as \"@u\", \
                         {value} as \"@v\" from b where \"@u{n}\" is not null \
                         group by {names}, \"@u{n}\") x group by x.\"@key\") m{n} \
                         on m{n}.\"@key\" = g.\"@key\""
                    ),
                );
            }
        }
    }
    let query = list.query;
    let mut after = String::new();
    query.after_sql(&mut after, params);
    params.push(limit_bound(i64::from(query.limit) + 1));
    let limit = params.len();
    let keys: Vec<String> = (0..groups.keys.len()).map(|n| format!("g.\"@g{n}\"")).collect();
    format!(
        "with b as ({base}), g as (select {names}, count(*) as \"@n\", \
         row({names})::text as \"@key\"{inside} from b group by {names}) \
         select {}{outside}, g.\"@key\"{} from g{joins} where true{after} order by {} limit ${limit}",
        keys.join(", "),
        keys_sql(&query.sort, params),
        query.order_sql(params)
    )
}

/// Columns: figures, the number of groups.
fn totals_sql(groups: &Groups, base: &str, count: Count) -> String {
    let mut columns: Vec<String> = Vec::with_capacity(groups.figures.len() + 1);
    for (n, figure) in groups.figures.iter().enumerate() {
        columns.push(match by_currency(figure, n) {
            None => figure_sql(figure, n),
            Some(value) => format!(
                "(select jsonb_object_agg(x.\"@u\", x.\"@v\") from (select \"@u{n}\" as \"@u\", \
                 {value} as \"@v\" from b where \"@u{n}\" is not null group by \"@u{n}\") x)"
            ),
        });
    }
    let names = key_names(groups);
    columns.push(match count {
        Count::None => "0::bigint".to_owned(),
        Count::Estimate | Count::UpTo(_) => {
            format!("(select count(*) from (select 1 from b group by {names}) x)")
        }
    });
    // Figures of amounts are sub-selects: the count beside them makes one row in any case.
    columns.push("count(*)".to_owned());
    format!("with b as ({base}) select {} from b", columns.join(", "))
}

/// Text where the result may be longer than its kind.
fn figure_sql(figure: &Figure, n: usize) -> String {
    let seconds = figure.column.as_ref().is_some_and(|column| column.kind == Kind::Duration);
    match figure.function {
        Function::Sum | Function::Avg if seconds => {
            format!("round({}(\"@c{n}\"))::bigint", figure.function.name())
        }
        Function::Count => "count(*)".to_owned(),
        Function::CountDistinct => format!("count(distinct \"@c{n}\")"),
        Function::Sum => format!("trim_scale(sum(\"@c{n}\")::numeric)::text"),
        Function::Avg => format!("trim_scale(round(avg(\"@c{n}\"), {AVERAGE_SCALE}))::text"),
        Function::Min => format!("min(\"@c{n}\")"),
        Function::Max => format!("max(\"@c{n}\")"),
    }
}

/// The value of a figure of amounts, to be taken within each currency.
fn by_currency(figure: &Figure, n: usize) -> Option<String> {
    let column = figure.column.as_ref()?;
    if !is_amount(column.kind) {
        return None;
    }
    let function = match figure.function {
        Function::Count | Function::CountDistinct => return None,
        // The quotient is ours to round.
        Function::Avg => {
            return Some(format!("sum(\"@c{n}\")::text || ' ' || count(\"@c{n}\")::text"));
        }
        other => other.name(),
    };
    Some(format!("{function}(\"@c{n}\")::text"))
}

/// Columns of the figures.
fn width(groups: &Groups) -> usize {
    groups.figures.len()
}

fn group_values(row: &Row, keys: &[GroupKey]) -> Result<Value> {
    let mut values = Map::new();
    for (n, key) in keys.iter().enumerate() {
        values.insert(key.name.clone(), cell(row, n, key.kind())?);
    }
    Ok(Value::Object(values))
}

fn cell(row: &Row, index: usize, kind: Kind) -> Result<Value> {
    let mut text = Vec::new();
    kind::encode(row, index, kind, &mut text)?;
    serde_json::from_slice(&text)
        .map_err(|cause| Error::internal(format!("the engine wrote broken JSON: {cause}")))
}

/// `{"count": 3, "sum": {"price": …}}` from columns that begin at `first`.
fn figures(row: &Row, first: usize, groups: &Groups) -> Result<Map<String, Value>> {
    let mut all = Map::new();
    for (n, figure) in groups.figures.iter().enumerate() {
        let value = figure_value(row, first + n, figure)?;
        let name = figure.function.name();
        if figure.column.is_none() {
            all.insert(name.to_owned(), value);
            continue;
        }
        let of = all.entry(name).or_insert_with(|| json!({}));
        if let Some(of) = of.as_object_mut() {
            of.insert(figure.field.clone(), value);
        }
    }
    Ok(all)
}

fn figure_value(row: &Row, index: usize, figure: &Figure) -> Result<Value> {
    let Some(column) = &figure.column else { return Ok(json!(row.try_get::<_, i64>(index)?)) };
    if is_amount(column.kind) && figure.function != Function::CountDistinct {
        return amounts(row.try_get(index)?, figure.function, column.kind);
    }
    match figure.function {
        Function::Count | Function::CountDistinct => Ok(json!(row.try_get::<_, i64>(index)?)),
        Function::Min | Function::Max => cell(row, index, column.kind),
        Function::Sum | Function::Avg if column.kind == Kind::Duration => {
            cell(row, index, column.kind)
        }
        Function::Sum | Function::Avg => {
            let text: Option<String> = row.try_get(index)?;
            let Some(text) = text else { return Ok(Value::Null) };
            // Sums of whole numbers are whole numbers, as long as 64 bits hold them.
            let whole = matches!(column.kind, Kind::Integer { .. });
            match text.parse::<i64>() {
                Ok(number) if whole && figure.function == Function::Sum => Ok(json!(number)),
                _ => Ok(Value::String(text)),
            }
        }
    }
}

/// One amount a currency, in the currencies' order. Averages of money are money, those of prices as
/// fine as prices are.
fn amounts(found: Option<Value>, function: Function, kind: Kind) -> Result<Value> {
    let Some(Value::Object(found)) = found else { return Ok(json!([])) };
    let shown = |(currency, value): (String, Value)| {
        let text = value.as_str().unwrap_or_default();
        let digits =
            if kind == Kind::Price { money::SCALE_MAX } else { money::exponent(&currency) };
        let amount = match text.split_once(' ').filter(|_| function == Function::Avg) {
            Some((sum, count)) => {
                count.parse().ok().and_then(|count| money::mean(sum, count, digits))
            }
            None => Some(text.to_owned()),
        };
        // A sum that no decimal holds is shown as the database has it.
        let amount = amount.ok_or_else(|| Error::internal("an average is no number"))?;
        let amount = match amount.parse::<Decimal>() {
            Ok(number) => money::show(number, &currency),
            Err(_) => amount,
        };
        Ok(json!({"amount": amount, "currency": currency}))
    };
    found.into_iter().map(shown).collect()
}

/// Member `rows` of each group: the first ones in the list's order.
async fn add_rows(
    list: List<'_>,
    groups: &Groups,
    most: u32,
    names: Vec<Param>,
    data: &mut [Value],
) -> Result<()> {
    let mut params = Vec::new();
    let source = list.source(&mut params);
    let rows = Rows::new(list, &list.query.row_sort)?;
    let select = rows.select(&mut params);
    let keys: Vec<String> =
        groups.keys.iter().map(|key| key_sql(key, groups, &mut params)).collect();
    let keys = keys.join(", ");
    let order = order_sql(&list.query.row_sort, &mut params);
    params.push(Bound { value: Param::List(names.clone()), ty: Type::TEXT_ARRAY });
    let wanted = params.len();
    params.push(limit_bound(i64::from(most)));
    let sql = format!(
        "select * from (select {select}, row({keys})::text as \"@key\", \
         row_number() over (partition by {keys} order by {order}) as \"@r\"{}) r \
         where r.\"@key\" = any(${wanted}) and r.\"@r\" <= ${} order by r.\"@key\", r.\"@r\"",
        source.text(),
        params.len()
    );
    let found = list.cx.query_typed(&sql, &params).await?;
    rows.tell(&found).await?;
    for group in data.iter_mut() {
        if let Some(group) = group.as_object_mut() {
            group.insert("rows".to_owned(), json!([]));
        }
    }
    for row in &found {
        let name: String = row.try_get("@key")?;
        let place = names.iter().position(|one| *one == Param::Text(name.clone()));
        let group = place.and_then(|place| data.get_mut(place));
        let mut text = Vec::with_capacity(256);
        rows.write(row, &mut text)?;
        let value: Value = serde_json::from_slice(&text)
            .map_err(|cause| Error::internal(format!("the engine wrote broken JSON: {cause}")))?;
        if let Some(Value::Array(rows)) = group.and_then(|group| group.get_mut("rows")) {
            rows.push(value);
        }
    }
    Ok(())
}
