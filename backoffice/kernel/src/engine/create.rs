//! A new row.

use serde_json::{Map, Value};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Writer, numbers, prepare, reach, rules};
use crate::custom;
use crate::cx::Cx;
use crate::ddl;
use crate::entity::{Entity, Scope};
use crate::error::{Error, Result};
use crate::param::{Bound, Param};
use crate::rights::Access;
use crate::rule::ChangeOp;
use crate::validate::{Columns, Purpose};

/// A caller's row under the right to create: within its reach, with fields that it may write.
pub(crate) async fn create(
    cx: &mut Cx,
    entity: &'static Entity,
    mut body: Map<String, Value>,
    access: &Access,
) -> Result<Uuid> {
    let access = access.for_body(entity, &body)?;
    custom::permitted(cx, entity, &body, &access).await?;
    access.adopt(entity, entity.fields, &mut body);
    let id = insert(cx, entity, &body, Writer::Caller).await?;
    reach::demand(cx, entity, &[id], &body, &access).await?;
    Ok(id)
}

/// A row under no right: who writes has been judged before.
pub(crate) async fn insert(
    cx: &mut Cx,
    entity: &'static Entity,
    body: &Map<String, Value>,
    writer: Writer,
) -> Result<Uuid> {
    if entity.scope != Scope::Tenant {
        return Err(Error::internal(format!("{} is not served by the engine", entity.name)));
    }
    let columns = prepare::columns(cx, entity, body, Purpose::Create, writer).await?;
    write(cx, entity, columns).await
}

/// A row of a log that the kernel itself keeps, whose entity has no numbers and no rules.
pub(super) async fn note(
    cx: &Cx,
    entity: &'static Entity,
    body: &Map<String, Value>,
) -> Result<Uuid> {
    let columns = prepare::columns(cx, entity, body, Purpose::Create, Writer::Action).await?;
    put(cx, entity, columns).await
}

/// Numbers are taken as the last thing before the row: a gapless series is locked from here on.
async fn write(cx: &mut Cx, entity: &'static Entity, mut columns: Columns) -> Result<Uuid> {
    numbers::fill(cx, entity, &mut columns).await?;
    let id = put(cx, entity, columns).await?;
    rules::after(cx, entity, id, ChangeOp::Create, None).await?;
    Ok(id)
}

async fn put(cx: &Cx, entity: &'static Entity, columns: Columns) -> Result<Uuid> {
    let id = columns.id.unwrap_or_else(|| cx.new_id());
    // One clock for the whole row: the unit of work's, not the database's.
    let now = Bound { value: Param::Instant(cx.now), ty: Type::TIMESTAMPTZ };
    let mut names = vec!["org_id".to_owned(), "id".to_owned(), "created_at".to_owned()];
    let mut values = vec![Bound::uuid(cx.org), Bound::uuid(id), now.clone()];
    if ddl::is_versioned(entity) {
        names.push("updated_at".to_owned());
        values.push(now);
    }
    names.extend(columns.names.iter().map(|name| format!("\"{name}\"")));
    values.extend(columns.values);
    if !columns.custom.set.is_empty() {
        names.push("\"custom\"".to_owned());
        values.push(Bound::json(Value::Object(columns.custom.set)));
    }
    let places: Vec<String> = (1..=values.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "insert into \"{}\" ({}) values ({})",
        entity.name,
        names.join(", "),
        places.join(", ")
    );
    cx.query_typed(&sql, &values).await?;
    Ok(id)
}
