//! Lists as trees and as groups with figures.

use kernel::error::Code;
use serde_json::{Value, json};

use crate::hall::{House, PLACE, Seen, object};
use crate::reads::{ask, each, hall};

pub(crate) async fn forest(house: &House) -> [String; 5] {
    let place = house.place("here").await;
    let a = hall(house, "a", &place, json!({"level": 1})).await;
    let b = hall(house, "b", &place, json!({"inside_id": a, "level": 2})).await;
    let c = hall(house, "c", &place, json!({"inside_id": b, "level": 3})).await;
    let d = hall(house, "d", &place, json!({"inside_id": a, "level": 2})).await;
    let e = hall(house, "e", &place, json!({"level": 1})).await;
    [a, b, c, d, e]
}

/// `a(b(c)d)e` from nested rows.
pub(crate) fn shape(rows: &Value) -> String {
    let one = |row: &Value| {
        let inside = shape(&row["children"]);
        let name = row["name"].as_str().unwrap();
        let mark = if row["matches"] == false { "'" } else { "" };
        if inside.is_empty() { format!("{name}{mark}") } else { format!("{name}{mark}({inside})") }
    };
    rows.as_array().into_iter().flatten().map(one).collect()
}

#[tokio::test]
async fn trees_nest_and_keep_what_is_above_a_match() {
    let house = House::open().await;
    let [a, b, c, _, _] = forest(&house).await;
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "a(b(c)d)e"),
        (&[("sort", "-name")], "ea(db(c))"),
        (&[("root", b.as_str())], "b(c)"),
        (&[("depth", "1")], "ae"),
        (&[("depth", "2")], "a(bd)e"),
        (&[("root", a.as_str()), ("depth", "2")], "a(bd)"),
        (&[("filter[name]", "c")], "a'(b'(c))"),
        (&[("filter[level]", "2")], "a'(bd)"),
        (&[("filter[name]", "none")], ""),
        (&[("root", b.as_str()), ("filter[name]", "c")], "b'(c)"),
    ];
    for (query, expected) in cases {
        let query = [query, [("view", "tree")].as_slice()].concat();
        let tree = ask(&house, "/halls", &query).await;
        assert_eq!(shape(&tree["data"]), *expected, "{query:?}");
    }
    let flat = [("view", "tree"), ("shape", "flat"), ("fields", "name")];
    let list = ask(&house, "/halls", &flat).await;
    assert_eq!(
        (each(&list, "name"), each(&list, "depth")),
        ("a,b,c,d,e".into(), "0,1,2,1,0".into())
    );
    assert_eq!(list["data"][2]["path"], json!([a, b, c]));
    for name in ["limit", "cursor", "include", "count", "group"] {
        let seen = Seen::of(house.asks("/halls", &[("view", "tree"), (name, "1")])).await;
        assert_eq!(seen.status, 400, "{name}: {}", seen.body);
    }
}

/// Place, query, shape of its tree.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[tokio::test]
async fn the_tree_of_a_child_collection_holds_that_collection() {
    let house = House::open().await;
    let [a, b, c, _, _] = forest(&house).await;
    let other = house.place("there").await;
    let elsewhere = hall(&house, "x", &other, json!({})).await;
    hall(&house, "y", &other, json!({"inside_id": elsewhere})).await;
    // A hall of the other place below one of this place: a root there, absent here.
    hall(&house, "z", &other, json!({"inside_id": c})).await;
    let here = house.get(&format!("/halls/{a}")).await.is(200).body["place_id"].clone();
    let here = here.as_str().unwrap();
    let cases: &[Case<'_>] = &[
        (here, &[], "a(b(c)d)e"),
        (&other, &[], "x(y)z"),
        (&other, &[("filter[name]", "y")], "x'(y)"),
        (&other, &[("root", a.as_str())], ""),
        (&other, &[("root", elsewhere.as_str())], "x(y)"),
        (here, &[("root", b.as_str())], "b(c)"),
    ];
    for (place, query, expected) in cases {
        let query = [query, [("view", "tree")].as_slice()].concat();
        let tree = ask(&house, &format!("/places/{place}/halls"), &query).await;
        assert_eq!(shape(&tree["data"]), *expected, "{place} {query:?}");
    }
}

