//! CPU of a list of 50 rows, from dispatch to JSON, against that of the bare query whose rows are
//! written by hand. One process, one thread, both ways in turn.

#![allow(clippy::expect_used, reason = "a figure whose house does not stand has nothing to say")]

use std::fmt::Write as _;
use std::process::ExitCode;

use benches::house::House;
use benches::{Figure, cpu_ns, median, say, verdict};
use jiff::Timestamp;
use jiff::civil::Date;
use kernel::testkit::{Bare, direct};
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

/// Rows of a page.
const ROWS: i64 = 50;
/// Rows of the table.
const GOODS: i64 = 5_000;
/// Turns of each way, and lists in a turn.
const TURNS: usize = 60;
const LISTS: u64 = 20;
/// At most so many times the bare query's CPU.
const TIMES_MAX: u64 = 2;

const SQL: &str = "select id, code, name, contact, pieces, worth, worth_currency, tax, bought_on,
        counted_at, state, lent, shelf_id, maker_id, custom, version, created_at,
        updated_at
    from goods where org_id = $1 and deleted_at is null order by id desc limit $2";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let house = House::open("bench_list").await;
    house.fill(GOODS).await;
    let setup = format!("select set_config('app.org_id', '{}', false)", house.org.id);
    let bare = Bare::connect(&house.db.app_url, &setup, SQL).await.expect("the bare query works");
    let token = house.org.token.expose();
    let path = format!("/goods?limit={ROWS}");

    let ours = direct(&house.service, &path, token).await.expect("the list works");
    let ours: Value = serde_json::from_slice(&ours).expect("the list is JSON");
    let hand: Value =
        serde_json::from_str(&by_hand(&bare, house.org.id).await).expect("it is JSON");
    assert!(ours["data"] == hand, "both ways show the same rows");

    let without_count = format!("{path}&count=none");
    let uncounted = direct(&house.service, &without_count, token).await.is_ok();
    let mut figures = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        let start = cpu_ns();
        for _ in 0..LISTS {
            by_hand(&bare, house.org.id).await;
        }
        let middle = cpu_ns();
        for _ in 0..LISTS {
            direct(&house.service, &path, token).await.expect("the list works");
        }
        let end = cpu_ns();
        figures[0].push((middle - start) / LISTS);
        figures[1].push((end - middle) / LISTS);
        if uncounted {
            for _ in 0..LISTS {
                direct(&house.service, &without_count, token).await.expect("the list works");
            }
            figures[2].push((cpu_ns() - end) / LISTS);
        }
    }
    let [bare, ours, uncounted] = figures.each_mut().map(|values| median(values));
    let times = |ns: u64| ns * 1_000 / bare.max(1);
    say(&format!("bare query and rows by hand: {} µs of CPU", bare / 1_000));
    say(&format!("list with its exact count: {} µs of CPU", ours / 1_000));
    if 0 < uncounted {
        let figure = times(uncounted);
        say(&format!("list without a count: {} µs, {figure} thousandths", uncounted / 1_000));
    }
    verdict(&[Figure {
        name: "CPU of a list against the bare query",
        thousandths: times(ours),
        limit: TIMES_MAX,
        unit: "times",
    }])
}

/// The rows as an array, written without anything of the engine.
async fn by_hand(bare: &Bare, org: Uuid) -> String {
    let rows = bare.rows(&[&org, &ROWS]).await.expect("the bare query works");
    let mut out = String::with_capacity(16_384);
    let text = |value: &str| serde_json::to_string(value).unwrap_or_default();
    out.push('[');
    for row in &rows {
        if out.len() > 1 {
            out.push(',');
        }
        let some = |value: Option<&str>| value.map_or_else(|| "null".to_owned(), text);
        let worth: Decimal = row.get(5);
        let tax: Decimal = row.get(7);
        let written = write!(
            out,
            "{{\"id\":\"{}\",\"code\":{},\"name\":{},\"contact\":{},\"pieces\":{},\
             \"worth\":{{\"amount\":\"{}\",\"currency\":{}}},\"tax\":\"{}\",\"bought_on\":\"{}\",\
             \"counted_at\":\"{}\",\"state\":{},\"lent\":{},\"shelf_id\":\"{}\",\"maker_id\":\"{}\",\
             \"custom\":{},\"version\":{},\"created_at\":\"{}\",\"updated_at\":\"{}\"}}",
            row.get::<_, Uuid>(0),
            text(row.get(1)),
            text(row.get(2)),
            some(row.get(3)),
            row.get::<_, i64>(4),
            worth.round_dp(2),
            text(row.get(6)),
            tax.normalize(),
            row.get::<_, Date>(8),
            row.get::<_, Timestamp>(9),
            some(row.get(10)),
            row.get::<_, bool>(11),
            row.get::<_, Uuid>(12),
            row.get::<_, Uuid>(13),
            row.get::<_, Value>(14),
            row.get::<_, i64>(15),
            row.get::<_, Timestamp>(16),
            row.get::<_, Timestamp>(17),
        );
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    out.push(']');
    out
}
