//! Who belongs to an organization, by name: persons stand in a global table, so no entity lists them.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::MEMBERSHIP;
use crate::cx::Cx;
use crate::error::Result;
use crate::rights;

/// Each membership with its person and role. The list is the organization's: a reach of one's own
/// is not enough for it.
pub(crate) async fn list(cx: &Cx) -> Result<Value> {
    rights::may_without_row(&cx.actor, &MEMBERSHIP, "read")?;
    let rows = cx.query("select * from organization_members()", &[]).await?;
    let mut data = Vec::with_capacity(rows.len());
    for row in rows {
        data.push(json!({
            "membership_id": row.try_get::<_, Uuid>("membership_id")?,
            "user": {
                "id": row.try_get::<_, Uuid>("user_id")?,
                "email": row.try_get::<_, String>("email")?,
                "name": row.try_get::<_, String>("name")?,
            },
            "role": {
                "id": row.try_get::<_, Uuid>("role_id")?,
                "key": row.try_get::<_, String>("role_key")?,
                "name": row.try_get::<_, String>("role_name")?,
            },
            "since": row.try_get::<_, Timestamp>("since")?,
            "ends_at": row.try_get::<_, Option<Timestamp>>("ends_at")?,
        }));
    }
    Ok(json!({ "data": data }))
}
