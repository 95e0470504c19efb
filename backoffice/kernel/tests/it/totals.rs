//! Random groups with figures against a model in Rust; and fields that the organization added against
//! the entity's own ones of the same values: every question has the same answer.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::hall::{House, PLACE};
use crate::reads::ask;
use crate::wheres::{Place, ROWS, Where, body, place, wheres};

const CASES: u32 = 60;

/// Keys of groups, and the field of the organization that holds the same; empty for none.
const KEYS: &[(&str, &str)] = &[
    ("kind", ""),
    ("seats", "custom.size"),
    ("open", ""),
    ("opened_on", "custom.day"),
    ("opened_on:month", "custom.day:month"),
    ("rent.currency", "custom.fee.currency"),
    ("name", "custom.title"),
];

const FIGURES: &str = "count,sum:seats,avg:seats,min:seats,max:seats,count_distinct:seats,sum:rent,\
                       avg:rent,min:rent,max:rent,min:opened_on,max:opened_on";

/// The same of the organization's own fields.
fn customs(text: &str) -> String {
    let pairs = [("seats", "custom.size"), ("rent", "custom.fee"), ("opened_on", "custom.day")];
    pairs.iter().fold(text.to_owned(), |text, (own, custom)| text.replace(own, custom))
}

fn group_value(key: &str, place: &Place) -> Value {
    let day = place.opened_on.map(|day| format!("2026-01-0{day}"));
    match key {
        "kind" => json!(place.kind),
        "seats" => json!(place.seats),
        "open" => json!(place.open),
        "opened_on" => json!(day),
        "opened_on:month" => json!(day.map(|_| "2026-01-01")),
        "rent.currency" => json!(place.rent.map(|(_, currency)| currency)),
        "name" => json!(place.name),
        other => panic!("no key {other}"),
    }
}

/// `numerator / denominator` to so many digits, ties to even or away from zero; both are positive.
fn quotient(numerator: i64, denominator: i64, digits: u32, even: bool) -> (i64, i64) {
    let scale = 10_i64.pow(digits);
    let (whole, rest) = (numerator * scale / denominator, numerator * scale % denominator);
    let up = 2 * rest > denominator || 2 * rest == denominator && (!even || whole % 2 == 1);
    (whole + i64::from(up), scale)
}

fn figures(rows: &[&Place]) -> Value {
    let seats: Vec<i64> = rows.iter().filter_map(|row| row.seats).collect();
    let days: Vec<u8> = rows.iter().filter_map(|row| row.opened_on).collect();
    let mut distinct = seats.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let mut rents: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (amount, currency) in rows.iter().filter_map(|row| row.rent) {
        rents.entry(currency).or_default().push(amount);
    }
    let amounts = |of: &dyn Fn(&[i64]) -> String| -> Value {
        let one =
            |(currency, all): (&&str, &Vec<i64>)| json!({"amount": of(all), "currency": currency});
        rents.iter().map(one).collect()
    };
    let mean = |all: &[i64]| {
        let sum: i64 = all.iter().sum();
        let (cents, scale) = quotient(sum, i64::try_from(all.len()).unwrap(), 2, true);
        format!("{}.{:02}", cents / scale, cents % scale)
    };
    let plain = |number: i64| format!("{number}.00");
    let average = (!seats.is_empty()).then(|| {
        let count = i64::try_from(seats.len()).unwrap();
        let (parts, scale) = quotient(seats.iter().sum(), count, 6, false);
        let text = format!("{}.{:06}", parts / scale, parts % scale);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    });
    let day = |day: Option<&u8>| day.map(|day| format!("2026-01-0{day}"));
    let sum = (!seats.is_empty()).then(|| seats.iter().sum::<i64>());
    json!({
        "count": rows.len(),
        "count_distinct": {"seats": distinct.len()},
        "sum": {"seats": sum, "rent": amounts(&|all| plain(all.iter().sum()))},
        "avg": {"seats": average, "rent": amounts(&mean)},
        "min": {"seats": seats.iter().min(), "opened_on": day(days.iter().min()),
                "rent": amounts(&|all| plain(*all.iter().min().unwrap()))},
        "max": {"seats": seats.iter().max(), "opened_on": day(days.iter().max()),
                "rent": amounts(&|all| plain(*all.iter().max().unwrap()))},
    })
}

/// Groups by their values' text; the order is another test's.
fn expected(rows: &[&Place], keys: &[&str]) -> BTreeMap<String, Value> {
    let mut groups: BTreeMap<String, (Value, Vec<&Place>)> = BTreeMap::new();
    for row in rows {
        let values: Map<String, Value> =
            keys.iter().map(|key| ((*key).to_owned(), group_value(key, row))).collect();
        let values = Value::Object(values);
        groups.entry(values.to_string()).or_insert_with(|| (values, Vec::new())).1.push(row);
    }
    let one = |(text, (values, rows)): (String, (Value, Vec<&Place>))| {
        let mut group = figures(&rows);
        group["group"] = values;
        (text, group)
    };
    groups.into_iter().map(one).collect()
}

