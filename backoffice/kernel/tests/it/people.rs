//! Who may what: sign-in, sessions, cookies, tokens, roles, members, organizations.

use std::sync::Arc;
use std::time::Duration;

use kernel::clock::ManualClock;
use kernel::cx::{Actor, Patch};
use kernel::error::Code;
use kernel::rights::{self, Person, Rights};
use kernel::testkit::PASSWORD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hall::{BOOKING, CATALOGUE_TOKEN, HALL, House, PLACE, Seen, object, registry};
use crate::joining::Joined;

pub(crate) async fn sign_in(house: &House, email: &str, password: &str) -> Seen {
    let body = json!({"email": email, "password": password});
    Seen::of(house.plain("POST", "/api/v1/sessions").json(&body)).await
}

pub(crate) async fn with(
    house: &House,
    token: &str,
    method: &str,
    path: &str,
    body: Value,
) -> Seen {
    let request = house.plain(method, &format!("/api/v1{path}")).bearer_auth(token);
    Seen::of(if body.is_null() { request } else { request.json(&body) }).await
}

pub(crate) fn token_of(seen: &Seen) -> String {
    seen.body["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_door_asks_who_it_is() {
    let house = House::open().await;
    let place = house.place("closed").await;
    let paths = [
        ("GET", "/places".to_owned()),
        ("POST", "/places".to_owned()),
        ("GET", format!("/places/{place}")),
        ("PATCH", format!("/places/{place}")),
        ("DELETE", format!("/places/{place}")),
        ("POST", format!("/places/{place}/stumble")),
        ("GET", format!("/places/{place}/halls")),
        ("GET", "/me".to_owned()),
        ("GET", "/sessions".to_owned()),
        ("POST", "/organizations".to_owned()),
        ("POST", "/api-tokens".to_owned()),
    ];
    let good = house.org.token.expose().to_owned();
    let mut wrong = good.clone();
    wrong.replace_range(10..11, if &good[10..11] == "A" { "B" } else { "A" });
    for (method, path) in paths {
        let none = Seen::of(house.plain(method, &format!("/api/v1{path}"))).await;
        assert_eq!(none.header("www-authenticate"), "Bearer");
        none.refuses(Code::Unauthenticated, &[]);
        for token in [wrong.as_str(), "", "atlvs_", "x", &good[..20], "sess_' or '1'='1"] {
            let seen = with(&house, token, method, &path, Value::Null).await;
            seen.refuses(Code::Unauthenticated, &[]);
        }
        let basic = house.plain(method, &format!("/api/v1{path}")).basic_auth("a", Some("b"));
        Seen::of(basic).await.refuses(Code::Unauthenticated, &[]);
    }
}

#[tokio::test]
async fn sign_in_answers_the_same_for_a_wrong_password_and_nobody() {
    let house = House::open().await;
    let wrong = sign_in(&house, &house.org.email, "wrong password").await;
    let nobody = sign_in(&house, "nobody@example.org", PASSWORD).await;
    let [wrong, nobody] = [wrong, nobody].map(|seen| {
        let mut body = seen.refuses(Code::InvalidCredentials, &[]).body;
        body["request_id"] = Value::Null;
        body
    });
    assert_eq!(wrong, nobody);
    let upper = house.org.email.to_uppercase();
    let seen = sign_in(&house, &upper, PASSWORD).await.is(201);
    let token = token_of(&seen);
    assert!(token.starts_with("sess_"));
    let cookie = seen.header("set-cookie");
    assert!(cookie.starts_with(&format!("__Host-session={token}; Path=/;")), "{cookie}");
    assert!(cookie.ends_with("Secure; HttpOnly; SameSite=Lax"), "{cookie}");
    let me = with(&house, &token, "GET", "/me", Value::Null).await.is(200);
    assert_eq!(me.body["user"]["email"], house.org.email);
    assert_eq!(me.body["organizations"][0]["id"], house.org.id.to_string());
    let every = ["open", "personal", "confidential"];
    let all = json!([{"grant": "*", "rights": ["*"], "scope": "all", "levels": every}]);
    assert_eq!(me.body["organizations"][0]["grants"], all);
    with(&house, &token, "GET", "/places", Value::Null).await.is(200);
    let odd = json!({"email": "x", "password": 5, "more": 1});
    let odd = Seen::of(house.plain("POST", "/api/v1/sessions").json(&odd)).await;
    odd.refuses(Code::ValidationFailed, &["email", "more", "password"]);
}

#[tokio::test]
async fn sessions_end_by_sign_out_by_revocation_and_by_time() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let house = House::with_clock(clock.clone()).await;
    let open = async || token_of(&sign_in(&house, &house.org.email, PASSWORD).await.is(201));
    let (one, two, three) = (open().await, open().await, open().await);
    let list = with(&house, &one, "GET", "/sessions", Value::Null).await.is(200);
    assert_eq!(list.body["data"].as_array().unwrap().len(), 3);
    assert!(!list.body.to_string().contains("token"));
    with(&house, &one, "DELETE", "/sessions/current", Value::Null).await.is(204);
    with(&house, &one, "GET", "/me", Value::Null).await.refuses(Code::Unauthenticated, &[]);
    let me = with(&house, &two, "GET", "/me", Value::Null).await.is(200);
    let session = me.body["session"]["id"].as_str().unwrap();
    let stranger = house.stranger().await;
    let theirs = token_of(&sign_in(&house, &stranger.email, PASSWORD).await.is(201));
    let path = format!("/sessions/{session}");
    with(&house, &theirs, "DELETE", &path, Value::Null).await.refuses(Code::NotFound, &[]);
    with(&house, &two, "GET", "/me", Value::Null).await.is(200);
    with(&house, &three, "DELETE", &path, Value::Null).await.is(204);
    with(&house, &two, "GET", "/me", Value::Null).await.refuses(Code::Unauthenticated, &[]);
    clock.advance(Duration::from_secs(12 * 3600 - 1));
    with(&house, &three, "GET", "/me", Value::Null).await.is(200);
    clock.advance(Duration::from_secs(1));
    with(&house, &three, "GET", "/me", Value::Null).await.refuses(Code::Unauthenticated, &[]);
}

