//! Random filters against a model in Rust, on random rows with nulls: a row is in the list when the
//! model says so, and never in the list of the negation as well.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::hall::{House, PLACE, Seen, object};

pub(crate) const ROWS: usize = 40;
const CASES: u32 = 150;

/// Values of few fields, so that tests meet rows; `None` is null.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) seats: Option<i64>,
    pub(crate) kind: Option<&'static str>,
    pub(crate) rent: Option<(i64, &'static str)>,
    pub(crate) opened_on: Option<u8>,
    tags: Option<Vec<&'static str>>,
    pub(crate) open: bool,
}

const NAMES: [&str; 4] = ["Alpha", "beta", "al%ha", "GAMMA"];
const KINDS: [&str; 3] = ["theatre", "arena", "club"];
const TAGS: [&str; 3] = ["x", "y", "z"];
const CURRENCIES: [&str; 2] = ["EUR", "USD"];

pub(crate) fn place() -> impl Strategy<Value = Place> {
    (
        prop::sample::select(NAMES.to_vec()),
        prop::option::of(0..5_i64),
        prop::option::of(prop::sample::select(KINDS.to_vec())),
        prop::option::of((0..4_i64, prop::sample::select(CURRENCIES.to_vec()))),
        prop::option::of(1..5_u8),
        prop::option::of(prop::sample::subsequence(TAGS.to_vec(), 0..3)),
        any::<bool>(),
    )
        .prop_map(|(name, seats, kind, rent, opened_on, tags, open)| Place {
            name: name.to_owned(),
            seats,
            kind,
            rent,
            opened_on,
            tags,
            open,
        })
}

pub(crate) fn body(place: &Place, number: usize) -> Map<String, Value> {
    object(json!({
        "name": place.name,
        "key": format!("p{number}"),
        "seats": place.seats,
        "kind": place.kind,
        "rent": place.rent.map(|(n, currency)| json!({"amount": n.to_string(), "currency": currency})),
        "opened_on": place.opened_on.map(|day| format!("2026-01-0{day}")),
        "tags": place.tags,
        "open": place.open,
    }))
}

#[derive(Debug, Clone)]
pub(crate) enum Where {
    And(Vec<Where>),
    Or(Vec<Where>),
    Not(Box<Where>),
    Test(Test),
}

#[derive(Debug, Clone)]
pub(crate) enum Test {
    Name(&'static str, &'static str),
    Seats(&'static str, Vec<i64>),
    Kind(&'static str, Vec<&'static str>),
    Rent(&'static str, Vec<i64>, &'static str),
    Day(&'static str, Vec<u8>),
    Tags(&'static str, Vec<&'static str>),
    Open(bool),
    Null(&'static str, bool),
    Empty(bool),
}

const COMPARE: [&str; 6] = ["eq", "ne", "gt", "gte", "lt", "lte"];

fn test() -> impl Strategy<Value = Test> {
    let two = |op: &'static str| if op == "between" { 2..=2 } else { 1..=1 };
    let operators = [COMPARE.as_slice(), &["between", "in", "not_in"]].concat();
    let compare = prop::sample::select(operators);
    let many = move |op: &'static str| if ["in", "not_in"].contains(&op) { 1..=3 } else { two(op) };
    let money = prop::sample::select([COMPARE.as_slice(), &["between"]].concat());
    prop_oneof![
        (
            prop::sample::select(vec!["eq", "ne", "contains", "starts", "ends"]),
            prop::sample::select(vec!["Alpha", "al", "a", "%", "beta", "MA", ""])
        )
            .prop_map(|(op, text)| Test::Name(op, text)),
        compare.clone().prop_flat_map(move |op| prop::collection::vec(0..5_i64, many(op))
            .prop_map(move |values| Test::Seats(op, values))),
        prop::sample::select(vec!["eq", "ne", "in", "not_in"]).prop_flat_map(move |op| {
            prop::collection::vec(prop::sample::select(KINDS.to_vec()), many(op))
                .prop_map(move |values| Test::Kind(op, values))
        }),
        (money, prop::sample::select(CURRENCIES.to_vec())).prop_flat_map(move |(op, currency)| {
            prop::collection::vec(0..4_i64, two(op))
                .prop_map(move |values| Test::Rent(op, values, currency))
        }),
        compare.prop_flat_map(move |op| prop::collection::vec(1..5_u8, many(op))
            .prop_map(move |values| Test::Day(op, values))),
        prop::sample::select(vec!["contains", "any", "all"]).prop_flat_map(move |op| {
            let count = if op == "contains" { 1..=1 } else { 1..=2 };
            prop::collection::vec(prop::sample::select(TAGS.to_vec()), count)
                .prop_map(move |values| Test::Tags(op, values))
        }),
        any::<bool>().prop_map(Test::Open),
        (
            prop::sample::select(vec!["seats", "kind", "rent", "opened_on", "tags", "name"]),
            any::<bool>()
        )
            .prop_map(|(field, yes)| Test::Null(field, yes)),
        any::<bool>().prop_map(Test::Empty),
    ]
}

pub(crate) fn wheres() -> impl Strategy<Value = Where> {
    test().prop_map(Where::Test).prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Where::And),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Where::Or),
            inner.prop_map(|one| Where::Not(Box::new(one))),
        ]
    })
}

