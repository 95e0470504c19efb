//! What somebody holds never does more than they may now: devices, links, portals, kept answers; and
//! what is done at the moment when a right is taken away.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use kernel::accounts::{
    External, operator_set_plan, operator_trust_issuer, sign_in_external, unlink_identity,
};
use kernel::clock::ManualClock;
use kernel::entity::Plan;
use kernel::error::Code;
use kernel::testkit::PASSWORD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hall::{BOOKING, CATALOGUE_TOKEN, House, Seen, object};
use crate::joining::{Joined, address};
use crate::people::{role, sign_in, token_of, with};
use crate::post::{letters, secret_in};

async fn at_noon() -> (Arc<ManualClock>, House) {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    (clock.clone(), House::with_clock(clock).await)
}

/// A role of the house's own with these lines.
async fn role_with(house: &House, lines: Value) -> String {
    let key = format!("r-{}", Uuid::new_v4().simple());
    let body = json!({"key": key, "name": "A role", "grants": lines});
    house.post("/roles", body).await.is(201).id()
}

/// A booking of this party.
async fn booking(house: &House, party: Uuid) -> Uuid {
    let place = house.place(&Uuid::new_v4().simple().to_string()).await;
    let hall = house.hall(&place).await;
    let mut cx = house.org.begin().await.unwrap();
    let body = json!({"hall_id": hall, "title": "Gala", "party_id": party});
    let id = cx.insert(&BOOKING, object(body)).await.unwrap();
    cx.commit().await.unwrap();
    id
}

async fn get(house: &House, token: &str, path: &str) -> Seen {
    with(house, token, "GET", path, Value::Null).await
}

/// A device, or a link to a booking; its token and a path where it is good.
async fn made(house: &House, by: &str, what: &str, more: Value) -> (Seen, String) {
    let row = booking(house, Uuid::new_v4()).await;
    let mut body = match what {
        "/devices" => object(json!({
            "name": Uuid::new_v4(), "grants": [{"grant": "hall.bookings", "rights": ["read"]}],
        })),
        _ => object(json!({
            "entity": "bookings", "row_id": row, "purpose": "read",
            "expires_at": "2026-12-21T12:00:00Z",
        })),
    };
    body.extend(object(more));
    let seen = with(house, by, "POST", what, Value::Object(body)).await;
    (seen, format!("/bookings/{row}"))
}

/// Grants of somebody who may make devices and links to bookings.
fn maker() -> Value {
    json!([
        {"grant": "accounts.devices", "rights": ["create", "issue-token"]},
        {"grant": "accounts.links", "rights": ["create"]},
        {"grant": "accounts.api_tokens", "rights": ["create", "delete"]},
        {"grant": "hall.bookings", "rights": ["read"]},
    ])
}

#[tokio::test]
async fn devices_and_links_do_what_their_maker_may_now() {
    for what in ["/devices", "/links"] {
        let (_, house) = at_noon().await;
        let role = role_with(&house, maker()).await;
        let ada = Joined::new(&house, &role).await;
        let (seen, path) = made(&house, &ada.token, what, json!({})).await;
        let token = token_of(&seen.is(201));
        get(&house, &token, &path).await.is(200);
        // The role loses the right: so do they, and have it again with it.
        let set = format!("/roles/{role}/set-grants");
        let less = json!({"grants": [{"grant": "accounts.links", "rights": ["create"]}]});
        house.post(&set, less).await.is(200);
        get(&house, &token, &path).await.refuses(Code::Forbidden, &[]);
        house.post(&set, json!({"grants": maker()})).await.is(200);
        get(&house, &token, &path).await.is(200);
        // The person leaves.
        house.delete(&format!("/memberships/{}", ada.membership)).await.is(204);
        get(&house, &token, &path).await.refuses(Code::Unauthenticated, &[]);
        // Their session enters nothing any more, with its next request.
        assert_eq!(get(&house, &ada.token, "/bookings").await.status, 403);
    }
}

