//! `backoffice work` killed at each boundary of what it does: before and at the commit of a claim, of
//! rows, of an import's end, of a mail, of a job's end, of seals, deliveries, schedules and ticks. In the end
//! every effect is there once.
//!
//! A boundary is a trigger that waits for a lock of the test's. One before a row is written holds up
//! the statement: the process dies, and the server rolls back. A deferred one holds up the commit:
//! the process dies, and the server commits what nobody hears of. Order and depth of the boundaries
//! come from a seed, which a failing run prints; `ATLVS_KILL_SEED` repeats it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kernel::db::Admin;
use kernel::testkit::{Client, Reply, TestDb, TestServer, setting};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::registry;
use crate::sale::Sale;
use crate::worker::Process;

struct Boundary {
    name: &'static str,
    table: &'static str,
    /// `update`, with the columns of the row as `old` and `new`.
    event: &'static str,
    only: &'static str,
    /// How often it is passed in a round at least.
    times: u64,
}

const fn boundary(
    name: &'static str,
    table: &'static str,
    event: &'static str,
    only: &'static str,
    times: u64,
) -> Boundary {
    Boundary { name, table, event, only, times }
}

/// Each is a place to die at twice: before it is written, and while it is committed.
const BOUNDARIES: &[Boundary] = &[
    boundary(
        "claim",
        "job_queue",
        "update",
        "old.leased_by is null and new.leased_by is not null",
        3,
    ),
    boundary("row", "parties", "insert", "true", MANY_ROWS),
    boundary("import's end", "imports", "update", "new.status = 'done'", 1),
    boundary("mail", "messages", "update", "new.status = 'sent'", 1),
    boundary("job's end", "job_queue", "delete", "true", 3),
    boundary("seal", "change_seals", "insert", "true", 1),
    boundary("delivery", "outbox_deliveries", "insert", "true", 1),
    boundary("consumer's end", "outbox_deliveries", "delete", "true", 1),
    boundary(
        "schedule",
        "schedules",
        "update",
        "new.last_due_at is distinct from old.last_due_at",
        1,
    ),
    boundary("tick", "cron_ticks", "update", "new.last_at is distinct from old.last_at", 1),
];

/// Rows of an import where rows are the boundary: more than one batch.
const MANY_ROWS: u64 = 1_200;
const FEW_ROWS: u64 = 20;
/// Key of the lock that boundaries wait for.
const KEY: i64 = 4_146_977;
const WAIT: Duration = Duration::from_secs(120);

const SETUP: &str = "
    create sequence boundary_passed;
    create table boundary_chosen (name text, nth bigint);
    create function boundary() returns trigger language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp as $$
    begin
        if exists (select from boundary_chosen where name = tg_argv[0])
            and nextval('boundary_passed') = (select nth from boundary_chosen) then
            perform pg_advisory_xact_lock_shared(4146977);
        end if;
        return coalesce(new, old);
    end $$;";

fn setup() -> String {
    let mut sql = SETUP.to_owned();
    for (place, Boundary { name, table, event, only, .. }) in BOUNDARIES.iter().enumerate() {
        let before = name.replace('\'', "''");
        sql += &format!(
            "create trigger boundary_{place}_before before {event} on {table} for each row \
               when ({only}) execute function boundary('{before}');
             create constraint trigger boundary_{place}_commit after {event} on {table} \
               deferrable initially deferred for each row \
               when ({only}) execute function boundary('{before}, committed');"
        );
    }
    sql
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most.max(1)
    }
}

/// A directory that goes with the test.
struct Letters(PathBuf);

