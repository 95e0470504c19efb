//! How a person comes in, keeps their account, and leaves: invitations, proofs by mail, passwords,
//! addresses, sessions.

use std::sync::Arc;
use std::time::Duration;

use kernel::clock::ManualClock;
use kernel::error::Code;
use kernel::testkit::PASSWORD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hall::{House, Seen};
use crate::people::{role, sign_in, token_of, with};
use crate::post::{letters, secret_in};

pub(crate) fn address() -> String {
    format!("{}@example.org", Uuid::new_v4().simple())
}

/// A request of nobody in particular.
async fn public(house: &House, path: &str, body: Value) -> Seen {
    Seen::of(house.plain("POST", &format!("/api/v1{path}")).json(&body)).await
}

/// Invites and answers the mailed secret.
async fn invite(house: &House, email: &str, role: &str) -> String {
    invite_until(house, email, role, json!("2099-01-01T00:00:00Z")).await
}

async fn invite_until(house: &House, email: &str, role: &str, ends_at: Value) -> String {
    let body = json!({"email": email, "role_id": role, "ends_at": ends_at});
    let seen = house.post("/invitations", body).await.is(201);
    let secret = secret_in(&letters(house, email).await);
    assert!(secret.starts_with("inv_"), "{secret}");
    assert!(!seen.body.to_string().contains(&secret), "the answer shows the secret");
    secret
}

/// Somebody who accepted an invitation, signed in.
pub(crate) struct Joined {
    pub(crate) email: String,
    pub(crate) user: String,
    pub(crate) membership: String,
    pub(crate) token: String,
}

impl Joined {
    /// For a role with an end, as an auditor's has to be.
    pub(crate) async fn new(house: &House, role: &str) -> Self {
        Self::until(house, role, json!("2099-01-01T00:00:00Z")).await
    }

    pub(crate) async fn until(house: &House, role: &str, ends_at: Value) -> Self {
        let email = address();
        let secret = invite_until(house, &email, role, ends_at).await;
        let body = json!({"secret": secret, "name": "Ada", "password": PASSWORD});
        let accepted = public(house, "/invitations/accept", body).await.is(200);
        let user = accepted.body["user_id"].as_str().unwrap().to_owned();
        let query = [("filter[user_id]", user.as_str())];
        let list = Seen::of(house.asks("/memberships", &query)).await.is(200);
        let membership = list.body["data"][0]["id"].as_str().unwrap().to_owned();
        let token = token_of(&sign_in(house, &email, PASSWORD).await.is(201));
        Self { email, user, membership, token }
    }
}

/// The hole that invitations close: who knows an address must not get hold of its person.
#[tokio::test]
async fn nobody_makes_a_person_of_anothers_address() {
    let house = House::open().await;
    let role = role(&house, "auditor").await;
    let victim = address();
    for body in [
        json!({"email": victim, "password": PASSWORD, "name": "x", "role_id": role}),
        json!({"user_id": Uuid::new_v4(), "role_id": role}),
    ] {
        assert_eq!(house.post("/memberships", body).await.status, 422);
    }
    // The stranger invites the address; without the mail nothing comes of it.
    invite(&house, &victim, &role).await;
    let guess =
        json!({"secret": format!("inv_{}", "A".repeat(43)), "name": "x", "password": PASSWORD});
    public(&house, "/invitations/accept", guess).await.refuses(Code::NotFound, &["secret"]);
    sign_in(&house, &victim, PASSWORD).await.refuses(Code::InvalidCredentials, &[]);
    // A person of another organization is not taken into ours by id, and nobody learns of them.
    let stranger = house.stranger().await;
    let body = json!({"user_id": stranger.owner, "role_id": role});
    let known =
        house.post("/memberships", body).await.refuses(Code::UnknownReference, &["user_id"]);
    let body = json!({"user_id": Uuid::new_v4(), "role_id": role});
    let unknown =
        house.post("/memberships", body).await.refuses(Code::UnknownReference, &["user_id"]);
    assert_eq!(known.body["errors"], unknown.body["errors"]);
}

