//! Filters, sorting, keyset pages; and that no text of a caller becomes SQL.

use std::collections::BTreeSet;

use kernel::error::Code;
use serde_json::{Value, json};

use crate::hall::{House, Seen};

async fn furnished() -> House {
    let house = House::open().await;
    let rows = [
        json!({"name": "Alpha", "key": "a", "seats": 100, "kind": "club", "open": true,
               "rent": {"amount": "10", "currency": "EUR"}, "opened_on": "2020-01-01",
               "opened_at": "2020-01-01T10:00:00Z", "rating": "1.50", "tags": ["x", "y"],
               "contact": "Alpha@Example.org", "country": "DE"}),
        json!({"name": "beta", "key": "b", "seats": 200, "kind": "arena", "open": false,
               "rent": {"amount": "20.50", "currency": "EUR"}, "opened_on": "2021-01-01",
               "opened_at": "2021-01-01T10:00:00Z", "rating": "2.50", "tags": ["%"],
               "extra": {"a": 1}}),
        json!({"name": "100% _new\\", "key": "c", "seats": 300, "kind": "arena",
               "opened_on": "2022-01-01", "opened_at": "2022-01-01T10:00:00Z", "rating": "-3"}),
        json!({"name": "O'Hara \"x\"", "key": "d"}),
    ];
    for row in rows {
        house.post("/places", row).await.is(201);
    }
    house
}

async fn keys(house: &House, query: &[(&str, &str)]) -> String {
    let seen = Seen::of(house.asks("/places", query)).await.is(200);
    let rows = seen.body["data"].as_array().unwrap();
    assert_eq!(seen.body["page"]["count"], json!({"value": rows.len(), "exact": true}));
    rows.iter().map(|row| row["key"].as_str().unwrap()).collect()
}

