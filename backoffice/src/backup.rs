//! `backoffice backup` and `restore`: a dump by the server's own tools from one snapshot, and beside
//! it what every table held, so that a restored copy can be compared row by row. Knows no table by
//! name. Passwords go to the tools by their environment, never as arguments.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::Command;
use std::str::FromStr as _;

use kernel::db::Admin;
use kernel::settings::Secret;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::Failure;

const DUMP: &str = "database.dump";
const MANIFEST: &str = "manifest.json";
/// Version of the manifest's form.
const FORMAT: u32 = 1;
/// Owner only: a backup holds everything.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Bytes read at once for the checksum.
const CHUNK: usize = 64 * 1024;

/// Every table with its rows and a sum over their texts, which no order of rows changes.
const TABLES: &str = "select c.relname::text from pg_class c \
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') \
       and not c.relispartition order by 1";

/// Writes a backup into `directory`, which must not exist; answers what it holds.
pub(crate) async fn backup(url: &Secret, directory: &Path) -> Result<String, Failure> {
    let at = |cause| Failure::new(format!("{}: {cause}", directory.display()));
    fs::DirBuilder::new().mode(DIRECTORY_MODE).create(directory).map_err(at)?;
    let admin = Admin::connect(url).await?;
    // The dump and the sums see the same moment.
    admin.batch("begin isolation level repeatable read read only").await?;
    let snapshot: String =
        admin.query_one("select pg_export_snapshot()", &[]).await?.try_get(0).map_err(said)?;
    let file = directory.join(DUMP);
    let mut dump = tool("pg_dump", url)?;
    dump.args(["--format=custom", "--snapshot", &snapshot, "--file"]).arg(&file);
    run(dump).await?;
    let tables = tables(&admin).await?;
    let schema = schema(&admin).await?;
    admin.batch("rollback").await?;
    admin.close().await;
    let manifest = json!({
        "format": FORMAT,
        "schema": schema,
        "files": {DUMP: checksum(&file)?},
        "tables": tables,
    });
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    let mut out = options.open(directory.join(MANIFEST)).map_err(at)?;
    std::io::Write::write_all(&mut out, format!("{manifest:#}\n").as_bytes()).map_err(at)?;
    // The manifest comes last and lasts: a directory without one is no backup.
    out.sync_all().map_err(at)?;
    Ok(format!("{} tables in {}\n", tables.len(), directory.display()))
}

/// Fills the database of `url` (a superuser's, since roles and owners come back), which must be
/// empty, and compares every table with the manifest.
pub(crate) async fn restore(url: &Secret, directory: &Path) -> Result<String, Failure> {
    let manifest = manifest(directory)?;
    let file = directory.join(DUMP);
    let told = manifest.pointer(&format!("/files/{DUMP}")).and_then(Value::as_str);
    if told != Some(checksum(&file)?.as_str()) {
        return Err(Failure::new(format!(
            "{}: the checksum is not the manifest's",
            file.display()
        )));
    }
    let admin = Admin::connect(url).await?;
    if !admin.query(TABLES, &[]).await?.is_empty() {
        return Err(Failure::new("the database holds tables already: restore into an empty one"));
    }
    admin.batch("begin").await?;
    admin.batch(::kernel::ddl::ROLES).await?;
    admin.batch("commit").await?;
    let mut restore = tool("pg_restore", url)?;
    restore.args(["--exit-on-error", "--single-transaction", "--dbname"]);
    restore.arg(settings(url)?.get_dbname().unwrap_or("postgres")).arg(&file);
    run(restore).await?;
    admin.batch("begin isolation level repeatable read read only").await?;
    let (tables, schema) = (tables(&admin).await?, schema(&admin).await?);
    admin.batch("rollback").await?;
    admin.close().await;
    if manifest.get("schema") != Some(&schema) {
        return Err(Failure::new("the migrations are not those of the manifest"));
    }
    let told = manifest.get("tables").and_then(Value::as_object).cloned().unwrap_or_default();
    let names = told.keys().chain(tables.keys());
    let wrong: Vec<&String> = names.filter(|name| told.get(*name) != tables.get(*name)).collect();
    if !wrong.is_empty() {
        return Err(Failure::new(format!("these tables are not what was saved: {wrong:?}")));
    }
    // Without figures of its tables the first hour of a database is its slowest.
    let admin = Admin::connect(url).await?;
    admin.batch("analyze").await?;
    admin.close().await;
    let held = kernel::installation::held(url).await?;
    let held =
        held.map_or_else(String::new, |why| format!("held ({why}): see `backoffice release`\n"));
    Ok(format!("{} tables restored and compared\n{held}", tables.len()))
}

