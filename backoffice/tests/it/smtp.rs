//! `backoffice work` hands mail to a real server, with settings from the environment: once as a rule,
//! and twice, known by its `Message-ID`, when it dies between the server's word and its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kernel::db::Admin;
use kernel::testkit::{Client, TestDb, TestOrg, TestServer};
use serde_json::{Value, json};

use crate::registry;

#[path = "../../services/tests/it/post_office.rs"]
#[allow(dead_code, reason = "the services' own tests use the rest")]
mod post_office;

use post_office::PostOffice;

const WAIT: Duration = Duration::from_secs(60);

/// A worker process; it is killed when this is dropped.
struct Worker(Child);

impl Worker {
    fn start(db: &TestDb, office: &PostOffice) -> Self {
        let child = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_backoffice")))
            .arg("work")
            .env_clear()
            .env("DATABASE_URL", db.app_url.expose())
            .env("DATABASE_WORK_URL", db.work_url.expose())
            .env("BACKOFFICE_WORK_PORT", "0")
            .env("MAIL_URL", office.url("smtp", "plain", ""))
            .env("MAIL_FROM", "house@example.org")
            .env("ATLVS_MASTER_KEY", data_encoding::BASE64.encode(&[7; 32]))
            .env("LOG_LEVEL", "off")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // SIGKILL: nothing is ended in order.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn until(admin: &Admin, what: &str, sql: &str) {
    let reached = async {
        while !admin.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, reached).await.expect(what);
}

async fn invite(client: &Client, email: &str) {
    let roles = client.get("/api/v1/roles?limit=50").await.unwrap();
    let body = json!({"email": email, "role_id": roles.body["data"][0]["id"]});
    let made = client.post("/api/v1/invitations", &body).await.unwrap();
    assert_eq!(made.status, 201, "{}", made.body);
}

fn message_id(mail: &Value) -> String {
    let headers = mail["headers"].as_array().unwrap();
    let mut named = headers.iter().filter(|header| header[0] == "Message-ID");
    let id = named.next().unwrap()[1].as_str().unwrap().to_owned();
    assert!(named.next().is_none());
    id
}

const ALL_SENT: &str = "select not exists (select from messages where status <> 'sent')
    and not exists (select from job_queue where name = 'mail.send')";

#[tokio::test]
async fn a_killed_worker_sends_its_mail_again_under_the_same_id() {
    let db = TestDb::create("smtp", &migrations::scripts()).await.unwrap();
    let server = TestServer::start(registry(), &db).await.unwrap();
    let org = TestOrg::open(&server.service).await.unwrap();
    let client = server.client.with_bearer(org.token.expose());
    let mut office = PostOffice::open();
    let (admin, holder) = (db.superuser().await.unwrap(), db.superuser().await.unwrap());

    invite(&client, "ada@example.org").await;
    let worker = Worker::start(&db, &office);
    let first = office.taken();
    until(&admin, "the first mail is sent", ALL_SENT).await;
    assert_eq!(first["to"], json!(["ada@example.org"]));

    // The server has the mail; that it was sent cannot be written.
    drop(worker);
    invite(&client, "grace@example.org").await;
    holder.batch("begin; select from messages where status = 'queued' for update").await.unwrap();
    let worker = Worker::start(&db, &office);
    let taken = office.taken();
    drop(worker);
    holder.batch("rollback").await.unwrap();
    until(
        &admin,
        "the server has ended what the dead process began",
        "select not exists (select from pg_stat_activity where datname = current_database()
            and usename = 'atlvs_work' and state <> 'idle')",
    )
    .await;
    let waits = "select count(*) from messages where status = 'queued'";
    assert_eq!(admin.query_one(waits, &[]).await.unwrap().get::<_, i64>(0), 1);
    // As after its lease.
    let free = "update job_queue set leased_until = clock_timestamp() where leased_by is not null";
    admin.batch(free).await.unwrap();
    let worker = Worker::start(&db, &office);
    let again = office.taken();
    until(&admin, "the second mail is sent", ALL_SENT).await;
    drop(worker);
    assert_eq!(taken, again);
    assert_eq!(taken["to"], json!(["grace@example.org"]));
    assert_eq!(message_id(&taken), message_id(&again));
    assert_ne!(message_id(&taken), message_id(&first));
    assert!(message_id(&taken).ends_with("@example.org>"));
    assert_eq!(office.close(), Vec::<Value>::new(), "each once, but for the one that was killed");
    let secrets = "select count(*) from messages where sealed_secret is not null";
    assert_eq!(admin.query_one(secrets, &[]).await.unwrap().get::<_, i64>(0), 0);
    server.end().await.unwrap();
    admin.close().await;
    holder.close().await;
}