/// A link reaches its row as long as its maker does.
#[tokio::test]
async fn a_link_does_not_outreach_its_maker() {
    let (_, house) = at_noon().await;
    let own = json!([
        {"grant": "accounts.links", "rights": ["create"]},
        {"grant": "hall.halls", "rights": ["create", "read", "update"], "scope": "own"},
        {"grant": "hall.places", "rights": ["read"]},
    ]);
    let ada = Joined::new(&house, &role_with(&house, own).await).await;
    let place = house.place(&Uuid::new_v4().simple().to_string()).await;
    let body = json!({"name": "Hers", "place_id": place, "keeper_id": ada.user});
    let hall = house.post("/halls", body).await.is(201).id();
    let body = json!({"entity": "halls", "row_id": hall, "purpose": "read",
                      "expires_at": "2026-11-22T12:00:00Z"});
    let link = token_of(&with(&house, &ada.token, "POST", "/links", body).await.is(201));
    let path = format!("/halls/{hall}");
    get(&house, &link, &path).await.is(200);
    house.patch(&path, json!({"keeper_id": house.org.owner})).await.is(200);
    get(&house, &link, &path).await.refuses(Code::NotFound, &[]);
}

#[tokio::test]
async fn devices_and_links_end_with_the_token_that_made_them() {
    for what in ["/devices", "/links"] {
        let (clock, house) = at_noon().await;
        let issue = async |by: &str, ends: Value| {
            let body = json!({"name": "t", "grants": maker(), "expires_at": ends});
            with(&house, by, "POST", "/api-tokens", body).await.is(201)
        };
        let first = issue(house.org.token.expose(), json!("2026-11-21T14:00:00Z")).await;
        let second = issue(&token_of(&first), Value::Null).await;
        let (made_by_second, path) = made(&house, &token_of(&second), what, json!({})).await;
        let made_by_second = made_by_second.is(201);
        let row = house.get(&format!("{what}/{}", made_by_second.id())).await.is(200);
        assert_eq!(row.body["expires_at"], "2026-11-21T14:00:00Z", "no longer than the token");
        assert_eq!(row.body["issued_by_id"], second.id());
        let later = json!({"expires_at": "2026-11-30T12:00:00Z"});
        let (capped, _) = made(&house, &token_of(&second), what, later).await;
        let capped = house.get(&format!("{what}/{}", capped.is(201).id())).await.is(200);
        assert_eq!(capped.body["expires_at"], "2026-11-21T14:00:00Z");
        let token = token_of(&made_by_second);
        get(&house, &token, &path).await.is(200);
        clock.advance(Duration::from_secs(2 * 3_600));
        get(&house, &token, &path).await.refuses(Code::Unauthenticated, &[]);
        // Revoked, it takes along what it issued, however deep.
        let first = issue(house.org.token.expose(), Value::Null).await;
        let second = issue(&token_of(&first), Value::Null).await;
        let (seen, path) = made(&house, &token_of(&second), what, json!({})).await;
        let token = token_of(&seen.is(201));
        get(&house, &token, &path).await.is(200);
        house.delete(&format!("/api-tokens/{}", first.id())).await.is(204);
        get(&house, &token, &path).await.refuses(Code::Unauthenticated, &[]);
    }
}

#[tokio::test]
async fn a_device_makes_nothing_that_acts_and_changes_hands_when_it_is_renewed() {
    let (_, house) = at_noon().await;
    let role = role_with(&house, maker()).await;
    let ada = Joined::new(&house, &role).await;
    let body = json!({"name": "Tablet", "grants": maker()});
    let made_by_ada = with(&house, &ada.token, "POST", "/devices", body).await.is(201);
    let device = token_of(&made_by_ada);
    for (path, body) in [
        ("/devices", json!({"name": "x", "grants": []})),
        ("/api-tokens", json!({"name": "x", "grants": []})),
    ] {
        with(&house, &device, "POST", path, body).await.refuses(Code::Forbidden, &[]);
    }
    let (seen, path) = made(&house, &device, "/links", json!({})).await;
    seen.refuses(Code::Forbidden, &[]);
    let again = house.post(&format!("/devices/{}/issue-token", made_by_ada.id()), json!({})).await;
    let again = token_of(&again.is(200));
    house.delete(&format!("/memberships/{}", ada.membership)).await.is(204);
    get(&house, &again, &path).await.is(200);
}

