//! A file of 100,000 rows with eight columns, two of them links by natural key: taken in over HTTP,
//! checked, written. Beside it the floor: the server's own COPY of the same file into a table without
//! keys, rights and history.

#![allow(clippy::expect_used, reason = "a figure whose house does not stand has nothing to say")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use benches::house::House;
use benches::{Figure, cpu_ns, say, verdict};
use kernel::testkit::{Client, TestServer};
use serde_json::{Value, json};

const ROWS: u32 = 100_000;
/// Rows of each of the two tables that the links name.
const LINKED: u32 = 20;
/// From the first byte to the last row.
const SECONDS_MAX: u64 = 20;

const HEADER: &str = "code,name,contact,pieces,bought_on,state,shelf_id.code,maker_id.code\n";
const BARE: &str = "create table bare (code text, name text, contact text, pieces bigint, \
    bought_on date, state text, shelf text, maker text)";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let house = House::open("bench_csv").await;
    house.fill(0).await;
    let file = file();
    let floor = floor(&house, &file).await;

    let registry = house.service.registry();
    let server = TestServer::start(registry, &house.db).await.expect("the service starts");
    let client = server.client.with_bearer(house.org.token.expose());

    let mut clock = Clocks::start(&house).await;
    let sent = client.file("POST", "/api/v1/goods/import", Some(&file)).await;
    let (status, answer) = sent.expect("the file is answered");
    assert_eq!(status, 202, "{answer}");
    let answer: Value = serde_json::from_str(&answer).expect("an import is JSON");
    let path = format!("/api/v1/imports/{}", answer["id"].as_str().expect("it has an id"));
    let upload = clock.phase(&house).await;

    house.org.work().await.expect("the check runs");
    let checked = state(&client, &path).await;
    assert_eq!((&checked["status"], &checked["rows_create"]), (&json!("checked"), &json!(ROWS)));
    let check = clock.phase(&house).await;

    let commit = client.post(&format!("{path}/commit"), &json!({})).await;
    assert_eq!(commit.expect("the commit is answered").status, 200);
    house.org.work().await.expect("the import runs");
    let done = state(&client, &path).await;
    assert_eq!((&done["status"], &done["rows_create"]), (&json!("done"), &json!(ROWS)), "{done}");
    let write = clock.phase(&house).await;

    say(&format!("floor: COPY of the same file: {} ms", floor.as_millis()));
    upload.tell("upload");
    check.tell("check");
    write.tell("write");
    let written = upload.wall + check.wall + write.wall;
    let times = written.as_millis() / floor.as_millis().max(1);
    say(&format!("the whole takes {times} times the floor"));
    server.end().await.expect("the service ends");
    verdict(&[Figure {
        name: "100,000 rows from a file, checked and written",
        thousandths: u64::try_from(written.as_millis()).unwrap_or(u64::MAX),
        limit: SECONDS_MAX,
        unit: "s",
    }])
}

/// What the clocks said at the end of the last phase.
struct Clocks {
    wall: Instant,
    own: u64,
    server: Duration,
}

/// Time of one phase: on the wall, and the CPU time of this process and of the database's.
struct Phase {
    wall: Duration,
    own: Duration,
    server: Duration,
}

impl Clocks {
    async fn start(house: &House) -> Self {
        let server = server_cpu(house).await;
        Self { own: cpu_ns(), server, wall: Instant::now() }
    }

    async fn phase(&mut self, house: &House) -> Phase {
        let (wall, own) = (self.wall.elapsed(), cpu_ns());
        let own = Duration::from_nanos(own.saturating_sub(self.own));
        let server = server_cpu(house).await.saturating_sub(self.server);
        *self = Self::start(house).await;
        Phase { wall, own, server }
    }
}

impl Phase {
    fn tell(&self, name: &str) {
        let row = |took: Duration| took.as_micros() / u128::from(ROWS);
        say(&format!(
            "{name}: {} ms, {} µs a row; CPU a row: {} µs of this process, {} µs of the database's",
            self.wall.as_millis(),
            row(self.wall),
            row(self.own),
            row(self.server)
        ));
    }
}

async fn state(client: &Client, path: &str) -> Value {
    client.get(path).await.expect("the import is there").body
}

fn file() -> String {
    let mut file = HEADER.to_owned();
    for n in 0..ROWS {
        let (shelf, maker) = (n % LINKED + 1, n / 7 % LINKED + 1);
        let written = writeln!(
            file,
            "g-{n},\"Moving light \"\"{n}\"\"\",g{n}@example.org,{},2026-{:02}-{:02},used,\
             shelves-{shelf},makers-{maker}",
            n % 1_000,
            n % 12 + 1,
            n % 28 + 1,
        );
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    file
}

/// CPU time that the database's processes of this house have had so far: what a busy machine does
/// not change.
async fn server_cpu(house: &House) -> Duration {
    let admin = house.db.superuser().await.expect("the superuser can connect");
    let sql = "select pid from pg_stat_activity where datname = current_database()";
    let rows = admin.query(sql, &[]).await.expect("sessions can be listed");
    let of = |row: &kernel::db::Row| {
        let pid: i32 = row.try_get(0).ok()?;
        let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    let spent = rows.iter().filter_map(of).sum();
    admin.close().await;
    Duration::from_nanos(spent)
}

/// How long the server alone takes for the bytes.
async fn floor(house: &House, file: &str) -> Duration {
    let path = std::env::temp_dir().join(format!("{}.csv", house.db.name));
    fs::write(&path, file).expect("a file can be written");
    // The server reads it under a name of its own.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it can be shown");
    let admin = house.db.superuser().await.expect("the superuser can connect");
    admin.batch(BARE).await.expect("a table can be made");
    let begun = Instant::now();
    let copy = format!("copy bare from '{}' with (format csv, header)", path.display());
    admin.batch(&copy).await.expect("the server reads the file");
    let took = begun.elapsed();
    admin.close().await;
    fs::remove_file(&path).expect("the file goes");
    took
}