#[tokio::test]
async fn an_invitation_is_accepted_once_by_who_reads_the_mail() {
    let house = House::open().await;
    let auditor = role(&house, "auditor").await;
    let email = address();
    let secret = invite(&house, &email, &auditor).await;
    let look = public(&house, "/invitations/look", json!({"secret": secret})).await.is(200);
    assert_eq!(look.body["email"], email);
    assert_eq!(look.body["known"], false);
    assert_eq!(look.body["organization"]["id"], house.org.id.to_string());
    let accept = |body: Value| public(&house, "/invitations/accept", body);
    accept(json!({"secret": secret, "name": "Ada"})).await.refuses(Code::Required, &["password"]);
    accept(json!({"secret": secret, "password": PASSWORD}))
        .await
        .refuses(Code::Required, &["name"]);
    accept(json!({"secret": secret, "name": "Ada", "password": "short"})).await.is(422);
    let full = json!({"secret": secret, "name": "Ada", "password": PASSWORD});
    let (one, other) = tokio::join!(accept(full.clone()), accept(full.clone()));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert!(matches!(statuses, [200, 404 | 409]), "{one:?} {other:?}");
    accept(full).await.refuses(Code::NotFound, &["secret"]);
    public(&house, "/invitations/look", json!({"secret": secret}))
        .await
        .refuses(Code::NotFound, &["secret"]);
    let token = token_of(&sign_in(&house, &email, PASSWORD).await.is(201));
    with(&house, &token, "GET", "/places", Value::Null).await.is(200);
    // The house's own list names them; the change log knows by what they came in.
    let members = house.get("/members").await.is(200);
    let found =
        members.body["data"].as_array().unwrap().iter().find(|m| m["user"]["email"] == email);
    assert_eq!(found.unwrap()["role"]["key"], "auditor");
    let cx = house.org.begin().await.unwrap();
    let row = cx
        .query_one(
            "select actor_kind from changes where table_name = 'memberships' and op = 'insert'
              order by id desc limit 1",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, String>(0), "link");
}

#[tokio::test]
async fn an_invitation_ends_by_time_by_revocation_and_by_a_newer_one() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let house = House::with_clock(clock.clone()).await;
    let auditor = role(&house, "auditor").await;
    let email = address();
    let accept = async |secret: &str| {
        let body = json!({"secret": secret, "name": "Ada", "password": PASSWORD});
        public(&house, "/invitations/accept", body).await
    };
    let first = invite(&house, &email, &auditor).await;
    let second = invite(&house, &email, &auditor).await;
    accept(&first).await.refuses(Code::NotFound, &["secret"]);
    let list = Seen::of(house.asks("/invitations", &[("filter[email]", &email)])).await.is(200);
    let [row] = list.body["data"].as_array().unwrap().as_slice() else { panic!("{list:?}") };
    assert!(!list.body.to_string().contains("token"), "{}", list.body);
    let path = format!("/invitations/{}", row["id"].as_str().unwrap());
    house.post(&format!("{path}/send-again"), json!({})).await.is(200);
    let third = secret_in(&letters(&house, &email).await);
    accept(&second).await.refuses(Code::NotFound, &["secret"]);
    house.delete(&path).await.is(204);
    accept(&third).await.refuses(Code::NotFound, &["secret"]);
    let fourth = invite(&house, &email, &auditor).await;
    clock.advance(Duration::from_secs(7 * 24 * 3600));
    accept(&fourth).await.refuses(Code::NotFound, &["secret"]);
    let fifth = invite(&house, &email, &auditor).await;
    clock.advance(Duration::from_secs(7 * 24 * 3600 - 1));
    accept(&fifth).await.is(200);
}

