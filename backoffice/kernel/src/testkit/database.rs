//! One database a test process, made from the schema's scripts and dropped by a later process.

use std::str::FromStr;

use tokio::sync::OnceCell;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::db::Admin;
use crate::error::{Error, Result};
use crate::schema::with_database;
use crate::settings::Secret;

/// Names the server of the tests: a superuser's URL.
const SERVER_VARIABLE: &str = "ATLVS_TEST_PG";
/// Key of the advisory lock under which a process prepares the cluster; `roles.sql` takes it too.
const CLUSTER_LOCK: i64 = 4_146_001;
/// Password of the roles on a server of tests, which listens to this machine alone.
const PASSWORD: &str = "atlvs-test";

/// A database with the schema in it, and how each role reaches it.
#[derive(Debug)]
pub struct TestDb {
    pub name: String,
    pub superuser_url: Secret,
    pub migrate_url: Secret,
    pub app_url: Secret,
    pub portal_url: Secret,
    pub work_url: Secret,
}

static SHARED: OnceCell<TestDb> = OnceCell::const_new();

impl TestDb {
    /// The database of this process; the first caller makes it from `scripts` (generated DDL or
    /// migrations), so all tests of one binary share one schema.
    pub async fn shared(scripts: &[&str]) -> Result<&'static TestDb> {
        SHARED.get_or_try_init(|| Self::create("shared", scripts)).await
    }

    /// A database of its own, for tests that need an empty or a broken one.
    pub async fn create(purpose: &str, scripts: &[&str]) -> Result<TestDb> {
        let server = server()?;
        let admin = Admin::connect(&server).await?;
        let name = format!("atlvs_test_{}_{purpose}", std::process::id());
        let prepared = prepare(&admin, &name).await;
        admin.close().await;
        prepared?;
        let database = Self {
            superuser_url: with_database(&server, &name),
            migrate_url: role_url(&server, "atlvs_migrate", &name)?,
            app_url: role_url(&server, "atlvs_app", &name)?,
            portal_url: role_url(&server, "atlvs_portal", &name)?,
            work_url: role_url(&server, "atlvs_work", &name)?,
            name,
        };
        if !scripts.is_empty() {
            let migrate = Admin::connect(&database.migrate_url).await?;
            for script in scripts {
                migrate.batch("begin").await?;
                migrate.batch(script).await?;
                migrate.batch("commit").await?;
            }
            migrate.close().await;
        }
        Ok(database)
    }

    /// A connection that passes every policy, to arrange and to look.
    pub async fn superuser(&self) -> Result<Admin> {
        Admin::connect(&self.superuser_url).await
    }

    /// A connection of the portals' role outside the engine, to prove what the database refuses.
    pub async fn portal(&self) -> Result<Admin> {
        let portal = Admin::connect(&self.portal_url).await?;
        portal.batch("set row_security = on").await?;
        Ok(portal)
    }

    /// A connection of role app outside the engine, to prove what the database refuses.
    pub async fn app(&self) -> Result<Admin> {
        let app = Admin::connect(&self.app_url).await?;
        app.batch("set row_security = on").await?;
        Ok(app)
    }
}

fn server() -> Result<Secret> {
    super::setting(SERVER_VARIABLE).map(Secret::new).ok_or_else(|| {
        Error::internal(format!(
            "{SERVER_VARIABLE} names no PostgreSQL server for tests: run ./ops/test"
        ))
    })
}

/// Roles, and an empty database; databases of processes that ended are dropped.
async fn prepare(admin: &Admin, name: &str) -> Result<()> {
    admin.query("select pg_advisory_lock($1)", &[&CLUSTER_LOCK]).await?;
    admin.batch(crate::ddl::ROLES).await?;
    for role in ["atlvs_migrate", "atlvs_app", "atlvs_portal", "atlvs_work"] {
        admin.batch(&format!("alter role {role} password '{PASSWORD}'")).await?;
    }
    let rows = admin
        .query(r"select datname::text from pg_database where datname like 'atlvs\_test\_%'", &[])
        .await?;
    for row in rows {
        let other: String = row.get(0);
        if other == name || !is_alive(&other) {
            admin.batch(&format!("drop database if exists {other} with (force)")).await?;
        }
    }
    admin.batch(&format!("create database {name} owner atlvs_owner template template0")).await?;
    admin.query("select pg_advisory_unlock($1)", &[&CLUSTER_LOCK]).await?;
    Ok(())
}

/// Whether the process that a database is named after still runs.
fn is_alive(database: &str) -> bool {
    let pid = database.split('_').nth(2).unwrap_or_default();
    std::path::Path::new("/proc").join(pid).exists()
}

/// The same server for another role, in the `key=value` form, which knows sockets and addresses.
fn role_url(server: &Secret, role: &str, database: &str) -> Result<Secret> {
    let config = Config::from_str(server.expose())
        .map_err(|_| Error::internal(format!("{SERVER_VARIABLE} is not a PostgreSQL URL")))?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => return Err(Error::internal(format!("{SERVER_VARIABLE} names no host"))),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    Ok(Secret::new(format!(
        "host={host} port={port} user={role} password={PASSWORD} dbname={database}"
    )))
}
