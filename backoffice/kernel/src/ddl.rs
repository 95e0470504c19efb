//! Descriptors in, ordered statements out: tables, keys, policies, grants, triggers, with object
//! names that depend on nothing but the descriptors. Pure: no connection, no clock.

use std::fmt::Write as _;

use crate::entity::{Entity, Field, Kind, OnDelete, Scope};
use crate::kind_sql::{self, Column, literal};
use crate::registry::{Link, Member, Registry};

pub mod definers;
pub mod names;
mod portal;
pub mod search;
pub mod sweep;
#[cfg(test)]
mod tests;

/// Roles, once per cluster, by a superuser.
pub const ROLES: &str = include_str!("../sql/roles.sql");
/// Tables without a descriptor, one a line.
pub const INTERNAL_TABLES: &str = include_str!("../sql/internal.txt");

const BASE: &str = include_str!("../sql/base.sql");
const SEARCH: &str = include_str!("../sql/search.sql");
/// Who may execute what no list names.
const FUNCTIONS: &str = include_str!("../sql/functions.sql");
const CHANGES: &str = include_str!("../sql/changes.sql");
/// Ends every statement of `CHANGES` that makes entries of the log, where `LOG_MARK` stands: they are
/// salted, proved, logged and put into the outbox.
const LOG: &str = include_str!("../sql/changes_log.sql");
const LOG_MARK: &str = "/* log */";

/// The tenant predicate. The sub-select is evaluated once a query, not once a row; an unset
/// organization is null and shows nothing.
pub const TENANT: &str = "org_id = (select nullif(current_setting('app.org_id', true), '')::uuid)";
const ACTIVE_ORG: &str = "nullif(current_setting('app.org_id', true), '')::uuid";

/// How every script of the schema begins. Bodies of functions are not planned when they are made:
/// they may name later tables, and planning one over a tenant table is refused while
/// `row_security` is off.
pub const PREAMBLE: &str = "set local check_function_bodies = off;\n";

/// A titled part of the script; parts run in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub title: String,
    pub sql: String,
}

/// The whole schema in the order in which it can be created on an empty database, by a member of
/// `atlvs_owner`.
pub fn sections(registry: &Registry) -> Vec<Section> {
    let mut sections = vec![
        section("Everything is the owner's", format!("{PREAMBLE}set local role atlvs_owner;\n")),
        section("Base", BASE.to_owned()),
        section("Search", SEARCH.to_owned()),
        section("Change log and outbox", CHANGES.replace(LOG_MARK, LOG.trim_end())),
    ];
    for domain in registry.domains() {
        let members = || registry.members().iter().filter(|m| m.domain.name == domain.name);
        for member in members() {
            sections.push(section(&member.qualified, table(member)));
        }
    }
    sections.push(section("Links", each(registry, foreign_keys)));
    sections.push(section("Row-level security and grants", each(registry, rights)));
    for domain in registry.domains() {
        for (file, sql) in domain.sql {
            sections.push(section(&format!("{}/{file}", domain.name), (*sql).to_owned()));
        }
    }
    let searches = registry.entities().map(|entity| search::functions(registry, entity)).collect();
    sections.push(section("Search functions", searches));
    let sweeps = registry.entities().map(sweep::functions).collect();
    sections.push(section("Sweep functions", sweeps));
    sections.push(section("Triggers", each(registry, triggers)));
    sections.push(section("Functions of the definer", definers::sql(registry)));
    sections.push(section("Functions of nobody in particular", FUNCTIONS.to_owned()));
    sections.push(section("Partitions", "select make_change_partitions();\n".to_owned()));
    if crate::installation::is_told(registry) {
        sections.push(section("Installation", "select settle_here();\n".to_owned()));
    }
    sections.retain(|section| !section.sql.trim().is_empty());
    sections
}

/// The sections as one script: what `backoffice schema print` shows.
pub fn script(registry: &Registry) -> String {
    let mut script = String::new();
    for section in sections(registry) {
        put(
            &mut script,
            format_args!("-- === {} ===\n\n{}\n", section.title, section.sql.trim_end()),
        );
        script.push('\n');
    }
    script.truncate(script.trim_end().len());
    script.push('\n');
    script
}