#[tokio::test]
async fn nobody_invites_to_more_than_they_have() {
    let house = House::open().await;
    let owner = role(&house, "owner").await;
    let helper = json!([
        {"grant": "accounts.invitations", "rights": ["create", "send-again"]},
        {"grant": "accounts.roles", "rights": ["read"]},
    ]);
    let helper = house.org.issue(helper).await.unwrap();
    let auditor = role(&house, "auditor").await;
    let endless = json!({"email": address(), "role_id": auditor});
    house.post("/invitations", endless).await.refuses(Code::Required, &["ends_at"]);
    let body = json!({"email": address(), "role_id": owner});
    let seen = with(&house, helper.expose(), "POST", "/invitations", body.clone()).await;
    seen.refuses(Code::Forbidden, &["grants"]);
    let made = house.post("/invitations", body).await.is(201);
    let path = format!("/invitations/{}/send-again", made.id());
    let seen = with(&house, helper.expose(), "POST", &path, json!({})).await;
    seen.refuses(Code::Forbidden, &["grants"]);
    let stranger = house.stranger().await;
    let theirs = json!({"email": address(), "role_id": owner});
    let seen = with(&house, stranger.token.expose(), "POST", "/invitations", theirs).await;
    assert_eq!(seen.refuses(Code::UnknownReference, &["role_id"]).status, 422);
}

/// Known in one organization, invited into another: the password stays, and what each gives is apart.
#[tokio::test]
async fn a_person_works_in_several_organizations() {
    let house = House::open().await;
    let auditor = role(&house, "auditor").await;
    let ada = Joined::new(&house, &auditor).await;
    let other = House::open().await;
    let administrator = role(&other, "administrator").await;
    let secret = invite(&other, &ada.email, &administrator).await;
    let look = public(&other, "/invitations/look", json!({"secret": secret})).await.is(200);
    assert_eq!(look.body["known"], true);
    let accept = |body: Value| public(&other, "/invitations/accept", body);
    let taken = json!({"secret": secret, "password": "a password of somebody else"});
    accept(taken).await.refuses(Code::Conflict, &["password"]);
    // Somebody else who is signed in and got hold of the mail accepts nothing.
    let bob = Joined::new(&house, &auditor).await;
    let body = json!({"secret": secret});
    let seen = with(&other, &bob.token, "POST", "/invitations/accept", body.clone()).await;
    seen.refuses(Code::Forbidden, &[]);
    with(&other, &ada.token, "POST", "/invitations/accept", body).await.is(200);
    let enter = async |organization: Uuid, method: &str, path: &str| {
        let request = house.plain(method, &format!("/api/v1{path}")).bearer_auth(&ada.token);
        let request = request.header("x-organization", organization.to_string());
        Seen::of(request.json(&json!({"name": "n", "key": Uuid::new_v4().simple().to_string()})))
            .await
    };
    enter(house.org.id, "GET", "/places").await.is(200);
    enter(house.org.id, "POST", "/places").await.refuses(Code::Forbidden, &[]);
    enter(other.org.id, "POST", "/places").await.is(201);
    // The end of a membership ends entry at once, and only there.
    let query = [("filter[user_id]", ada.user.as_str())];
    let list = Seen::of(other.asks("/memberships", &query)).await.is(200);
    let id = list.body["data"][0]["id"].as_str().unwrap();
    other.delete(&format!("/memberships/{id}")).await.is(204);
    enter(other.org.id, "GET", "/places").await.refuses(Code::Forbidden, &[]);
    enter(house.org.id, "GET", "/places").await.is(200);
}

