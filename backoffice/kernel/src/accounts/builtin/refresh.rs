//! Built-in roles of organizations that there are already: as this release has them. Part of
//! migrating, since it concerns every organization at once; roles that organizations made themselves
//! are not looked at.

use serde_json::Value;

use super::ROLES;
use crate::db::Admin;
use crate::error::Result;
use crate::settings::Secret;

/// One statement each for all organizations. The change log says of every role what changed.
const CHANGE: &str = "update roles r
    set grants = release.grants, version = r.version + 1, updated_at = now()
    from unnest($1::text[], $2::jsonb[]) as release (key, grants)
    where r.key = release.key and r.built_in and r.grants is distinct from release.grants";

/// A role type that is new in this release; where the organization has a role of that key, it stays.
const ADD: &str = "insert into roles (org_id, key, name, built_in, grants)
    select o.id, release.key, release.name, true, release.grants
      from organizations o
      cross join unnest($1::text[], $2::text[], $3::jsonb[]) as release (key, name, grants)
     where not exists (select from roles r
                        where r.org_id = o.id and r.key = release.key and r.deleted_at is null)";

/// Rows that were changed or added. `url` is the migrate role's; both statements or none.
pub async fn refresh_built_in_roles(url: &Secret) -> Result<u64> {
    let admin = Admin::connect(url).await?;
    let refreshed = refresh(&admin).await;
    admin.close().await;
    refreshed
}

async fn refresh(admin: &Admin) -> Result<u64> {
    let keys: Vec<&str> = ROLES.iter().map(|role| role.key).collect();
    let names: Vec<&str> = ROLES.iter().map(|role| role.name).collect();
    let grants: Vec<Value> = ROLES.iter().map(super::Role::grants).collect();
    admin.batch("begin; select set_config('app.actor_kind', 'system', true), set_config('app.reason', 'a new release', true)").await?;
    // A session that ends without a commit leaves nothing.
    let changed = admin.execute(CHANGE, &[&keys, &grants]).await?;
    let added = admin.execute(ADD, &[&keys, &names, &grants]).await?;
    admin.batch("commit").await?;
    Ok(changed.saturating_add(added))
}