/// Whoever opens a portal may do themselves what it shows.
#[tokio::test]
async fn a_portal_is_given_by_who_may_what_it_shows_and_follows_its_address() {
    let house = House::open().await;
    let party = Uuid::new_v4();
    let row = booking(&house, party).await;
    let email = address();
    let body = json!({"kind": "attendee", "party_id": party, "email": email});
    for lines in [
        json!([{"grant": "accounts.portal_accounts", "rights": ["*"]}]),
        json!([{"grant": "accounts.portal_accounts", "rights": ["*"]},
               {"grant": "hall.bookings", "rights": ["read"]}]),
        json!([{"grant": "accounts.portal_accounts", "rights": ["*"]},
               {"grant": "hall.bookings", "rights": ["read", "update"], "hidden": ["deposit"]}]),
        json!([{"grant": "accounts.portal_accounts", "rights": ["*"]},
               {"grant": "hall.bookings", "rights": ["read", "update"], "fixed": ["wishes"]}]),
    ] {
        let helper = house.org.issue(lines).await.unwrap();
        let seen = with(&house, helper.expose(), "POST", "/portal-accounts", body.clone()).await;
        seen.refuses(Code::Forbidden, &["kind"]);
    }
    let lines = json!([{"grant": "accounts.portal_accounts", "rights": ["*"]},
                       {"grant": "hall.bookings", "rights": ["read", "update"]}]);
    let helper = house.org.issue(lines).await.unwrap();
    let helper = helper.expose();
    let account = with(&house, helper, "POST", "/portal-accounts", body.clone()).await.is(201).id();
    let slug = house.org.email.replace("owner-", "test-").replace("@example.org", "");
    let ask = async |email: &str| {
        let body = json!({"organization": slug, "kind": "attendee", "email": email});
        let seen = house.plain("POST", "/api/v1/portal/sign-ins").json(&body);
        Seen::of(seen).await.is(202);
        letters(&house, email).await
    };
    let enter = async |secret: &str| {
        let body = json!({"secret": secret});
        Seen::of(house.plain("POST", "/api/v1/portal/sessions").json(&body)).await
    };
    let session = token_of(&enter(&secret_in(&ask(&email).await)).await.is(201));
    let unused = secret_in(&ask(&email).await);
    let path = format!("/bookings/{row}");
    get(&house, &session, &path).await.is(200);
    // The address is no field to be patched, and another's for those who may give the portal.
    let at = format!("/portal-accounts/{account}");
    let other = json!({"email": address()});
    house.patch(&at, other.clone()).await.refuses(Code::ValidationFailed, &["email"]);
    house
        .patch(&at, json!({"party_id": Uuid::new_v4()}))
        .await
        .refuses(Code::ValidationFailed, &["party_id"]);
    house.patch(&at, json!({"name": "Ada"})).await.is(200);
    let set = format!("{at}/set-email");
    let weak = json!([{"grant": "accounts.portal_accounts", "rights": ["*"]}]);
    let weak = house.org.issue(weak).await.unwrap();
    let seen = with(&house, weak.expose(), "POST", &set, other.clone()).await;
    seen.refuses(Code::Forbidden, &["kind"]);
    get(&house, &session, &path).await.is(200);
    with(&house, helper, "POST", &set, other.clone()).await.is(200);
    get(&house, &session, &path).await.refuses(Code::Unauthenticated, &[]);
    enter(&unused).await.refuses(Code::NotFound, &["secret"]);
    let now = other["email"].as_str().unwrap();
    let session = token_of(&enter(&secret_in(&ask(now).await)).await.is(201));
    get(&house, &session, &path).await.is(200);
}