/// The columns that an entity uses, standard ones first.
pub fn columns(entity: &Entity) -> Vec<Column> {
    let mut columns = Vec::new();
    let org = column("org_id", "uuid", Some(ACTIVE_ORG));
    match entity.scope {
        Scope::Tenant | Scope::Machine => columns.push(org),
        Scope::Global => {}
    }
    columns.push(column("id", "uuid", Some("uuid7()")));
    if is_versioned(entity) {
        columns.push(column("version", "bigint", Some("1")));
    }
    columns.push(column("created_at", "timestamp with time zone", Some("now()")));
    if is_versioned(entity) {
        columns.push(column("updated_at", "timestamp with time zone", Some("now()")));
    }
    if entity.soft_deletes() {
        columns.push(Column {
            not_null: false,
            ..column("deleted_at", "timestamp with time zone", None)
        });
    }
    columns.extend(entity.fields.iter().flat_map(kind_sql::columns));
    if has_custom_fields(entity) {
        columns.push(column("custom", "jsonb", Some("'{}'::jsonb")));
    }
    columns.extend(search::columns(entity));
    columns
}

/// Columns that only the former release uses: this one leaves them empty.
fn retired_columns(entity: &Entity) -> Vec<Column> {
    let columns = entity.retired.iter().flat_map(kind_sql::columns);
    columns.map(|column| Column { not_null: false, ..column }).collect()
}

/// Rows that change carry a version; logs and machine rows do not.
pub fn is_versioned(entity: &Entity) -> bool {
    !entity.log && entity.scope != Scope::Machine
}

/// Organizations may add fields to every tenant entity that people edit.
pub fn has_custom_fields(entity: &Entity) -> bool {
    !entity.log && entity.scope == Scope::Tenant
}

/// Columns of the primary key, in order.
pub fn primary_key(entity: &Entity) -> &'static [&'static str] {
    match entity.scope {
        Scope::Tenant => &["org_id", "id"],
        Scope::Global | Scope::Machine => &["id"],
    }
}

fn section(title: &str, sql: String) -> Section {
    Section { title: title.to_owned(), sql }
}

fn column(name: &str, sql_type: &str, default: Option<&str>) -> Column {
    Column {
        name: name.to_owned(),
        sql_type: sql_type.to_owned(),
        not_null: true,
        default: default.map(str::to_owned),
        generated: None,
    }
}

fn each(registry: &Registry, part: fn(&Member) -> String) -> String {
    registry.members().iter().map(part).filter(|sql| !sql.is_empty()).collect()
}

/// Writing into a `String` cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

// === Tables ===

fn table(member: &Member) -> String {
    let entity = member.entity;
    let mut parts: Vec<String> =
        columns(entity).iter().chain(&retired_columns(entity)).map(column_sql).collect();
    parts.push(format!(
        "constraint {} primary key ({})",
        names::primary_key(entity),
        primary_key(entity).join(", ")
    ));
    for field in entity.fields {
        if let Some(check) = kind_sql::check(field) {
            parts.push(format!("constraint {} check ({check})", names::check(entity, field)));
        }
    }
    for check in entity.checks {
        parts.push(format!("constraint {} check ({})", check.name, check.sql));
    }
    let mut sql = format!("create table {} (\n    {}\n);\n", entity.name, parts.join(",\n    "));
    for index in indexes(member) {
        put(&mut sql, format_args!("{index};\n"));
    }
    sql
}

pub fn column_sql(column: &Column) -> String {
    let mut sql = format!("{} {}", column.name, column.sql_type);
    if let Some(expression) = &column.generated {
        put(&mut sql, format_args!(" generated always as ({expression}) stored"));
    }
    if let Some(default) = &column.default {
        put(&mut sql, format_args!(" default {default}"));
    }
    if column.not_null {
        sql.push_str(" not null");
    }
    sql
}