#[tokio::test]
async fn averages_of_amounts_are_rounded_once() {
    let house = House::open().await;
    let mut cx = house.org.begin().await.unwrap();
    // 0.005 and a little: to four digits first it would be a tie, which goes down to zero.
    for (key, amount) in [("a", "0.01"), ("b", "0"), ("c", "0"), ("d", "0.01")] {
        let rent = json!({"amount": amount, "currency": "EUR"});
        let body = json!({"name": "n", "key": key, "seats": 1, "rent": rent});
        cx.create(&PLACE, object(body)).await.unwrap();
    }
    for n in 0..3 {
        let rent = json!({"amount": if n == 0 { "1" } else { "0" }, "currency": "JPY"});
        let body = json!({"name": "n", "key": format!("j{n}"), "seats": 1, "rent": rent});
        cx.create(&PLACE, object(body)).await.unwrap();
    }
    cx.commit().await.unwrap();
    let query = [("group", "seats"), ("aggregate", "sum:rent,avg:rent,min:rent,max:rent")];
    let list = ask(&house, "/places", &query).await;
    let amounts = |eur: &str, jpy: &str| json!([{"amount": eur, "currency": "EUR"}, {"amount": jpy, "currency": "JPY"}]);
    for found in [&list["data"][0], &list["totals"]] {
        assert_eq!(found["sum"]["rent"], amounts("0.02", "1"));
        assert_eq!(found["avg"]["rent"], amounts("0.00", "0"));
        assert_eq!(found["min"]["rent"], amounts("0.00", "0"));
        assert_eq!(found["max"]["rent"], amounts("0.01", "1"));
    }
}

#[tokio::test]
async fn a_circle_ends_and_a_large_tree_is_refused() {
    let house = House::open().await;
    let [a, _, c, _, _] = forest(&house).await;
    house.patch(&format!("/halls/{a}"), json!({"inside_id": c})).await.is(200);
    let tree = ask(&house, "/halls", &[("view", "tree")]).await;
    assert_eq!(shape(&tree["data"]), "e");
    let tree = ask(&house, "/halls", &[("view", "tree"), ("root", &a)]).await;
    assert_eq!(shape(&tree["data"]), "a(b(c)d)");
    let place = house.place("large").await;
    let cx = house.org.begin().await.unwrap();
    let place: uuid::Uuid = place.parse().unwrap();
    let sql = "insert into halls (name, place_id) select 'n', $1 from generate_series(1, 2000)";
    cx.execute(sql, &[&place]).await.unwrap();
    cx.commit().await.unwrap();
    let seen = Seen::of(house.asks("/halls", &[("view", "tree")])).await;
    seen.refuses(Code::InvalidRequest, &["view"]);
    let few = [("view", "tree"), ("filter[name]", "c"), ("root", a.as_str())];
    assert_eq!(shape(&ask(&house, "/halls", &few).await["data"]), "a'(b'(c))");
}

pub(crate) async fn shop(house: &House) {
    let mut cx = house.org.begin().await.unwrap();
    for (key, kind, seats, rent, day) in [
        ("a", Some("arena"), Some(10), Some(("10", "EUR")), "2026-01-31T23:30:00Z"),
        ("b", Some("arena"), None, Some(("5.50", "EUR")), "2026-02-10T10:00:00Z"),
        ("c", Some("club"), Some(5), Some(("3", "JPY")), "2026-02-11T10:00:00Z"),
        ("d", None, Some(1), None, "2026-04-01T10:00:00Z"),
        ("e", Some("arena"), Some(4), Some(("100", "JPY")), "2026-04-02T10:00:00Z"),
    ] {
        let rent = rent.map(|(amount, currency)| json!({"amount": amount, "currency": currency}));
        let body = json!({"name": key.to_uppercase(), "key": key, "kind": kind, "seats": seats,
                          "rent": rent, "opened_at": day});
        cx.create(&PLACE, object(body)).await.unwrap();
    }
    cx.commit().await.unwrap();
}