impl Letters {
    fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(Uuid::new_v4().to_string());
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Letters {
    fn drop(&mut self) {
        // What is left behind is the target directory's.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

struct House {
    db: TestDb,
    admin: Admin,
    sale: Sale,
    client: Client,
    role: Value,
    mail: Letters,
    /// Rounds and rows so far, the warm-up included.
    rounds: i64,
    rows: u64,
}

impl House {
    fn worker(&self) -> Process {
        Process::work(&self.db, &[("MAIL_DIR", self.mail.0.to_str().unwrap())])
    }

    async fn count(&self, sql: &str) -> i64 {
        self.admin.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn until(&self, what: &str, sql: &str) {
        let reached = async {
            while !self.admin.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(WAIT, reached).await.is_err() {
            panic!("not reached: {what}; {:?}", self.not_done().await);
        }
    }

    /// Jobs that did not end well, have not ended, or took more than one try beside the killed one.
    async fn not_done(&self) -> Vec<String> {
        let sql = "select concat_ws(' ', name, state, attempts, error) from jobs \
                    where state <> 'done' or attempts > 2 limit 5";
        let jobs = self.admin.query(sql, &[]).await.unwrap();
        jobs.iter().map(|row| row.get(0)).collect()
    }

    /// One of everything that a worker does.
    async fn ask(&mut self, rows: u64) {
        let round = self.rounds;
        let file: String = (0..rows).map(|n| format!("person,r{round}-{n}\r\n")).collect();
        let mode = if round % 2 == 0 { "each" } else { "all" };
        let path = format!("/api/v1/parties/import?mode={mode}&dry_run=false");
        let file = format!("kind,name\r\n{file}");
        let (status, text) = self.client.file("POST", &path, Some(&file)).await.unwrap();
        assert!((200..300).contains(&status), "{text}");
        let body = json!({"email": format!("r{round}@example.org"), "role_id": self.role});
        ok(self.client.post("/api/v1/invitations", &body).await.unwrap());
        let path = format!("/api/v1/events/{}", self.sale.event);
        ok(self.client.patch(&path, &json!({"name": format!("Round {round}")})).await.unwrap());
        let due = "update cron_ticks set next_at = now(); update schedules set next_run_at = now()";
        self.admin.batch(due).await.unwrap();
        self.rounds += 1;
        self.rows += rows;
    }

    /// Nothing waits, nothing runs, and nobody is at anything.
    async fn quiet(&self) {
        self.until(
            "everything is done",
            "select not exists (select from job_queue) and not exists (select from outbox)
                and not exists (select from outbox_deliveries)
                and not exists (select from cron_ticks where next_at <= now())
                and not exists (select from schedules where next_run_at <= now())
                and not exists (select from imports where status <> 'done')",
        )
        .await;
    }

    /// Every effect is there, once.
    async fn whole(&self, what: &str) {
        let rounds = self.rounds;
        let rows = i64::try_from(self.rows).unwrap();
        assert_eq!(self.not_done().await, [""; 0], "{what}");
        for (sql, expected) in [
            ("select count(*) from parties where name like 'r%-%'", rows),
            ("select count(distinct name) from parties where name like 'r%-%'", rows),
            ("select count(*) from changes where table_name = 'parties' and op = 'insert'", rows),
            (
                "select count(*) from imports where status = 'done' and rows_create = rows_total",
                rounds,
            ),
            ("select count(*) from jobs where name = 'csv.import' and state = 'done'", rounds),
            ("select count(*) from messages where status = 'sent'", rounds),
            ("select count(*) from jobs where name = 'mail.send' and state = 'done'", rounds),
            ("select count(*) from jobs where name = 'catalogue.sweep'", rounds),
            ("select count(*) from jobs where schedule_id is not null", rounds),
            ("select count(*) from schedules where last_state = 'done'", 1),
            ("select count(*) from catalogue_documents where kind = 'event'", 1),
        ] {
            assert_eq!(self.count(sql).await, expected, "{what}: {sql}");
        }
        let document = format!(
            "select count(*) from catalogue_documents where body like '%\"Round {}\"%'",
            rounds - 1
        );
        assert_eq!(self.count(&document).await, 1, "{what}: the catalogue has the last name");
        let mails = std::fs::read_dir(&self.mail.0).unwrap();
        let mails = mails.filter(|file| {
            file.as_ref().unwrap().path().extension().is_some_and(|end| end == "eml")
        });
        // One that was sent and not said to be comes again under its id: the file is the same.
        assert_eq!(mails.count(), usize::try_from(rounds).unwrap(), "{what}: mails");
    }

    /// A worker dies at the boundary; what it held is free at once, as after its lease.
    async fn die_at(&self, name: &str, nth: u64) {
        let nth = i64::try_from(nth).unwrap();
        self.admin.batch("alter sequence boundary_passed restart").await.unwrap();
        self.admin.execute("select pg_advisory_lock($1)", &[&KEY]).await.unwrap();
        let choose = "insert into boundary_chosen values ($1, $2)";
        self.admin.execute(choose, &[&name, &nth]).await.unwrap();
        let worker = self.worker();
        self.until(
            &format!("{name} for the {nth}. time"),
            "select exists (select from pg_locks where locktype = 'advisory' and not granted
                and database = (select oid from pg_database where datname = current_database())
                and objid = 4146977)",
        )
        .await;
        drop(worker);
        self.admin.batch("delete from boundary_chosen").await.unwrap();
        self.admin.execute("select pg_advisory_unlock($1)", &[&KEY]).await.unwrap();
        self.until(
            "the server has ended what the dead process began",
            "select not exists (select from pg_stat_activity where datname = current_database()
                and pid <> pg_backend_pid() and state <> 'idle'
                and usename in ('atlvs_app', 'atlvs_work'))",
        )
        .await;
        let free =
            "update job_queue set leased_until = clock_timestamp() where leased_by is not null";
        self.admin.batch(free).await.unwrap();
    }
}

#[track_caller]
fn ok(reply: Reply) -> Value {
    assert!((200..300).contains(&reply.status), "{} {}", reply.status, reply.body);
    reply.body
}

async fn house(server: &TestServer, db: TestDb) -> House {
    let sale = Sale::open(server).await;
    let client = server.client.with_bearer(sale.org.token.expose());
    let roles = ok(client.get("/api/v1/roles?limit=50").await.unwrap());
    let roles = roles["data"].as_array().unwrap();
    let role = roles.iter().find(|role| role["key"] == "finance").unwrap()["id"].clone();
    let admin = db.superuser().await.unwrap();
    let mail = Letters::new();
    let mut house = House { db, admin, sale, client, role, mail, rounds: 0, rows: 0 };
    // It comes when a round says so; nothing has the name.
    let schedule = json!({"name": "Rounds", "job": "work.replay-dead", "every_minutes": 500_000,
                          "input": {"name": "nothing"}});
    ok(house.client.post("/api/v1/schedules", &schedule).await.unwrap());
    // Ticks have no row before the first worker.
    let worker = house.worker();
    house.until("the first worker works", "select exists (select from cron_ticks)").await;
    house.ask(FEW_ROWS).await;
    house.quiet().await;
    drop(worker);
    house.whole("before anything died").await;
    house.admin.batch(&setup()).await.unwrap();
    house
}

#[tokio::test]
async fn a_worker_that_dies_at_any_boundary_loses_and_doubles_nothing() {
    let seed = setting("ATLVS_KILL_SEED").map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    println!("ATLVS_KILL_SEED={seed}");
    let db = TestDb::create("boundaries", &migrations::scripts()).await.unwrap();
    let server = TestServer::start(registry(), &db).await.unwrap();
    let mut house = house(&server, db).await;
    let mut dice = Dice(seed);
    let mut places: Vec<(&Boundary, &str)> =
        BOUNDARIES.iter().flat_map(|one| [(one, ""), (one, ", committed")]).collect();
    while !places.is_empty() {
        let chosen = dice.below(u64::try_from(places.len()).unwrap());
        let (boundary, moment) = places.swap_remove(usize::try_from(chosen).unwrap());
        let name = format!("{}{moment}", boundary.name);
        let nth = 1 + dice.below(boundary.times);
        house.ask(if boundary.name == "row" { MANY_ROWS } else { FEW_ROWS }).await;
        house.die_at(&name, nth).await;
        let worker = house.worker();
        house.quiet().await;
        drop(worker);
        house.whole(&format!("seed {seed}, {name}, {nth}")).await;
    }
    let report = kernel::audit::verify(&house.db.migrate_url, None).await.unwrap();
    assert!(report.is_whole(), "{:?}", report.organizations);
    server.end().await.unwrap();
}
