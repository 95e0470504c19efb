//! A new row.

use serde_json::{Map, Value};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Writer, links, reach};
use crate::cx::Cx;
use crate::ddl;
use crate::entity::{Entity, Scope};
use crate::error::{Error, Result};
use crate::param::{Bound, Param};
use crate::rights::Access;
use crate::validate::{self, Purpose};

/// A caller's row under the right to create: within its reach, with fields that it may write.
pub(crate) async fn create(
    cx: &Cx,
    entity: &'static Entity,
    mut body: Map<String, Value>,
    access: &Access,
) -> Result<Uuid> {
    let access = access.for_body(entity, &body)?;
    access.adopt(entity, &mut body);
    let id = insert(cx, entity, &body, Writer::Caller).await?;
    reach::demand(cx, entity, &[id], &body, &access).await?;
    Ok(id)
}

/// A row under no right: who writes has been judged before.
pub(crate) async fn insert(
    cx: &Cx,
    entity: &'static Entity,
    body: &Map<String, Value>,
    writer: Writer,
) -> Result<Uuid> {
    if entity.scope != Scope::Tenant {
        return Err(Error::internal(format!("{} is not served by the engine", entity.name)));
    }
    let columns = validate::body(entity, body, Purpose::Create, writer)?;
    links::check(cx, entity, &columns.links).await?;
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
