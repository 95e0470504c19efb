//! What the API tells of itself to a console: whole, by the caller's rights, and cheap to ask again.

use kernel::error::Code;
use serde_json::{Value, json};

use crate::hall::{House, Seen};

#[track_caller]
fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let all = list.as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

#[tokio::test]
async fn an_entity_is_told_so_that_a_console_can_draw_it() {
    let house = House::open().await;
    let place = house.get("/meta/places").await.is(200).body;
    assert_eq!(place["title"], json!({"singular": "Place", "plural": "Places"}));
    assert_eq!(place["qualified"], "hall.places");
    let key = named(&place["fields"], "key");
    assert_eq!(
        (&key["kind"], &key["access"], &key["in_key"]),
        (&json!("slug"), &json!("once"), &json!(true))
    );
    assert_eq!(
        (&key["create"], &key["update"], &key["read"]),
        (&json!(true), &json!(false), &json!("always"))
    );
    let kind = named(&place["fields"], "kind");
    assert_eq!(kind["options"][0], json!({"value": "theatre", "label": "Theatre"}));
    assert_eq!(kind["filter"], json!(["eq", "ne", "in", "not_in", "null"]));
    let seats = named(&place["fields"], "seats");
    assert_eq!(seats["limits"], json!({"min": 0, "max": 1_000_000}));
    assert_eq!(named(&place["fields"], "name")["aliases"], json!(["Bezeichnung"]));
    assert_eq!((&seats["aliases"], &place["importable"]), (&json!([]), &json!(true)));
    assert_eq!(named(&place["fields"], "open")["default"], true);
    let visits = named(&place["fields"], "visits");
    assert_eq!((&visits["default"], &visits["update"]), (&json!(0), &json!(false)));
    assert_eq!(named(&place["fields"], "extra")["sortable"], false);
    assert!(!place.to_string().contains("seal"), "secret fields are not told");
    let swap = named(&place["actions"], "swap");
    assert_eq!((&swap["on"], &swap["permitted"]), (&json!("row"), &json!(true)));
    assert_eq!(
        swap["input"][0]["link"],
        json!({
            "to": "hall.places", "route": "places", "label_field": null,
        })
    );
    assert!(!place["actions"].to_string().contains("touch"), "internal actions are not told");
    assert!(place["children"].to_string().contains("\"route\":\"halls\""));
    let booking = house.get("/meta/bookings").await.is(200).body;
    assert_eq!(booking["flow"]["states"][0], json!({"value": "draft", "label": "Draft"}));
    assert_eq!(booking["flow"]["moves"][0]["from"], json!(["draft"]));
    assert_eq!(
        booking["operations"],
        json!(["read", "update", "delete", "create", "confirm", "cancel"])
    );
    let visit = house.get("/meta/visits").await.is(200).body;
    assert_eq!(visit["importable"], false, "nobody writes them");
    assert_eq!((&visit["append_only"], &visit["operations"]), (&json!(true), &json!(["read"])));
}

#[tokio::test]
async fn the_caller_is_told_what_it_may_and_no_more() {
    let house = House::open().await;
    let grants = json!([{"grant": "hall.places", "rights": ["read", "swap"], "scope": "all"}]);
    let token = house.org.issue(grants).await.unwrap();
    let asks = |path: &str| {
        Seen::of(house.plain("GET", &format!("/api/v1{path}")).bearer_auth(token.expose()))
    };
    let index = asks("/meta").await.is(200).body;
    let names: Vec<&str> = index["entities"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["places"]);
    let place = asks("/meta/places").await.is(200).body;
    assert_eq!(place["operations"], json!(["read", "swap"]));
    let name = named(&place["fields"], "name");
    assert_eq!(
        (&name["read"], &name["create"], &name["update"]),
        (&json!("always"), &json!(false), &json!(false))
    );
    assert_eq!(named(&place["actions"], "stumble")["permitted"], false);
    assert_eq!(place["children"], json!([]));
    asks("/meta/halls").await.refuses(Code::Forbidden, &[]);
    for unknown in ["/meta/nothing", "/meta/users", "/meta/places/x"] {
        asks(unknown).await.refuses(Code::NotFound, &[]);
    }
    asks("/meta?x=1").await.refuses(Code::UnknownParameter, &["x"]);
    Seen::of(house.plain("GET", "/api/v1/meta")).await.refuses(Code::Unauthenticated, &[]);
    let refused = Seen::of(house.request("POST", "/meta")).await;
    assert_eq!(refused.refuses(Code::MethodNotAllowed, &[]).header("allow"), "GET");
}

#[tokio::test]
async fn fields_out_of_reach_say_so() {
    let house = House::open().await;
    let open = json!([{
        "grant": "hall.places", "rights": ["*"], "scope": "all", "levels": ["open"], "fixed": ["name"],
        "hidden": ["seats"],
    }]);
    let token = house.org.issue(open).await.unwrap();
    let request = house.plain("GET", "/api/v1/meta/places").bearer_auth(token.expose());
    let place = Seen::of(request).await.is(200).body;
    let told = |name: &str| {
        let field = named(&place["fields"], name);
        (field["read"].clone(), field["update"].clone(), field["filter"] == json!([]))
    };
    assert_eq!(told("contact"), (json!("never"), json!(false), true), "personal");
    assert_eq!(told("seats"), (json!("never"), json!(false), true), "hidden");
    assert_eq!(told("name"), (json!("always"), json!(false), false), "fixed");
    assert_eq!(told("notes"), (json!("always"), json!(true), false));
    assert_eq!(named(&place["fields"], "contact")["level"], "personal");
}