/// Seasons need a plan; a link to one ends with the plan, and so does what the gate asks for.
#[tokio::test]
async fn the_plan_bounds_links_and_what_the_other_service_asks() {
    let (_, house) = at_noon().await;
    let may = async |token: &str| {
        let question = json!({"token": token, "organization": house.org.id,
                              "grant": "hall.seasons", "right": "read"});
        let seen = house.to_internal("POST", "/internal/v1/introspect");
        let seen = Seen::of(seen.bearer_auth(CATALOGUE_TOKEN).json(&question)).await;
        seen.is(200).body["may"].as_bool().unwrap()
    };
    operator_set_plan(&house.service, house.org.id, Plan::Pro).await.unwrap();
    let season = house.post("/seasons", json!({"name": "x"})).await.is(201).id();
    let body = json!({"entity": "seasons", "row_id": season, "purpose": "read",
                      "expires_at": "2026-11-22T12:00:00Z"});
    let link = token_of(&house.post("/links", body).await.is(201));
    let path = format!("/seasons/{season}");
    get(&house, &link, &path).await.is(200);
    assert!(may(house.org.token.expose()).await);
    operator_set_plan(&house.service, house.org.id, Plan::Core).await.unwrap();
    get(&house, &link, &path).await.refuses(Code::PlanRequired, &[]);
    assert!(!may(house.org.token.expose()).await);
}

/// An answer that was kept is for who may do now what was done then, and for the token that did it.
#[tokio::test]
async fn a_kept_answer_is_not_given_to_who_may_not_any_more() {
    let (_, house) = at_noon().await;
    let may = json!([{"grant": "hall.places", "rights": ["create", "read"]},
                     {"grant": "accounts.api_tokens", "rights": ["create"]}]);
    let may_not = json!([{"grant": "accounts.api_tokens", "rights": ["create"]}]);
    let role = role_with(&house, may).await;
    let ada = Joined::new(&house, &role).await;
    let keyed = async |token: &str, path: &str, body: &Value| {
        let request = house.plain("POST", &format!("/api/v1{path}")).bearer_auth(token);
        Seen::of(request.header("idempotency-key", path).json(body)).await
    };
    let one = json!({"name": "One", "key": format!("k-{}", Uuid::new_v4().simple())});
    let many = json!({"mode": "each", "operations": [
        {"op": "create", "data": {"name": "Two", "key": format!("k-{}", Uuid::new_v4().simple())}},
        {"op": "delete", "id": Uuid::new_v4()},
    ]});
    for (path, body, status) in [("/places", &one, 201), ("/places/bulk", &many, 200)] {
        let first = keyed(&ada.token, path, body).await.is(status);
        assert_eq!(keyed(&ada.token, path, body).await.is(status).body, first.body);
    }
    house.post(&format!("/roles/{role}/set-grants"), json!({"grants": may_not})).await.is(200);
    for (path, body) in [("/places", &one), ("/places/bulk", &many)] {
        let seen = keyed(&ada.token, path, body).await;
        seen.refuses(Code::AlreadyUsed, &["Idempotency-Key"]);
    }
    // Two tokens of one service account.
    let account = house.post("/service-accounts", json!({"name": "x"})).await.is(201).id();
    let owner = json!({"service_account_id": account, "role_id": role_of(&house).await});
    house.post("/memberships", owner).await.is(201);
    let issue = async |rights: Value| {
        let body = json!({"name": "t", "grants": [{"grant": "hall.places", "rights": rights}]});
        let path = format!("/service-accounts/{account}/issue-token");
        token_of(&house.post(&path, body).await.is(200))
    };
    let (first, second) = (issue(json!(["create", "read"])).await, issue(json!(["create"])).await);
    let body = json!({"name": "Three", "key": format!("k-{}", Uuid::new_v4().simple())});
    keyed(&first, "/places", &body).await.is(201);
    keyed(&second, "/places", &body).await.refuses(Code::AlreadyExists, &["key"]);
}

async fn role_of(house: &House) -> String {
    role_with(house, json!([{"grant": "hall.places", "rights": ["*"]}])).await
}