/// Unique keys, named indexes, and one index for each link that none of these serves.
fn indexes(member: &Member) -> Vec<String> {
    let entity = member.entity;
    // Deleted rows give their keys free.
    let live = if entity.soft_deletes() { " where deleted_at is null" } else { "" };
    let mut sql = Vec::new();
    for unique in entity.uniques {
        sql.push(format!(
            "create unique index {} on {} ({}){live}",
            unique.name,
            entity.name,
            key(entity, unique.fields)
        ));
    }
    for fields in entity.indexes {
        sql.push(format!(
            "create index {} on {} ({})",
            names::index(entity, fields),
            entity.name,
            key(entity, fields)
        ));
    }
    for field in entity.lookups {
        let name = names::lookup(entity, field);
        sql.push(format!("create index {name} on {} ({field})", entity.name));
    }
    for field in names::link_indexes(member) {
        sql.push(format!(
            "create index {} on {} ({})",
            names::index(entity, &[field]),
            entity.name,
            key(entity, &[field])
        ));
    }
    sql.extend(search::indexes(entity));
    sql.extend(sweep::indexes(entity));
    sql
}

/// Tenant keys begin with the organization, so that they serve its queries and never span two.
fn key(entity: &Entity, fields: &[&str]) -> String {
    let org: &[&str] = if entity.scope == Scope::Tenant { &["org_id"] } else { &[] };
    [org, fields].concat().join(", ")
}

// === Links ===

/// Referential checks pass row-level security: only a key with the organization in it keeps a row
/// from naming another tenant's.
fn foreign_keys(member: &Member) -> String {
    let mut sql = String::new();
    for link in &member.links {
        put(&mut sql, format_args!("{};\n", foreign_key(member.entity, link)));
    }
    sql
}

fn foreign_key(entity: &Entity, link: &Link) -> String {
    let (from, to) = if link.target.scope == Scope::Tenant {
        (format!("org_id, {}", link.field.name), "org_id, id")
    } else {
        (link.field.name.to_owned(), "id")
    };
    let on_delete = match link.field.kind {
        Kind::Link { on_delete: OnDelete::Cascade, .. } => " on delete cascade",
        _ => "",
    };
    format!(
        "alter table {} add constraint {} foreign key ({from}) references {} ({to}){on_delete}",
        entity.name,
        names::foreign_key(entity, link.field),
        link.target.name
    )
}

// === Rights ===

fn rights(member: &Member) -> String {
    let entity = member.entity;
    let name = entity.name;
    let policy = names::policy(entity);
    let forced = format!(
        "alter table {name} enable row level security;\nalter table {name} force row level security;\n"
    );
    match entity.scope {
        Scope::Tenant => {
            // Engine and actions delete by `deleted_at`; nobody removes a row.
            let app = if entity.log { "select, insert" } else { "select, insert, update" };
            format!(
                "{forced}create policy {policy} on {name} using ({TENANT}) with check ({TENANT});\n\
                 grant {app} on {name} to atlvs_app;\ngrant select on {name} to atlvs_definer;\n{}{}{}",
                unlogged_rights(entity),
                portal::rights(entity),
                sweep::rights(entity)
            )
        }
        Scope::Global => {
            format!("grant select, insert, update, delete on {name} to atlvs_definer;\n")
        }
        Scope::Machine => format!(
            "{forced}create policy {policy} on {name} to atlvs_work using (true) with check (true);\n\
             grant insert on {name} to atlvs_definer;\n\
             grant select, insert, update, delete on {name} to atlvs_work;\n{}{}{}",
            filled_by_requests(entity),
            shown_to_its_organization(entity),
            sweep::rights(entity)
        ),
    }
}

/// What the definer's functions write outside the change log.
fn unlogged_rights(entity: &Entity) -> String {
    let fields = entity.fields.iter().filter(|field| field.unlogged);
    let names: Vec<&str> = fields.map(|field| field.name).collect();
    match names.is_empty() {
        true => String::new(),
        false => {
            format!("grant update ({}) on {} to atlvs_definer;\n", names.join(", "), entity.name)
        }
    }
}