#[tokio::test]
async fn guessing_closes_the_door_for_a_while() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let house = House::with_clock(clock.clone()).await;
    for _ in 0..10 {
        sign_in(&house, &house.org.email, "wrong").await.refuses(Code::InvalidCredentials, &[]);
    }
    let shut = sign_in(&house, &house.org.email, PASSWORD).await;
    assert_eq!(shut.refuses(Code::TooManyRequests, &[]).header("retry-after"), "900");
    clock.advance(Duration::from_secs(901));
    sign_in(&house, &house.org.email, PASSWORD).await.is(201);
}

#[tokio::test]
async fn cookies_work_from_our_own_pages_only() {
    let house = House::open().await;
    let token = token_of(&sign_in(&house, &house.org.email, PASSWORD).await.is(201));
    let host = house.base.trim_start_matches("http://").to_owned();
    let send = |method: &'static str, headers: &[(&str, &str)]| {
        let cookie = format!("other=1; __Host-session={token}");
        let mut request = house.plain(method, "/api/v1/places").header("cookie", cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == "POST" {
            request =
                request.json(&json!({"name": "n", "key": Uuid::new_v4().simple().to_string()}));
        }
        Seen::of(request)
    };
    send("GET", &[]).await.is(200);
    send("GET", &[("sec-fetch-site", "cross-site")]).await.is(200);
    send("POST", &[("sec-fetch-site", "same-origin")]).await.is(201);
    send("POST", &[("origin", &format!("http://{host}"))]).await.is(201);
    send("POST", &[("x-requested-with", "console")]).await.is(201);
    send("POST", &[]).await.refuses(Code::CrossSite, &[]);
    send("POST", &[("origin", "https://evil.example")]).await.refuses(Code::CrossSite, &[]);
    send("POST", &[("origin", "null")]).await.refuses(Code::CrossSite, &[]);
    for site in ["cross-site", "same-site"] {
        let same = format!("http://{host}");
        let headers =
            [("sec-fetch-site", site), ("origin", same.as_str()), ("x-requested-with", "x")];
        send("POST", &headers).await.refuses(Code::CrossSite, &[]);
    }
}