/// Parameter, value, keys of the rows that are found.
const FOUND: &[(&str, &str, &str)] = &[
    ("filter[name]", "beta", "b"),
    ("filter[name]", "BETA", ""),
    ("filter[name][ne]", "beta", "acd"),
    ("filter[name][contains]", "BET", "b"),
    ("filter[name][contains]", "%", "c"),
    ("filter[name][contains]", "_", "c"),
    ("filter[name][contains]", "\\", "c"),
    ("filter[name][contains]", "'", "d"),
    ("filter[name][starts]", "al", "a"),
    ("filter[name][starts]", "lpha", ""),
    ("filter[name][in]", "beta,Alpha", "ab"),
    ("filter[contact][contains]", "example", "a"),
    ("filter[contact][null]", "true", "bcd"),
    ("filter[contact][null]", "false", "a"),
    ("filter[seats]", "200", "b"),
    ("filter[seats][gt]", "200", "c"),
    ("filter[seats][gte]", "200", "bc"),
    ("filter[seats][lt]", "200", "a"),
    ("filter[seats][lte]", "200", "ab"),
    ("filter[seats][in]", "100,300", "ac"),
    ("filter[seats][ne]", "100", "bcd"),
    ("filter[seats]", "-5", ""),
    ("filter[rent][gte]", "10.01,EUR", "b"),
    ("filter[rent][eq]", "10.00,EUR", "a"),
    ("filter[rent]", "10,USD", ""),
    ("filter[rent][ne]", "10,EUR", "bcd"),
    ("filter[rent][between]", "10,20.50,EUR", "ab"),
    ("filter[rent.currency]", "EUR", "ab"),
    ("filter[rent][null]", "true", "cd"),
    ("filter[name][ends]", "A", "ab"),
    ("filter[name][not_in]", "beta,Alpha", "cd"),
    ("filter[kind][not_in]", "arena", "ad"),
    ("filter[seats][between]", "100,200", "ab"),
    ("filter[seats][not_in]", "100,200", "cd"),
    ("filter[opened_at][between]", "2020-01-01T10:00:00Z,2021-01-01T10:00:00Z", "ab"),
    ("filter[opened_on][lt]", "today", "abc"),
    ("filter[opened_on][gt]", "-20y", "abc"),
    ("filter[created_at][gte]", "start_of_day-1d", "abcd"),
    ("filter[created_at][gt]", "now+1h", ""),
    ("filter[tags][any]", "y,%", "ab"),
    ("filter[tags][all]", "x,y", "a"),
    ("filter[tags][all]", "x,%", ""),
    ("filter[tags][empty]", "false", "ab"),
    ("filter[tags][empty]", "true", ""),
    ("where", r#"{"name": "beta"}"#, "b"),
    ("where", r#"{"name": null}"#, ""),
    ("where", r#"{"contact": null}"#, "bcd"),
    ("where", r#"{"contact": {"ne": null}}"#, "a"),
    ("where", r#"{"seats": {"gt": 100, "lte": 300}}"#, "bc"),
    ("where", r#"{"open": false}"#, "b"),
    ("where", r#"{"or": [{"kind": "club"}, {"seats": {"gte": 300}}]}"#, "ac"),
    ("where", r#"{"not": {"kind": "arena"}}"#, "ad"),
    ("where", r#"{"not": {"seats": {"gt": 100}}, "key": {"in": ["a", "b", "d"]}}"#, "ad"),
    ("where", r#"{"name": {"in": ["100% _new\\", "x,y"]}}"#, "c"),
    ("where", r#"{"rent": {"lt": {"amount": "20", "currency": "EUR"}}}"#, "a"),
    ("where", r#"{"tags": {"any": ["x"]}}"#, "a"),
    ("filter[rating][lt]", "0", "c"),
    ("filter[kind]", "arena", "bc"),
    ("filter[kind][in]", "arena,club", "abc"),
    ("filter[open]", "false", "b"),
    ("filter[opened_on][gte]", "2021-01-01", "bc"),
    ("filter[opened_at][lt]", "2021-01-01T11:00:00+01:00", "a"),
    ("filter[opened_at][lte]", "2021-01-01T11:00:00+01:00", "ab"),
    ("filter[tags][contains]", "y", "a"),
    ("filter[tags][contains]", "%", "b"),
    ("filter[extra][null]", "false", "b"),
    ("filter[country]", "DE", "a"),
    ("filter[version]", "1", "abcd"),
    ("filter[visits][gte]", "1", ""),
];

#[tokio::test]
async fn filters_by_kind() {
    let house = furnished().await;
    for (name, value, expected) in FOUND {
        let found = keys(&house, &[(name, value), ("sort", "key")]).await;
        assert_eq!(&found, expected, "{name}={value}");
    }
    let both = [("filter[kind]", "arena"), ("filter[seats][lt]", "300"), ("sort", "key")];
    assert_eq!(keys(&house, &both).await, "b");
}

/// Parameter, value, code, the field that the refusal names.
const REFUSED: &[(&str, &str, Code, &str)] = &[
    ("filter[nope]", "1", Code::InvalidFilter, "filter[nope]"),
    ("filter[seal][null]", "true", Code::InvalidFilter, "filter[seal][null]"),
    ("filter[org_id]", "1", Code::InvalidFilter, "filter[org_id]"),
    ("filter[name][like]", "x", Code::InvalidFilter, "filter[name][like]"),
    ("filter[name][gt]", "x", Code::InvalidFilter, "filter[name][gt]"),
    ("filter[seats]", "many", Code::InvalidFilter, "filter[seats]"),
    ("filter[seats][in]", "1,,2", Code::InvalidFilter, "filter[seats][in]"),
    ("filter[kind]", "barn", Code::InvalidFilter, "filter[kind]"),
    ("filter[opened_on]", "soon", Code::InvalidFilter, "filter[opened_on]"),
    ("filter[extra]", "1", Code::InvalidFilter, "filter[extra]"),
    ("filter[name][null]", "maybe", Code::InvalidFilter, "filter[name][null]"),
    ("filter[name]", "a\u{0}b", Code::InvalidFilter, "filter[name]"),
    ("filter[rent]", "1e5,EUR", Code::InvalidFilter, "filter[rent]"),
    ("filter[rent]", "10", Code::InvalidFilter, "filter[rent]"),
    ("filter[rent][between]", "10,EUR", Code::InvalidFilter, "filter[rent][between]"),
    ("filter[rent.price]", "10", Code::InvalidFilter, "filter[rent.price]"),
    ("filter[seats][between]", "10", Code::InvalidFilter, "filter[seats][between]"),
    ("filter[tags]", "x", Code::InvalidFilter, "filter[tags]"),
    ("filter[opened_on]", "start_of_decade", Code::InvalidFilter, "filter[opened_on]"),
    ("filter[opened_on]", "-7h", Code::InvalidFilter, "filter[opened_on]"),
    ("filter[opened_on]", "-9999y", Code::InvalidFilter, "filter[opened_on]"),
    ("filter[key.name]", "x", Code::InvalidFilter, "filter[key.name]"),
    ("where", "[]", Code::InvalidFilter, "where"),
    ("where", "{}", Code::InvalidFilter, "where"),
    ("where", "{", Code::InvalidFilter, "where"),
    ("where", r#"{"nope": 1}"#, Code::InvalidFilter, "where.nope"),
    ("where", r#"{"seats": {"like": 1}}"#, Code::InvalidFilter, "where.seats.like"),
    ("where", r#"{"seats": 1, "seats": 2}"#, Code::InvalidFilter, "where"),
    ("where", r#"{"and": [{"or": []}]}"#, Code::InvalidFilter, "where.and[0].or"),
    ("where", r#"{"or": [{"name": 1}, {"seats": "x"}]}"#, Code::InvalidFilter, "where.or[0].name"),
    (
        "where",
        r#"{"not": {"not": {"not": {"not": {"not": {"not": {"open": true}}}}}}}"#,
        Code::InvalidFilter,
        "where.not.not.not.not.not.not",
    ),
    ("zone", "Mars/Base", Code::InvalidRequest, "zone"),
    ("count", "all", Code::InvalidRequest, "count"),
    ("fields", "name,seal", Code::InvalidRequest, "fields"),
    ("fields", "", Code::InvalidRequest, "fields"),
    ("include", "name", Code::InvalidRequest, "include"),
    ("deleted", "yes", Code::InvalidRequest, "deleted"),
    ("view", "board", Code::InvalidRequest, "view"),
    ("view", "tree", Code::InvalidRequest, "view"),
    ("root", "x", Code::InvalidRequest, "root"),
    ("aggregate", "count", Code::InvalidRequest, "aggregate"),
    ("group", "notes", Code::InvalidRequest, "group"),
    ("group", "rent", Code::InvalidRequest, "group"),
    ("group", "opened_at", Code::InvalidRequest, "group"),
    ("group", "opened_at:decade", Code::InvalidRequest, "group"),
    ("group", "kind:month", Code::InvalidRequest, "group"),
    ("group", "kind,kind", Code::InvalidRequest, "group"),
    ("group", "kind,open,country,zone", Code::InvalidRequest, "group"),
    ("sort", "nope", Code::InvalidSort, "sort"),
    ("sort", "seal", Code::InvalidSort, "sort"),
    ("sort", "extra", Code::InvalidSort, "sort"),
    ("sort", "name,name", Code::InvalidSort, "sort"),
    ("sort", "", Code::InvalidSort, "sort"),
    ("sort", "name,key,seats,kind,open", Code::InvalidSort, "sort"),
    ("limit", "0", Code::InvalidRequest, "limit"),
    ("limit", "201", Code::InvalidRequest, "limit"),
    ("limit", "ten", Code::InvalidRequest, "limit"),
    ("cursor", "?", Code::InvalidCursor, "cursor"),
    ("cursor", "bm90IGpzb24", Code::InvalidCursor, "cursor"),
    ("page", "2", Code::UnknownParameter, "page"),
    ("filter", "x", Code::UnknownParameter, "filter"),
];

#[tokio::test]
async fn bad_queries_are_refused_by_name() {
    let house = House::open().await;
    for (name, value, code, field) in REFUSED {
        let seen = Seen::of(house.asks("/places", &[(name, value)])).await;
        seen.refuses(*code, &[field]);
    }
    let twice = [("limit", "1"), ("limit", "2")];
    let seen = Seen::of(house.asks("/places", &twice)).await;
    seen.refuses(Code::InvalidRequest, &["limit"]);
    let many: Vec<(String, String)> =
        (0..45).map(|n| ("filter[seats]".to_owned(), n.to_string())).collect();
    let six = serde_json::to_string(&json!({"or": vec![json!({"seats": 1}); 6]})).unwrap();
    let many = [many, vec![("where".to_owned(), six)]].concat();
    Seen::of(house.asks("/places", &many)).await.refuses(Code::InvalidFilter, &[]);
    let long = vec!["1"; 101].join(",");
    let seen = Seen::of(house.asks("/places", &[("filter[seats][in]", &long)])).await;
    seen.refuses(Code::InvalidFilter, &["filter[seats][in]"]);
    let id = house.place("one").await;
    Seen::of(house.request("GET", &format!("/places/{id}?expand=all")))
        .await
        .refuses(Code::UnknownParameter, &["expand"]);
}

#[tokio::test]
async fn no_text_of_a_caller_becomes_sql() {
    let house = furnished().await;
    let attempts = [
        "'; drop table places; --",
        "' or '1'='1",
        "\\' or 1=1 --",
        "$1",
        "%' or name like '%",
        "x\"; select pg_sleep(10); --",
        "') union select password_hash from users --",
    ];
    for text in attempts {
        for name in ["filter[name]", "filter[name][contains]", "filter[name][in]"] {
            let seen = Seen::of(house.asks("/places", &[(name, text)])).await;
            assert_eq!(seen.is(200).body["data"], json!([]), "{name}={text}");
        }
        for query in [
            ("sort".to_owned(), text.to_owned()),
            ("cursor".to_owned(), text.to_owned()),
            ("limit".to_owned(), text.to_owned()),
            (format!("filter[{text}]"), "1".to_owned()),
            (format!("filter[name][{text}]"), "1".to_owned()),
            (text.to_owned(), "1".to_owned()),
        ] {
            let seen = Seen::of(house.asks("/places", &[query])).await;
            assert_eq!(seen.status, 400, "{}", seen.body);
        }
        let forged = forged_cursor(&house, text).await;
        forged.refuses(Code::InvalidCursor, &["cursor"]);
        let stored = house.post("/places", json!({"name": text, "key": "stored"})).await.is(201);
        assert_eq!(stored.body["name"], text);
        let by_name = Seen::of(house.asks("/places", &[("filter[name]", text)]));
        assert_eq!(by_name.await.body["data"][0]["id"], stored.body["id"]);
        house.delete(&format!("/places/{}", stored.id())).await.is(204);
        let field = house.post("/places", json!({"name": "x", "key": "k", text: 1})).await;
        field.refuses(Code::ValidationFailed, &[text]);
        Seen::of(house.request("GET", &format!("/places/{}", text.replace(['\\', '%'], ""))))
            .await
            .is(400);
    }
    assert_eq!(keys(&house, &[("sort", "key")]).await, "abcd");
}

/// A real cursor whose first key is replaced by an attempt; its place in an id or a number.
async fn forged_cursor(house: &House, text: &str) -> Seen {
    let query = [("sort", "seats"), ("limit", "1")];
    let page = Seen::of(house.asks("/places", &query)).await.is(200);
    let cursor = page.body["page"]["next"].as_str().unwrap();
    let bytes = data_encoding::BASE64URL_NOPAD.decode(cursor.as_bytes()).unwrap();
    let mut inside: Value = serde_json::from_slice(&bytes).unwrap();
    inside["k"][0] = json!(text);
    let forged = data_encoding::BASE64URL_NOPAD.encode(inside.to_string().as_bytes());
    let query = [("sort", "seats"), ("limit", "1"), ("cursor", &forged)];
    Seen::of(house.asks("/places", &query)).await
}

/// Reads all pages; `between` acts after each.
async fn walk(house: &House, sort: &str, limit: &str, between: impl AsyncFn(usize)) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    for page in 0.. {
        let mut query = vec![("sort", sort), ("limit", limit)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let seen = Seen::of(house.asks("/places", &query)).await.is(200);
        rows.extend(seen.body["data"].as_array().unwrap().iter().cloned());
        between(page).await;
        match seen.body["page"]["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    rows
}

async fn many(house: &House, count: i64) {
    let mut cx = house.org.begin().await.unwrap();
    for n in 0..count {
        let mut body = json!({"name": format!("n{}", n % 3), "key": format!("k{n}")});
        if n % 4 != 0 {
            body["seats"] = json!(n % 5);
            body["rent"] = json!({"amount": (n % 2).to_string(), "currency": "EUR"});
            body["opened_at"] = json!(format!("2026-01-01T00:00:00.00000{}Z", n % 3));
        }
        cx.create(&crate::hall::PLACE, crate::hall::object(body)).await.unwrap();
    }
    cx.commit().await.unwrap();
}

#[tokio::test]
async fn pages_give_every_row_once_in_any_order_with_nulls() {
    let house = House::open().await;
    many(&house, 23).await;
    let sorts = [
        "id",
        "-id",
        "seats",
        "-seats",
        "name,-seats",
        "-name,seats",
        "rent,-name",
        "-rent",
        "opened_at",
        "-opened_at,name",
        "open,kind",
        "rating",
        "created_at",
    ];
    for sort in sorts {
        let whole = walk(&house, sort, "200", async |_| {}).await;
        assert_eq!(whole.len(), 23);
        for limit in ["1", "4", "23"] {
            assert_eq!(walk(&house, sort, limit, async |_| {}).await, whole, "{sort} by {limit}");
        }
    }
}

#[tokio::test]
async fn pages_stay_stable_while_rows_are_added() {
    let house = House::open().await;
    many(&house, 12).await;
    let before: BTreeSet<String> = walk(&house, "id", "200", async |_| {})
        .await
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    for sort in ["seats", "-seats", "-id", "name"] {
        let seen = walk(&house, sort, "3", async |page| {
            if page < 3 {
                house.place(&format!("new{}-{page}", sort.trim_start_matches('-'))).await;
            }
        })
        .await;
        let mut ids: Vec<&str> = seen.iter().map(|row| row["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len(), "{sort}: a row came twice");
        assert!(before.iter().all(|id| distinct.contains(id.as_str())), "{sort}: a row is missing");
        // The next order begins with what there was.
        for row in seen.iter().filter(|row| !before.contains(row["id"].as_str().unwrap())) {
            house.delete(&format!("/places/{}", row["id"].as_str().unwrap())).await.is(204);
        }
        for row in walk(&house, "id", "200", async |_| {}).await {
            let id = row["id"].as_str().unwrap();
            if !before.contains(id) {
                house.delete(&format!("/places/{id}")).await.is(204);
            }
        }
    }
}

#[tokio::test]
async fn a_cursor_fits_one_list_only() {
    let house = furnished().await;
    let first = [("sort", "seats"), ("limit", "1"), ("filter[open]", "true")];
    let page = Seen::of(house.asks("/places", &first)).await.is(200);
    let next = page.body["page"]["next"].as_str().unwrap();
    let mut good = first.to_vec();
    good.push(("cursor", next));
    Seen::of(house.asks("/places", &good)).await.is(200);
    for other in [
        vec![("sort", "-seats"), ("filter[open]", "true")],
        vec![("sort", "seats")],
        vec![("sort", "seats"), ("filter[open]", "false")],
        vec![("sort", "seats"), ("filter[open][ne]", "true")],
    ] {
        let mut query = other;
        query.push(("cursor", next));
        let seen = Seen::of(house.asks("/places", &query)).await;
        seen.refuses(Code::InvalidCursor, &["cursor"]);
    }
}

#[tokio::test]
async fn counts_beyond_the_cap_are_estimated() {
    let house = House::open().await;
    let cx = house.org.begin().await.unwrap();
    cx.execute(
        "insert into places (name, key) select 'n', 'k' || n from generate_series(1, 10050) n",
        &[],
    )
    .await
    .unwrap();
    cx.commit().await.unwrap();
    let seen = Seen::of(house.asks("/places", &[("limit", "1")])).await.is(200);
    let count = &seen.body["page"]["count"];
    assert_eq!(count["exact"], false, "{count}");
    assert!(count["value"].as_i64().unwrap() > 10_000, "{count}");
}

#[tokio::test]
async fn what_is_too_long_for_a_cursor_is_no_order() {
    let house = House::open().await;
    for key in ["long-a", "long-b"] {
        let body =
            json!({"name": "\u{1F3AA}".repeat(300), "key": key, "notes": "n".repeat(20_000)});
        house.post("/places", body).await.is(201);
    }
    for field in ["notes", "site"] {
        let seen = Seen::of(house.asks("/places", &[("sort", field)])).await;
        seen.refuses(Code::InvalidSort, &["sort"]);
    }
    let by = [("sort", "name,contact,phone,key"), ("limit", "1")];
    let first = Seen::of(house.asks("/places", &by)).await.is(200);
    let next = first.body["page"]["next"].as_str().unwrap().to_owned();
    let more = [by[0], by[1], ("cursor", next.as_str())];
    let second = Seen::of(house.asks("/places", &more)).await.is(200);
    assert_eq!(second.body["data"][0]["key"], "long-b");
}
