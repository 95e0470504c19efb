//! The start-up check, in one direction: what this binary needs is in the database. A database that
//! has more (a newer migration) is fine, so that the former release still starts.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, ObjectKind};
use crate::ddl::{self, definers, names};
use crate::entity::{Entity, Scope};
use crate::error::Result;
use crate::registry::{Member, Registry};
use crate::service::Service;

#[cfg(test)]
mod tests;

/// What is missing, a sentence each; empty when the database serves this binary.
pub async fn missing(service: &Service) -> Result<Vec<String>> {
    let client = service.readiness().client().await?;
    let mut missing = compare(service.registry(), &Catalog::read_as_app(&client).await?);
    let row = client
        .query_one(PARTITION_OF_TODAY, &[])
        .await
        .map_err(|cause| crate::error::from_database(None, &cause))?;
    if let Some(partition) = row.get::<_, Option<String>>(0) {
        missing.push(format!("partition {partition} of the change log is missing"));
    }
    let row = client
        .query_one(ROLE_THAT_PASSES, &[])
        .await
        .map_err(|cause| crate::error::from_database(None, &cause))?;
    if row.get::<_, bool>(1) {
        let role: &str = row.get(0);
        missing
            .push(format!("role {role} of DATABASE_URL passes row-level security: use atlvs_app"));
    }
    Ok(missing)
}

/// What is not as this binary would make it, a sentence each, and no reason to refuse: a newer release
/// may have made it so.
pub async fn differences(service: &Service) -> Result<Vec<String>> {
    let client = service.readiness().client().await?;
    let rows = async |sql: &'static str| {
        client.query(sql, &[]).await.map_err(|cause| crate::error::from_database(None, &cause))
    };
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for row in rows(FUNCTION_BODIES).await? {
        found.entry(row.get(0)).or_default().push(row.get(1));
    }
    let mut differences = Vec::new();
    let script = ddl::script(service.registry());
    // Where a later file makes a function anew, that one counts.
    let made: BTreeMap<&str, &str> = bodies(&script).collect();
    for (name, body) in made {
        // One that is missing is told by `missing`.
        if found.get(name).is_some_and(|all| !all.iter().any(|own| own == body)) {
            differences.push(format!("function {name} is not as this version makes it"));
        }
    }
    let rows = rows(ROLE_SETTINGS).await?;
    let settings: BTreeSet<(String, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (role, setting) in role_settings(ddl::ROLES) {
        if !settings.contains(&(role.to_owned(), setting.clone())) {
            differences.push(format!("role {role} does not have {setting}: see `roles.sql`"));
        }
    }
    Ok(differences)
}

const FUNCTION_BODIES: &str = "
    select p.proname::text, p.prosrc from pg_proc p
     where p.pronamespace = 'public'::regnamespace
       and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')";

/// Of this database and of all; one of this database would win, and is told all the same.
const ROLE_SETTINGS: &str = "
    select r.rolname::text, own from pg_db_role_setting s
      join pg_roles r on r.oid = s.setrole
     cross join unnest(s.setconfig) own
     where s.setdatabase = 0
       and not exists (select from pg_db_role_setting near
                        where near.setrole = s.setrole
                          and near.setdatabase = (select oid from pg_database
                                                   where datname = current_database())
                          and exists (select from unnest(near.setconfig) other
                                       where split_part(other, '=', 1) = split_part(own, '=', 1)
                                         and other <> own))";

/// Names and bodies of the functions that a script makes.
fn bodies(script: &str) -> impl Iterator<Item = (&str, &str)> {
    script.split("create or replace function ").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once('(')?;
        let (_, rest) = rest.split_once("as $$")?;
        let (body, _) = rest.split_once("$$")?;
        Some((name, body))
    })
}

/// Roles and their settings, as the catalogue has them: `statement_timeout=15s`.
fn role_settings(script: &str) -> impl Iterator<Item = (&str, String)> {
    script.lines().filter_map(|line| {
        let (role, rest) = line.trim().strip_prefix("alter role ")?.split_once(" set ")?;
        let (name, value) = rest.trim_end_matches(';').split_once(" = ")?;
        Some((role, format!("{name}={}", value.trim_matches('\''))))
    })
}

/// Name of the partition that takes today's changes, if it is not there: every write would fail.
const PARTITION_OF_TODAY: &str = r#"
    select name from (select to_char(now() at time zone 'UTC', '"changes_y"YYYY"m"MM')) today (name)
    where to_regclass('public.' || name) is null
    union all select null limit 1"#;

/// Whether the requests' role would see every tenant's rows, or could make itself do so.
const ROLE_THAT_PASSES: &str = "
    select current_user::text,
           exists (select from pg_roles r
                    where (r.rolsuper or r.rolbypassrls or r.rolname = 'atlvs_owner')
                      and pg_has_role(current_user, r.oid, 'member'))";

