//! The schema's history: numbered SQL files, forward only, and the runner that brings a database up
//! to them under an advisory lock. Knows no descriptor; `schema diff` proves that both agree.
//!
//! `0001_foundation.sql` is the generated schema as it was when the house was founded:
//! `cargo run -p backoffice -- schema print > migrations/0001_foundation.sql`. Until the first
//! release it is made anew; from then on every change is a file of its own.

use std::time::Duration;

use data_encoding::HEXLOWER;
use kernel::db::Admin;
use kernel::settings::Secret;
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// A file of this crate's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// File name without `.sql`: `0001_foundation`.
    pub name: &'static str,
    pub sql: &'static str,
}

macro_rules! migrations {
    ($($name:literal),+ $(,)?) => {
        /// Every migration, in order. A released file is never edited: its checksum is kept.
        pub const ALL: &[Migration] = &[$(
            Migration { name: $name, sql: include_str!(concat!("../", $name, ".sql")) },
        )+];
    };
}

migrations!["0001_foundation"];

/// Key of the advisory lock that one migrating process holds.
const LOCK: i64 = 4_146_003;
/// How long a second process waits for the first; then it fails and says so.
const LOCK_WAIT: Duration = Duration::from_secs(300);
/// What a statement of a migration waits for another's lock, so that requests do not queue behind.
const STATEMENT_LOCK_WAIT: Duration = Duration::from_secs(10);

/// What a run did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub applied: Vec<String>,
    /// In the database, unknown to this binary: a newer release was here, which is allowed.
    pub newer: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("{0}")]
    Database(String),
    #[error("migration {0} was edited after it ran: add a new file in its place")]
    Edited(String),
    #[error("migration {0} is older than one that ran: number it after the newest")]
    OutOfOrder(String),
    #[error("migration {name} failed: {cause}")]
    Failed { name: String, cause: String },
}

/// Applies what is missing, each file in a transaction of its own. `url` is the migrate role's.
pub async fn run(url: &Secret) -> Result<Report, MigrateError> {
    run_list(url, ALL).await
}

/// The texts alone, for replaying into a scratch database.
pub fn scripts() -> Vec<&'static str> {
    ALL.iter().map(|migration| migration.sql).collect()
}

/// Like [`run`], with another history.
pub async fn run_list(url: &Secret, list: &[Migration]) -> Result<Report, MigrateError> {
    let admin = Admin::connect(url).await.map_err(database)?;
    let report = locked(&admin, list).await;
    // Closing the session releases the lock, also after a failure.
    admin.close().await;
    report
}

async fn locked(admin: &Admin, list: &[Migration]) -> Result<Report, MigrateError> {
    let wait = |time: Duration| format!("set lock_timeout = {}", time.as_millis());
    admin.batch(&wait(LOCK_WAIT)).await.map_err(database)?;
    admin.query("select pg_advisory_lock($1)", &[&LOCK]).await.map_err(database)?;
    admin.batch(&wait(STATEMENT_LOCK_WAIT)).await.map_err(database)?;
    admin
        .batch(
            "begin; set local role atlvs_owner; set local client_min_messages = warning;
             create table if not exists schema_migrations (
                 name text primary key,
                 checksum text not null,
                 applied_at timestamptz not null default now()
             ); commit",
        )
        .await
        .map_err(database)?;
    let rows = admin
        .query("select name, checksum from schema_migrations order by name", &[])
        .await
        .map_err(database)?;
    let applied: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let plan = plan(list, &applied)?;
    for migration in &plan.pending {
        apply(admin, migration).await?;
        tracing::info!(migration = migration.name, "migration applied");
    }
    let applied = plan.pending.iter().map(|migration| migration.name.to_owned()).collect();
    Ok(Report { applied, newer: plan.newer })
}

#[derive(Debug, PartialEq, Eq)]
struct Plan {
    pending: Vec<Migration>,
    newer: Vec<String>,
}

/// Pure: what to run, given what ran (name, checksum).
fn plan(list: &[Migration], applied: &[(String, String)]) -> Result<Plan, MigrateError> {
    let mut pending = Vec::new();
    let newest = applied.iter().map(|(name, _)| name.as_str()).max().unwrap_or_default();
    for migration in list {
        match applied.iter().find(|(name, _)| name == migration.name) {
            Some((name, sum)) if *sum != checksum(migration.sql) => {
                return Err(MigrateError::Edited(name.clone()));
            }
            Some(_) => {}
            None if migration.name < newest => {
                return Err(MigrateError::OutOfOrder(migration.name.to_owned()));
            }
            None => pending.push(*migration),
        }
    }
    let known = |name: &String| list.iter().any(|migration| migration.name == name);
    let newer = applied.iter().map(|(name, _)| name.clone()).filter(|name| !known(name)).collect();
    Ok(Plan { pending, newer })
}

async fn apply(admin: &Admin, migration: &Migration) -> Result<(), MigrateError> {
    let failed = |cause: kernel::error::Error| MigrateError::Failed {
        name: migration.name.to_owned(),
        cause: cause.log_text(),
    };
    admin.batch("begin").await.map_err(failed)?;
    // Filtered rows would be a silent half of a data move; so filtering is an error.
    let script = format!("set local row_security = off;\n{}", migration.sql);
    if let Err(cause) = admin.batch(&script).await {
        admin.batch("rollback").await.map_err(failed)?;
        return Err(failed(cause));
    }
    admin.batch("reset role").await.map_err(failed)?;
    admin
        .execute(
            "insert into schema_migrations (name, checksum) values ($1, $2)",
            &[&migration.name, &checksum(migration.sql)],
        )
        .await
        .map_err(failed)?;
    admin.batch("commit").await.map_err(failed)
}

fn checksum(sql: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(sql.as_bytes()))
}

fn database(cause: kernel::error::Error) -> MigrateError {
    MigrateError::Database(cause.log_text())
}
