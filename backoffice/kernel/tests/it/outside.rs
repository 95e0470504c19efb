//! People from outside: portals that show their own rows, links that do one thing; and what an
//! organization's plan holds.

use std::sync::Arc;
use std::time::Duration;

use kernel::accounts::operator_set_plan;
use kernel::clock::ManualClock;
use kernel::entity::Plan;
use kernel::error::Code;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hall::{BOOKING, House, Seen, database, object};
use crate::joining::address;
use crate::people::{token_of, with};
use crate::post::{letters, secret_in};

/// A house with a booking of a party that has a portal account, and one of another party.
struct Front {
    house: House,
    slug: String,
    email: String,
    party: Uuid,
    own: Uuid,
    other: Uuid,
}

impl Front {
    async fn open(house: House) -> Self {
        let place = house.place(&Uuid::new_v4().simple().to_string()).await;
        let hall = house.hall(&place).await;
        let (party, email) = (Uuid::new_v4(), address());
        let mut cx = house.org.begin().await.unwrap();
        let mut booking = async |party: Uuid| {
            let body = json!({
                "hall_id": hall, "title": "Gala", "party_id": party, "remarks": "difficult",
                "deposit": {"amount": "5.00", "currency": "EUR"},
            });
            cx.insert(&BOOKING, object(body)).await.unwrap()
        };
        let (own, other) = (booking(party).await, booking(Uuid::new_v4()).await);
        cx.commit().await.unwrap();
        let body = json!({"kind": "attendee", "party_id": party, "email": email, "name": "Ada"});
        house.post("/portal-accounts", body).await.is(201);
        // Test organizations are named after their owner's address.
        let slug = house.org.email.replace("owner-", "test-").replace("@example.org", "");
        Self { house, slug, email, party, own, other }
    }

    async fn ask(&self, kind: &str, email: &str) -> Seen {
        let body = json!({"organization": self.slug, "kind": kind, "email": email});
        Seen::of(self.house.plain("POST", "/api/v1/portal/sign-ins").json(&body)).await
    }

    async fn enter(&self, secret: &str) -> Seen {
        let body = json!({"secret": secret});
        Seen::of(self.house.plain("POST", "/api/v1/portal/sessions").json(&body)).await
    }

    async fn secret(&self) -> String {
        self.ask("attendee", &self.email).await.is(202);
        secret_in(&letters(&self.house, &self.email).await)
    }
}

#[tokio::test]
async fn a_mailed_link_opens_a_portal_once() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let front = Front::open(House::with_clock(clock.clone()).await).await;
    // Unknown addresses, other kinds and other organizations get the same answer and no mail.
    let nobody = address();
    front.ask("attendee", &nobody).await.is(202);
    front.ask("vendor", &front.email).await.is(202);
    let body = json!({"organization": "nowhere", "kind": "attendee", "email": front.email});
    let seen = front.house.plain("POST", "/api/v1/portal/sign-ins").json(&body);
    Seen::of(seen).await.is(202);
    assert!(letters(&front.house, &nobody).await.is_empty());
    assert!(letters(&front.house, &front.email).await.is_empty());
    let secret = front.secret().await;
    let (one, two) = tokio::join!(front.enter(&secret), front.enter(&secret));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404]);
    let token = token_of(if one.status == 201 { &one } else { &two });
    assert!(token.starts_with("port_"));
    let me = with(&front.house, &token, "GET", "/me", Value::Null).await.is(200);
    assert!(me.body["portal"]["id"].is_string(), "{}", me.body);
    let late = front.secret().await;
    clock.advance(Duration::from_secs(15 * 60));
    front.enter(&late).await.refuses(Code::NotFound, &["secret"]);
    with(&front.house, &token, "DELETE", "/portal/sessions/current", Value::Null).await.is(204);
    with(&front.house, &token, "GET", "/me", Value::Null).await.refuses(Code::Unauthenticated, &[]);
    // A session ends by itself, and with the account.
    let token = token_of(&front.enter(&front.secret().await).await.is(201));
    let other = token_of(&front.enter(&front.secret().await).await.is(201));
    clock.advance(Duration::from_secs(24 * 3600));
    with(&front.house, &token, "GET", "/me", Value::Null).await.refuses(Code::Unauthenticated, &[]);
    drop(other);
    let token = token_of(&front.enter(&front.secret().await).await.is(201));
    let accounts = front.house.get("/portal-accounts").await.is(200);
    let id = accounts.body["data"][0]["id"].as_str().unwrap().to_owned();
    front.house.delete(&format!("/portal-accounts/{id}")).await.is(204);
    with(&front.house, &token, "GET", "/me", Value::Null).await.refuses(Code::Unauthenticated, &[]);
}

