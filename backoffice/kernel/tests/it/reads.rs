//! What lists show beside plain pages: chosen fields, linked rows, child collections, filters over
//! links; and that none of it shows what the caller may not see.

use std::collections::BTreeSet;

use kernel::clock::ManualClock;
use kernel::error::Code;
use kernel::settings::Secret;
use serde_json::{Value, json};

use crate::hall::{HALL, House, PLACE, Seen, object};
use crate::views::{forest, shape, shop};
use crate::words::library;

/// The owner's list, or row.
pub(crate) async fn ask(house: &House, path: &str, query: &[(&str, &str)]) -> Value {
    Seen::of(house.asks(path, query)).await.is(200).body
}

/// As somebody else than the owner.
pub(crate) async fn ask_as(
    house: &House,
    token: &Secret,
    path: &str,
    query: &[(&str, &str)],
) -> Seen {
    let mut url = reqwest::Url::parse("http://x").unwrap();
    url.query_pairs_mut().extend_pairs(query);
    let path = format!("/api/v1{path}?{}", url.query().unwrap_or_default());
    Seen::of(house.plain("GET", &path).bearer_auth(token.expose())).await
}

/// Values of one member, by comma.
pub(crate) fn each(list: &Value, member: &str) -> String {
    let rows = list["data"].as_array().unwrap();
    let text =
        |row: &Value| row[member].as_str().map_or_else(|| row[member].to_string(), str::to_owned);
    rows.iter().map(text).collect::<Vec<_>>().join(",")
}

