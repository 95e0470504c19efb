//! What stands where a personal value was: nothing, or, in a required field, a value of its kind that
//! tells nothing and is no one else's (names and domains of RFC 2606; no country has the code 999).

use uuid::Uuid;

use crate::cx::Cx;
use crate::ddl;
use crate::entity::{Access, Entity, Field, Kind};
use crate::error::Result;
use crate::kind_sql;

/// Characters of an id with a word before it.
const MARKED_CHARS: u32 = 43;

/// SQL of the value in a required field; `None` for kinds that have none.
fn blank(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Text { max } if MARKED_CHARS <= max => "'erased ' || id",
        Kind::Text { .. } => "''",
        Kind::Slug => "'erased-' || id",
        Kind::Email => "'erased-' || id || '@erased.invalid'",
        Kind::Phone => {
            "'+999' || lpad((hashtextextended(id::text, 0) & 549755813887)::text, 12, '0')"
        }
        Kind::Url => "'https://erased.invalid/' || id",
        Kind::Bool => "false",
        Kind::Date => "date '0001-01-01'",
        Kind::Json => "'{}'::jsonb",
        Kind::Bytes { .. } => "''::bytea",
        Kind::TextList { .. } => "'{}'::text[]",
        _ => return None,
    })
}

/// Whether a personal field can be emptied.
pub(crate) fn has_blank(field: &Field) -> bool {
    !field.required || blank(field.kind).is_some()
}

/// Empties the personal fields of these rows, custom ones too.
pub(super) async fn rows(cx: &Cx, entity: &'static Entity, rows: &[Uuid]) -> Result<()> {
    let mut sets = Vec::new();
    for field in entity.fields.iter().filter(|field| field.personal) {
        if matches!(field.access, Access::Computed(_)) {
            continue;
        }
        let value = if field.required { blank(field.kind).unwrap_or("null") } else { "null" };
        let columns = kind_sql::columns(field);
        sets.extend(columns.iter().map(|column| format!("\"{}\" = {value}", column.name)));
    }
    if ddl::has_custom_fields(entity) {
        // Retired definitions, too: their values are still there.
        sets.push(
            "custom = custom - array(select d.key from custom_fields d \
               where d.org_id = $1 and d.entity = $3 and d.level <> 'open')"
                .to_owned(),
        );
    }
    if sets.is_empty() {
        return Ok(());
    }
    let name = entity.name;
    let sql = format!(
        "update \"{name}\" set {} where org_id = $1 and id = any($2) and $3::text is not null",
        sets.join(", ")
    );
    cx.execute(&sql, &[&cx.org, &rows, &name]).await?;
    Ok(())
}
