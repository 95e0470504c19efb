//! Numbered fields with the real series: gapless ones under rollbacks, the others without waiting.

use std::collections::BTreeSet;

use kernel::cx::Actor;
use kernel::ddl;
use kernel::entity::{Domain, Entity, text};
use kernel::registry::Registry;
use kernel::service::Service;
use kernel::testkit::{TestDb, TestOrg, TestServer};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use uuid::Uuid;

static PAPERS: Entity =
    Entity::new("papers").grant("paper.papers").about("A document with a number.").fields(&[
        text("number").required().numbered("identity.take-number", "paper"),
        text("title").required(),
    ]);

static PAPER: Domain = Domain { name: "paper", entities: &[&PAPERS], ..Domain::EMPTY };

fn registry() -> &'static Registry {
    static REGISTRY: std::sync::OnceLock<&'static Registry> = std::sync::OnceLock::new();
    REGISTRY.get_or_init(|| {
        let all = [&kernel::accounts::DOMAIN, &kernel::work::DOMAIN, &identity::DOMAIN, &PAPER];
        Registry::new(&all).unwrap().leak()
    })
}

async fn desk(gapless: bool) -> (TestServer, TestOrg) {
    static DATABASE: OnceCell<TestDb> = OnceCell::const_new();
    let make = async || TestDb::create("papers", &[&ddl::script(registry())]).await.unwrap();
    let server = TestServer::start(registry(), DATABASE.get_or_init(make).await).await.unwrap();
    let org = TestOrg::open(&server.service).await.unwrap();
    let mut cx = org.begin().await.unwrap();
    let series = json!({"code": "paper", "prefix": "P-", "width": 4, "gapless": gapless});
    cx.create(&identity::NUMBER_SERIES, object(series)).await.unwrap();
    cx.commit().await.unwrap();
    (server, org)
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// One client: makes documents, and takes some of them back. Answers the numbers that stay.
async fn client(service: Service, org: Uuid, seed: usize) -> Vec<String> {
    let mut kept = Vec::new();
    for round in 0..8 {
        let mut cx = service.begin(Actor::Service("test"), org).await.unwrap();
        let id = cx.insert(&PAPERS, object(json!({"title": "x"}))).await.unwrap();
        let row = cx.get(&PAPERS, id).await.unwrap();
        // A history that differs from client to client and is the same in every run.
        if (seed * 31 + round * 17) % 5 < 2 {
            cx.rollback().await.unwrap();
        } else {
            cx.commit().await.unwrap();
            kept.push(row["number"].as_str().unwrap().to_owned());
        }
    }
    kept
}

async fn race(server: &TestServer, org: &TestOrg) -> Vec<String> {
    let mut clients = JoinSet::new();
    for seed in 0..16 {
        clients.spawn(client(server.service.clone(), org.id, seed));
    }
    clients.join_all().await.concat()
}

#[tokio::test]
async fn a_gapless_series_has_no_gap_whatever_is_taken_back() {
    let (server, org) = desk(true).await;
    let numbers: BTreeSet<String> = race(&server, &org).await.into_iter().collect();
    let expected: BTreeSet<String> =
        (1..=numbers.len()).map(|number| format!("P-{number:04}")).collect();
    assert_eq!(numbers, expected);
    assert!(numbers.len() < 16 * 8, "something was taken back");
    // Whoever has the lower number committed first: the series was locked until then.
    let cx = server.service.read(Actor::Service("test"), org.id).await.unwrap();
    let sql = "select after ->> 'number' from changes where table_name = 'papers' order by id";
    let told = cx.query(sql, &[]).await.unwrap();
    let told: Vec<String> = told.iter().map(|row| row.get(0)).collect();
    assert_eq!(told, expected.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_series_with_gaps_never_repeats_and_never_waits() {
    let (server, org) = desk(false).await;
    let numbers = race(&server, &org).await;
    let distinct: BTreeSet<&String> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len());
    // One that is not finished holds up nobody.
    let mut slow = org.begin().await.unwrap();
    slow.insert(&PAPERS, object(json!({"title": "slow"}))).await.unwrap();
    let mut quick = org.begin().await.unwrap();
    quick.insert(&PAPERS, object(json!({"title": "quick"}))).await.unwrap();
    quick.commit().await.unwrap();
    slow.commit().await.unwrap();
}

#[tokio::test]
async fn many_rows_take_their_numbers_at_once() {
    let (server, org) = desk(true).await;
    let client = server.client.with_bearer(org.token.expose());
    let mut cx = org.begin().await.unwrap();
    let mut rows: Vec<_> = (0..50).map(|n| object(json!({"title": format!("t{n}")}))).collect();
    rows[7].insert("id".to_owned(), json!("018f0000-0000-7000-8000-000000000000"));
    rows[9].insert("id".to_owned(), json!("018f0000-0000-7000-8000-000000000000"));
    let outcomes = cx.create_many(&PAPERS, rows).await.unwrap();
    cx.commit().await.unwrap();
    assert_eq!(outcomes.iter().filter(|one| one.is_err()).count(), 1);
    // A row that was refused gave its number back.
    let one = client.post("/api/v1/papers", &json!({"title": "last"})).await.unwrap();
    assert_eq!(one.body["number"], "P-0050", "{}", one.body);
    let given = json!({"title": "x", "number": "P-9999"});
    let refused = client.post("/api/v1/papers", &given).await.unwrap();
    assert_eq!((refused.status, refused.fields()), (422, vec!["number"]));
}

/// A document of one unit of work; its number once it is committed.
async fn document(service: Service, org: Uuid) -> kernel::error::Result<String> {
    let mut cx = service.begin(Actor::Service("test"), org).await?;
    // Null is as good as nothing: the series gives the number.
    let id = cx.insert(&PAPERS, object(json!({"title": "x", "number": null}))).await?;
    let row = cx.get(&PAPERS, id).await?;
    cx.commit().await?;
    Ok(row["number"].as_str().unwrap().to_owned())
}

/// Documents whose makers are killed at any moment, on their side and on the database's: what was
/// acknowledged is there, and no number is left out or given twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_gapless_series_outlives_whoever_is_killed() {
    const DOCUMENTS: usize = 40;
    const KILLS: usize = 80;
    let db = TestDb::create("papers_killed", &[&ddl::script(registry())]).await.unwrap();
    let server = TestServer::start(registry(), &db).await.unwrap();
    let org = TestOrg::open(&server.service).await.unwrap();
    let mut cx = org.begin().await.unwrap();
    cx.create(&identity::NUMBER_SERIES, object(json!({"code": "paper"}))).await.unwrap();
    cx.commit().await.unwrap();
    let mut makers = JoinSet::new();
    for _ in 0..6 {
        let (service, org) = (server.service.clone(), org.id);
        makers.spawn(async move {
            let mut known = Vec::new();
            // Every kill undoes one try at most, so this ends.
            for _ in 0..DOCUMENTS + KILLS {
                known.extend(document(service.clone(), org).await.ok());
                if known.len() == DOCUMENTS {
                    break;
                }
            }
            known
        });
    }
    let admin = db.superuser().await.unwrap();
    let kill = "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity \
         where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle' \
         and query not like '%pg_terminate%' order by random() limit 1) x";
    let mut killed = 0;
    for turn in 0..KILLS {
        killed += admin.query_one(kill, &[]).await.unwrap().get::<_, i64>(0);
        // A maker that goes away in the middle, as after kill -9: its connection closes.
        let (service, org) = (server.service.clone(), org.id);
        let lost = tokio::spawn(async move { document(service, org).await.map(drop) });
        for _ in 0..turn % 7 {
            tokio::task::yield_now().await;
        }
        lost.abort();
    }
    let known: BTreeSet<String> = makers.join_all().await.concat().into_iter().collect();
    assert!(0 < killed, "somebody was killed");
    let sql = "select number from papers where org_id = $1 order by number::int8";
    let kept: Vec<String> =
        admin.query(sql, &[&org.id]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let expected: Vec<String> = (1..=kept.len()).map(|number| number.to_string()).collect();
    assert_eq!(kept, expected);
    assert!(known.iter().all(|number| kept.contains(number)), "what was told is there");
    let sql = "select next_number from number_series where org_id = $1";
    let next: i64 = admin.query_one(sql, &[&org.id]).await.unwrap().get(0);
    assert_eq!(usize::try_from(next).unwrap(), kept.len() + 1);
    server.end().await.unwrap();
}