impl Where {
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::And(parts) => json!({"and": parts.iter().map(Self::json).collect::<Vec<_>>()}),
            Self::Or(parts) => json!({"or": parts.iter().map(Self::json).collect::<Vec<_>>()}),
            Self::Not(part) => json!({"not": part.json()}),
            Self::Test(test) => test.json(),
        }
    }

    pub(crate) fn holds(&self, place: &Place) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(place)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(place)),
            Self::Not(part) => !part.holds(place),
            Self::Test(test) => test.holds(place),
        }
    }
}

fn values<T: Clone + Into<Value>>(op: &str, values: &[T]) -> Value {
    match (op, values) {
        ("between" | "in" | "not_in" | "any" | "all", many) => {
            many.iter().cloned().map(Into::into).collect()
        }
        (_, [one, ..]) => one.clone().into(),
        _ => Value::Null,
    }
}

/// Null meets no comparison, and differs from every value.
fn compares<T: PartialOrd>(op: &str, found: Option<&T>, values: &[T]) -> bool {
    let Some(found) = found else { return matches!(op, "ne" | "not_in") };
    match (op, values) {
        ("eq", [one, ..]) => found == one,
        ("ne", [one, ..]) => found != one,
        ("gt", [one, ..]) => found > one,
        ("gte", [one, ..]) => found >= one,
        ("lt", [one, ..]) => found < one,
        ("lte", [one, ..]) => found <= one,
        ("between", [from, until]) => found >= from && found <= until,
        ("in", many) => many.contains(found),
        ("not_in", many) => !many.contains(found),
        _ => panic!("{op} is no comparison"),
    }
}

impl Test {
    fn json(&self) -> Value {
        let days = |days: &[u8]| -> Vec<String> {
            days.iter().map(|day| format!("2026-01-0{day}")).collect()
        };
        let one = |field: &str, op: &str, value: Value| json!({field: {op: value}});
        match self {
            Self::Name(op, text) => one("name", op, json!(text)),
            Self::Seats(op, many) => one("seats", op, values(op, many)),
            Self::Kind(op, many) => one("kind", op, values(op, many)),
            Self::Rent(op, many, currency) => {
                let mut words: Vec<String> = many.iter().map(i64::to_string).collect();
                words.push((*currency).to_owned());
                one("rent", op, json!(words))
            }
            Self::Day(op, many) => one("opened_on", op, values(op, &days(many))),
            Self::Tags(op, many) => one("tags", op, values(op, many)),
            Self::Open(yes) => json!({"open": yes}),
            Self::Null(field, yes) => one(field, "null", json!(yes)),
            Self::Empty(yes) => one("tags", "empty", json!(yes)),
        }
    }

    fn holds(&self, place: &Place) -> bool {
        match self {
            Self::Name(op, text) => {
                let (name, lower) = (place.name.to_lowercase(), text.to_lowercase());
                match *op {
                    "eq" => place.name == *text,
                    "ne" => place.name != *text,
                    "contains" => name.contains(&lower),
                    "starts" => name.starts_with(&lower),
                    _ => name.ends_with(&lower),
                }
            }
            Self::Seats(op, many) => compares(op, place.seats.as_ref(), many),
            Self::Kind(op, many) => compares(op, place.kind.as_ref(), many),
            Self::Rent(op, many, currency) => {
                let amount =
                    place.rent.filter(|(_, own)| own == currency).map(|(amount, _)| amount);
                compares(op, amount.as_ref(), many)
            }
            Self::Day(op, many) => compares(op, place.opened_on.as_ref(), many),
            Self::Tags(op, many) => place.tags.as_ref().is_some_and(|tags| match *op {
                "all" => many.iter().all(|tag| tags.contains(tag)),
                _ => many.iter().any(|tag| tags.contains(tag)),
            }),
            Self::Open(yes) => place.open == *yes,
            Self::Null(field, yes) => {
                let null = match *field {
                    "seats" => place.seats.is_none(),
                    "kind" => place.kind.is_none(),
                    "rent" => place.rent.is_none(),
                    "opened_on" => place.opened_on.is_none(),
                    "tags" => place.tags.is_none(),
                    _ => false,
                };
                null == *yes
            }
            Self::Empty(yes) => place.tags.as_ref().is_some_and(|tags| tags.is_empty() == *yes),
        }
    }
}

async fn keys(house: &House, tree: &Value) -> BTreeSet<String> {
    let text = tree.to_string();
    let query = [("where", text.as_str()), ("limit", "200"), ("fields", "key")];
    let seen = Seen::of(house.asks("/places", &query)).await.is(200);
    let rows = seen.body["data"].as_array().unwrap();
    rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn random_filters_find_what_a_model_finds() {
    let house = House::open().await;
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let rows: Vec<Place> =
        (0..ROWS).map(|_| place().new_tree(&mut runner).unwrap().current()).collect();
    let mut cx = house.org.begin().await.unwrap();
    for (number, row) in rows.iter().enumerate() {
        cx.create(&PLACE, body(row, number)).await.unwrap();
    }
    cx.commit().await.unwrap();
    let runtime = tokio::runtime::Handle::current();
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&wheres(), |tree| {
            let model = |negated: bool| -> BTreeSet<String> {
                let found = rows.iter().enumerate().filter(|(_, row)| tree.holds(row) != negated);
                found.map(|(number, _)| format!("p{number}")).collect()
            };
            let found = runtime.block_on(keys(&house, &tree.json()));
            prop_assert_eq!(&found, &model(false), "{}", tree.json());
            let rest = runtime.block_on(keys(&house, &json!({"not": tree.json()})));
            prop_assert_eq!(&rest, &model(true), "not {}", tree.json());
            Ok(())
        })
    });
    outcome.unwrap();
}