/// Whoever may put rows into a table of the machinery may forge its work, so few may.
fn filled_by_requests(entity: &Entity) -> String {
    let name = entity.name;
    if !entity.enqueued {
        return String::new();
    }
    format!(
        "create policy {name}_enqueue on {name} for insert to atlvs_app with check ({TENANT});\n\
         grant insert on {name} to atlvs_app;\n"
    )
}

fn shown_to_its_organization(entity: &Entity) -> String {
    let name = entity.name;
    if !entity.readable {
        return String::new();
    }
    format!(
        "create policy {name}_read on {name} for select to atlvs_app using ({TENANT});\n\
         grant select on {name} to atlvs_app, atlvs_definer;\n"
    )
}

// === Triggers ===

fn triggers(member: &Member) -> String {
    let entity = member.entity;
    let name = entity.name;
    let mut sql = String::new();
    for trigger in trigger_names(entity) {
        let (moment, function) = match trigger.strip_prefix(name) {
            Some("_append_only") => {
                ("before update or delete".to_owned(), "append_only()".to_owned())
            }
            Some("_touch") => {
                (format!("before update{}", logged_columns(entity)), "touch()".to_owned())
            }
            _ => {
                put(&mut sql, format_args!("{}", change_trigger(entity, &trigger)));
                continue;
            }
        };
        put(
            &mut sql,
            format_args!(
                "create trigger {trigger} {moment} on {name}\n    \
                 for each row execute function {function};\n"
            ),
        );
    }
    sql
}

/// Ends of the names of the triggers that write the change log, the statement each follows, and
/// what it reads: once a statement, however many rows that has.
const CHANGE_TRIGGERS: &[(&str, &str, &str)] = &[
    ("_change_insert", "insert", "new table as new_rows"),
    ("_change_update", "update", "old table as old_rows new table as new_rows"),
    ("_change_delete", "delete", "old table as old_rows"),
];

fn change_trigger(entity: &Entity, trigger: &str) -> String {
    let name = entity.name;
    let parts = CHANGE_TRIGGERS.iter().find(|(end, ..)| trigger.ends_with(end));
    let Some((_, event, tables)) = parts else { return String::new() };
    let list = |names: &[String]| literal(&format!("{{{}}}", names.join(",")));
    let fields = || entity.fields.iter().chain(entity.retired);
    let named = |chosen: fn(&Field) -> bool| -> Vec<String> {
        fields().filter(|field| chosen(field)).map(|field| field.name.to_owned()).collect()
    };
    let secret = named(|field| field.secret && !field.unlogged);
    let mut untold = named(|field| field.unlogged);
    // They follow from fields that are told.
    untold.extend(search::column_names(entity).into_iter().map(str::to_owned));
    let json = named(|field| field.kind == Kind::Json && !field.secret && !field.unlogged);
    format!(
        "create trigger {trigger} after {event} on {name} referencing {tables}\n    \
         for each statement execute function record_changes({}, {}, {});\n",
        list(&secret),
        list(&untold),
        list(&json)
    )
}

/// ` of …` with the columns whose change is told; empty when that is every column.
fn logged_columns(entity: &Entity) -> String {
    if !entity.fields.iter().any(|field| field.unlogged) {
        return String::new();
    }
    let unlogged = |name: &str| entity.field(name).is_some_and(|field| field.unlogged);
    let columns = columns(entity).into_iter().chain(retired_columns(entity));
    let told = columns.filter(|column| column.generated.is_none() && !unlogged(&column.name));
    let names: Vec<String> = told.map(|column| column.name).collect();
    format!(" of {}", names.join(", "))
}

/// Triggers that the generator gives an entity.
pub fn trigger_names(entity: &Entity) -> Vec<String> {
    let mut names = Vec::new();
    if entity.log {
        names.push(format!("{}_append_only", entity.name));
    }
    if is_versioned(entity) {
        names.push(format!("{}_touch", entity.name));
    }
    if entity.scope == Scope::Tenant && !entity.log {
        let ends = CHANGE_TRIGGERS.iter().map(|(end, ..)| format!("{}{end}", entity.name));
        names.extend(ends);
    }
    names
}