#[tokio::test]
async fn api_tokens_are_shown_once_and_never_exceed_their_maker() {
    let house = House::open().await;
    let grants = json!([{"grant": "hall.places", "rights": ["read"], "scope": "all"}]);
    let made = house.post("/api-tokens", json!({"name": "reader", "grants": grants})).await.is(201);
    let reader = token_of(&made);
    assert!(reader.starts_with("atlvs_"));
    let list = house.get("/api-tokens").await.is(200);
    assert!(!list.body.to_string().contains(&reader));
    let shown = list.body["data"].as_array().unwrap().iter().find(|t| t["id"] == made.body["id"]);
    assert!(reader.starts_with(shown.unwrap()["hint"].as_str().unwrap()));
    with(&house, &reader, "GET", "/places", Value::Null).await.is(200);
    let more = json!({"name": "x", "grants": [{"grant": "*", "rights": ["*"]}]});
    let body = json!({"name": "n", "key": "n"});
    with(&house, &reader, "POST", "/places", body).await.refuses(Code::Forbidden, &[]);
    with(&house, &reader, "GET", "/halls", Value::Null).await.refuses(Code::Forbidden, &[]);
    with(&house, &reader, "POST", "/api-tokens", more.clone()).await.refuses(Code::Forbidden, &[]);
    let maker = json!([{"grant": "accounts.*", "rights": ["create"]}]);
    let maker = house.org.issue(maker).await.unwrap();
    let seen = with(&house, maker.expose(), "POST", "/api-tokens", more).await;
    seen.refuses(Code::Forbidden, &["grants"]);
    for (grants, field) in [
        (json!("all"), "grants"),
        (json!([{"grant": "hall.nothing", "rights": ["read"]}]), "grants[0]"),
        (json!([{"grant": "hall.places", "rights": ["read"], "scope": "own"}]), "grants[0].scope"),
        (json!([{"grant": "hall.places", "rights": ["read"], "scope": "mine"}]), "grants[0].scope"),
        (json!([{"grant": "hall.places", "rights": ["reed"]}]), "grants[0].rights[0]"),
    ] {
        let seen = house.post("/api-tokens", json!({"name": "x", "grants": grants})).await;
        assert_eq!(seen.is(422).body["errors"][0]["field"], field);
    }
    let past = json!({"name": "x", "grants": [], "expires_at": "2020-01-01T00:00:00Z"});
    house.post("/api-tokens", past).await.refuses(Code::OutOfRange, &["expires_at"]);
    let foreign = house.stranger().await;
    let path = format!("/api-tokens/{}", made.id());
    let seen = with(&house, foreign.token.expose(), "DELETE", &path, Value::Null).await;
    seen.refuses(Code::NotFound, &[]);
    house.delete(&path).await.is(204);
    with(&house, &reader, "GET", "/places", Value::Null).await.refuses(Code::Unauthenticated, &[]);
    house.delete(&path).await.refuses(Code::NotFound, &[]);
}

#[tokio::test]
async fn a_token_ends_in_time() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let house = House::with_clock(clock.clone()).await;
    let grants = json!([{"grant": "hall.places", "rights": ["read"]}]);
    let body = json!({"name": "x", "grants": grants, "expires_at": "2026-11-21T13:00:00Z"});
    let token = token_of(&house.post("/api-tokens", body).await.is(201));
    // A token cannot live on in one that it issues.
    let maker = json!([{"grant": "*", "rights": ["*"]}]);
    let body = json!({"name": "x", "grants": maker, "expires_at": "2026-11-21T13:00:00Z"});
    let maker = token_of(&house.post("/api-tokens", body).await.is(201));
    let heirs = [Value::Null, json!("2027-11-21T13:00:00Z")].map(|expires_at| {
        let body = json!({"name": "x", "grants": grants, "expires_at": expires_at});
        with(&house, &maker, "POST", "/api-tokens", body)
    });
    let mut tokens = vec![token];
    for heir in heirs {
        tokens.push(token_of(&heir.await.is(201)));
    }
    clock.advance(Duration::from_secs(3599));
    for token in &tokens {
        with(&house, token, "GET", "/places", Value::Null).await.is(200);
    }
    clock.advance(Duration::from_secs(1));
    for token in &tokens {
        let seen = with(&house, token, "GET", "/places", Value::Null).await;
        seen.refuses(Code::Unauthenticated, &[]);
    }
}

