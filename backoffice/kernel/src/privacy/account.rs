//! The person's account for signing in, and invitations to an address of theirs. An account belongs to
//! no organization, so this one ends what is its own: memberships and invitations. The account goes
//! with them when no other organization has a membership of it. Knows nothing of the person's rows but
//! their addresses.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::accounts::{INVITATION, MEMBERSHIP};
use crate::cx::Cx;
use crate::entity::Entity;
use crate::error::Result;

/// Accounts that have one of the person's addresses. Only those that belong, or belonged, to the
/// organization: nobody else's account is its to end.
pub(super) struct Account {
    memberships: Vec<Uuid>,
    /// Accounts that no other organization has a membership of.
    last_here: usize,
}

impl Account {
    pub(super) async fn find(cx: &Cx, terms: &[String]) -> Result<Self> {
        let sql = "select user_id, last_here from erase_accounts($1, $2, false)";
        let (mut users, mut last_here) = (Vec::new(), 0);
        for row in cx.query(sql, &[&terms, &cx.now]).await? {
            users.push(row.try_get::<_, Uuid>(0)?);
            last_here += usize::from(row.try_get::<_, bool>(1)?);
        }
        let sql = "select id from memberships \
                    where org_id = $1 and user_id = any($2) and deleted_at is null order by id";
        let rows = cx.query(sql, &[&cx.org, &users]).await?;
        let memberships = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
        Ok(Self { memberships, last_here })
    }

    pub(super) fn counts(&self) -> Map<String, Value> {
        let counts = [("memberships", self.memberships.len()), ("users", self.last_here)];
        let some = counts.into_iter().filter(|(_, count)| 0 < *count);
        some.map(|(table, count)| (table.to_owned(), json!(count))).collect()
    }

    /// Whoever erases a member may end the memberships, one by one; an organization keeps an owner.
    /// Asked by doing it, which is undone.
    pub(super) async fn demand_end(&self, cx: &mut Cx) -> Result<()> {
        cx.savepoint().await?;
        let ended = self.end_memberships(cx).await;
        cx.undo_savepoint().await?;
        ended
    }

    /// Ends what the organization has of the account, and the account if nobody else has anything.
    pub(super) async fn end(&self, cx: &mut Cx, terms: &[String]) -> Result<()> {
        self.end_memberships(cx).await?;
        // Blanked with the person's rows; the secret in the mail opens nothing from now on.
        let sql = "update invitations set deleted_at = $3, updated_at = $3 where org_id = $1 \
                   and lower(email) = any($2) and accepted_at is null and deleted_at is null";
        cx.execute(sql, &[&cx.org, &terms, &cx.now]).await?;
        cx.query("select from erase_accounts($1, $2, true)", &[&terms, &cx.now]).await.map(drop)
    }

    async fn end_memberships(&self, cx: &mut Cx) -> Result<()> {
        for membership in &self.memberships {
            cx.delete(&MEMBERSHIP, *membership).await?;
        }
        Ok(())
    }
}

/// Invitations to the person: they name an address, and link to nobody.
pub(super) async fn invitations(cx: &Cx, terms: &[String]) -> Result<(&'static Entity, Vec<Uuid>)> {
    let sql = "select id from invitations where org_id = $1 and lower(email) = any($2) order by id";
    let rows = cx.query(sql, &[&cx.org, &terms]).await?;
    let ids = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    Ok((&INVITATION, ids))
}
