//! What the portals' role may: columns of entities that say so, and a second, restrictive policy on
//! top of the tenant's. Pure, like the rest of the generator.

use crate::entity::{Entity, Portal};
use crate::kind_sql;

use super::{is_versioned, names};

/// Grants and policy; empty for an entity that no portal shows. Columns are granted to the one role
/// of all portals; which kind sees which of them is the engine's to say.
pub(super) fn rights(entity: &Entity) -> String {
    if entity.portals.is_empty() {
        return String::new();
    }
    let name = entity.name;
    let mut readable = standard(entity);
    let mut writable = Vec::new();
    for portal in entity.portals {
        put(&mut readable, columns(entity, &[portal.field]));
        put(&mut readable, columns(entity, portal.read));
        put(&mut writable, columns(entity, portal.write));
    }
    put(&mut readable, writable.clone());
    let mut sql = format!("grant select ({}) on {name} to atlvs_portal;\n", readable.join(", "));
    if !writable.is_empty() {
        put(&mut writable, vec!["version".to_owned(), "updated_at".to_owned()]);
        sql.push_str(&format!(
            "grant update ({}) on {name} to atlvs_portal;\n",
            writable.join(", ")
        ));
    }
    let own: Vec<String> = entity.portals.iter().map(own_rows).collect();
    let own = own.join(" or ");
    sql.push_str(&format!(
        "create policy {} on {name} as restrictive to atlvs_portal\n    using ({own})\n    with check ({own});\n",
        names::portal_policy(entity)
    ));
    sql
}

/// Rows of the signed-in party, while it is signed in to this kind of portal.
fn own_rows(portal: &Portal) -> String {
    format!(
        "((select current_setting('app.portal_kind', true)) = '{}' \
         and {} = (select nullif(current_setting('app.portal_party', true), '')::uuid))",
        portal.kind.name(),
        portal.field
    )
}

fn standard(entity: &Entity) -> Vec<String> {
    let mut names = vec!["org_id", "id", "created_at"];
    if is_versioned(entity) {
        names.extend(["version", "updated_at"]);
    }
    if entity.soft_deletes() {
        names.push("deleted_at");
    }
    names.into_iter().map(str::to_owned).collect()
}

fn columns(entity: &Entity, fields: &[&str]) -> Vec<String> {
    let named = fields.iter().filter_map(|name| entity.field(name));
    named.flat_map(kind_sql::columns).map(|column| column.name).collect()
}

fn put(all: &mut Vec<String>, more: Vec<String>) {
    for name in more {
        if !all.contains(&name) {
            all.push(name);
        }
    }
}