#[tokio::test]
async fn groups_have_figures_and_totals() {
    let house = House::open().await;
    shop(&house).await;
    let figures =
        "count,sum:seats,avg:seats,min:opened_at,max:seats,sum:rent,avg:rent,count_distinct:seats";
    let list = ask(&house, "/places", &[("group", "kind"), ("aggregate", figures)]).await;
    assert_eq!(list["page"], json!({"next": null, "count": {"value": 3, "exact": true}}));
    assert_eq!(
        list["data"][0],
        json!({
            "group": {"kind": "arena"}, "count": 3,
            "sum": {"seats": 14, "rent": [{"amount": "15.50", "currency": "EUR"},
                                           {"amount": "100", "currency": "JPY"}]},
            "avg": {"seats": "7", "rent": [{"amount": "7.75", "currency": "EUR"},
                                            {"amount": "100", "currency": "JPY"}]},
            "min": {"opened_at": "2026-01-31T23:30:00Z"}, "max": {"seats": 10},
            "count_distinct": {"seats": 2},
        })
    );
    assert_eq!(list["data"][2]["group"], json!({"kind": null}));
    assert_eq!(list["data"][2]["sum"], json!({"seats": 1, "rent": []}));
    assert_eq!(list["totals"]["count"], 5);
    assert_eq!(list["totals"]["sum"]["seats"], 20);
    assert_eq!(
        list["totals"]["sum"]["rent"],
        json!([{"amount": "15.50", "currency": "EUR"}, {"amount": "103", "currency": "JPY"}])
    );
    let none = [("group", "kind"), ("aggregate", "sum:rent,count"), ("filter[key]", "none")];
    let list = ask(&house, "/places", &none).await;
    assert_eq!(
        (&list["data"], &list["totals"]),
        (&json!([]), &json!({"sum": {"rent": []}, "count": 0}))
    );
}

#[tokio::test]
async fn groups_by_period_are_those_of_the_zone() {
    let house = House::open().await;
    shop(&house).await;
    for (group, zone, expected) in [
        ("opened_at:month", "UTC", "2026-01-01 1,2026-02-01 2,2026-04-01 2"),
        ("opened_at:month", "Europe/Berlin", "2026-02-01 3,2026-04-01 2"),
        ("opened_at:quarter", "UTC", "2026-01-01 3,2026-04-01 2"),
        ("opened_at:year", "UTC", "2026-01-01 5"),
        ("opened_at:week", "UTC", "2026-01-26 1,2026-02-09 2,2026-03-30 2"),
        ("opened_on:day", "UTC", "null 5"),
        ("rent.currency", "UTC", "EUR 2,JPY 2,null 1"),
    ] {
        let list = ask(&house, "/places", &[("group", group), ("zone", zone)]).await;
        let show = |one: &Value| {
            let value = &one["group"][group];
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{text} {}", one["count"])
        };
        let found: Vec<String> = list["data"].as_array().unwrap().iter().map(show).collect();
        assert_eq!(found.join(","), expected, "{group} in {zone}");
    }
}

#[tokio::test]
async fn groups_have_pages_an_order_and_rows() {
    let house = House::open().await;
    shop(&house).await;
    let kinds = |list: &Value| {
        each(
            &json!({"data": list["data"].as_array().unwrap().iter().map(|g| g["group"].clone()).collect::<Vec<_>>()}),
            "kind",
        )
    };
    let by = |sort: &'static str| [("group", "kind"), ("sort", sort), ("limit", "2")];
    for (sort, first, second) in [
        ("kind", "arena,club", "null"),
        ("-kind", "null,club", "arena"),
        ("-count", "arena,club", "null"),
    ] {
        let page = ask(&house, "/places", &by(sort)).await;
        let next = page["page"]["next"].as_str().unwrap().to_owned();
        let rest = [by(sort).as_slice(), &[("cursor", next.as_str())]].concat();
        let rest = ask(&house, "/places", &rest).await;
        assert_eq!((kinds(&page), kinds(&rest)), (first.into(), second.into()), "{sort}");
        assert_eq!(rest["page"]["next"], Value::Null);
    }
    let board = [("group", "kind"), ("per_group", "2"), ("sort", "-key"), ("fields", "key")];
    let list = ask(&house, "/places", &board).await;
    let rows: Vec<String> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| each(&json!({"data": g["rows"]}), "key"))
        .collect();
    assert_eq!((kinds(&list), rows.join(";")), ("arena,club,null".into(), "e,b;c;d".into()));
    assert_eq!(list["data"][0]["count"], 3);
    let two = ask(&house, "/places", &[("group", "kind,open"), ("aggregate", "count")]).await;
    assert_eq!(two["data"][0]["group"], json!({"kind": "arena", "open": true}));
    for (name, value) in [
        ("aggregate", "sum:name"),
        ("aggregate", "median:seats"),
        ("aggregate", "sum"),
        ("aggregate", "count,count"),
        ("per_group", "51"),
        ("limit", "201"),
    ] {
        let seen = Seen::of(house.asks("/places", &[("group", "kind"), (name, value)])).await;
        seen.refuses(Code::InvalidRequest, &[name]);
    }
}