#[tokio::test]
async fn each_right_opens_its_own_door() {
    let house = House::open().await;
    let place = house.place("rights").await;
    let hall = house.hall(&place).await;
    let mut cx = house.org.begin().await.unwrap();
    let body = object(json!({"hall_id": hall, "title": "Gala"}));
    let booking = cx.insert(&BOOKING, body).await.unwrap();
    cx.commit().await.unwrap();
    let cases = [
        ("read", "hall.places", "GET", "/places".to_owned(), Value::Null, 200),
        ("read", "hall.places", "GET", format!("/places/{place}"), Value::Null, 200),
        (
            "create",
            "hall.halls",
            "POST",
            "/halls".to_owned(),
            json!({"name": "x", "place_id": place}),
            204,
        ),
        ("update", "hall.places", "PATCH", format!("/places/{place}"), json!({"seats": 1}), 204),
        (
            "confirm",
            "hall.bookings",
            "POST",
            format!("/bookings/{booking}/confirm"),
            Value::Null,
            204,
        ),
        ("count", "hall.places", "POST", "/places/count".to_owned(), Value::Null, 200),
        ("delete", "hall.bookings", "DELETE", format!("/bookings/{booking}"), Value::Null, 204),
    ];
    for (right, grant, method, path, body, status) in cases {
        let all = ["read", "create", "update", "delete", "confirm", "count"];
        let others: Vec<&str> = all.into_iter().filter(|other| *other != right).collect();
        // The four operations are rights of every grant; actions only of their own.
        let known = |right: &&&str| match **right {
            "confirm" => grant == "hall.bookings",
            "count" => grant == "hall.places",
            _ => true,
        };
        let others: Vec<&&str> = others.iter().filter(known).collect();
        let without = json!([{"grant": grant, "rights": others}]);
        let without = house.org.issue(without).await.unwrap();
        let seen = with(&house, without.expose(), method, &path, body.clone()).await;
        assert!(
            seen.refuses(Code::Forbidden, &[]).body["detail"].as_str().unwrap().contains(right)
        );
        let only = house.org.issue(json!([{"grant": grant, "rights": [right]}])).await.unwrap();
        with(&house, only.expose(), method, &path, body).await.is(status);
    }
}

