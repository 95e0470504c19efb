//! Reads by callers whom the process has proved before: they cost no second round, and whatever ends or
//! changes a right holds for the very next of them.

use std::sync::Arc;
use std::time::Duration;

use kernel::clock::ManualClock;
use kernel::error::Code;
use kernel::service::Service;
use kernel::testkit::{PASSWORD, direct, forget_callers, settings};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hall::{House, database, registry};
use crate::joining::Joined;
use crate::people::{sign_in, token_of, with};

const START: &str = "2026-11-21T12:00:00Z";

/// Reads whose proof held or did not, as the process counts them.
async fn counted(house: &House, outcome: &str) -> u64 {
    let text = house.to_internal("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    let line = format!("callers_recalled_total{{outcome=\"{outcome}\"}} ");
    let count = text.lines().find_map(|one| one.split_once(&line).map(|(_, count)| count));
    count.map_or(0, |count| count.parse().unwrap())
}

/// As an administrator of the database, past every trigger.
async fn administer(sql: &str, id: Uuid) {
    let admin = database().await.superuser().await.unwrap();
    admin.batch("set session_replication_role = replica").await.unwrap();
    let changed = admin.execute(sql, &[&id]).await.unwrap();
    assert!(0 < changed, "{sql} changes nothing");
    admin.close().await;
}

/// What somebody shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Token,
    Session,
}

/// The path reads for a known caller; after the change the next read is refused.
async fn check(by: By, path: &str, change: &str, of: fn(&House) -> Uuid, code: Code) {
    let clock = Arc::new(ManualClock::at(START.parse().unwrap()));
    let house = House::with_clock(clock).await;
    administer("update organizations set plan = 'enterprise' where id = $1", house.org.id).await;
    let secret = match by {
        By::Token => house.org.token.expose().to_owned(),
        By::Session => token_of(&sign_in(&house, &house.org.email, PASSWORD).await.is(201)),
    };
    for _ in 0..3 {
        with(&house, &secret, "GET", path, Value::Null).await.is(200);
    }
    let before = (counted(&house, "proved").await, counted(&house, "anew").await);
    assert_eq!(before, (2, 0), "the second read and the third knew the caller");
    administer(change, of(&house)).await;
    with(&house, &secret, "GET", path, Value::Null).await.refuses(code, &[]);
    let after = (counted(&house, "proved").await, counted(&house, "anew").await);
    assert_eq!(after, (2, 1), "{by:?}, {change}: the proof held");
}

fn org(house: &House) -> Uuid {
    house.org.id
}

fn owner(house: &House) -> Uuid {
    house.org.owner
}

#[tokio::test]
async fn what_ends_a_right_holds_for_the_next_read() {
    use By::{Session, Token};
    let end = "update api_tokens set deleted_at = now() where org_id = $1";
    check(Token, "/places", end, org, Code::Unauthenticated).await;
    let expire = "update api_tokens set expires_at = '2026-11-21T12:00:00Z' where org_id = $1";
    check(Token, "/places", expire, org, Code::Unauthenticated).await;
    let narrow =
        "update api_tokens set grants = '[{\"grant\": \"hall.halls\", \"rights\": [\"read\"]}]'
                   where org_id = $1";
    check(Token, "/places", narrow, org, Code::Forbidden).await;
    let end = "update sessions set revoked_at = now() where user_id = $1";
    check(Session, "/places", end, owner, Code::Unauthenticated).await;
    let expire = "update sessions set expires_at = '2026-11-21T12:00:00Z' where user_id = $1";
    check(Session, "/places", expire, owner, Code::Unauthenticated).await;
    let take = "update roles set grants = '[]' where org_id = $1 and key = 'owner'";
    let leave = "update memberships set ends_at = '2026-11-21T12:00:00Z' where user_id = $1";
    let shut = "update users set disabled_at = now() where id = $1";
    let plan = "update organizations set plan = 'core' where id = $1";
    check(Token, "/places", leave, owner, Code::Unauthenticated).await;
    check(Session, "/places", leave, owner, Code::OrganizationRequired).await;
    for by in [Token, Session] {
        check(by, "/places", take, org, Code::Forbidden).await;
        check(by, "/places", shut, owner, Code::Unauthenticated).await;
        check(by, "/seasons", plan, org, Code::PlanRequired).await;
    }
}

/// A refusal is as old as no answer: what the caller is refused for holds now.
#[tokio::test]
async fn a_right_that_was_given_holds_for_the_next_read() {
    let house = House::open().await;
    let place = house.place("here").await;
    let none = json!([{"grant": "hall.halls", "rights": ["read"]}]);
    let token = house.org.issue(none).await.unwrap();
    for path in
        ["/places".to_owned(), format!("/places/{place}"), "/places?sort=nothing".to_owned()]
    {
        with(&house, token.expose(), "GET", &path, Value::Null).await.refuses(Code::Forbidden, &[]);
    }
    let give =
        "update api_tokens set grants = '[{\"grant\": \"hall.places\", \"rights\": [\"read\"]}]'
                 where org_id = $1";
    administer(give, house.org.id).await;
    let list = with(&house, token.expose(), "GET", "/places", Value::Null).await.is(200);
    assert_eq!(list.body["data"][0]["id"], place);
    let path = format!("/places/{}", Uuid::new_v4());
    for _ in 0..2 {
        with(&house, token.expose(), "GET", &path, Value::Null).await.refuses(Code::NotFound, &[]);
    }
}

#[tokio::test]
async fn a_custom_field_comes_and_goes_with_the_next_read() {
    let house = House::open().await;
    house.place("here").await;
    let field = json!({"entity": "places", "key": "house_no", "label": "House", "kind": "text"});
    let field = house.post("/custom-fields", field).await.is(201).id();
    let read = async || house.get("/places?filter[custom.house_no]=7").await;
    read().await.is(200);
    read().await.is(200);
    house.post(&format!("/custom-fields/{field}/retire"), json!({})).await.is(200);
    read().await.refuses(Code::InvalidFilter, &["filter[custom.house_no]"]);
    house.post(&format!("/custom-fields/{field}/reinstate"), json!({})).await.is(200);
    read().await.is(200);
}

/// What can happen between two reads.
#[derive(Debug, Clone)]
enum Happening {
    /// SQL on what the person or the organization (`$1`) has.
    Person(&'static str),
    Organization(&'static str),
    Seconds(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let person = [
        "update memberships set ends_at = null where user_id = $1",
        "update memberships set ends_at = '2026-11-21T12:01:00Z' where user_id = $1",
        "update memberships set deleted_at = case when deleted_at is null then now() end
          where user_id = $1",
        "update users set disabled_at = case when disabled_at is null then now() end where id = $1",
        "update sessions set revoked_at = case when revoked_at is null then now() end
          where user_id = $1",
        "update sessions set expires_at = '2026-11-21T12:01:30Z' where user_id = $1",
        "update sessions set expires_at = '2026-11-22T12:00:00Z' where user_id = $1",
        "update api_tokens set deleted_at = case when deleted_at is null then now() end
          where user_id = $1",
        "update api_tokens set expires_at = '2026-11-21T12:02:00Z' where user_id = $1",
        "update api_tokens set expires_at = null where user_id = $1",
        "update api_tokens set grants = '[{\"grant\": \"hall.*\", \"rights\": [\"read\"]}]'
          where user_id = $1",
        "update api_tokens set grants = '[{\"grant\": \"hall.notices\", \"rights\": [\"read\"],
          \"scope\": \"own\"}]' where user_id = $1",
    ];
    let organization = [
        "update organizations set plan = 'core' where id = $1",
        "update organizations set plan = 'pro' where id = $1",
        "update roles set grants = '[{\"grant\": \"hall.*\", \"rights\": [\"read\"]}]'
          where org_id = $1 and key = 'clerk'",
        "update roles set grants = '[{\"grant\": \"hall.*\", \"rights\": [\"read\"],
          \"hidden\": [\"words\", \"notes\"]}]' where org_id = $1 and key = 'clerk'",
        "update roles set grants = '[{\"grant\": \"hall.notices\", \"rights\": [\"read\"],
          \"scope\": \"own\"}]' where org_id = $1 and key = 'clerk'",
        "update roles set deleted_at = case when deleted_at is null then now() end
          where org_id = $1 and key = 'clerk'",
    ];
    prop_oneof![
        4 => proptest::sample::select(person.to_vec()).prop_map(Happening::Person),
        3 => proptest::sample::select(organization.to_vec()).prop_map(Happening::Organization),
        2 => (0_u64..70).prop_map(Happening::Seconds),
    ]
}

/// Sequences of happenings, each followed by every read.
const SEQUENCES: usize = 6;

#[tokio::test]
async fn whom_the_process_knows_sees_what_a_stranger_to_it_would_see() {
    let mut runner = TestRunner::deterministic();
    let some = proptest::collection::vec(happening(), 6..12);
    let mut proved = 0;
    for _ in 0..SEQUENCES {
        let happenings = some.new_tree(&mut runner).unwrap().current();
        proved += follow(&happenings).await;
    }
    assert!(30 < proved, "only {proved} reads knew their caller");
}

/// How many of the reads knew their caller.
async fn follow(happenings: &[Happening]) -> u64 {
    let clock = Arc::new(ManualClock::at(START.parse().unwrap()));
    let house = House::with_clock(clock.clone()).await;
    let all = json!([{"grant": "hall.*", "rights": ["read"]}]);
    let role = json!({"key": "clerk", "name": "Clerk", "grants": all});
    let role = house.post("/roles", role).await.is(201).id();
    let ada = Joined::new(&house, &role).await;
    let person: Uuid = ada.user.parse().unwrap();
    let place = house.place("here").await;
    house.post("/notices", json!({"words": "mine", "keeper_id": ada.user})).await.is(201);
    house.post("/notices", json!({"words": "somebody's"})).await.is(201);
    let token = json!({"name": "t", "grants": all});
    let wide = json!([{"grant": "hall.*", "rights": ["read"]},
        {"grant": "accounts.api_tokens", "rights": ["create"]}]);
    house.post(&format!("/roles/{role}/set-grants"), json!({"grants": wide})).await.is(200);
    let token = with(&house, &ada.token, "POST", "/api-tokens", token).await;
    let secrets = [ada.token.clone(), token_of(&token.is(201))];
    let place = format!("places/{place}");
    let paths = ["notices", "notices?q=mine", "seasons", place.as_str(), "places?sort=notes"];
    let strange = Service::new(registry(), settings(database().await), clock.clone()).unwrap();
    for happening in happenings {
        match happening {
            Happening::Person(sql) => administer(sql, person).await,
            Happening::Organization(sql) => administer(sql, house.org.id).await,
            Happening::Seconds(seconds) => clock.advance(Duration::from_secs(*seconds)),
        }
        for secret in &secrets {
            for path in paths {
                let known = told(&house.service, path, secret).await;
                forget_callers(&strange);
                assert_eq!(known, told(&strange, path, secret).await, "{path}: {happenings:?}");
            }
        }
    }
    counted(&house, "proved").await
}

/// The body, or what it was refused with.
async fn told(service: &Service, path: &str, secret: &str) -> Result<String, (Code, String)> {
    match direct(service, path, secret).await {
        Ok(body) => Ok(String::from_utf8(body).unwrap()),
        Err(error) => Err((error.code(), error.to_string())),
    }
}
