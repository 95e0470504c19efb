//! Fields that number series fill when a row is made. A gapless series stays locked until the
//! transaction ends, so numbers are taken after everything else that a create checks.

use serde_json::{Value, json};
use tokio_postgres::types::Type;

use crate::cx::Cx;
use crate::entity::{Entity, Field, Numbered};
use crate::error::{Error, Result};
use crate::param::{Bound, Param};
use crate::validate::Columns;

/// Fields of the entity that get a number which the body does not give.
pub(super) fn missing(
    entity: &'static Entity,
    columns: &Columns,
) -> Vec<(&'static Field, Numbered)> {
    entity
        .fields
        .iter()
        .filter_map(|field| field.numbered.map(|from| (field, from)))
        .filter(|(field, _)| !columns.names.iter().any(|name| name == field.name))
        .collect()
}

pub(super) async fn fill(
    cx: &mut Cx,
    entity: &'static Entity,
    columns: &mut Columns,
) -> Result<()> {
    for (field, from) in missing(entity, columns) {
        let number = take(cx, from, 1).await?.pop().unwrap_or_default();
        columns.names.push(field.name.into());
        columns.values.push(Bound { value: Param::Text(number), ty: Type::TEXT });
    }
    Ok(())
}

/// The next numbers of a series, in their order.
pub(super) async fn take(cx: &mut Cx, from: Numbered, count: usize) -> Result<Vec<String>> {
    if cx.is_trial() {
        // Unlike any other, which is all that the rest of the trial needs of a number.
        return Ok((0..count).map(|_| cx.new_id().simple().to_string()).collect());
    }
    let answer = cx.call(from.action, json!({"code": from.series, "count": count})).await?;
    let numbers = answer.get("numbers").and_then(Value::as_array);
    let numbers: Option<Vec<String>> =
        numbers.and_then(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect());
    numbers
        .filter(|list| list.len() == count)
        .ok_or_else(|| Error::internal(format!("{} did not give {count} numbers", from.action)))
}
