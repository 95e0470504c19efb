//! What lists show beside plain pages: chosen fields, linked rows, trees, groups, what words find;
//! and that none of it shows another organization's rows.

use std::collections::BTreeSet;

use kernel::clock::ManualClock;
use kernel::error::Code;
use kernel::settings::Secret;
use serde_json::{Value, json};

use crate::hall::{HALL, House, PLACE, Seen, object};

async fn ask(house: &House, path: &str, query: &[(&str, &str)]) -> Value {
    Seen::of(house.asks(path, query)).await.is(200).body
}

/// As somebody else than the owner.
async fn ask_as(house: &House, token: &Secret, path: &str, query: &[(&str, &str)]) -> Seen {
    let mut url = reqwest::Url::parse("http://x").unwrap();
    url.query_pairs_mut().extend_pairs(query);
    let path = format!("/api/v1{path}?{}", url.query().unwrap_or_default());
    Seen::of(house.plain("GET", &path).bearer_auth(token.expose())).await
}

/// Values of one member, by comma.
fn each(list: &Value, member: &str) -> String {
    let rows = list["data"].as_array().unwrap();
    let text =
        |row: &Value| row[member].as_str().map_or_else(|| row[member].to_string(), str::to_owned);
    rows.iter().map(text).collect::<Vec<_>>().join(",")
}

async fn hall(house: &House, name: &str, place: &str, more: Value) -> String {
    let mut body = object(json!({"name": name, "place_id": place}));
    body.extend(object(more));
    house.post("/halls", Value::Object(body)).await.is(201).id()
}

#[tokio::test]
async fn fields_are_chosen_and_keep_id_and_version() {
    let house = House::open().await;
    let id = house.place("one").await;
    let list = ask(&house, "/places", &[("fields", "name,rent"), ("sort", "key")]).await;
    let expected = json!({"id": id, "name": "one", "rent": null, "version": 1});
    assert_eq!(list["data"], json!([expected]));
    let row = ask(&house, &format!("/places/{id}"), &[("fields", "name,rent")]).await;
    assert_eq!(row, expected);
    // A cursor needs what is not shown.
    house.place("two").await;
    let page = [("fields", "seats"), ("sort", "key"), ("limit", "1")];
    let next = ask(&house, "/places", &page).await["page"]["next"].as_str().unwrap().to_owned();
    let more = [page[0], page[1], page[2], ("cursor", &next)];
    let list = ask(&house, "/places", &more).await;
    assert_eq!((list["data"].as_array().unwrap().len(), &list["page"]["next"]), (1, &Value::Null));
}

#[tokio::test]
async fn linked_rows_stand_in_the_rows() {
    let house = House::open().await;
    let place = house.place("here").await;
    let other = house.place("there").await;
    let low = hall(&house, "low", &place, json!({})).await;
    hall(&house, "high", &place, json!({"inside_id": low, "near_place_id": other})).await;
    let query =
        [("include", "place_id,inside_id,near_place_id"), ("sort", "-name"), ("fields", "name")];
    let list = ask(&house, "/halls", &query).await;
    assert_eq!(each(&list, "name"), "low,high");
    assert_eq!(list["data"][0]["inside"], Value::Null);
    assert_eq!(list["data"][0]["place"]["key"], "here");
    assert_eq!(list["data"][1]["inside"]["id"], low);
    assert_eq!(list["data"][1]["near_place"]["key"], "there");
    let whole = house.get(&format!("/places/{other}")).await.is(200).body;
    assert_eq!(list["data"][1]["near_place"], whole);
    // Pages and order are those of the plain list.
    let pages = [("include", "place_id"), ("limit", "1"), ("sort", "name")];
    let first = ask(&house, "/halls", &pages).await;
    let next = first["page"]["next"].as_str().unwrap().to_owned();
    let second = [pages[0], pages[1], pages[2], ("cursor", next.as_str())];
    let second = ask(&house, "/halls", &second).await;
    assert_eq!((each(&first, "name"), each(&second, "name")), ("high".into(), "low".into()));
    let one = ask(&house, &format!("/halls/{low}"), &[("include", "place_id")]).await;
    assert_eq!(one["place"]["id"], place);
    for (link, why) in [("keeper_id", "a global table"), ("place_id,place_id", "twice")] {
        let seen = Seen::of(house.asks("/halls", &[("include", link)])).await;
        assert_eq!(seen.refuses(Code::InvalidRequest, &["include"]).status, 400, "{why}");
    }
}