/// An issuer that an organization trusts speaks for a person there, for a short time, and neither
/// about their account nor in place of the sessions that they opened themselves.
#[tokio::test]
async fn what_an_issuer_vouches_for_is_short_few_and_not_the_account() {
    let (clock, house) = at_noon().await;
    let ada = Joined::new(&house, &role(&house, "auditor").await).await;
    let issuer = format!("https://{}.example.com", Uuid::new_v4().simple());
    let subject = Uuid::new_v4().to_string();
    operator_trust_issuer(&house.service, house.org.id, Some(&issuer)).await.unwrap();
    let vouched = async || {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let verified_email = Some(ada.email.as_str());
        let (issuer, subject) = (issuer.as_str(), subject.as_str());
        let with = External { issuer, subject, verified_email, address, user_agent: "t" };
        sign_in_external(&house.service, with).await.unwrap().token.expose().to_owned()
    };
    let first = vouched().await;
    get(&house, &first, "/me").await.is(200);
    for (method, path, body) in [
        ("POST", "/organizations", json!({"name": "x", "slug": "x"})),
        ("POST", "/me/password", json!({"current": PASSWORD, "password": "another password"})),
        ("POST", "/me/email", json!({"email": address(), "password": PASSWORD})),
        ("POST", "/me/email/confirm", json!({"secret": "adr_x"})),
        ("DELETE", "/sessions/others", Value::Null),
        ("GET", "/me/keys", Value::Null),
        ("DELETE", &format!("/me/keys/{}", Uuid::new_v4()), Value::Null),
        ("DELETE", &format!("/sessions/{}", Uuid::new_v4()), Value::Null),
    ] {
        with(&house, &first, method, path, body).await.refuses(Code::Forbidden, &[]);
    }
    // However often it vouches, the person's own session stays, and few of its own do.
    let mut sessions = vec![first];
    for _ in 0..60 {
        clock.advance(Duration::from_secs(1));
        sessions.push(vouched().await);
    }
    get(&house, &ada.token, "/me").await.is(200);
    let mut living = 0;
    for token in &sessions {
        living += u32::from(get(&house, token, "/me").await.status == 200);
    }
    assert_eq!(living, 5);
    let last = sessions.pop().unwrap();
    clock.advance(Duration::from_secs(4 * 3_600 - 1));
    get(&house, &last, "/me").await.is(200);
    clock.advance(Duration::from_secs(1));
    get(&house, &last, "/me").await.refuses(Code::Unauthenticated, &[]);
    get(&house, &ada.token, "/me").await.is(200);
    unlink_identity(&house.service, ada.user.parse().unwrap(), &issuer, &subject).await.unwrap();
}

#[tokio::test]
async fn a_reset_ends_sessions_and_tells_what_goes_on_without_the_password() {
    let (_, house) = at_noon().await;
    let ada = Joined::new(&house, &role_with(&house, maker()).await).await;
    let lines = json!([{"grant": "hall.bookings", "rights": ["read"]}]);
    let body = json!({"name": "Night job https://evil.example/x", "grants": lines});
    let token = with(&house, &ada.token, "POST", "/api-tokens", body).await.is(201);
    let (device, path) = made(&house, &ada.token, "/devices", json!({})).await;
    let device = device.is(201);
    let (link, at) = made(&house, &ada.token, "/links", json!({})).await;
    let link = link.is(201);
    // Somebody else's keys are not hers to see.
    house.post("/devices", json!({"name": "Not hers", "grants": lines})).await.is(201);
    Seen::of(house.plain("POST", "/api/v1/password-resets").json(&json!({"email": ada.email})))
        .await
        .is(202);
    let secret = secret_in(&letters(&house, &ada.email).await);
    let body = json!({"secret": secret, "password": "quite another password"});
    Seen::of(house.plain("POST", "/api/v1/password-resets/use").json(&body)).await.is(204);
    get(&house, &ada.token, "/me").await.refuses(Code::Unauthenticated, &[]);
    let told = letters(&house, &ada.email).await;
    let told = told.iter().find(|text| text.contains("was changed")).unwrap();
    let hint: String = token_of(&token).chars().take(12).collect();
    assert!(told.contains(&format!("- api token Night job ({hint}…), of ")), "{told}");
    assert!(told.contains("- device ") && told.contains("- link hall_bookings: read"), "{told}");
    assert!(!told.contains("evil") && !told.contains("Not hers"), "{told}");
    // They go on, until they are taken back: by the person, whatever the roles say.
    get(&house, &token_of(&device), &path).await.is(200);
    let session = sign_in(&house, &ada.email, "quite another password").await.is(201);
    let session = token_of(&session);
    let list = get(&house, &session, "/me/keys").await.is(200);
    let kinds: Vec<&str> =
        list.body["data"].as_array().unwrap().iter().filter_map(|k| k["kind"].as_str()).collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    let at = [(&token, "/bookings".to_owned()), (&device, path), (&link, at)];
    for (made, path) in &at {
        get(&house, &token_of(made), path).await.is(200);
        let key = format!("/me/keys/{}", made.id());
        house.delete(&key).await.refuses(Code::Forbidden, &[]);
        with(&house, &session, "DELETE", &key, Value::Null).await.is(204);
        get(&house, &token_of(made), path).await.refuses(Code::Unauthenticated, &[]);
        with(&house, &session, "DELETE", &key, Value::Null).await.refuses(Code::NotFound, &[]);
    }
    // The change log knows who took them back.
    let cx = house.org.begin().await.unwrap();
    let id: Uuid = device.id().parse().unwrap();
    let sql = "select actor_kind, actor_id from changes where row_id = $1 and op = 'delete'";
    let row = cx.query_one(sql, &[&id]).await.unwrap();
    assert_eq!((row.get::<_, String>(0), row.get::<_, String>(1)), ("user".into(), ada.user));
}

