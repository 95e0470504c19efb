//! What acts without a person in front of it: service accounts, tokens and what they issue, devices;
//! and persons whom an outside issuer vouches for.

use std::net::{IpAddr, Ipv4Addr};

use kernel::accounts::{
    External, link_identity, operator_disable, operator_enable, operator_trust_issuer,
    sign_in_external, unlink_identity,
};
use kernel::error::{Code, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hall::{House, Seen};
use crate::joining::Joined;
use crate::people::{role, token_of, with};

#[tokio::test]
async fn a_service_account_has_its_roles_by_its_own_tokens() {
    let house = House::open().await;
    let body = json!({"name": "Nightly export"});
    let account = house.post("/service-accounts", body).await.is(201).id();
    let all = json!({"name": "t", "grants": [{"grant": "*", "rights": ["*"]}]});
    let path = format!("/service-accounts/{account}/issue-token");
    let token = token_of(&house.post(&path, all.clone()).await.is(200));
    let places = async |token: &str| with(&house, token, "GET", "/places", Value::Null).await;
    // Without a role it is nobody.
    places(&token).await.refuses(Code::Unauthenticated, &[]);
    let auditor = role(&house, "auditor").await;
    let body = json!({"service_account_id": account, "role_id": auditor, "ends_at": "2099-01-01T00:00:00Z"});
    let membership = house.post("/memberships", body).await.is(201).id();
    places(&token).await.is(200);
    let place = json!({"name": "n", "key": "n"});
    with(&house, &token, "POST", "/places", place).await.refuses(Code::Forbidden, &[]);
    let me = with(&house, &token, "GET", "/me", Value::Null).await.is(200);
    assert_eq!(me.body["service_account"]["id"], account);
    for path in ["/sessions", "/organizations"] {
        with(&house, &token, "GET", path, Value::Null).await.refuses(Code::Forbidden, &[]);
    }
    // A helper who may issue its tokens gets no more out of it than they have.
    let helper = json!([{"grant": "accounts.service_accounts", "rights": ["issue-token"]}]);
    let helper = house.org.issue(helper).await.unwrap();
    let seen = with(&house, helper.expose(), "POST", &path, all.clone()).await;
    seen.refuses(Code::Forbidden, &["grants"]);
    let stranger = house.stranger().await;
    let seen = with(&house, stranger.token.expose(), "POST", &path, all.clone()).await;
    seen.refuses(Code::NotFound, &[]);
    house.delete(&format!("/memberships/{membership}")).await.is(204);
    places(&token).await.refuses(Code::Unauthenticated, &[]);
    let body = json!({"service_account_id": account, "role_id": auditor, "ends_at": "2099-01-01T00:00:00Z"});
    house.post("/memberships", body).await.is(201);
    places(&token).await.is(200);
    house.delete(&format!("/service-accounts/{account}")).await.is(204);
    places(&token).await.refuses(Code::Unauthenticated, &[]);
}

#[tokio::test]
async fn a_revoked_token_takes_along_what_it_issued() {
    let house = House::open().await;
    let all = json!({"name": "t", "grants": [{"grant": "*", "rights": ["*"]}]});
    let issue = async |by: &str| with(&house, by, "POST", "/api-tokens", all.clone()).await.is(201);
    let first = house.post("/api-tokens", all.clone()).await.is(201);
    let second = issue(&token_of(&first)).await;
    let third = issue(&token_of(&second)).await;
    let beside = house.post("/api-tokens", all.clone()).await.is(201);
    let lives = async |seen: &Seen| {
        with(&house, &token_of(seen), "GET", "/places", Value::Null).await.status == 200
    };
    assert!(lives(&third).await);
    house.delete(&format!("/api-tokens/{}", first.id())).await.is(204);
    for dead in [&first, &second, &third] {
        assert!(!lives(dead).await);
    }
    assert!(lives(&beside).await);
    // Issuing and revoking stand in the change log, without the secret; using does not.
    let cx = house.org.begin().await.unwrap();
    let id: Uuid = third.id().parse().unwrap();
    let rows = cx
        .query("select op, after::text from changes where row_id = $1 order by id", &[&id])
        .await
        .unwrap();
    let told: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(told.iter().map(|(op, _)| op.as_str()).collect::<Vec<_>>(), ["insert", "delete"]);
    assert!(told.iter().all(|(_, after)| !after.contains("token_hash")), "{told:?}");
    let used = cx
        .query_one("select version, last_used_at from api_tokens where id = $1", &[&id])
        .await
        .unwrap();
    assert_eq!(used.get::<_, i64>(0), 2);
    assert!(used.get::<_, Option<jiff::Timestamp>>(1).is_some());
}

#[tokio::test]
async fn a_device_may_what_its_lines_say() {
    let house = House::open().await;
    let lines = json!([{"grant": "hall.places", "rights": ["read"]}]);
    let made = house.post("/devices", json!({"name": "Tablet 1", "grants": lines})).await.is(201);
    let token = token_of(&made);
    assert!(token.starts_with("dev_"));
    let places = async |token: &str| with(&house, token, "GET", "/places", Value::Null).await;
    places(&token).await.is(200);
    with(&house, &token, "GET", "/halls", Value::Null).await.refuses(Code::Forbidden, &[]);
    let list = house.get("/devices").await.is(200);
    assert!(!list.body.to_string().contains(&token));
    let helper = json!([{"grant": "accounts.devices", "rights": ["create", "issue-token"]}]);
    let helper = house.org.issue(helper).await.unwrap();
    let body = json!({"name": "Tablet 2", "grants": lines});
    let seen = with(&house, helper.expose(), "POST", "/devices", body).await;
    seen.refuses(Code::Forbidden, &["grants"]);
    let path = format!("/devices/{}/issue-token", made.id());
    let seen = with(&house, helper.expose(), "POST", &path, json!({})).await;
    seen.refuses(Code::Forbidden, &["grants"]);
    let again = token_of(&house.post(&path, json!({})).await.is(200));
    places(&token).await.refuses(Code::Unauthenticated, &[]);
    places(&again).await.is(200);
    house.delete(&format!("/devices/{}", made.id())).await.is(204);
    places(&again).await.refuses(Code::Unauthenticated, &[]);
}

const ISSUER: &str = "https://login.example.com";

async fn external(house: &House, subject: &str, email: Option<&str>) -> Result<String> {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let with =
        External { issuer: ISSUER, subject, verified_email: email, address, user_agent: "t" };
    Ok(sign_in_external(&house.service, with).await?.token.expose().to_owned())
}

#[track_caller]
fn nobody(outcome: Result<String>) {
    assert_eq!(outcome.unwrap_err().code(), Code::InvalidCredentials);
}

#[tokio::test]
async fn an_unlinked_identity_is_nobodys() {
    let house = House::open().await;
    let subject = Uuid::new_v4().to_string();
    let email = house.org.email.as_str();
    nobody(external(&house, &subject, None).await);
    nobody(external(&house, &subject, Some(email)).await);
    link_identity(&house.service, house.org.owner, ISSUER, &subject).await.unwrap();
    link_identity(&house.service, house.org.owner, ISSUER, &subject).await.unwrap();
    let token = external(&house, &subject, None).await.unwrap();
    with(&house, &token, "GET", "/places", Value::Null).await.is(200);
    // One identity is one person's.
    let stranger = house.stranger().await;
    let taken = link_identity(&house.service, stranger.owner, ISSUER, &subject).await;
    assert_eq!(taken.unwrap_err().code(), Code::AlreadyExists);
    operator_disable(&house.service, email).await.unwrap();
    nobody(external(&house, &subject, None).await);
    with(&house, &token, "GET", "/me", Value::Null).await.refuses(Code::Unauthenticated, &[]);
    operator_enable(&house.service, email).await.unwrap();
    external(&house, &subject, None).await.unwrap();
    unlink_identity(&house.service, house.org.owner, ISSUER, &subject).await.unwrap();
    nobody(external(&house, &subject, None).await);
    let gone = unlink_identity(&house.service, house.org.owner, ISSUER, &subject).await;
    assert_eq!(gone.unwrap_err().code(), Code::NotFound);
}

/// An organization's trust is good inside it: its issuer opens nobody's other doors.
#[tokio::test]
async fn a_trusted_issuer_vouches_where_it_is_trusted() {
    let house = House::open().await;
    let auditor = role(&house, "auditor").await;
    let ada = Joined::new(&house, &auditor).await;
    let subject = Uuid::new_v4().to_string();
    // Trusted by an organization that the person is not in: worth nothing.
    let evil = house.stranger().await;
    operator_trust_issuer(&house.service, evil.id, Some(ISSUER)).await.unwrap();
    nobody(external(&house, &subject, Some(&ada.email)).await);
    operator_trust_issuer(&house.service, house.org.id, Some(ISSUER)).await.unwrap();
    nobody(external(&house, &subject, None).await);
    let token = external(&house, &subject, Some(&ada.email.to_uppercase())).await.unwrap();
    with(&house, &token, "GET", "/places", Value::Null).await.is(200);
    // The person's own organization does not trust the issuer: it opens by password only.
    let slug = format!("own-{}", Uuid::new_v4().simple());
    let body = json!({"name": "Own", "slug": slug});
    let own = with(&house, &ada.token, "POST", "/organizations", body).await.is(201).id();
    let enter = async |token: &str| {
        let request = house.plain("GET", "/api/v1/places").bearer_auth(token);
        Seen::of(request.header("x-organization", &own)).await
    };
    enter(&ada.token).await.is(200);
    enter(&token).await.refuses(Code::Forbidden, &[]);
    operator_trust_issuer(&house.service, house.org.id, None).await.unwrap();
    let seen = with(&house, &token, "GET", "/places", Value::Null).await;
    seen.refuses(Code::OrganizationRequired, &[]);
}
