//! `schema diff`: replays the migrations into one scratch database and the generated DDL into
//! another, compares the catalogues and prints what is missing as the text of a migration.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::catalog::{Catalog, Object, ObjectKind};
use crate::db::Admin;
use crate::error::Result;
use crate::kind_sql::second_column;
use crate::registry::Registry;
use crate::settings::Secret;

mod diff;
#[cfg(test)]
mod tests;

pub use diff::diff;

/// A column that has another name now, said by `.was("old")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    pub table: String,
    pub old: String,
    pub new: String,
}

/// What the next migration has to say, as SQL; empty when the migrations make the schema that the
/// descriptors describe. `url` is the migrate role's, on any database of the cluster.
pub async fn pending(url: &Secret, registry: &Registry, migrations: &[&str]) -> Result<String> {
    let replayed = scratch(url, "replayed", migrations).await?;
    let generated = scratch(url, "generated", &[&crate::ddl::script(registry)]).await?;
    let statements = diff(&replayed, &generated, &renames(registry));
    if statements.is_empty() {
        return Ok(String::new());
    }
    // The migrate role itself runs it: foreign keys are validated over rows that policies would
    // hide from the owner. What it makes is handed to the owner.
    let mut text = format!("-- Move data where a statement needs it.\n{}\n", crate::ddl::PREAMBLE);
    for statement in statements {
        text.push_str(&statement);
        text.push('\n');
    }
    Ok(text)
}

/// The renames that descriptors say; they stay there harmlessly once the migration is written.
pub fn renames(registry: &Registry) -> Vec<Rename> {
    let mut renames = Vec::new();
    for entity in registry.entities() {
        for field in entity.fields {
            let Some(old) = field.was else { continue };
            let mut put = |old: String, new: String| {
                renames.push(Rename { table: entity.name.to_owned(), old, new });
            };
            put(old.to_owned(), field.name.to_owned());
            let second = |name| second_column(field.kind, name);
            if let (Some(old), Some(new)) = (second(old), second(field.name)) {
                put(old, new);
            }
        }
    }
    renames
}

/// The catalogue that the scripts make in an empty database, which is dropped again.
async fn scratch(url: &Secret, purpose: &str, scripts: &[&str]) -> Result<Catalog> {
    // Two comparisons may run in one process, and two processes on one server.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let turn = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("atlvs_scratch_{}_{turn}_{purpose}", std::process::id());
    let admin = Admin::connect(url).await?;
    // Without force, which is refused while the server itself cleans there: the server ends its own
    // work and waits some seconds for ours.
    let drop = format!("drop database if exists {name}");
    admin.batch(&drop).await?;
    admin.batch(&format!("create database {name} owner atlvs_owner template template0")).await?;
    let catalog = fill(&with_database(url, &name), scripts).await;
    admin.batch(&drop).await?;
    admin.close().await;
    catalog
}

async fn fill(url: &Secret, scripts: &[&str]) -> Result<Catalog> {
    let admin = Admin::connect(url).await?;
    for script in scripts {
        admin.batch("begin").await?;
        admin.batch(script).await?;
        admin.batch("commit").await?;
    }
    let catalog = Catalog::read(&admin).await;
    admin.close().await;
    catalog
}

/// The same server and role, another database. Both forms are known: URL and `key=value` words, of
/// which the last one counts.
pub fn with_database(url: &Secret, name: &str) -> Secret {
    let text = url.expose();
    let Some(start) = text.find("://") else {
        return Secret::new(format!("{text} dbname={name}"));
    };
    let host = start + "://".len();
    let (before, query) = text.split_once('?').unwrap_or((text, ""));
    let server =
        before[host..].split_once('/').map_or(before, |(hosts, _)| &before[..host + hosts.len()]);
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    Secret::new(format!("{server}/{name}{query}"))
}

/// Tables that neither a descriptor nor the internal list knows.
pub fn strangers(catalog: &Catalog, registry: &Registry) -> Vec<String> {
    let internal: Vec<&str> = crate::ddl::INTERNAL_TABLES
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    catalog
        .tables()
        .filter(|table| registry.entity(table).is_none() && !internal.contains(table))
        .map(str::to_owned)
        .collect()
}

/// Text of an object, for reports.
pub(crate) fn text(object: &Object) -> String {
    match object {
        Object::Column(column) => crate::ddl::column_sql(column),
        Object::Text(text) => text.clone(),
    }
}

/// Kinds whose name stands in the schema's own name space.
pub(crate) fn is_table_part(kind: ObjectKind) -> bool {
    !matches!(
        kind,
        ObjectKind::Extension
            | ObjectKind::Sequence
            | ObjectKind::Function
            | ObjectKind::Owner
            | ObjectKind::Grant
            | ObjectKind::Stray
    )
}
