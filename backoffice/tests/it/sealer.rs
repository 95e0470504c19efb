//! `backoffice work` killed within the transaction that seals, and right after it: in the end every
//! change is in one seal, and in one only.

use std::time::Duration;

use kernel::audit;
use kernel::db::Admin;
use kernel::testkit::{JOURNAL_TOKEN, Planter, TestDb, TestOrg, TestServer};

use crate::gate::FakeGate;
use crate::registry;
use crate::worker::Process;

const KILLS: u32 = 6;
/// The whole test; it waits for what other processes do.
const TIME_MAX: Duration = Duration::from_secs(120);

/// The sealer stands still before a seal is written (key 1) and after it (key 2), while the test
/// holds the lock of that key.
const STAND_STILL: &str = "
    create function stand_still() returns trigger language plpgsql as $$
    begin
        perform pg_advisory_xact_lock_shared(7391840, tg_argv[0]::int);
        return new;
    end $$;
    create trigger before_the_seal before insert on change_seals
        for each row execute function stand_still(1);
    create trigger past_the_seal after insert on change_seals
        for each row execute function stand_still(2);
    grant execute on function stand_still to public;";

async fn until(admin: &Admin, condition: &str) {
    let sql = format!("select {condition}");
    while !admin.query_one(&sql, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::task::yield_now().await;
    }
}

async fn killed(db: &TestDb, planter: &mut Planter<'_>, gate: &FakeGate) {
    let admin = db.superuser().await.unwrap();
    let holder = db.superuser().await.unwrap();
    admin.batch(STAND_STILL).await.unwrap();
    let parties = registry().entity("parties").unwrap();
    for kill in 0..KILLS {
        let key = kill % 3;
        let lock = format!("(7391840, {key})");
        holder.batch(&format!("select pg_advisory_lock{lock}")).await.unwrap();
        planter.row(parties).await.unwrap();
        let worker = Process::work(db, &[("GATE_INTERNAL_URL", &gate.url)]);
        let place = match key {
            // After the commit.
            0 => "not exists (select from outbox)".to_owned(),
            _ => format!(
                "exists (select from pg_locks where locktype = 'advisory' and not granted
                            and classid = 7391840 and objid = {key})"
            ),
        };
        until(&admin, &place).await;
        drop(worker);
        holder.batch(&format!("select pg_advisory_unlock{lock}")).await.unwrap();
    }
    let worker = Process::work(db, &[("GATE_INTERNAL_URL", &gate.url)]);
    until(&admin, "not exists (select from outbox)").await;
    drop(worker);
}

#[tokio::test]
async fn a_killed_sealer_leaves_no_change_out_and_seals_none_twice() {
    let db = TestDb::create("sealer", &migrations::scripts()).await.unwrap();
    let server = TestServer::start(registry(), &db).await.unwrap();
    let gate = FakeGate::start(JOURNAL_TOKEN).await;
    let org = TestOrg::open(&server.service).await.unwrap();
    let admin = db.superuser().await.unwrap();
    let mut planter =
        Planter { registry: registry(), admin: &admin, org: org.id, number: 1, hints: &[] };
    tokio::time::timeout(TIME_MAX, killed(&db, &mut planter, &gate)).await.expect("in time");

    let sql = "select count(*), count(distinct member), (select count(*) from changes)
                 from (select substring(members from n * 16 + 1 for 16) as member
                         from change_seals, generate_series(0, octet_length(members) / 16 - 1) n) sealed";
    let row = admin.query_one(sql, &[]).await.unwrap();
    let [sealed, distinct, changes] = [0, 1, 2].map(|index| row.get::<_, i64>(index));
    assert!(changes > i64::from(KILLS));
    assert_eq!((sealed, distinct), (changes, changes));
    let report = audit::verify(&db.migrate_url, None).await.unwrap();
    assert!(report.is_whole(), "{}", report.show());
    server.end().await.unwrap();
}
