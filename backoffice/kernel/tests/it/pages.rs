//! Pages of a list that changes while it is read: whatever the order, a row that is there throughout
//! comes exactly once.

use std::collections::BTreeSet;

use kernel::testkit::TestOrg;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::hall::{House, PLACE, Seen, object};

const ROWS: usize = 25;
const CASES: u32 = 30;

/// One field of every kind that has an order.
const SORTABLE: &[&str] = &[
    "name",
    "key",
    "contact",
    "phone",
    "open",
    "seats",
    "rent",
    "rating",
    "currency",
    "country",
    "language",
    "zone",
    "opened_on",
    "opened_at",
    "kind",
    "outside_id",
    "visits",
    "id",
    "created_at",
    "updated_at",
    "version",
    "rent.currency",
];

/// Few values, many nulls: ties are what pages stumble over.
fn values() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..4_u8, 13)
}

fn body(values: &[u8], key: &str) -> Value {
    let at = |place: usize| values.get(place).copied().unwrap_or_default();
    let maybe = |place: usize, value: Value| if at(place) == 0 { Value::Null } else { value };
    let pick = |of: &[&str], place: usize| json!(of[usize::from(at(place)) % of.len()]);
    let amount = json!({"amount": at(4).to_string(), "currency": pick(&["EUR", "USD"], 5)});
    json!({
        "name": format!("n{}", at(0)),
        "key": key,
        "contact": maybe(1, json!(format!("p{}@example.org", at(1)))),
        "phone": maybe(2, json!(format!("+49 30 12345{}", at(2)))),
        "open": at(3) % 2 == 0,
        "seats": maybe(6, json!(at(6))),
        "rent": maybe(4, amount),
        "rating": maybe(7, json!(format!("-{}.5", at(7)))),
        "currency": maybe(8, pick(&["EUR", "USD", "JPY"], 8)),
        "country": maybe(8, pick(&["DE", "FR"], 8)),
        "language": maybe(9, pick(&["de", "fr"], 9)),
        "zone": maybe(9, pick(&["UTC", "Europe/Berlin"], 9)),
        "opened_on": maybe(10, json!(format!("2026-01-0{}", at(10)))),
        "opened_at": maybe(11, json!(format!("2026-01-01T00:00:00.00000{}Z", at(11)))),
        "kind": maybe(12, pick(&["theatre", "arena"], 12)),
        "outside_id": maybe(12, json!(format!("00000000-0000-0000-0000-00000000000{}", at(12)))),
    })
}

#[derive(Debug, Clone)]
struct Walk {
    sort: String,
    limit: usize,
    /// After each page: rows to add, and places of rows to delete.
    between: Vec<(Vec<Vec<u8>>, Vec<prop::sample::Index>)>,
}

fn walk() -> impl Strategy<Value = Walk> {
    let key = (prop::sample::select(SORTABLE), any::<bool>());
    let sort = prop::collection::vec(key, 1..4).prop_map(|keys| {
        let mut seen = BTreeSet::new();
        let keys = keys.into_iter().filter(|(name, _)| seen.insert(*name));
        let keys = keys.map(|(name, down)| format!("{}{name}", if down { "-" } else { "" }));
        keys.collect::<Vec<_>>().join(",")
    });
    let step = (
        prop::collection::vec(values(), 0..3),
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    );
    (sort, 1..6_usize, prop::collection::vec(step, 6)).prop_map(|(sort, limit, between)| Walk {
        sort,
        limit,
        between,
    })
}

async fn add(org: &TestOrg, rows: &[Vec<u8>], prefix: &str) -> Vec<String> {
    let mut cx = org.begin().await.unwrap();
    let mut ids = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let body = object(body(row, &format!("{prefix}-{number}")));
        ids.push(cx.create(&PLACE, body).await.unwrap().to_string());
    }
    cx.commit().await.unwrap();
    ids
}

async fn take(
    house: &House,
    org: &TestOrg,
    walk: &Walk,
    first: &[Vec<u8>],
) -> Result<(), TestCaseError> {
    let before = add(org, first, "first").await;
    let mut there = before.clone();
    let mut kept: BTreeSet<String> = before.iter().cloned().collect();
    let mut seen: Vec<String> = Vec::new();
    let mut cursor: Option<String> = None;
    for page in 0.. {
        let mut query =
            format!("/api/v1/places?sort={}&limit={}&fields=key", walk.sort, walk.limit);
        if let Some(cursor) = &cursor {
            query.push_str(&format!("&cursor={cursor}"));
        }
        let list =
            Seen::of(house.plain("GET", &query).bearer_auth(org.token.expose())).await.is(200);
        let rows = list.body["data"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        if let Some((rows, gone)) = walk.between.get(page) {
            there.extend(add(org, rows, &format!("later-{page}")).await);
            let mut cx = org.begin().await.unwrap();
            for place in gone {
                let id = there.swap_remove(place.index(there.len()));
                cx.delete(&PLACE, id.parse().unwrap()).await.unwrap();
                kept.remove(&id);
            }
            cx.commit().await.unwrap();
        }
        match list.body["page"]["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    let distinct: BTreeSet<String> = seen.iter().cloned().collect();
    prop_assert_eq!(distinct.len(), seen.len(), "a row came twice by {}", walk.sort);
    prop_assert!(kept.is_subset(&distinct), "a row that stayed was skipped by {}", walk.sort);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_stay_come_once_whatever_the_order() {
    let house = House::open().await;
    let runtime = tokio::runtime::Handle::current();
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let first: Vec<Vec<u8>> =
        (0..ROWS).map(|_| values().new_tree(&mut runner).unwrap().current()).collect();
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&walk(), |walk| {
            runtime.block_on(async {
                let org = house.stranger().await;
                take(&house, &org, &walk, &first).await
            })
        })
    });
    outcome.unwrap();
}