fn manifest(directory: &Path) -> Result<Value, Failure> {
    let path = directory.join(MANIFEST);
    let at = |cause: String| Failure::new(format!("{}: {cause}", path.display()));
    let text = fs::read_to_string(&path).map_err(|cause| at(cause.to_string()))?;
    let manifest: Value = serde_json::from_str(&text).map_err(|cause| at(cause.to_string()))?;
    match manifest.get("format").and_then(Value::as_u64) == Some(u64::from(FORMAT)) {
        true => Ok(manifest),
        false => Err(at(format!("is not of format {FORMAT}"))),
    }
}

async fn tables(admin: &Admin) -> Result<Map<String, Value>, Failure> {
    admin.batch("set local timezone = 'UTC'; set local extra_float_digits = 1").await?;
    let mut all = Map::new();
    for row in admin.query(TABLES, &[]).await? {
        let name: String = row.try_get(0).map_err(said)?;
        let quoted = name.replace('"', "\"\"");
        let sql = format!(
            "select count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text \
               from \"{quoted}\" t"
        );
        let row = admin.query_one(&sql, &[]).await?;
        let rows: i64 = row.try_get(0).map_err(said)?;
        let sum: String = row.try_get(1).map_err(said)?;
        all.insert(name, json!({"rows": rows, "sum": sum}));
    }
    Ok(all)
}

/// Names of the migrations that made the schema, in order.
async fn schema(admin: &Admin) -> Result<Value, Failure> {
    let there = "select to_regclass('public.schema_migrations') is not null";
    if !admin.query_one(there, &[]).await?.try_get::<_, bool>(0).map_err(said)? {
        return Ok(json!([]));
    }
    let sql = "select coalesce(jsonb_agg(to_jsonb(m) -> 'name' order by to_jsonb(m) ->> 'name'), \
                               '[]') from schema_migrations m";
    admin.query_one(sql, &[]).await?.try_get(0).map_err(said)
}

fn said(cause: impl std::fmt::Display) -> Failure {
    Failure::new(cause)
}

fn settings(url: &Secret) -> Result<kernel::db::Config, Failure> {
    // The driver's message may quote the URL, which holds a password.
    kernel::db::Config::from_str(url.expose())
        .map_err(|_| Failure::new("the database URL cannot be read"))
}

/// A tool of the server that finds the database by its environment.
fn tool(name: &str, url: &Secret) -> Result<Command, Failure> {
    use kernel::db::Host;
    let config = settings(url)?;
    let mut command = Command::new(name);
    command.arg("--no-password");
    match config.get_hosts().first() {
        Some(Host::Tcp(host)) => command.env("PGHOST", host),
        Some(Host::Unix(path)) => command.env("PGHOST", path),
        None => return Err(Failure::new("the database URL names no host")),
    };
    command.env("PGPORT", config.get_ports().first().copied().unwrap_or(5432).to_string());
    command.env("PGUSER", config.get_user().unwrap_or("postgres"));
    command.env("PGDATABASE", config.get_dbname().unwrap_or("postgres"));
    if let Some(password) = config.get_password() {
        command.env("PGPASSWORD", String::from_utf8_lossy(password).as_ref());
    }
    Ok(command)
}

async fn run(mut command: Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = tokio::task::spawn_blocking(move || command.output()).await;
    let output = done.map_err(Failure::new)?.map_err(|c| Failure::new(format!("{name}: {c}")))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(Failure::new(format!("{name}: {}", words.trim_end())))
        }
    }
}

fn checksum(path: &Path) -> Result<String, Failure> {
    let at = |cause| Failure::new(format!("{}: {cause}", path.display()));
    let mut file = fs::File::open(path).map_err(at)?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        let count = file.read(&mut chunk).map_err(at)?;
        match chunk.get(..count) {
            Some(bytes) if count > 0 => hash.update(bytes),
            _ => break,
        }
    }
    Ok(data_encoding::HEXLOWER.encode(&hash.finalize()))
}
