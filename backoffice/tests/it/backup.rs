//! A backup restored into a cluster that was made a moment ago: the same tables, schema and roles,
//! and a service on it that lets people in.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kernel::db::Admin;
use kernel::settings::Secret;
use kernel::testkit::{PASSWORD, TestDb, TestServer};
use serde_json::json;

use crate::registry;
use crate::sale::Sale;

/// Set for each role after a restore, as the handbook says.
const ROLE_PASSWORD: &str = "restored";

/// A PostgreSQL server of the test's own; stopped and removed when this is dropped.
pub(crate) struct Cluster {
    directory: PathBuf,
    port: u16,
}

impl Cluster {
    /// `purpose` is unlike that of every other cluster of this process.
    pub(crate) fn start(purpose: &str, more: &str) -> Self {
        let name = format!("atlvs-{purpose}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let cluster = Self { directory, port };
        let data = cluster.data();
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&cluster.directory).status();
            assert!(owned.unwrap().success());
        }
        cluster.tool("initdb", &format!("-D {data} -U postgres -A trust -E UTF8 --locale=C.UTF-8"));
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off {more}"
        );
        cluster.tool("pg_ctl", &format!("-D {data} -l {data}/log -w -t 60 -o '{options}' start"));
        cluster
    }

    fn data(&self) -> String {
        self.directory.join("data").display().to_string()
    }

    /// Runs a tool of the server as its user: it refuses to run as root.
    fn tool(&self, name: &str, arguments: &str) {
        let line = format!("{}/{name} {arguments} >{}/out 2>&1", bin(), self.directory.display());
        let mut command = Command::new(if is_root() { "su" } else { "sh" });
        if is_root() {
            command.args(["postgres", "-s", "/bin/sh"]);
        }
        let status = command.args(["-c", &line]).status().unwrap();
        let out = std::fs::read_to_string(self.directory.join("out")).unwrap_or_default();
        assert!(status.success(), "{name}: {out}");
    }

    pub(crate) fn url(&self, user: &str, database: &str) -> Secret {
        let port = self.port;
        let place = format!("host=127.0.0.1 port={port} dbname={database}");
        Secret::new(format!("{place} user={user} password={ROLE_PASSWORD}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tool("pg_ctl", &format!("-D {} -m immediate stop", self.data()));
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// Where `initdb` and its like are: Debian keeps them out of the path.
fn bin() -> String {
    let listed = Command::new("pg_config").arg("--bindir").output();
    let found = listed.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let newest = || {
        let all = std::fs::read_dir("/usr/lib/postgresql").unwrap();
        let paths = all.map(|entry| entry.unwrap().path().join("bin"));
        let newest = paths.filter(|path| path.join("initdb").exists()).max().unwrap();
        newest.display().to_string()
    };
    let configured = found.map(|text| String::from_utf8(text).unwrap().trim().to_owned());
    configured.filter(|path| Path::new(path).join("initdb").exists()).unwrap_or_else(newest)
}

fn backoffice(arguments: &[&str], directory: &Path, variable: &str, url: &Secret) -> Output {
    Command::new(env!("CARGO_BIN_EXE_backoffice"))
        .args(arguments)
        .arg(directory)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env(variable, url.expose())
        .output()
        .unwrap()
}

#[track_caller]
fn went_well(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn refuses(output: &Output, words: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains(words), "{text}");
}

/// The whole schema in the words of another program: owners, policies, grants and functions too.
async fn schema(admin: &Admin, url: &Secret) -> (String, Vec<String>) {
    let output =
        Command::new("pg_dump").args(["--schema-only", "--dbname", url.expose()]).output().unwrap();
    went_well(&output);
    // Newer releases begin and end with a line of random characters against injection.
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    let roles = "select concat_ws(' ', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, \
                                  rolcanlogin, rolbypassrls, rolconfig::text, \
                   array(select g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid \
                          where m.member = r.oid order by 1)::text) \
                   from pg_roles r where rolname like 'atlvs%' order by rolname";
    let roles = admin.query(roles, &[]).await.unwrap();
    (lines.collect::<Vec<_>>().join("\n"), roles.iter().map(|row| row.get(0)).collect())
}

#[tokio::test]
async fn a_backup_comes_back_whole_in_an_empty_cluster() {
    let db = TestDb::create("backup", &migrations::scripts()).await.unwrap();
    let server = TestServer::start(registry(), &db).await.unwrap();
    let sale = Sale::open(&server).await;
    server.end().await.unwrap();
    let saved = std::env::temp_dir().join(format!("atlvs-backup-{}", std::process::id()));
    let backup =
        || backoffice(&["backup", "--out"], &saved, "DATABASE_MIGRATE_URL", &db.migrate_url);
    went_well(&backup());
    refuses(&backup(), "exists");

    let cluster = Cluster::start("restore", "");
    let empty = cluster.url("postgres", "postgres");
    let admin = Admin::connect(&empty).await.unwrap();
    admin.batch("create database restored template template0").await.unwrap();
    let superuser_url = cluster.url("postgres", "restored");
    let restore =
        || backoffice(&["restore", "--from"], &saved, "DATABASE_ADMIN_URL", &superuser_url);
    went_well(&restore());
    refuses(&restore(), "holds tables already");

    let (there, here) =
        (db.superuser().await.unwrap(), Admin::connect(&superuser_url).await.unwrap());
    let (before, after) =
        (schema(&there, &db.superuser_url).await, schema(&here, &superuser_url).await);
    assert_eq!(before.1, after.1);
    assert!(before.0.contains("CREATE POLICY"));
    assert!(before.0 == after.0, "the schemas differ");

    for role in ["atlvs_migrate", "atlvs_app", "atlvs_portal", "atlvs_work"] {
        here.batch(&format!("alter role {role} password '{ROLE_PASSWORD}'")).await.unwrap();
    }
    let restored = TestDb {
        name: "restored".to_owned(),
        migrate_url: cluster.url("atlvs_migrate", "restored"),
        app_url: cluster.url("atlvs_app", "restored"),
        work_url: cluster.url("atlvs_work", "restored"),
        portal_url: cluster.url("atlvs_portal", "restored"),
        superuser_url: superuser_url.clone(),
    };
    let server = TestServer::start(registry(), &restored).await.unwrap();
    let body = json!({"email": sale.org.email, "password": PASSWORD});
    let reply = server.client.post("/api/v1/sessions", &body).await.unwrap();
    assert_eq!(reply.status, 201, "{}", reply.body);
    let report = kernel::audit::verify(&restored.migrate_url, None).await.unwrap();
    assert!(report.is_whole(), "{report:?}");
    server.end().await.unwrap();

    // A dump that was touched is refused before anything is done.
    let dump = saved.join("database.dump");
    let mut bytes = std::fs::read(&dump).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&dump, bytes).unwrap();
    refuses(&restore(), "checksum");
    std::fs::remove_dir_all(&saved).unwrap();
}