#[tokio::test]
async fn own_reaches_own_rows_only() {
    let house = House::open().await;
    let place = house.place("own").await;
    let mut cx = house.org.begin().await.unwrap();
    let mine = json!({"name": "Mine", "place_id": place, "keeper_id": house.org.owner});
    let mine = cx.create(&HALL, object(mine)).await.unwrap();
    let other = json!({"name": "Other", "place_id": place});
    let other = cx.create(&HALL, object(other)).await.unwrap();
    cx.commit().await.unwrap();
    let own =
        json!([{"grant": "hall.halls", "rights": ["read", "update", "delete"], "scope": "own"}]);
    let own = house.org.issue(own).await.unwrap();
    let list = with(&house, own.expose(), "GET", "/halls", Value::Null).await.is(200);
    assert_eq!(list.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(list.body["page"]["count"]["value"], 1);
    for (id, ok) in [(mine, true), (other, false)] {
        let path = format!("/halls/{id}");
        let get = with(&house, own.expose(), "GET", &path, Value::Null).await;
        let patch = with(&house, own.expose(), "PATCH", &path, json!({"name": "New"})).await;
        let delete = with(&house, own.expose(), "DELETE", &path, Value::Null).await;
        let expected = if ok { (200, 200, 204) } else { (404, 404, 404) };
        assert_eq!((get.status, patch.status, delete.status), expected);
    }
}

#[tokio::test]
async fn members_have_what_their_roles_give_and_no_more() {
    let house = House::open().await;
    let auditor = role(&house, "auditor").await;
    let owner = role(&house, "owner").await;
    let ada = Joined::new(&house, &auditor).await;
    let mut body = json!({"user_id": ada.user, "role_id": auditor});
    house.post("/memberships", body.clone()).await.refuses(Code::Required, &["ends_at"]);
    body["ends_at"] = json!("2020-01-01T00:00:00Z");
    house.post("/memberships", body.clone()).await.refuses(Code::OutOfRange, &["ends_at"]);
    body["ends_at"] = json!("2099-01-01T00:00:00Z");
    house.post("/memberships", body).await.refuses(Code::AlreadyExists, &["user_id"]);
    let token = ada.token;
    with(&house, &token, "GET", "/places", Value::Null).await.is(200);
    let place = json!({"name": "n", "key": "n"});
    with(&house, &token, "POST", "/places", place.clone()).await.refuses(Code::Forbidden, &[]);
    let helper = json!([
        {"grant": "accounts.memberships", "rights": ["create"]},
        {"grant": "accounts.roles", "rights": ["read", "create", "set-grants"]},
    ]);
    let helper = house.org.issue(helper).await.unwrap();
    let raise = json!({"user_id": ada.user, "role_id": owner});
    let seen = with(&house, helper.expose(), "POST", "/memberships", raise).await;
    seen.refuses(Code::Forbidden, &["grants"]);
    let wide = json!({"key": "wide", "name": "Wide", "grants": [{"grant": "*", "rights": ["*"]}]});
    let seen = with(&house, helper.expose(), "POST", "/roles", wide).await;
    seen.refuses(Code::Forbidden, &["grants"]);
    let clerk = json!({"key": "clerk", "name": "Clerk",
        "grants": [{"grant": "hall.places", "rights": ["create"]}]});
    let clerk = house.post("/roles", clerk).await.is(201);
    let gets = json!({"user_id": ada.user, "role_id": clerk.id()});
    let second = house.post("/memberships", gets).await.is(201);
    with(&house, &token, "POST", "/places", place).await.is(201);
    let none = json!({"grants": []});
    house.post(&format!("/roles/{}/set-grants", clerk.id()), none.clone()).await.is(200);
    let place = json!({"name": "m", "key": "m"});
    with(&house, &token, "POST", "/places", place).await.refuses(Code::Forbidden, &[]);
    house.post(&format!("/roles/{owner}/set-grants"), none).await.refuses(Code::Conflict, &[]);
    house.delete(&format!("/memberships/{}", second.id())).await.is(204);
    house.delete(&format!("/memberships/{}", ada.membership)).await.is(204);
    let seen = with(&house, &token, "GET", "/places", Value::Null).await;
    seen.refuses(Code::OrganizationRequired, &[]);
}

pub(crate) async fn role(house: &House, key: &str) -> String {
    let seen = Seen::of(house.asks("/roles", &[("filter[key]", key)])).await.is(200);
    seen.body["data"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_chooses_among_their_organizations() {
    let house = House::open().await;
    let token = token_of(&sign_in(&house, &house.org.email, PASSWORD).await.is(201));
    let slug = format!("second-{}", Uuid::new_v4().simple());
    let body = json!({"name": "Second", "slug": slug});
    let second = with(&house, &token, "POST", "/organizations", body.clone()).await.is(201);
    with(&house, &token, "POST", "/organizations", body)
        .await
        .refuses(Code::AlreadyExists, &["slug"]);
    let seen = with(&house, &token, "GET", "/places", Value::Null).await;
    seen.refuses(Code::OrganizationRequired, &[]);
    house.place("first").await;
    let enter = async |organization: &str| {
        let request = house.plain("GET", "/api/v1/places").bearer_auth(&token);
        Seen::of(request.header("x-organization", organization)).await
    };
    let first = enter(&house.org.id.to_string()).await.is(200);
    assert_eq!(first.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(enter(&second.id()).await.is(200).body["data"], json!([]));
    let stranger = house.stranger().await;
    enter(&stranger.id.to_string()).await.refuses(Code::Forbidden, &[]);
    enter(&Uuid::nil().to_string()).await.refuses(Code::Forbidden, &[]);
    enter("here").await.refuses(Code::InvalidId, &["X-Organization"]);
    let with_token = house.request("GET", "/places").header("x-organization", second.id());
    Seen::of(with_token).await.refuses(Code::Forbidden, &[]);
}

#[tokio::test]
async fn the_other_service_asks_what_a_token_may_do() {
    let house = House::open().await;
    let reads = json!([{"grant": "hall.places", "rights": ["read"]}]);
    let reader = house.org.issue(reads).await.unwrap();
    let foreign = house.stranger().await;
    let asked = async |token: &str, organization: Uuid, grant: &str, right: &str| {
        let question =
            json!({"token": token, "organization": organization, "grant": grant, "right": right});
        let path = "/internal/v1/introspect";
        let seen = house.to_internal("POST", path).bearer_auth(CATALOGUE_TOKEN).json(&question);
        let body = Seen::of(seen).await.is(200).body;
        (body["active"].as_bool().unwrap(), body["may"].as_bool().unwrap())
    };
    let (reader, ours) = (reader.expose(), house.org.id);
    assert_eq!(asked(reader, ours, "hall.places", "read").await, (true, true));
    assert_eq!(asked(reader, ours, "hall.places", "update").await, (true, false));
    assert_eq!(asked(reader, ours, "hall.halls", "read").await, (true, false));
    assert_eq!(asked(reader, foreign.id, "hall.places", "read").await, (true, false));
    assert_eq!(asked(foreign.token.expose(), ours, "hall.places", "read").await, (true, false));
    assert_eq!(asked("atlvs_nothing", ours, "hall.places", "read").await, (false, false));
    let session = token_of(&sign_in(&house, &house.org.email, PASSWORD).await.is(201));
    assert_eq!(asked(&session, ours, "hall.places", "read").await, (true, true));

    let path = "/internal/v1/introspect";
    let partly = house.to_internal("POST", path).bearer_auth(CATALOGUE_TOKEN);
    Seen::of(partly.json(&json!({"token": reader}))).await.refuses(Code::MalformedJson, &[]);
    let stranger = house.to_internal("POST", path).bearer_auth(reader);
    Seen::of(stranger.json(&json!({}))).await.refuses(Code::Unauthenticated, &[]);
}

#[tokio::test]
async fn own_makes_and_keeps_own_rows_only() {
    let house = House::open().await;
    let place = house.place("own").await;
    let rights = ["read", "create", "update"];
    let own = json!([{"grant": "hall.halls", "rights": rights, "scope": "own"}]);
    let own = house.org.issue(own).await.unwrap();
    let (stranger, auditor) = (house.stranger().await, role(&house, "auditor").await);
    let other = Joined::new(&house, &auditor).await;
    let body = json!({"name": "Hall", "place_id": place});
    let made = with(&house, own.expose(), "POST", "/halls", body.clone()).await.is(201);
    assert_eq!(made.body["keeper_id"], house.org.owner.to_string());
    let path = format!("/halls/{}", made.id());
    for (keeper, code) in [
        (json!(other.user), Code::Forbidden),
        (Value::Null, Code::Forbidden),
        (json!(stranger.owner), Code::UnknownReference),
    ] {
        let mut body = body.clone();
        body["keeper_id"] = keeper.clone();
        let seen = with(&house, own.expose(), "POST", "/halls", body).await;
        seen.refuses(code, &["keeper_id"]);
        let seen = with(&house, own.expose(), "PATCH", &path, json!({"keeper_id": keeper})).await;
        seen.refuses(code, &["keeper_id"]);
    }
    let same = json!({"keeper_id": house.org.owner, "name": "New"});
    with(&house, own.expose(), "PATCH", &path, same).await.is(200);
}

#[tokio::test]
async fn an_action_makes_own_rows_only() {
    let house = House::open().await;
    let auditor = role(&house, "auditor").await;
    let ada = Joined::new(&house, &auditor).await;
    let joins = json!([
        {"grant": "accounts.memberships", "rights": ["create"], "scope": "own"},
        {"grant": "accounts.roles", "rights": ["read"]},
    ]);
    let joins = house.org.issue(joins).await.unwrap();
    let none = json!({"key": "guest", "name": "Guest", "grants": []});
    let none = house.post("/roles", none).await.is(201).id();
    let gives = async |user: &str, role: &str| {
        let body = json!({"user_id": user, "role_id": role, "ends_at": "2099-01-01T00:00:00Z"});
        with(&house, joins.expose(), "POST", "/memberships", body).await
    };
    let owner = house.org.owner.to_string();
    gives(&owner, &auditor).await.refuses(Code::Forbidden, &["grants"]);
    // Whose row it would be is known once it is made, and nothing of a refused one stays.
    gives(&ada.user, &none).await.refuses(Code::Forbidden, &["user_id"]);
    gives(&owner, &none).await.is(204);
    let query = [("filter[role_id]", none.as_str())];
    let list = Seen::of(house.asks("/memberships", &query)).await.is(200);
    let users: Vec<&Value> =
        list.body["data"].as_array().unwrap().iter().map(|row| &row["user_id"]).collect();
    assert_eq!(users, [&json!(owner)]);
}

#[tokio::test]
async fn an_organization_keeps_an_owner_and_its_built_in_roles() {
    let house = House::open().await;
    let owner = role(&house, "owner").await;
    let auditor = role(&house, "auditor").await;
    let query = [("filter[role_id]", owner.as_str())];
    let list = Seen::of(house.asks("/memberships", &query)).await.is(200);
    let first = list.body["data"][0]["id"].as_str().unwrap().to_owned();
    let path = |id: &str| format!("/memberships/{id}");
    house.delete(&path(&first)).await.refuses(Code::LastOwner, &[]);
    house.get(&path(&first)).await.is(200);
    let second = Joined::until(&house, &owner, Value::Null).await;
    // Two owners who remove each other at the same moment: one of them stays.
    let (one, other) = (path(&first), path(&second.membership));
    let (one, other) = tokio::join!(house.delete(&one), house.delete(&other));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    // The first owner's own token may be gone with the membership before the second call begins.
    assert!(matches!(statuses, [204, 401 | 409]), "{one:?} {other:?}");
    let rows = house
        .service
        .read(kernel::cx::Actor::Service("test"), house.org.id)
        .await
        .unwrap()
        .query_one("select count(*) from memberships where deleted_at is null", &[])
        .await
        .unwrap();
    assert_eq!(rows.get::<_, i64>(0), 1);
    let house = House::open().await;
    let kept = role(&house, "auditor").await;
    assert_ne!(kept, auditor);
    house.delete(&format!("/roles/{kept}")).await.refuses(Code::Conflict, &[]);
}

#[tokio::test]
async fn rights_on_tokens_are_given_by_those_who_have_them() {
    let house = House::open().await;
    let rights = json!(["create", "read", "delete", "update"]);
    // Everything under `accounts.` but the tokens.
    let held: Vec<Value> = ["roles", "memberships", "operations"]
        .iter()
        .map(|table| json!({"grant": format!("accounts.{table}"), "rights": rights}))
        .collect();
    let helper = house.org.issue(json!(held)).await.unwrap();
    let role = |grant: &str| {
        let key = Uuid::new_v4().simple().to_string();
        json!({"key": key, "name": "x", "grants": [{"grant": grant, "rights": ["delete"]}]})
    };
    for grant in ["accounts.*", "accounts.api_tokens"] {
        let seen = with(&house, helper.expose(), "POST", "/roles", role(grant)).await;
        seen.refuses(Code::Forbidden, &["grants"]);
        house.post("/roles", role(grant)).await.is(201);
    }
    let ends = json!([{"grant": "accounts.api_tokens", "rights": ["delete"]}]);
    let ends = house.org.issue(ends).await.unwrap();
    let gone = format!("/api-tokens/{}", Uuid::new_v4());
    with(&house, ends.expose(), "DELETE", &gone, Value::Null).await.refuses(Code::NotFound, &[]);
    with(&house, ends.expose(), "GET", "/api-tokens", Value::Null)
        .await
        .refuses(Code::Forbidden, &[]);
}

/// The set-based way to write refuses what the single one does.
#[tokio::test]
async fn a_batch_writes_no_field_that_may_not_be_written() {
    let house = House::open().await;
    let ids = [house.place("one").await, house.place("two").await].map(|id| id.parse().unwrap());
    let lines = json!([{"grant": "hall.places", "rights": ["update"], "fixed": ["notes"]}]);
    let person = Person { org: house.org.id, user: house.org.owner, units: Vec::new() };
    let lines = rights::parse(&lines, None).unwrap();
    let rights = Arc::new(Rights::new(registry(), person, vec![lines]));
    let actor = Actor::User { id: house.org.owner, session: Uuid::nil(), rights };
    let mut cx = house.service.begin(actor, house.org.id).await.unwrap();
    let patch = |id, body| Patch { id, version: None, body: object(body) };
    let rows = vec![
        patch(ids[0], json!({"name": "new", "notes": "not mine to write"})),
        patch(ids[1], json!({"name": "new"})),
    ];
    let outcomes = cx.patch_many(&PLACE, rows).await.unwrap();
    cx.commit().await.unwrap();
    let [refused, done] = outcomes.as_slice() else { panic!("two rows, two outcomes") };
    let refused = refused.as_ref().unwrap_err();
    assert_eq!(refused.code(), Code::FieldNotPermitted);
    assert_eq!(refused.list()[0].field, "notes");
    assert_eq!(*done.as_ref().unwrap(), ids[1]);
    assert_eq!(house.get(&format!("/places/{}", ids[0])).await.body["name"], "one");
    assert_eq!(house.get(&format!("/places/{}", ids[1])).await.body["name"], "new");
}