#[tokio::test]
async fn a_forgotten_password_is_set_by_mail() {
    let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
    let house = House::with_clock(clock.clone()).await;
    let email = house.org.email.clone();
    let before = token_of(&sign_in(&house, &email, PASSWORD).await.is(201));
    let nobody = address();
    let known = public(&house, "/password-resets", json!({"email": email})).await.is(202);
    let unknown = public(&house, "/password-resets", json!({"email": nobody})).await.is(202);
    assert_eq!(known.body["sent_to"], email);
    assert_eq!(unknown.body["sent_to"], nobody);
    assert!(letters(&house, &nobody).await.is_empty());
    let secret = secret_in(&letters(&house, &email).await);
    let new = "another password entirely";
    let reset = async |secret: &str, password: &str| {
        let body = json!({"secret": secret, "password": password});
        public(&house, "/password-resets/use", body).await
    };
    reset(&secret, "short").await.is(422);
    reset("pwd_nothing", new).await.refuses(Code::NotFound, &["secret"]);
    reset(&secret, new).await.is(204);
    reset(&secret, new).await.refuses(Code::NotFound, &["secret"]);
    with(&house, &before, "GET", "/me", Value::Null).await.refuses(Code::Unauthenticated, &[]);
    sign_in(&house, &email, PASSWORD).await.refuses(Code::InvalidCredentials, &[]);
    sign_in(&house, &email, new).await.is(201);
    let notice = letters(&house, &email).await;
    assert!(notice.last().unwrap().contains("was changed"), "{notice:?}");
    // Late, and older than a newer one that was used.
    public(&house, "/password-resets", json!({"email": email})).await.is(202);
    let late = secret_in(&letters(&house, &email).await);
    clock.advance(Duration::from_secs(3600));
    reset(&late, new).await.refuses(Code::NotFound, &["secret"]);
    public(&house, "/password-resets", json!({"email": email})).await.is(202);
    let older = secret_in(&letters(&house, &email).await);
    public(&house, "/password-resets", json!({"email": email})).await.is(202);
    let newer = secret_in(&letters(&house, &email).await);
    reset(&newer, PASSWORD).await.is(204);
    reset(&older, new).await.refuses(Code::NotFound, &["secret"]);
}

#[tokio::test]
async fn resets_do_not_fill_a_letter_box() {
    let house = House::open().await;
    for _ in 0..7 {
        public(&house, "/password-resets", json!({"email": house.org.email})).await.is(202);
    }
    assert_eq!(letters(&house, &house.org.email).await.len(), 5);
}

#[tokio::test]
async fn invitations_do_not_fill_a_letter_box() {
    let house = House::open().await;
    let (auditor, victim) = (role(&house, "auditor").await, address());
    let body = json!({"email": victim, "role_id": auditor, "ends_at": "2099-01-01T00:00:00Z"});
    let id = house.post("/invitations", body.clone()).await.is(201).id();
    let again = format!("/invitations/{id}/send-again");
    for _ in 0..4 {
        house.post(&again, json!({})).await.is(200);
    }
    house.post(&again, json!({})).await.refuses(Code::TooManyRequests, &[]);
    let shouted = json!({"email": victim.to_uppercase(), "role_id": auditor,
                         "ends_at": "2099-01-01T00:00:00Z"});
    house.post("/invitations", shouted).await.refuses(Code::TooManyRequests, &[]);
    assert_eq!(letters(&house, &victim).await.len(), 5);
    let other = json!({"email": address(), "role_id": auditor, "ends_at": "2099-01-01T00:00:00Z"});
    house.post("/invitations", other).await.is(201);
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it() {
    let house = House::open().await;
    let email = house.org.email.clone();
    let open = async || token_of(&sign_in(&house, &email, PASSWORD).await.is(201));
    let (here, there) = (open().await, open().await);
    let new = "another password entirely";
    let change = async |current: &str, password: &str| {
        let body = json!({"current": current, "password": password});
        with(&house, &here, "POST", "/me/password", body).await
    };
    change("a guess", new).await.refuses(Code::InvalidCredentials, &["current"]);
    change(PASSWORD, "short").await.is(422);
    change(PASSWORD, new).await.is(204);
    with(&house, &here, "GET", "/me", Value::Null).await.is(200);
    with(&house, &there, "GET", "/me", Value::Null).await.refuses(Code::Unauthenticated, &[]);
    sign_in(&house, &email, PASSWORD).await.refuses(Code::InvalidCredentials, &[]);
    for _ in 0..9 {
        change("a guess", new).await.refuses(Code::InvalidCredentials, &["current"]);
    }
    change(new, PASSWORD).await.refuses(Code::TooManyRequests, &[]);
    // No token, however mighty, changes a person's password.
    let body = json!({"current": new, "password": PASSWORD});
    house.post("/me/password", body).await.refuses(Code::Forbidden, &[]);
}

#[tokio::test]
async fn an_address_changes_once_it_is_proved() {
    let house = House::open().await;
    let auditor = role(&house, "auditor").await;
    let (ada, bob) = (Joined::new(&house, &auditor).await, Joined::new(&house, &auditor).await);
    let ask = async |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        with(&house, &ada.token, "POST", "/me/email", body).await
    };
    let confirm = async |token: &str, secret: &str| {
        with(&house, token, "POST", "/me/email/confirm", json!({"secret": secret})).await
    };
    let new = address();
    ask(&new, "a guess").await.refuses(Code::InvalidCredentials, &["password"]);
    ask(&new, PASSWORD).await.is(202);
    let secret = secret_in(&letters(&house, &new).await);
    // In another's hands the secret is worth nothing, and the old address still signs in.
    confirm(&bob.token, &secret).await.refuses(Code::NotFound, &["secret"]);
    sign_in(&house, &new, PASSWORD).await.refuses(Code::InvalidCredentials, &[]);
    sign_in(&house, &ada.email, PASSWORD).await.is(201);
    confirm(&ada.token, &secret).await.is(204);
    confirm(&ada.token, &secret).await.refuses(Code::NotFound, &["secret"]);
    sign_in(&house, &new, PASSWORD).await.is(201);
    sign_in(&house, &ada.email, PASSWORD).await.refuses(Code::InvalidCredentials, &[]);
    let notice = letters(&house, &ada.email).await;
    assert!(notice.last().unwrap().contains(&new), "{notice:?}");
    // Asking tells nothing about a taken address; who reads its mail learns it is taken.
    let taken = ask(&bob.email, PASSWORD).await.is(202);
    assert_eq!(taken.body, json!({"sent_to": bob.email}));
    let secret = secret_in(&letters(&house, &bob.email).await);
    confirm(&ada.token, &secret).await.refuses(Code::AlreadyExists, &["email"]);
    sign_in(&house, &bob.email, PASSWORD).await.is(201);
}

