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

/// A job, a mail and a schedule that are due when the backup is made.
async fn leave_work(server: &TestServer, sale: &Sale, db: &TestDb) {
    let client = server.client.with_bearer(sale.org.token.expose());
    let roles = client.get("/api/v1/roles?limit=50").await.unwrap();
    let role = &roles.body["data"][0]["id"];
    let invitation = json!({"email": "invited@example.org", "role_id": role});
    let schedule = json!({"name": "Often", "job": "work.replay-dead", "every_minutes": 1});
    for (path, body) in [("/api/v1/invitations", invitation), ("/api/v1/schedules", schedule)] {
        let made = client.post(path, &body).await.unwrap();
        assert_eq!(made.status, 201, "{path}: {}", made.body);
    }
    let cx = sale.org.begin().await.unwrap();
    cx.enqueue("work.replay-dead", json!({})).await.unwrap();
    cx.commit().await.unwrap();
    let admin = db.superuser().await.unwrap();
    let due = "update schedules set next_run_at = now() - interval '1 hour'";
    admin.batch(due).await.unwrap();
    admin.close().await;
}

/// Nothing of what was due happens in a copy by itself, and nothing when operators drop it.
async fn does_nothing_until_released(server: &TestServer, sale: &Sale, restored: &TestDb) {
    let service = &server.service;
    let ready = server.client.get("/ready").await.unwrap();
    assert_eq!(ready.status, 503);
    assert!(ready.body.to_string().contains("backoffice release"), "{}", ready.body);
    let refused = kernel::jobs::drain(service, sale.org.id).await.unwrap_err();
    assert_eq!(refused.code(), kernel::error::Code::Unavailable);
    assert!(kernel::schedules::due(service).await.is_err());
    assert!(kernel::outbox::settle(service, sale.org.id).await.is_err());
    let feed = server.internal.get("/internal/v1/catalogue?after=0").await.unwrap();
    assert_eq!(feed.status, 503, "{}", feed.body);
    let admin = restored.superuser().await.unwrap();
    let epoch = async || -> uuid::Uuid {
        let sql = "select feed_epoch from installations";
        admin.query_one(sql, &[]).await.unwrap().get(0)
    };
    let before = epoch().await;
    let release = |arguments: &[&str], answer: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_backoffice"))
            .arg("release")
            .args(arguments)
            .env_clear()
            .env("DATABASE_MIGRATE_URL", restored.migrate_url.expose())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        // One that asks nothing has ended by then.
        let _ = std::io::Write::write_all(&mut input, answer.as_bytes());
        drop(input);
        child.wait_with_output().unwrap()
    };
    refuses(&release(&[], "no\n"), "stays held");
    assert!(kernel::jobs::drain(service, sale.org.id).await.is_err());
    went_well(&release(&["--drop-due", "--yes"], ""));
    assert_ne!(epoch().await, before, "whoever follows the feed begins anew");
    assert_eq!(kernel::schedules::due(service).await.unwrap(), 1);
    kernel::jobs::drain(service, sale.org.id).await.unwrap();
    let left = "select (select count(*) from jobs where state = 'canceled' and attempts = 1),
                       (select count(*) from jobs where org_id = $1 and state <> 'canceled'),
                       (select string_agg(status, ' ') from messages),
                       (select string_agg(last_state, ' ') from schedules)";
    let row = admin.query_one(left, &[&sale.org.id]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2, 0));
    assert_eq!((row.get::<_, &str>(2), row.get::<_, &str>(3)), ("dropped", "skipped"));
    // A job of later is done as ever.
    let cx = service.begin(kernel::cx::Actor::Service("test"), sale.org.id).await.unwrap();
    let id = cx.enqueue("work.replay-dead", json!({})).await.unwrap();
    cx.commit().await.unwrap();
    kernel::jobs::drain(service, sale.org.id).await.unwrap();
    let state = "select state from jobs where id = $1";
    assert_eq!(admin.query_one(state, &[&id]).await.unwrap().get::<_, &str>(0), "done");
    let again = release(&["--yes"], "");
    assert!(String::from_utf8_lossy(&again.stdout).contains("not held"));
    admin.close().await;
}

#[tokio::test]
async fn a_backup_comes_back_whole_in_an_empty_cluster() {
    let db = TestDb::create("backup", &migrations::scripts()).await.unwrap();
    let server = TestServer::start(registry(), &db).await.unwrap();
    let sale = Sale::open(&server).await;
    leave_work(&server, &sale, &db).await;
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
    let output = restore();
    went_well(&output);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("held (it is a copy"), "{said}");
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
    does_nothing_until_released(&server, &sale, &restored).await;
    server.end().await.unwrap();
    let bare = "select count(*) from pg_class where relkind = 'r' and reltuples < 0 \
                   and relnamespace = 'public'::regnamespace";
    assert_eq!(here.query_one(bare, &[]).await.unwrap().get::<_, i64>(0), 0, "without figures");

    // A dump that was touched is refused before anything is done.
    let dump = saved.join("database.dump");
    let mut bytes = std::fs::read(&dump).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&dump, bytes).unwrap();
    refuses(&restore(), "checksum");
    std::fs::remove_dir_all(&saved).unwrap();
}