#[tokio::test]
async fn a_portal_shows_own_rows_and_named_fields() {
    let front = Front::open(House::open().await).await;
    let token = token_of(&front.enter(&front.secret().await).await.is(201));
    let call = async |method: &str, path: &str, body: Value| {
        with(&front.house, &token, method, path, body).await
    };
    let list = call("GET", "/bookings", Value::Null).await.is(200);
    let [row] = list.body["data"].as_array().unwrap().as_slice() else { panic!("{}", list.body) };
    assert_eq!(row["id"], front.own.to_string());
    assert_eq!(row["deposit"], json!({"amount": "5.00", "currency": "EUR"}));
    for hidden in ["remarks", "party_id", "hall_id"] {
        assert!(row.get(hidden).is_none(), "{row}");
    }
    let own = format!("/bookings/{}", front.own);
    let other = format!("/bookings/{}", front.other);
    call("GET", &own, Value::Null).await.is(200);
    call("GET", &other, Value::Null).await.refuses(Code::NotFound, &[]);
    let patched = call("PATCH", &own, json!({"wishes": "Vegan"})).await.is(200);
    assert_eq!(patched.body["wishes"], "Vegan");
    call("PATCH", &other, json!({"wishes": "Vegan"})).await.refuses(Code::NotFound, &[]);
    let keyed = front.house.plain("PATCH", &format!("/api/v1{own}")).bearer_auth(&token);
    let keyed = keyed.header("idempotency-key", "once").json(&json!({"wishes": "x"}));
    Seen::of(keyed).await.refuses(Code::InvalidRequest, &["Idempotency-Key"]);
    call("PATCH", &own, json!({"custom": {"size": 1}})).await.is(403);
    let seen = call("PATCH", &own, json!({"title": "Mine"})).await;
    seen.refuses(Code::FieldNotPermitted, &["title"]);
    // The doors that a portal has answer with what it shows.
    let meta = call("GET", "/meta/bookings", Value::Null).await.is(200);
    assert_eq!(meta.body["operations"], json!(["read", "update"]));
    let file = front.house.plain("GET", "/api/v1/bookings/export").bearer_auth(&token);
    let file = file.send().await.unwrap();
    assert_eq!(file.status(), 200);
    let text = file.text().await.unwrap();
    assert!(text.contains("Gala") && !text.contains("difficult"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    // What is not shown is not sorted or filtered by.
    for query in ["sort=remarks", "filter[remarks]=difficult"] {
        let seen = call("GET", &format!("/bookings?{query}"), Value::Null).await;
        assert_eq!((seen.status, seen.body["code"].as_str()), (403, Some("field_not_permitted")));
    }
    for (method, path) in [
        ("DELETE", own.as_str()),
        ("POST", "/bookings"),
        ("POST", &format!("{own}/confirm")),
        ("GET", "/places"),
        ("GET", "/members"),
        ("GET", &format!("{own}/history")),
        ("GET", "/activity"),
        ("POST", "/bookings/import"),
        ("POST", &format!("{own}/restore")),
        ("GET", "/portal-accounts"),
        ("GET", "/sessions"),
        ("POST", "/api-tokens"),
        ("POST", "/links"),
    ] {
        let body = if method == "GET" { Value::Null } else { json!({}) };
        let seen = call(method, path, body).await;
        assert_eq!(seen.status, 403, "{method} {path}: {}", seen.body);
    }
    // The change log knows who it was.
    let cx = front.house.org.begin().await.unwrap();
    let sql = "select actor_kind from changes where row_id = $1 and op = 'update'";
    let row = cx.query_one(sql, &[&front.own]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "portal");
}

/// What the engine says, the database says again: tried as the portals' role itself, with settings
/// that a fault elsewhere could have let somebody choose.
#[tokio::test]
async fn the_database_keeps_a_portal_to_its_own_rows() {
    let front = Front::open(House::open().await).await;
    let stranger = Front::open(House::open().await).await;
    let portal = database().await.portal().await.unwrap();
    let set = async |org: Uuid, kind: &str, party: Uuid| {
        let sql =
            "select set_config('app.org_id', $1, false), set_config('app.portal_kind', $2, false),
                          set_config('app.portal_party', $3, false)";
        let (org, party) = (org.to_string(), party.to_string());
        portal.query(sql, &[&org, &kind, &party]).await.unwrap();
    };
    let ids = async || -> Vec<Uuid> {
        let rows = portal.query("select id from hall_bookings", &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    // Nothing said, nothing shown.
    assert!(ids().await.is_empty());
    set(front.house.org.id, "attendee", front.party).await;
    assert_eq!(ids().await, [front.own]);
    // Another organization named: the party has nothing there. The right kind only.
    set(stranger.house.org.id, "attendee", front.party).await;
    assert!(ids().await.is_empty());
    set(front.house.org.id, "vendor", front.party).await;
    assert!(ids().await.is_empty());
    set(front.house.org.id, "attendee", Uuid::new_v4()).await;
    assert!(ids().await.is_empty());
    set(front.house.org.id, "attendee", front.party).await;
    let update = "update hall_bookings set wishes = 'x' where id = $1";
    assert_eq!(portal.execute(update, &[&front.own]).await.unwrap(), 1);
    assert_eq!(portal.execute(update, &[&front.other]).await.unwrap(), 0);
    for denied in [
        "select remarks from hall_bookings",
        "select * from hall_bookings",
        "update hall_bookings set party_id = gen_random_uuid()",
        "update hall_bookings set title = 'x'",
        "delete from hall_bookings",
        "insert into hall_bookings (hall_id, title) values (gen_random_uuid(), 'x')",
        "select id from places",
        "select id from portal_accounts",
        "select id from users",
        "select id from changes",
        "select id from messages",
        "select account_session('\\x00', now())",
        "select account_prove(gen_random_uuid(), 'a@b.example', 'x', 'y', now())",
        "set role atlvs_app",
        "set role atlvs_definer",
    ] {
        let refused = portal.batch(denied).await.unwrap_err();
        let text = refused.log_text();
        assert!(text.contains("42501") || text.contains("permission denied"), "{denied}: {text}");
    }
}

/// Whoever calls by a secret of ours is charged for it, whatever kind of secret it is.
#[tokio::test]
async fn portals_links_and_devices_have_a_credentials_share() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let house = House::with(clock.clone(), &[("RATE_LIMIT_PERCENT", "100")]).await;
    let front = Front::open(house).await;
    let house = &front.house;
    let portal = token_of(&front.enter(&front.secret().await).await.is(201));
    let body = json!({"entity": "bookings", "row_id": front.own, "purpose": "read",
                      "expires_at": "2026-11-22T12:00:00Z"});
    let link = token_of(&house.post("/links", body).await.is(201));
    let lines = json!([{"grant": "hall.bookings", "rights": ["read"], "scope": "all"}]);
    let body = json!({"name": "Tablet", "grants": lines});
    let device = token_of(&house.post("/devices", body).await.is(201));
    let own = format!("/bookings/{}", front.own);
    for token in [&portal, &link, &device] {
        clock.advance(Duration::from_secs(60));
        let get = async |path: &str| with(house, token, "GET", path, Value::Null).await;
        let seen = get(&own).await.is(200);
        let policy = seen.header("ratelimit-policy");
        assert!(policy.contains("\"credential\";q=") && policy.contains("\"organization\";"));
        let quota = policy.split("q=").nth(1).and_then(|rest| rest.split(';').next());
        let quota: u32 = quota.unwrap().parse().unwrap();
        for _ in 1..quota {
            get(&own).await.is(200);
        }
        get(&own).await.refuses(Code::TooManyRequests, &[]);
        get("/bookings").await.refuses(Code::TooManyRequests, &[]);
        clock.advance(Duration::from_secs(60));
        get(&own).await.is(200);
    }
}

#[tokio::test]
async fn a_link_does_one_thing_with_one_row() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let front = Front::open(House::with_clock(clock.clone()).await).await;
    let house = &front.house;
    let make = async |purpose: &str, row: Uuid| {
        let body = json!({"entity": "bookings", "row_id": row, "purpose": purpose,
                          "expires_at": "2026-11-22T12:00:00Z"});
        house.post("/links", body).await
    };
    let view = make("read", front.own).await.is(201);
    let (token, act) = (token_of(&view), token_of(&make("confirm", front.own).await.is(201)));
    let own = format!("/bookings/{}", front.own);
    let seen = with(house, &token, "GET", &own, Value::Null).await.is(200);
    assert_eq!(seen.body["title"], "Gala");
    assert!(seen.body.get("remarks").is_none(), "{}", seen.body);
    for (who, method, path) in [
        (&token, "GET", format!("/bookings/{}", front.other)),
        (&act, "POST", format!("/bookings/{}/confirm", front.other)),
    ] {
        with(house, who, method, &path, Value::Null).await.refuses(Code::NotFound, &[]);
    }
    for (who, method, path) in [
        (&token, "PATCH", own.clone()),
        (&token, "DELETE", own.clone()),
        (&token, "POST", format!("{own}/confirm")),
        (&token, "GET", "/places".to_owned()),
        (&token, "POST", "/links".to_owned()),
        (&act, "GET", own.clone()),
        (&act, "POST", format!("{own}/cancel")),
    ] {
        let body = if method == "GET" { Value::Null } else { json!({}) };
        let seen = with(house, who, method, &path, body).await;
        assert_eq!(seen.status, 403, "{method} {path}: {}", seen.body);
    }
    // Nothing that says more of the row, or of others.
    for path in [
        "/bookings".to_owned(),
        "/bookings?group=status".to_owned(),
        "/bookings/export".to_owned(),
        format!("{own}/history"),
        "/activity".to_owned(),
        "/activity?entity=bookings".to_owned(),
        "/meta".to_owned(),
        "/meta/bookings".to_owned(),
        "/members".to_owned(),
    ] {
        with(house, &token, "GET", &path, Value::Null).await.refuses(Code::Forbidden, &[]);
    }
    let bulk = json!({"mode": "all", "operations": [{"op": "action", "action": "confirm", "id": front.own}]});
    for who in [&token, &act] {
        with(house, who, "POST", "/bookings/bulk", bulk.clone())
            .await
            .refuses(Code::Forbidden, &[]);
    }
    with(house, &act, "POST", &format!("{own}/confirm"), json!({})).await.is(204);
    assert_eq!(house.get(&own).await.body["status"], "confirmed");
    // Taken back, and too old.
    house.delete(&format!("/links/{}", view.id())).await.is(204);
    with(house, &token, "GET", &own, Value::Null).await.refuses(Code::Unauthenticated, &[]);
    let late = token_of(&make("read", front.own).await.is(201));
    clock.advance(Duration::from_secs(24 * 3600));
    with(house, &late, "GET", &own, Value::Null).await.refuses(Code::Unauthenticated, &[]);
}

#[tokio::test]
async fn nobody_makes_a_link_to_what_they_may_not() {
    let front = Front::open(House::open().await).await;
    let house = &front.house;
    let soon = (house.service.now() + jiff::SignedDuration::from_hours(1)).to_string();
    let body = |entity: &str, row: Uuid, purpose: &str, expires_at: &str| json!({"entity": entity, "row_id": row, "purpose": purpose, "expires_at": expires_at});
    let stranger = Front::open(House::open().await).await;
    for (body, code, field) in [
        (body("nothing", front.own, "read", &soon), Code::UnknownReference, "entity"),
        (body("bookings", Uuid::new_v4(), "read", &soon), Code::UnknownReference, "row_id"),
        (body("bookings", stranger.own, "read", &soon), Code::UnknownReference, "row_id"),
        (body("bookings", front.own, "delete", &soon), Code::NotAnOption, "purpose"),
        (body("places", front.own, "count", &soon), Code::NotAnOption, "purpose"),
        (
            body("bookings", front.own, "read", "2020-01-01T00:00:00Z"),
            Code::OutOfRange,
            "expires_at",
        ),
        (
            body("bookings", front.own, "read", "2099-01-01T00:00:00Z"),
            Code::OutOfRange,
            "expires_at",
        ),
    ] {
        house.post("/links", body).await.refuses(code, &[field]);
    }
    let helper = json!([
        {"grant": "accounts.links", "rights": ["create"]},
        {"grant": "hall.bookings", "rights": ["read"]},
    ]);
    let helper = house.org.issue(helper).await.unwrap();
    let may = body("bookings", front.own, "read", &soon);
    with(house, helper.expose(), "POST", "/links", may).await.is(201);
    let may_not = body("bookings", front.own, "confirm", &soon);
    with(house, helper.expose(), "POST", "/links", may_not).await.refuses(Code::Forbidden, &[]);
}

#[tokio::test]
async fn a_plan_stands_beside_the_grant() {
    let house = House::open().await;
    let seasons = async || house.get("/seasons").await;
    seasons().await.refuses(Code::PlanRequired, &[]);
    house.post("/seasons", json!({"name": "x"})).await.refuses(Code::PlanRequired, &[]);
    operator_set_plan(&house.service, house.org.id, Plan::Pro).await.unwrap();
    seasons().await.is(200);
    let stranger = house.stranger().await;
    let seen = with(&house, stranger.token.expose(), "GET", "/seasons", Value::Null).await;
    seen.refuses(Code::PlanRequired, &[]);
    // Without the grant the plan is nobody's business.
    let other = json!([{"grant": "hall.places", "rights": ["read"]}]);
    let other = house.org.issue(other).await.unwrap();
    let seen = with(&house, other.expose(), "GET", "/seasons", Value::Null).await;
    seen.refuses(Code::Forbidden, &[]);
    operator_set_plan(&house.service, house.org.id, Plan::Enterprise).await.unwrap();
    seasons().await.is(200);
    operator_set_plan(&house.service, house.org.id, Plan::Core).await.unwrap();
    seasons().await.refuses(Code::PlanRequired, &[]);
    let nowhere = operator_set_plan(&house.service, Uuid::new_v4(), Plan::Pro).await;
    assert_eq!(nowhere.unwrap_err().code(), Code::NotFound);
}