pub(crate) async fn hall(house: &House, name: &str, place: &str, more: Value) -> String {
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

#[tokio::test]
async fn no_list_tells_of_a_field_that_is_not_shown() {
    let house = House::open().await;
    library(&house).await;
    let place = house.get("/places?filter[key]=zoo").await.body["data"][0]["id"].clone();
    hall(&house, "low", place.as_str().unwrap(), json!({})).await;
    let grants =
        json!([{"grant": "hall.*", "rights": ["read"], "scope": "all", "levels": ["open"]}]);
    let token = house.org.issue(grants).await.unwrap();
    for (path, name, value) in [
        ("/places", "filter[contact]", "zoo@example.org"),
        ("/places", "where", r#"{"or": [{"key": "zoo"}, {"contact": {"starts": "zoo"}}]}"#),
        ("/places", "sort", "key,-contact"),
        ("/places", "group", "contact"),
        ("/places", "fields", "key,contact"),
        ("/halls", "filter[place_id.contact]", "zoo@example.org"),
    ] {
        let seen = ask_as(&house, &token, path, &[(name, value)]).await;
        let field = if name == "where" { "where.or[1].contact.starts" } else { name };
        seen.refuses(Code::FieldNotPermitted, &[field]);
    }
    let figures = [("group", "kind"), ("aggregate", "count_distinct:contact")];
    let seen = ask_as(&house, &token, "/places", &figures).await;
    seen.refuses(Code::FieldNotPermitted, &["aggregate"]);
    // Personal words are not found, open ones are; a linked row shows what its own list would.
    for (words, expected) in [("club@example.org", ""), ("kleiner", "club")] {
        let list = ask_as(&house, &token, "/places", &[("q", words)]).await.is(200).body;
        assert_eq!(each(&list, "key"), expected, "{words}");
    }
    let list = ask_as(&house, &token, "/halls", &[("include", "place_id")]).await.is(200).body;
    assert_eq!(list["data"][0]["place"]["key"], "zoo");
    assert_eq!(list["data"][0]["place"].get("contact"), None);
    let rows = ask_as(&house, &token, "/places", &[("group", "kind"), ("per_group", "1")]).await;
    assert_eq!(rows.is(200).body["data"][0]["rows"][0].get("contact"), None);
}

#[tokio::test]
async fn linked_rows_out_of_reach_are_absent() {
    let house = House::open().await;
    let place = house.place("here").await;
    let mine = hall(&house, "mine", &place, json!({"keeper_id": house.org.owner})).await;
    let other = hall(&house, "other", &place, json!({})).await;
    for (name, above) in [("in mine", &mine), ("in other", &other)] {
        hall(&house, name, &place, json!({"inside_id": above, "keeper_id": house.org.owner})).await;
    }
    let grants = json!([{"grant": "hall.halls", "rights": ["read"], "scope": "own"}]);
    let token = house.org.issue(grants).await.unwrap();
    let query = [("include", "inside_id"), ("sort", "name")];
    let list = ask_as(&house, &token, "/halls", &query).await.is(200).body;
    assert_eq!(each(&list, "name"), "in mine,in other,mine");
    assert_eq!(list["data"][0]["inside"]["name"], "mine");
    assert_eq!(list["data"][1].get("inside"), None);
    assert_eq!(list["data"][1]["inside_id"], json!(other));
    assert_eq!(list["data"][2]["inside"], Value::Null);
    // Nor does a filter or a tree reach over to it.
    let filter = [("filter[inside_id.name]", "other")];
    let list = ask_as(&house, &token, "/halls", &filter).await.is(200).body;
    assert_eq!(each(&list, "name"), "");
    let tree = ask_as(&house, &token, "/halls", &[("view", "tree")]).await.is(200).body;
    assert_eq!(shape(&tree["data"]), "in othermine(in mine)");
}

#[tokio::test]
async fn statements_do_not_grow_with_rows() {
    let house = House::open().await;
    let place = house.place("here").await;
    let low = hall(&house, "low", &place, json!({})).await;
    for query in [
        [("include", "place_id,inside_id,near_place_id"), ("limit", "200")],
        [("view", "tree"), ("shape", "nested")],
        [("group", "level"), ("per_group", "50")],
        [("q", "here"), ("limit", "200")],
    ] {
        let entity = if query[0].0 == "q" { &PLACE } else { &HALL };
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut few = house.org.begin().await.unwrap();
        few.list(entity, &query).await.unwrap();
        let mut cx = house.org.begin().await.unwrap();
        for n in 0..40 {
            let body = json!({"name": "more", "place_id": place, "inside_id": low, "level": n % 4});
            cx.create(&HALL, object(body)).await.unwrap();
        }
        cx.commit().await.unwrap();
        let mut many = house.org.begin().await.unwrap();
        many.list(entity, &query).await.unwrap();
        assert_eq!(few.statements(), many.statements(), "{query:?}");
        assert!(many.statements() <= 3, "{query:?}: {}", many.statements());
    }
}

#[tokio::test]
async fn filters_know_the_organization_s_own_fields() {
    let house = House::open().await;
    for (key, kind, level) in [
        ("hue", "text", "open"),
        ("beds", "integer", "open"),
        ("fee", "money", "open"),
        ("size", "decimal", "personal"),
    ] {
        let body =
            json!({"entity": "places", "key": key, "label": key, "kind": kind, "level": level});
        house.post("/custom-fields", body).await.is(201);
    }
    for (key, custom) in [
        ("a", json!({"hue": "red", "beds": 5, "fee": {"amount": "10", "currency": "EUR"}})),
        ("b", json!({"hue": "dark red", "beds": 50, "size": "1.5"})),
        ("c", json!({})),
    ] {
        house.post("/places", json!({"name": key, "key": key, "custom": custom})).await.is(201);
    }
    for (name, value, expected) in [
        ("filter[custom.hue]", "red", "a"),
        ("filter[custom.hue][contains]", "RED", "a,b"),
        ("filter[custom.hue][null]", "true", "c"),
        ("filter[custom.beds][gt]", "9", "b"),
        ("filter[custom.beds][ne]", "5", "b,c"),
        ("filter[custom.fee][gte]", "9.50,EUR", "a"),
        ("filter[custom.size][between]", "1,2", "b"),
        ("where", r#"{"not": {"custom.beds": {"lt": 10}}}"#, "b,c"),
    ] {
        let list = ask(&house, "/places", &[(name, value), ("sort", "key")]).await;
        assert_eq!(each(&list, "key"), expected, "{name}={value}");
    }
    for (name, value) in
        [("filter[custom.nope]", "x"), ("filter[custom.beds]", "x"), ("filter[custom.fee]", "1")]
    {
        let seen = Seen::of(house.asks("/places", &[(name, value)])).await;
        seen.refuses(Code::InvalidFilter, &[name]);
    }
    let grants =
        json!([{"grant": "hall.*", "rights": ["read"], "scope": "all", "levels": ["open"]}]);
    let token = house.org.issue(grants).await.unwrap();
    let seen = ask_as(&house, &token, "/places", &[("filter[custom.size]", "1.5")]).await;
    seen.refuses(Code::FieldNotPermitted, &["filter[custom.size]"]);
}
