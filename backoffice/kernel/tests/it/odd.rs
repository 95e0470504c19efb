//! Every operator on every kind with odd values: what a list cannot use is refused by its parameter's
//! name before the database is asked, and nothing that is taken makes the database fail.

use kernel::entity::{Entity, Field};
use kernel::error::{Code, Error};
use serde_json::{Value, json};

use crate::hall::{House, PLACE, object};
use crate::kinds::{FIELDS, SPECIMEN};

/// Operators of the grammar, none, and one that there is not.
const OPERATORS: &[&str] = &[
    "", "eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in", "contains", "starts",
    "ends", "any", "all", "empty", "null", "like",
];

const VALUES: &[&str] = &[
    "",
    " ",
    ",",
    "a,,b",
    "true",
    "TRUE",
    "null",
    "me",
    "0",
    "-0",
    "1",
    "-1",
    "1,2",
    "2,1",
    "1,2,EUR",
    "1,EUR",
    "-1,EUR",
    "999999999999999.9999,EUR",
    "9999999999999999,EUR",
    "1e400,EUR",
    "NaN,EUR",
    "1,eur",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "79228162514264337593543950335",
    "0.0000000000000000000000000001",
    "9999999999999999999999999999.9",
    "1e5",
    "NaN",
    "Infinity",
    "0x10",
    "1_000",
    "٣",
    "0001-01-01",
    "0000-12-31",
    "9999-12-31",
    "10000-01-01",
    "2026-02-30",
    "2026-11-21T24:00:00Z",
    "0001-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "-000001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:00",
    "2026-11-21T19:05:00.0000001Z",
    "2026-11-21T19:05:00Z[Europe/Berlin]",
    "infinity",
    "today",
    "-9999y",
    "+9999y",
    "start_of_year-2026y",
    "end_of_year+7972y",
    "end_of_day+9999h",
    "P1D",
    "-P1D",
    "PT9999999999999999999S",
    "00000000-0000-0000-0000-000000000000",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "{00000000-0000-0000-0000-000000000000}",
    "'; drop table places; --",
    "%",
    "\\",
    "\\\\%",
    "_",
    "\"",
    "{}",
    "[]",
    "{a,b}",
    "{NULL}",
    "a\u{0}b",
    "\u{1}",
    "\u{feff}",
    "\u{202e}abc",
    "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
    "one",
    "it's",
    "EUR",
    "DE",
    "de",
    "UTC",
];

/// Sorts, groups, figures and words of every field, and parameters of their own.
fn shapes(field: &str) -> Vec<Vec<(String, String)>> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut all = vec![
        vec![pair("sort", field)],
        vec![pair("sort", &format!("-{field},{field}.currency"))],
        vec![pair("fields", field)],
        vec![pair("include", field)],
    ];
    for ending in ["", ":day", ":week", ":month", ":quarter", ":year", ":x", ".currency", ":"] {
        for zone in ["UTC", "Africa/Cairo"] {
            all.push(vec![pair("group", &format!("{field}{ending}")), pair("zone", zone)]);
        }
    }
    for figure in ["count", "count_distinct", "sum", "avg", "min", "max"] {
        let figure = format!("{figure}:{field}");
        all.push(vec![pair("group", "id"), pair("aggregate", &figure), pair("per_group", "2")]);
    }
    all
}

/// A refusal is one of a query, and names the parameter that it is about.
#[track_caller]
fn judge(error: &Error, query: &[(String, String)]) {
    let known = [
        Code::InvalidFilter,
        Code::InvalidRequest,
        Code::InvalidSort,
        Code::InvalidCursor,
        Code::UnknownParameter,
    ];
    assert!(known.contains(&error.code()), "{query:?}: {error:?}");
    let named = |place: &str| {
        let meant = |(name, _): &(String, String)| {
            place == name || place.strip_prefix(name.as_str()).is_some_and(|r| r.starts_with('.'))
        };
        query.iter().any(meant)
    };
    let first = error.list().first().map(|fault| fault.field.clone()).unwrap_or_default();
    assert!(named(&first), "{query:?} names {first:?}: {error:?}");
}