#[tokio::test]
async fn the_organizations_own_fields_are_told_by_level() {
    let house = House::open().await;
    let levels = [("floor", "open"), ("salary", "confidential")];
    for (key, level) in levels {
        let body = json!({
            "entity": "places", "key": key, "label": "Own", "kind": "integer", "level": level,
        });
        house.post("/custom-fields", body).await.is(201);
    }
    let told = house.get("/meta/places").await.is(200).body;
    let floor = named(&told["custom_fields"], "floor");
    assert_eq!((&floor["label"], &floor["kind"]), (&json!("Own"), &json!("integer")));
    named(&told["custom_fields"], "salary");
    let writes = |field: &Value| (field["create"].clone(), field["update"].clone());
    assert_eq!(writes(floor), (json!(true), json!(true)));
    let asks = async |lines: Value| {
        let token = house.org.issue(lines).await.unwrap();
        let request = house.plain("GET", "/api/v1/meta/places").bearer_auth(token.expose());
        Seen::of(request).await.is(200).body
    };
    let told = asks(json!([{
        "grant": "hall.places", "rights": ["*"], "scope": "all", "levels": ["open"],
    }]))
    .await;
    assert_eq!(told["custom_fields"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(writes(named(&told["custom_fields"], "floor")), (json!(true), json!(true)));
    // All are read, none is made, and those of one level are changed.
    let whole = ["open", "personal", "confidential"];
    let told = asks(json!([
        {"grant": "hall.places", "rights": ["read"], "scope": "all", "levels": whole},
        {"grant": "hall.places", "rights": ["update"], "scope": "all", "levels": ["open"]},
    ]))
    .await;
    let (floor, salary) =
        (named(&told["custom_fields"], "floor"), named(&told["custom_fields"], "salary"));
    assert_eq!(writes(floor), (json!(false), json!(true)));
    assert_eq!(writes(salary), (json!(false), json!(false)));
    assert_eq!(writes(named(&told["fields"], "custom")), (json!(false), json!(true)));
    assert_eq!(house.get("/meta/halls").await.is(200).body["custom_fields"], json!([]));
}

/// What is told of grouping is what lists take: every key and figure is tried, and none that is not
/// told is taken.
#[tokio::test]
async fn groups_and_figures_are_told_as_lists_take_them() {
    let house = House::open().await;
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().unwrap().iter();
        all.map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let (mut taken, mut refused) = (0, 0);
    for route in ["places", "bookings"] {
        let told = house.get(&format!("/meta/{route}")).await.is(200).body;
        for field in told["fields"].as_array().unwrap() {
            let name = field["name"].as_str().unwrap();
            let keys = texts(&field["group_by"]);
            assert_eq!(field["groupable"], !keys.is_empty(), "{name}");
            for key in ["", ":day", ":month", ".currency"].map(|ending| format!("{name}{ending}")) {
                let query = [("group", &key)];
                let status = Seen::of(house.asks(&format!("/{route}"), &query)).await.status;
                let expected = if keys.contains(&key) { 200 } else { 400 };
                assert_eq!(status, expected, "{route}: group={key}");
                *(if status == 200 { &mut taken } else { &mut refused }) += 1;
            }
            let figures = texts(&field["aggregates"]);
            for function in ["count", "count_distinct", "sum", "avg", "min", "max"] {
                let figure = format!("{function}:{name}");
                let query = [("group", "id"), ("aggregate", figure.as_str())];
                let seen = Seen::of(house.asks(&format!("/{route}"), &query)).await;
                let expected = if figures.iter().any(|one| one == function) { 200 } else { 400 };
                assert_eq!(seen.status, expected, "{route}: {figure}: {}", seen.body);
                *(if seen.status == 200 { &mut taken } else { &mut refused }) += 1;
            }
        }
    }
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused");
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again() {
    let house = House::open().await;
    for path in ["/meta", "/meta/places"] {
        let first = house.get(path).await.is(200);
        let tag = first.header("etag").to_owned();
        assert_eq!(tag, format!("\"{}\"", first.body["version"].as_str().unwrap()));
        assert_eq!(first.header("cache-control"), "private, no-cache");
        let again = Seen::of(house.request("GET", path).header("if-none-match", &tag)).await;
        assert_eq!((again.status, &again.body), (304, &Value::Null), "{path}");
        // Rights that differ are another version.
        let grants = json!([{"grant": "hall.places", "rights": ["read"], "scope": "all"}]);
        let token = house.org.issue(grants).await.unwrap();
        let request = house.plain("GET", &format!("/api/v1{path}")).bearer_auth(token.expose());
        let narrow = Seen::of(request.header("if-none-match", &tag)).await.is(200);
        assert_ne!(narrow.body["version"], first.body["version"]);
    }
}