#[tokio::test]
async fn what_is_linked_keeps_its_own_rights() {
    let house = House::open().await;
    let place = house.place("here").await;
    hall(&house, "low", &place, json!({})).await;
    let grants = json!([{"grant": "hall.halls", "rights": ["read"], "scope": "all"}]);
    let token = house.org.issue(grants).await.unwrap();
    for query in [("include", "place_id"), ("filter[place_id.key]", "here")] {
        let seen = ask_as(&house, &token, "/halls", &[query]).await;
        assert_eq!(
            (seen.status, seen.body["code"].as_str()),
            (403, Some("forbidden")),
            "{query:?}"
        );
    }
}

#[tokio::test]
async fn filters_follow_a_link() {
    let house = House::open().await;
    let place =
        house.post("/places", json!({"name": "Here", "key": "here", "seats": 5})).await.id();
    let other = house.place("there").await;
    let low = hall(&house, "low", &place, json!({"near_place_id": other})).await;
    hall(&house, "high", &other, json!({"inside_id": low})).await;
    for (name, value, expected) in [
        ("filter[place_id.key]", "here", "low"),
        ("filter[place_id.seats][gte]", "5", "low"),
        ("filter[place_id.seats][null]", "true", "high"),
        ("filter[near_place_id.key][ne]", "here", "low"),
        ("filter[near_place_id.key]", "here", ""),
        ("filter[inside_id.name]", "low", "high"),
        ("where", r#"{"not": {"near_place_id.key": "there"}}"#, "high"),
        ("where", r#"{"or": [{"place_id.key": "here"}, {"inside_id.name": "low"}]}"#, "high,low"),
    ] {
        let list = ask(&house, "/halls", &[(name, value), ("sort", "name")]).await;
        assert_eq!(each(&list, "name"), expected, "{name}={value}");
    }
    house.delete(&format!("/halls/{low}")).await.is(409);
    for bad in ["keeper_id.email", "place_id.seal", "place_id.nope", "place_id.rent.x"] {
        let name = format!("filter[{bad}]");
        let seen = Seen::of(house.asks("/halls", &[(name.as_str(), "x")])).await;
        seen.refuses(Code::InvalidFilter, &[&name]);
    }
}

#[tokio::test]
async fn me_is_who_asks() {
    let house = House::open().await;
    let place = house.place("here").await;
    hall(&house, "mine", &place, json!({"keeper_id": house.org.owner})).await;
    hall(&house, "nobody's", &place, json!({})).await;
    let list = ask(&house, "/halls", &[("filter[keeper_id]", "me")]).await;
    assert_eq!(each(&list, "name"), "mine");
    let list = ask(&house, "/halls", &[("filter[keeper_id][not_in]", "me")]).await;
    assert_eq!(each(&list, "name"), "nobody's");
    let mut cx = house.org.begin().await.unwrap();
    let query = [("filter[keeper_id]".to_owned(), "me".to_owned())];
    let refused = cx.list(&HALL, &query).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidFilter);
}

#[tokio::test]
async fn every_link_to_a_parent_has_its_collection() {
    let house = House::open().await;
    let (place, other) = (house.place("here").await, house.place("there").await);
    hall(&house, "low", &place, json!({"near_place_id": other})).await;
    hall(&house, "high", &other, json!({"near_place_id": other})).await;
    let path = format!("/places/{other}/halls");
    assert_eq!(each(&ask(&house, &path, &[]).await, "name"), "high");
    let near = [("via", "near_place_id"), ("sort", "name"), ("limit", "1")];
    let first = ask(&house, &path, &near).await;
    assert_eq!(
        (each(&first, "name"), &first["page"]["count"]["value"]),
        ("high".into(), &json!(2))
    );
    let next = first["page"]["next"].as_str().unwrap().to_owned();
    let more = [near[0], near[1], near[2], ("cursor", &next)];
    assert_eq!(each(&ask(&house, &path, &more).await, "name"), "low");
    // The same cursor over another link is another list.
    let strange = [("sort", "name"), ("limit", "1"), ("cursor", next.as_str())];
    let seen = Seen::of(house.asks(&path, &strange)).await;
    seen.refuses(Code::InvalidCursor, &["cursor"]);
    let seen = Seen::of(house.asks(&path, &[("via", "inside_id")])).await;
    seen.refuses(Code::InvalidRequest, &["via"]);
}

#[tokio::test]
async fn deleted_rows_are_shown_to_who_may_delete() {
    let house = House::open().await;
    let gone = house.place("gone").await;
    house.place("here").await;
    house.delete(&format!("/places/{gone}")).await.is(204);
    assert_eq!(each(&ask(&house, "/places", &[]).await, "key"), "here");
    let only = ask(&house, "/places", &[("deleted", "only")]).await;
    assert_eq!(each(&only, "key"), "gone");
    assert!(only["data"][0]["deleted_at"].is_string());
    let with = ask(&house, "/places", &[("deleted", "with"), ("sort", "key")]).await;
    assert_eq!(each(&with, "key"), "gone,here");
    assert_eq!(with["data"][1]["deleted_at"], Value::Null);
    let grants = json!([{"grant": "hall.*", "rights": ["read"], "scope": "all"}]);
    let token = house.org.issue(grants).await.unwrap();
    let seen = ask_as(&house, &token, "/places", &[("deleted", "only")]).await;
    assert_eq!(seen.status, 403);
    let seen = Seen::of(house.asks("/visits", &[("deleted", "with")])).await;
    seen.refuses(Code::InvalidRequest, &["deleted"]);
}

#[tokio::test]
async fn counts_are_as_asked() {
    let house = House::open().await;
    house.place("one").await;
    for (count, exact) in [("exact", json!({"value": 1, "exact": true})), ("none", Value::Null)] {
        let list = ask(&house, "/places", &[("count", count)]).await;
        assert_eq!(list["page"]["count"], exact, "{count}");
    }
    let list = ask(&house, "/places", &[("count", "estimate")]).await;
    assert_eq!(list["page"]["count"]["exact"], false);
    assert!(list["page"]["count"]["value"].is_i64());
}

#[tokio::test]
async fn pages_of_a_relative_list_mean_one_moment() {
    let clock = std::sync::Arc::new(ManualClock::at("2026-11-21T23:59:59Z".parse().unwrap()));
    let house = House::with_clock(clock.clone()).await;
    for day in ["20", "21", "22"] {
        let body =
            json!({"name": day, "key": format!("d{day}"), "opened_on": format!("2026-11-{day}")});
        house.post("/places", body).await.is(201);
    }
    let first = [("filter[opened_on][lte]", "today"), ("sort", "key"), ("limit", "1")];
    let page = ask(&house, "/places", &first).await;
    clock.advance(std::time::Duration::from_secs(2));
    let next = page["page"]["next"].as_str().unwrap().to_owned();
    let more = [first[0], first[1], ("limit", "9"), ("cursor", next.as_str())];
    assert_eq!(each(&ask(&house, "/places", &more).await, "key"), "d21");
    assert_eq!(each(&ask(&house, "/places", &first[..2]).await, "key"), "d20,d21,d22");
    // In a zone where the day began before.
    let zone = [("filter[opened_on][gt]", "today"), ("zone", "America/Denver"), ("sort", "key")];
    assert_eq!(each(&ask(&house, "/places", &zone).await, "key"), "d22");
}

async fn forest(house: &House) -> [String; 5] {
    let place = house.place("here").await;
    let a = hall(house, "a", &place, json!({"level": 1})).await;
    let b = hall(house, "b", &place, json!({"inside_id": a, "level": 2})).await;
    let c = hall(house, "c", &place, json!({"inside_id": b, "level": 3})).await;
    let d = hall(house, "d", &place, json!({"inside_id": a, "level": 2})).await;
    let e = hall(house, "e", &place, json!({"level": 1})).await;
    [a, b, c, d, e]
}

/// `a(b(c)d)e` from nested rows.
fn shape(rows: &Value) -> String {
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

async fn shop(house: &House) {
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

async fn library(house: &House) {
    for (key, name, notes, contact) in [
        ("zoo", "Zoological Garden", "Animals; opened by Alexander Zürn", "zoo@example.org"),
        ("zurich", "Zürich Hallenstadion", "A large arena", "info@halle.example"),
        (
            "stadion",
            "Stadion am Park",
            "Hallenstadion is elsewhere. Ref ATL-2026/7",
            "park@example.org",
        ),
        ("club", "Kleiner Club", "", "club@example.org"),
    ] {
        let body = json!({"name": name, "key": key, "notes": notes, "contact": contact});
        house.post("/places", body).await.is(201);
    }
}

#[tokio::test]
async fn words_find_rows_best_first() {
    let house = House::open().await;
    library(&house).await;
    let stranger = house.stranger().await;
    let mut cx = stranger.begin().await.unwrap();
    cx.create(&PLACE, object(json!({"name": "Zürich of others", "key": "zurich"}))).await.unwrap();
    cx.commit().await.unwrap();
    for (words, expected) in [
        ("hallenstadion", "zurich,stadion"),
        ("zurich", "zurich"),
        ("ZÜRICH", "zurich"),
        ("zu", "zurich,zoo"),
        ("halle", "zurich,stadion"),
        ("halle stadion", ""),
        ("hallenstadion -park", "zurich"),
        ("\"stadion am\"", "stadion"),
        ("\"am stadion\"", ""),
        ("atl-2026/7", "stadion"),
        ("2026", "stadion"),
        ("club@example.org", "club"),
        ("-zoo", "club,stadion,zurich"),
        ("nothing", ""),
        ("", ""),
        ("!!! ()&|<->:*", ""),
        ("\"", ""),
        ("kleiner \"", "club"),
        ("* club", "club"),
    ] {
        let list = ask(&house, "/places", &[("q", words)]).await;
        assert_eq!(each(&list, "key"), expected, "{words}");
        let count = list["data"].as_array().unwrap().len();
        assert_eq!(list["page"]["count"], json!({"value": count, "exact": true}));
    }
    let filtered = [("q", "hallenstadion"), ("filter[key]", "stadion")];
    assert_eq!(each(&ask(&house, "/places", &filtered).await, "key"), "stadion");
    let sorted = [("q", "hallenstadion"), ("sort", "key")];
    assert_eq!(each(&ask(&house, "/places", &sorted).await, "key"), "stadion,zurich");
    let page = [("q", "hallenstadion"), ("limit", "1")];
    let first = ask(&house, "/places", &page).await;
    let next = first["page"]["next"].as_str().unwrap().to_owned();
    let second = ask(&house, "/places", &[page[0], page[1], ("cursor", &next)]).await;
    assert_eq!((each(&first, "key"), each(&second, "key")), ("zurich".into(), "stadion".into()));
    let id = house.get("/places?filter[key]=zoo").await.body["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    house.patch(&format!("/places/{id}"), json!({"name": "Tierpark"})).await.is(200);
    assert_eq!(each(&ask(&house, "/places", &[("q", "tier")]).await, "key"), "zoo");
    assert_eq!(each(&ask(&house, "/places", &[("q", "zoological")]).await, "key"), "");
    house.delete(&format!("/places/{id}")).await.is(204);
    assert_eq!(each(&ask(&house, "/places", &[("q", "tier")]).await, "key"), "");
    let seen = Seen::of(house.asks("/halls", &[("q", "x")])).await;
    seen.refuses(Code::InvalidRequest, &["q"]);
}

#[tokio::test]
async fn no_words_are_an_error() {
    let house = House::open().await;
    library(&house).await;
    let strange = [
        "'",
        "\\",
        "a:b",
        "a:*",
        "!a",
        "a & | b",
        "(",
        "<->",
        "-",
        "--",
        "-\"",
        "\"\"",
        "\u{0}a",
        "%",
        "ﷺ",
        "\u{300}",
        "😀",
        "a\"b\"c",
        "'@' & '",
        ":*:*",
        "\u{202e}x",
        "‘quoted’ –dash—",
    ];
    for words in strange {
        ask(&house, "/places", &[("q", words)]).await;
    }
    let mut runner = proptest::test_runner::TestRunner::new(proptest::test_runner::Config {
        failure_persistence: None,
        ..Default::default()
    });
    let any = proptest::string::string_regex("[ a-z\"'\\\\:*&|!()<>@-]{0,40}|\\PC{0,60}").unwrap();
    for _ in 0..200 {
        use proptest::strategy::{Strategy, ValueTree};
        let words = any.new_tree(&mut runner).unwrap().current();
        let seen = Seen::of(house.asks("/places", &[("q", words.as_str())])).await;
        assert_eq!(seen.status, 200, "{words:?}: {}", seen.body);
    }
    let seen = Seen::of(house.asks("/places", &[("q", "x".repeat(201).as_str())])).await;
    seen.refuses(Code::InvalidRequest, &["q"]);
}

/// Rows of one answer, whatever its shape, for the test below.
fn ids(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            out.extend(map.get("id").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| ids(value, out));
        }
        Value::Array(items) => items.iter().for_each(|item| ids(item, out)),
        _ => {}
    }
}

#[tokio::test]
async fn no_list_shows_another_organization() {
    let house = House::open().await;
    let [a, ..] = forest(&house).await;
    shop(&house).await;
    let stranger = house.stranger().await;
    for query in [
        vec![("view", "tree")],
        vec![("view", "tree"), ("root", a.as_str())],
        vec![("include", "place_id,inside_id")],
        vec![("group", "name"), ("per_group", "5")],
        vec![("filter[place_id.key]", "here")],
        vec![("where", r#"{"not": {"place_id.key": "nowhere"}}"#)],
        vec![("deleted", "with")],
    ] {
        let seen = ask_as(&house, &stranger.token, "/halls", &query).await.is(200);
        let mut found = BTreeSet::new();
        ids(&seen.body, &mut found);
        assert_eq!((found.len(), seen.body["data"].as_array().unwrap().len()), (0, 0), "{query:?}");
    }
    let seen = ask_as(&house, &stranger.token, "/places", &[("q", "here")]).await.is(200);
    assert_eq!(seen.body["data"], json!([]));
}