/// How many queries were answered and how many refused.
async fn try_all(
    house: &House,
    entity: &'static Entity,
    queries: &[Vec<(String, String)>],
) -> (usize, usize) {
    let mut cx = house.org.begin().await.unwrap();
    let (mut answered, mut refused) = (0, 0);
    for query in queries {
        match cx.list(entity, query).await {
            Ok(page) => {
                let page: Value = serde_json::from_slice(&page).unwrap();
                assert!(page["data"].is_array(), "{query:?}");
                answered += 1;
            }
            Err(error) => {
                judge(&error, query);
                refused += 1;
            }
        }
    }
    cx.rollback().await.unwrap();
    (answered, refused)
}

async fn furnished() -> House {
    let house = House::open().await;
    let mut cx = house.org.begin().await.unwrap();
    let full = json!({
        "text": "it's %_\\ \"x\"", "integer": i64::MAX, "percent": "100", "duration": "PT1S",
        "money": {"amount": "99999999999999.99", "currency": "EUR"},
        "price": {"amount": "-999999999999999.9999", "currency": "EUR"},
        "decimal": "9999999999999999999999.999999", "rate": "0.0000000001", "quantity": "0.001",
        "date": "9999-12-31", "instant": "9999-12-30T21:59:59.999999Z", "choice": "it's",
        "text_list": ["", "{a,b}", "%"], "boolean": true, "json": {"a": [null]},
    });
    let early = json!({"date": "0001-01-01", "instant": "0001-01-02T00:00:00Z", "text_list": []});
    for body in [full.clone(), full, early, json!({})] {
        cx.create(&SPECIMEN, object(body)).await.unwrap();
    }
    cx.create(&PLACE, object(json!({"name": "one", "key": "one"}))).await.unwrap();
    cx.commit().await.unwrap();
    house
}

#[tokio::test]
async fn nothing_odd_in_a_filter_makes_the_database_fail() {
    let house = furnished().await;
    let mut queries = Vec::new();
    let names = FIELDS.iter().map(|field: &Field| field.name);
    let names = names.chain(["id", "version", "created_at", "money.currency"]).enumerate();
    for (turn, field) in names {
        for (other, operator) in OPERATORS.iter().enumerate() {
            let place = match *operator {
                "" => format!("filter[{field}]"),
                operator => format!("filter[{field}][{operator}]"),
            };
            let one = |value: &&str| vec![(place.clone(), (*value).to_owned())];
            // Every value meets every field and every operator, a third of their pairs.
            let third = VALUES.iter().enumerate().filter(|(n, _)| (n + turn + other) % 3 == 0);
            queries.extend(third.map(|(_, value)| one(value)));
            let told = if operator.is_empty() { "eq" } else { operator };
            let trees =
                [json!(null), json!([]), json!([1, "2", null]), json!(0.5), json!(u64::MAX)];
            let tree = |value: &Value| {
                vec![("where".to_owned(), json!({field: {told: value}}).to_string())]
            };
            queries.extend(trees.iter().map(tree));
        }
        queries.extend(shapes(field));
    }
    let (answered, refused) = try_all(&house, &SPECIMEN, &queries).await;
    assert!(answered > 1_000 && refused > answered, "{answered} answered, {refused} refused");
}

#[tokio::test]
async fn nothing_odd_beside_filters_makes_the_database_fail() {
    let house = furnished().await;
    let mut queries = Vec::new();
    for name in [
        "where",
        "zone",
        "q",
        "deleted",
        "sort",
        "limit",
        "cursor",
        "count",
        "fields",
        "include",
        "view",
        "root",
        "shape",
        "depth",
        "group",
        "aggregate",
        "per_group",
        "filter[]",
        "filter[name][]",
        "filter[name][eq][eq]",
        "x",
    ] {
        let one = |value: &&str| vec![(name.to_owned(), (*value).to_owned())];
        queries.extend(VALUES.iter().map(one));
    }
    let (answered, refused) = try_all(&house, &PLACE, &queries).await;
    assert!(answered > 50 && refused > answered, "{answered} answered, {refused} refused");
    for since in VALUES.iter().chain(&["1969-12-31T23:59:59Z", "0001-01-02T00:00:00Z"]) {
        let seen = crate::hall::Seen::of(house.asks("/activity", &[("since", since)])).await;
        if seen.status != 200 {
            seen.refuses(Code::InvalidRequest, &["since"]);
        }
    }
    let old = [("since", "1901-01-01T00:00:00Z")];
    let seen = crate::hall::Seen::of(house.asks("/activity", &old)).await.is(200);
    assert!(!seen.body["data"].as_array().unwrap().is_empty(), "all entries are newer");
}