#[tokio::test]
async fn all_other_sessions_end_at_once() {
    let house = House::open().await;
    let open = async || token_of(&sign_in(&house, &house.org.email, PASSWORD).await.is(201));
    let (here, there, elsewhere) = (open().await, open().await, open().await);
    let seen = with(&house, &here, "DELETE", "/sessions/others", Value::Null).await.is(200);
    assert_eq!(seen.body, json!({"ended": 2}));
    with(&house, &here, "GET", "/me", Value::Null).await.is(200);
    for ended in [there, elsewhere] {
        with(&house, &ended, "GET", "/me", Value::Null).await.refuses(Code::Unauthenticated, &[]);
    }
}

/// The cookie of a browser that signed in before keeps the door open while others guess.
#[tokio::test]
async fn a_known_browser_passes_where_others_wait() {
    let house = House::open().await;
    let email = house.org.email.clone();
    let first = sign_in(&house, &email, PASSWORD).await.is(201);
    let cookies: Vec<&str> =
        first.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    let browser = cookies.iter().find(|line| line.starts_with("__Host-browser=")).unwrap();
    let browser = browser.split(';').next().unwrap().to_owned();
    for _ in 0..10 {
        sign_in(&house, &email, "a guess").await.refuses(Code::InvalidCredentials, &[]);
    }
    sign_in(&house, &email, PASSWORD).await.refuses(Code::TooManyRequests, &[]);
    let from = async |cookie: &str, email: &str| {
        let body = json!({"email": email, "password": PASSWORD});
        let request = house.plain("POST", "/api/v1/sessions").header("cookie", cookie).json(&body);
        Seen::of(request.header("sec-fetch-site", "same-origin")).await
    };
    from(&browser, &email).await.is(201);
    let mut forged = browser.clone();
    let last = if forged.pop() == Some('A') { 'E' } else { 'A' };
    forged.push(last);
    from(&forged, &email).await.refuses(Code::TooManyRequests, &[]);
    // It was given out for one account and is good for no other.
    let other = house.stranger().await.email;
    for _ in 0..10 {
        sign_in(&house, &other, "a guess").await.refuses(Code::InvalidCredentials, &[]);
    }
    from(&browser, &other).await.refuses(Code::TooManyRequests, &[]);
}

