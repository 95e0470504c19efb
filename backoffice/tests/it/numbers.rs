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
