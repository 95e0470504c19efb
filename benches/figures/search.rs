//! Search over a million rows of 20 organizations: a word that stands in one of a hundred rows, the
//! best 20 that the caller may read, from dispatch to JSON.

#![allow(clippy::expect_used, reason = "a figure whose house does not stand has nothing to say")]

use std::process::ExitCode;
use std::time::Instant;

use benches::house::House;
use benches::{Figure, quantile, say, verdict};
use kernel::testkit::{TestOrg, direct};
use serde_json::{Value, json};

const ORGANIZATIONS: usize = 20;
const ROWS_PER_ORGANIZATION: i32 = 50_000;
/// Words that stand in every hundredth row each.
const WORDS: u64 = 10;
const SEARCHES: u64 = 400;
const MEDIAN_MS_MAX: u64 = 30;
const P95_MS_MAX: u64 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let house = House::open("bench_search").await;
    let mut organizations = Vec::new();
    for _ in 0..ORGANIZATIONS {
        let org = TestOrg::open(&house.service).await.expect("an organization can be opened");
        fill(&house, &org).await;
        organizations.push(org);
    }
    let admin = house.db.superuser().await.expect("the superuser can connect");
    admin.batch("vacuum analyze notes").await.expect("statistics can be taken");
    admin.close().await;
    let mut figures = Vec::new();
    for (scope, names) in [
        ("all", ["search, all rows: median", "search, all rows: 95 of 100"]),
        ("own", ["search, own rows: median", "search, own rows: 95 of 100"]),
    ] {
        let mut took = measure(&house, &organizations, scope).await;
        for (name, per_mille, limit) in
            [(names[0], 500, MEDIAN_MS_MAX), (names[1], 950, P95_MS_MAX)]
        {
            let thousandths = quantile(&mut took, per_mille);
            figures.push(Figure { name, thousandths, limit, unit: "ms" });
        }
    }
    verdict(&figures)
}

/// Microseconds of each search.
async fn measure(house: &House, organizations: &[TestOrg], scope: &str) -> Vec<u64> {
    let grants = json!([{"grant": "bench.notes", "rights": ["read"], "scope": scope}]);
    let mut tokens = Vec::new();
    for org in organizations {
        tokens.push(org.issue(grants.clone()).await.expect("a token can be issued"));
    }
    let mut took = Vec::new();
    let mut found = 0;
    for turn in 0..SEARCHES {
        let token = &tokens[usize::try_from(turn).unwrap_or_default() % tokens.len()];
        let path = format!("/notes?q=rare{}&limit=20&count=none", turn % WORDS);
        let start = Instant::now();
        let page = direct(&house.service, &path, token.expose()).await.expect("a search works");
        took.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
        let page: Value = serde_json::from_slice(&page).expect("a page is JSON");
        let rows = page["data"].as_array().map_or(0, Vec::len);
        assert_eq!(rows, 20, "every search finds more than a page");
        found += rows;
    }
    say(&format!("{SEARCHES} searches, scope {scope}: {found} rows found"));
    took
}

/// Half the rows are the owner's own; every one has some forty words.
async fn fill(house: &House, org: &TestOrg) {
    let admin = house.db.superuser().await.expect("the superuser can connect");
    // A million change rows would measure the change log.
    admin.batch("set session_replication_role = replica").await.expect("triggers can be left out");
    let sql = "insert into notes (org_id, id, title, body, keeper_id)
               select $1, gen_random_uuid(), 'Note ' || n || ' of common' || n % 7,
                   (select string_agg('word' || (n * 31 + k * 977) % 20000, ' ')
                      from generate_series(1, 38) k)
                   || case when n % 100 < 10 then ' rare' || n % 100 else '' end,
                   case when n % 2 = (n / 100) % 2 then $2::uuid end
                 from generate_series(1, $3::int) n";
    admin
        .execute(sql, &[&org.id, &org.owner, &ROWS_PER_ORGANIZATION])
        .await
        .expect("rows can be put in");
    admin.close().await;
}