/// Pure half of the check.
pub fn compare(registry: &Registry, catalog: &Catalog) -> Vec<String> {
    let mut missing = Vec::new();
    for member in registry.members() {
        table(member, catalog, &mut missing);
    }
    for definer in definers::of(registry) {
        function(&definer.name, catalog, &mut missing);
    }
    for table in ["changes", "outbox"] {
        if catalog.get(ObjectKind::Table, table, "").is_none() {
            missing.push(format!("table {table} is missing"));
        }
    }
    missing
}

/// A definer's function is one only with all three: its right, its owner, its search path.
fn function(name: &str, catalog: &Catalog, missing: &mut Vec<String>) {
    let head = format!("{name}(");
    let mut found = catalog.of(ObjectKind::Function).filter(|(key, _)| key.on.starts_with(&head));
    let Some((key, object)) = found.next() else {
        missing.push(format!("function {name} is missing"));
        return;
    };
    let definition = crate::schema::text(object);
    let owner = catalog.get(ObjectKind::Owner, &format!("function {}", key.on), "");
    let whole = definition.contains(" SECURITY DEFINER")
        && definition.contains("SET search_path TO 'pg_catalog', 'public'")
        && owner.map(crate::schema::text).as_deref() == Some("atlvs_definer");
    if !whole {
        missing.push(format!("function {name} is not the definer's with a search path"));
    }
}

fn table(member: &Member, catalog: &Catalog, missing: &mut Vec<String>) {
    let entity = member.entity;
    let name = entity.name;
    if catalog.get(ObjectKind::Table, name, "").is_none() {
        missing.push(format!("table {name} is missing"));
        return;
    }
    for column in ddl::columns(entity) {
        match catalog.column(name, &column.name) {
            None => missing.push(format!("column {name}.{} is missing", column.name)),
            Some(found) if found.sql_type != column.sql_type => missing.push(format!(
                "column {name}.{} is {}, not {}",
                column.name, found.sql_type, column.sql_type
            )),
            Some(_) => {}
        }
    }
    let mut demand = |kind: ObjectKind, what: &str, part: &str| {
        if catalog.get(kind, name, part).is_none() {
            missing.push(format!("{what} {part} of table {name} is missing"));
        }
    };
    for unique in entity.uniques {
        demand(ObjectKind::Index, "unique key", unique.name);
    }
    for column in ddl::search::column_names(entity) {
        demand(ObjectKind::Index, "index", &ddl::search::index(entity, column));
    }
    for check in entity.checks {
        demand(ObjectKind::Constraint, "check", check.name);
    }
    for link in &member.links {
        demand(ObjectKind::ForeignKey, "foreign key", &names::foreign_key(entity, link.field));
    }
    for trigger in ddl::trigger_names(entity) {
        demand(ObjectKind::Trigger, "trigger", &trigger);
    }
    for trigger in ddl::trigger_names(entity) {
        let found = catalog.get(ObjectKind::Trigger, name, &trigger).map(crate::schema::text);
        if found.is_some_and(|text| text.ends_with(" (disabled)")) {
            missing.push(format!("trigger {trigger} of table {name} is disabled"));
        }
    }
    row_security(entity, catalog, missing);
}

/// `ddl::TENANT` as the server prints it.
const TENANT_AS_PRINTED: &str =
    "(org_id = ( SELECT (NULLIF(current_setting('app.org_id'::text, true), ''::text))::uuid";

/// Without forced row-level security a fault elsewhere would show one tenant another's rows.
fn row_security(entity: &Entity, catalog: &Catalog, missing: &mut Vec<String>) {
    if entity.scope == Scope::Global {
        return;
    }
    let level = catalog.get(ObjectKind::RowSecurity, entity.name, "").map(crate::schema::text);
    if level.as_deref() != Some("forced") {
        missing.push(format!("row-level security of table {} is not forced", entity.name));
    }
    let policy = names::policy(entity);
    if catalog.get(ObjectKind::Policy, entity.name, &policy).is_none() {
        missing.push(format!("policy {policy} of table {} is missing", entity.name));
    }
    if !entity.portals.is_empty() {
        let name = names::portal_policy(entity);
        let policy = catalog.get(ObjectKind::Policy, entity.name, &name).map(crate::schema::text);
        let narrows = |text: &String| {
            text.starts_with("as RESTRICTIVE for ALL to atlvs_portal ")
                && text.contains("'app.portal_party'")
        };
        if !policy.is_some_and(|text| narrows(&text)) {
            missing.push(format!("policy {name} of table {} is missing", entity.name));
        }
    }
    // Policies add up: one that is wider than the organization opens the table.
    for (key, object) in catalog.of(ObjectKind::Policy).filter(|(key, _)| key.on == entity.name) {
        let text = crate::schema::text(object);
        let workers = entity.scope == Scope::Machine && text.contains(" to atlvs_work ");
        // Restrictive ones only take away.
        let narrows = text.starts_with("as RESTRICTIVE ");
        if !workers && !narrows && !text.contains(TENANT_AS_PRINTED) {
            missing.push(format!("policy {} of table {} is too wide", key.name, entity.name));
        }
    }
}