/// Rows that give access: who may take them away need not be one who may give them. A role is taken by
/// whoever has what it gives.
#[tokio::test]
async fn what_was_taken_away_is_not_restored_but_given_anew() {
    let house = House::open().await;
    let auditor = role(&house, "auditor").await;
    let joined = Joined::new(&house, &auditor).await;
    let every = ["open", "personal", "confidential"];
    let lines = json!([
        {"grant": "accounts.memberships", "rights": ["read", "delete"]},
        {"grant": "*", "rights": ["read"], "levels": every},
    ]);
    let lesser = house.org.issue(json!([lines[0]])).await.unwrap();
    let taker = house.org.issue(lines).await.unwrap();
    let send = async |method: &str, path: &str, body: Value| {
        with(&house, taker.expose(), method, path, body).await
    };
    let path = format!("/memberships/{}", joined.membership);
    let seen = with(&house, lesser.expose(), "DELETE", &path, Value::Null).await;
    seen.refuses(Code::Forbidden, &["grants"]);
    send("DELETE", &path, Value::Null).await.is(204);
    send("POST", &format!("{path}/restore"), json!({})).await.refuses(Code::NotFound, &[]);
    let operation = json!({"op": "restore", "id": joined.membership});
    let batch = json!({"mode": "each", "operations": [operation]});
    let seen = send("POST", "/memberships/bulk", batch).await.is(200);
    assert_eq!(seen.body["results"][0]["status"], 405, "{:?}", seen.body);
    send("GET", &path, Value::Null).await.is(404);
    let document = Seen::of(house.plain("GET", "/openapi.json")).await.is(200).body;
    let offered = |route: &str| {
        let end = format!("/{route}/{{id}}/restore");
        document["paths"].as_object().unwrap().keys().any(|path| path.ends_with(&end))
    };
    for route in [
        "memberships",
        "invitations",
        "api-tokens",
        "devices",
        "links",
        "portal-sessions",
        "portal-accounts",
        "service-accounts",
    ] {
        let told = house.get(&format!("/meta/{route}")).await.is(200);
        assert_eq!(told.body["restorable"], false, "{route}");
        assert!(!offered(route), "{route}");
        let back = format!("/{route}/{}/restore", Uuid::nil());
        house.post(&back, json!({})).await.refuses(Code::NotFound, &[]);
    }
    assert_eq!(house.get("/meta/places").await.is(200).body["restorable"], true);
    assert!(offered("places"));
}

/// The name is whatever its maker likes, and the secret is for the reader alone.
#[tokio::test]
async fn an_organizations_name_takes_the_secret_of_a_mail_nowhere() {
    let house = House::open().await;
    let token = token_of(&sign_in(&house, &house.org.email, PASSWORD).await.is(201));
    let name = "Acme https://evil.example/?{secret} www.evil.example evil.example {secret}";
    let body = json!({"name": name, "slug": format!("evil-{}", Uuid::new_v4().simple())});
    let organization = with(&house, &token, "POST", "/organizations", body).await.is(201).id();
    let ask = |method: &str, path: &str| {
        let request = house.plain(method, &format!("/api/v1{path}")).bearer_auth(&token);
        request.header("x-organization", &organization)
    };
    let roles = Seen::of(ask("GET", "/roles?filter%5Bkey%5D=auditor")).await.is(200);
    let email = address();
    let body = json!({"email": email, "role_id": roles.body["data"][0]["id"],
        "ends_at": "2099-01-01T00:00:00Z"});
    Seen::of(ask("POST", "/invitations").json(&body)).await.is(201);
    let id = Uuid::try_parse(&organization).unwrap();
    kernel::jobs::drain(&house.service, id).await.unwrap();
    let letters = letters(&house, &email).await;
    let secret = secret_in(&letters);
    let letter = letters.last().unwrap();
    assert_eq!(letter.matches(&secret).count(), 1, "{letter}");
    assert!(letter.contains("invited to join Acme evil. example secret."), "{letter}");
    assert!(!letter.contains("evil.example"), "{letter}");
}
