//! A hundred thousand jobs through the queue of a server of the test's own: with the vacuum settings
//! of the schema its table stays small, and a claim reads an index. The same without them shows that
//! the bound would be broken.

use kernel::db::Admin;
use kernel::jobs::{CLAIM_SQL, Priority};
use uuid::Uuid;

use crate::backup::Cluster;

/// Jobs that are enqueued, claimed and ended together.
const BATCH: i64 = 500;
const JOBS: i64 = 100_000;
/// Timers of later, which stay.
const TIMERS: i64 = 5_000;
/// Those that a claim passes over while its plan is looked at.
const MANY_TIMERS: i64 = 100_000;
/// The queue with its indexes, twenty times what its rows take.
const BYTES_MAX: i64 = 24 * 1024 * 1024;
const LEASE_S: i64 = 60;

async fn enqueue(admin: &Admin, count: i64, due: &str) {
    let sql = format!(
        "with queued as (
            insert into job_queue (org_id, name, priority, due_at)
            select ('00000000-0000-7000-8000-' || lpad((n % 7)::text, 12, '0'))::uuid,
                   'test.job', n % 3, {due}
              from generate_series(1, $1::bigint) n returning id, org_id, priority, due_at)
         insert into jobs (id, org_id, name, payload, due_at, priority, actor_kind)
         select id, org_id, 'test.job', '{{}}', due_at, priority, 'system' from queued"
    );
    admin.execute(&sql, &[&count]).await.unwrap();
}

/// Claims as a worker with many places does, and ends what it got; how many.
async fn work(admin: &Admin) -> i64 {
    let ranks: Vec<i64> = Priority::ALL.iter().zip(0..).map(|(_, rank)| rank).collect();
    let (names, nobody, counts) = (vec!["test.job"], Vec::<Uuid>::new(), Vec::<i64>::new());
    let (process, now) = (Uuid::new_v4(), kernel::clock::Clock::now(&kernel::clock::SystemClock));
    let window = 200_i64;
    let claimed = admin
        .query(
            CLAIM_SQL,
            &[
                &ranks, &now, &names, &nobody, &process, &LEASE_S, &window, &window, &nobody,
                &counts, &window, &window,
            ],
        )
        .await
        .unwrap();
    let ids: Vec<Uuid> = claimed.iter().map(|row| row.get(0)).collect();
    let close =
        "select count(close_job(id, $2, 1, 'done', null, null, now())) from unnest($1::uuid[]) id";
    admin.query_one(close, &[&ids, &process]).await.unwrap().get(0)
}

/// This many jobs through the queue; its size then.
async fn through(admin: &Admin, jobs: i64) -> i64 {
    let mut done = 0;
    while done < jobs {
        enqueue(admin, BATCH, "now() - interval '1 hour'").await;
        loop {
            let count = work(admin).await;
            if count == 0 {
                break;
            }
            done += count;
        }
    }
    let size = "select pg_total_relation_size('job_queue')";
    admin.query_one(size, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_busy_queue_stays_small_and_is_read_by_its_index() {
    let cluster = Cluster::start("bloat", "-c autovacuum_naptime=1s -c autovacuum_max_workers=4");
    let admin = Admin::connect(&cluster.url("postgres", "postgres")).await.unwrap();
    admin.batch(kernel::ddl::ROLES).await.unwrap();
    admin.batch("create database busy owner atlvs_owner").await.unwrap();
    admin.close().await;
    let admin = Admin::connect(&cluster.url("postgres", "busy")).await.unwrap();
    for script in migrations::scripts() {
        admin.batch(&format!("begin; {script}; commit")).await.unwrap();
    }
    enqueue(&admin, TIMERS, "now() + interval '30 days'").await;
    let with = through(&admin, JOBS).await;
    assert!(with < BYTES_MAX, "{with} bytes after {JOBS} jobs");

    let off = "alter table job_queue reset (autovacuum_vacuum_threshold, autovacuum_vacuum_scale_factor); \
               alter table job_queue set (autovacuum_enabled = off)";
    admin.batch(off).await.unwrap();
    let without = through(&admin, JOBS).await;
    println!("queue after {JOBS} jobs: {with} bytes; without vacuum {without}");
    assert!(BYTES_MAX < without, "{without} bytes: the bound proves nothing");

    admin.batch(&format!("prepare claim as {CLAIM_SQL}")).await.unwrap();
    // At a size where reading all of it is no way, and with figures that say so: of a small queue the
    // planner reads every row with good reason, and nobody vacuums it meanwhile.
    enqueue(&admin, MANY_TIMERS, "now() + interval '30 days'").await;
    enqueue(&admin, BATCH, "now() - interval '1 hour'").await;
    admin.batch("vacuum (full, analyze) job_queue").await.unwrap();
    admin.batch("analyze jobs").await.unwrap();
    let nil = "00000000-0000-0000-0000-000000000000";
    let explain = format!(
        "explain (analyze, buffers, format json) execute claim (array[0, 1, 2], now(), \
           array['test.job'], '{{}}', '{nil}', 60, 4, 3, '{{}}', '{{}}', 2, 200)"
    );
    admin.batch("begin").await.unwrap();
    let row = admin.query_one(&explain, &[]).await.unwrap();
    admin.batch("rollback").await.unwrap();
    let plan: serde_json::Value = row.get(0);
    let text = plan.to_string();
    assert!(text.contains("job_queue_due_idx"), "{plan:#}");
    let scans = text.matches("\"Node Type\":\"Seq Scan\"").count();
    assert_eq!(scans, 0, "{plan:#}");
    let top = &plan[0]["Plan"];
    let blocks =
        ["Shared Hit Blocks", "Shared Read Blocks"].map(|name| top[name].as_i64().unwrap());
    // Four jobs of a window of 600 rows, found and locked, with their rows written.
    assert!(blocks.iter().sum::<i64>() < 1_000, "{plan:#}");
    admin.close().await;
}