/// What one administrator gives at the moment when another takes their role away is not given: the
/// roles are read again, under a lock, by what gives.
#[tokio::test]
async fn nobody_gives_what_is_being_taken_from_them() {
    let house = House::open().await;
    let owner = role(&house, "owner").await;
    let ada = Joined::until(&house, &owner, Value::Null).await;
    // The first administrator's removal is done, but not committed.
    let mut removal = house.org.begin().await.unwrap();
    let membership: Uuid = ada.membership.parse().unwrap();
    removal.delete(&kernel::accounts::MEMBERSHIP, membership).await.unwrap();
    let body = json!({"email": address(), "role_id": owner});
    let giving = with(&house, &ada.token, "POST", "/invitations", body);
    let waiting = async {
        let superuser = crate::hall::database().await.superuser().await.unwrap();
        let sql = "select count(*) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                    where not l.granted and a.datname = current_database()
                      and a.query like '%for share of m, r%' and $1::text is not null";
        let count =
            async || -> i64 { superuser.query_one(sql, &[&ada.membership]).await.unwrap().get(0) };
        while count().await == 0 {
            tokio::task::yield_now().await;
        }
        removal.commit().await.unwrap();
    };
    let both = async { tokio::join!(giving, waiting) };
    let (seen, ()) = tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .expect("the one who gives waits for the one who takes away");
    seen.refuses(Code::Forbidden, &["grants"]);
}

/// What operators decide is no function of the role that answers requests.
#[tokio::test]
async fn a_process_that_answers_requests_has_no_operators_function() {
    let house = House::open().await;
    for call in [
        "account_operator_password('a@b.example', 'x', now())",
        "account_operator_disable('a@b.example', now())",
        "account_operator_enable('a@b.example')",
        "organization_set_plan('enterprise')",
        "organization_trust('https://evil.example')",
    ] {
        let cx = house.org.begin().await.unwrap();
        let refused = cx.query_one(&format!("select {call}::text"), &[]).await.unwrap_err();
        assert!(refused.log_text().contains("SQLSTATE 42501"), "{call}: {refused:?}");
    }
    let settings = kernel::settings::Settings {
        database: kernel::settings::DatabaseSettings {
            migrate_url: kernel::settings::Secret::default(),
            ..house.service.settings().database.clone()
        },
        ..house.service.settings().clone()
    };
    let clock = Arc::new(kernel::clock::SystemClock);
    let service = kernel::service::Service::new(crate::hall::registry(), settings, clock).unwrap();
    let refused = operator_set_plan(&service, house.org.id, Plan::Pro).await.unwrap_err();
    assert!(refused.detail().contains("DATABASE_MIGRATE_URL"), "{refused:?}");
}
