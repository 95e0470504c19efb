//! Who belongs to an organization, by name: persons stand in a global table, so no entity lists them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::MEMBERSHIP;
use super::entities::USER;
use crate::cx::Cx;
use crate::engine::{self, Told};
use crate::entity::Level;
use crate::error::Result;
use crate::rights;

/// Fields of a person that the list shows.
const PERSONAL: &[&str] = &["email", "name"];

/// Each membership with its person and role. The list is the organization's: a reach of one's own
/// is not enough for it. Name and address are personal, as they are in the table of persons: they
/// stand there for whom the right to read shows that level, and such a read is told.
pub(crate) async fn list(cx: &Cx) -> Result<Value> {
    let access = rights::may_without_row(&cx.actor, &MEMBERSHIP, "read")?;
    let personal = access.shows_level(Level::Personal);
    let rows = cx.query("select * from organization_members()", &[]).await?;
    let mut data = Vec::with_capacity(rows.len());
    let mut people = BTreeSet::new();
    for row in rows {
        let id: Uuid = row.try_get("user_id")?;
        people.insert(id);
        let mut user = json!({ "id": id });
        for name in PERSONAL.iter().filter(|_| personal) {
            user[*name] = json!(row.try_get::<_, String>(*name)?);
        }
        data.push(json!({
            "membership_id": row.try_get::<_, Uuid>("membership_id")?,
            "user": user,
            "role": {
                "id": row.try_get::<_, Uuid>("role_id")?,
                "key": row.try_get::<_, String>("role_key")?,
                "name": row.try_get::<_, String>("role_name")?,
            },
            "since": row.try_get::<_, Timestamp>("since")?,
            "ends_at": row.try_get::<_, Option<Timestamp>>("ends_at")?,
        }));
    }
    let people: Vec<Uuid> = people.into_iter().collect();
    let shown = PERSONAL.iter().copied().filter(|_| personal);
    engine::tell(cx, &USER, &access, Told::Rows(&people), shown).await?;
    Ok(json!({ "data": data }))
}