async fn groups(house: &House, tree: &str, keys: &str, figures: &str) -> (Value, Value) {
    let query = [("where", tree), ("group", keys), ("aggregate", figures), ("limit", "200")];
    let list = ask(house, "/places", &query).await;
    (list["data"].clone(), list["totals"].clone())
}

async fn define(house: &House, key: &str, kind: &str) {
    let body = json!({"entity": "places", "key": key, "label": key, "kind": kind});
    house.post("/custom-fields", body).await.is(201);
}

/// The own fields' values once more, in fields that the organization added.
fn doubled(row: &Place, number: usize) -> Map<String, Value> {
    let mut whole = body(row, number);
    let mut custom = Map::new();
    for (own, key) in [("seats", "size"), ("opened_on", "day"), ("rent", "fee"), ("name", "title")]
    {
        let value = whole[own].clone();
        if !value.is_null() {
            custom.insert(key.to_owned(), value);
        }
    }
    whole.insert("custom".to_owned(), Value::Object(custom));
    whole
}

async fn furnished(runner: &mut TestRunner) -> (House, Vec<Place>) {
    let house = House::open().await;
    for (key, kind) in [("size", "integer"), ("day", "date"), ("fee", "money"), ("title", "text")] {
        define(&house, key, kind).await;
    }
    let rows: Vec<Place> = (0..ROWS).map(|_| place().new_tree(runner).unwrap().current()).collect();
    let mut cx = house.org.begin().await.unwrap();
    for (number, row) in rows.iter().enumerate() {
        cx.create(&PLACE, doubled(row, number)).await.unwrap();
    }
    cx.commit().await.unwrap();
    (house, rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_groups_have_the_figures_of_a_model() {
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let (house, rows) = furnished(&mut runner).await;
    let runtime = tokio::runtime::Handle::current();
    let keys = prop::sample::subsequence((0..KEYS.len()).collect::<Vec<_>>(), 1..=3);
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&(wheres(), keys), |(tree, keys): (Where, Vec<usize>)| {
            let kept: Vec<&Place> = rows.iter().filter(|row| tree.holds(row)).collect();
            let own: Vec<&str> = keys.iter().map(|key| KEYS[*key].0).collect();
            let (tree, model) = (tree.json().to_string(), expected(&kept, &own));
            let ask = |keys: &[&str], figures: &str| {
                runtime.block_on(groups(&house, &tree, &keys.join(","), figures))
            };
            let (data, totals) = ask(&own, FIGURES);
            let found: BTreeMap<String, Value> = data
                .as_array()
                .unwrap()
                .iter()
                .map(|group| (group["group"].to_string(), group.clone()))
                .collect();
            prop_assert_eq!(&found, &model, "{} by {:?}", tree, own);
            prop_assert_eq!(&totals, &figures(&kept), "{}", tree);
            // Where the organization has a field of the same values, it answers the same.
            let twin: Vec<&str> = keys
                .iter()
                .map(|key| if KEYS[*key].1.is_empty() { KEYS[*key].0 } else { KEYS[*key].1 })
                .collect();
            let (twins, twin_totals) = ask(&twin, &customs(FIGURES));
            let renamed = |value: &Value, names: &[(&str, &str)]| {
                let rename = |text: String, (own, custom): &(&str, &str)| {
                    text.replace(&format!("\"{custom}\""), &format!("\"{own}\""))
                };
                let text = names.iter().fold(value.to_string(), rename);
                serde_json::from_str::<Value>(&text).unwrap()
            };
            let names = [KEYS, &[("rent", "custom.fee")]].concat();
            let names: Vec<_> =
                names.into_iter().filter(|(_, custom)| !custom.is_empty()).collect();
            prop_assert_eq!(&renamed(&twins, &names), &data, "{} by {:?}", tree, twin);
            prop_assert_eq!(&renamed(&twin_totals, &names), &totals);
            Ok(())
        })
    });
    outcome.unwrap();
}

#[tokio::test]
async fn added_fields_sort_and_page_as_own_ones_do() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let (house, _) = furnished(&mut runner).await;
    let walk = async |sort: &str| -> Vec<String> {
        let mut keys = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut query = vec![("sort", sort), ("limit", "7")];
            if !cursor.is_empty() {
                query.push(("cursor", cursor.as_str()));
            }
            let page = ask(&house, "/places", &query).await;
            let rows = page["data"].as_array().unwrap();
            keys.extend(rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()));
            match page["page"]["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return keys,
            }
        }
    };
    for (own, custom) in [
        ("seats", "custom.size"),
        ("-seats,opened_on", "-custom.size,custom.day"),
        ("rent", "custom.fee"),
        ("-rent", "-custom.fee"),
        ("rent.currency,-seats", "custom.fee.currency,-custom.size"),
        ("-name,key", "-custom.title,key"),
    ] {
        let (own, custom) = (walk(own).await, walk(custom).await);
        assert_eq!(own.len(), ROWS);
        assert_eq!(own, custom);
    }
    // On a board, the rows of a group in the order of such a field.
    let board = async |sort: &str| {
        let query =
            [("group", "custom.size"), ("per_group", "50"), ("sort", sort), ("fields", "key")];
        ask(&house, "/places", &query).await["data"].clone()
    };
    assert_eq!(board("-opened_on,name").await, board("-custom.day,custom.title").await);
}
