//! Saved views: kept parameters of a list, seen by whom they are meant for.

use std::collections::BTreeSet;

use kernel::error::Code;
use serde_json::{Value, json};

use crate::hall::House;
use crate::joining::Joined;
use crate::people::{role, with};

fn keys(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().filter_map(|row| row["key"].as_str()).collect()
}

#[tokio::test]
async fn a_view_is_applied_and_the_request_wins() {
    let house = House::open().await;
    for (key, seats) in [("a", 10), ("b", 20), ("c", 30)] {
        let id = house.place(key).await;
        house.patch(&format!("/places/{id}"), json!({"seats": seats})).await.is(200);
    }
    let view = json!({"entity": "places", "name": "Large", "kind": "list",
        "query": {"filter[seats][gte]": 20, "sort": "-key", "fields": "key"}});
    let id = house.post("/saved-views", view).await.is(201).id();
    let list = house.get(&format!("/places?saved_view={id}")).await.is(200).body;
    assert_eq!(keys(&list), ["c", "b"]);
    assert!(list["data"][0].get("seats").is_none(), "{list}");
    let list = house.get(&format!("/places?saved_view={id}&sort=key&filter[seats][gte]=30")).await;
    assert_eq!(keys(&list.is(200).body), ["c"]);
    let file =
        house.request("GET", &format!("/places/export?saved_view={id}")).send().await.unwrap();
    assert_eq!(file.text().await.unwrap(), "key\r\nc\r\nb\r\n");
    let other = house.get(&format!("/halls?saved_view={id}")).await;
    other.refuses(Code::InvalidRequest, &["saved_view"]);
    let none = "018f0000-0000-7000-8000-000000000000";
    house.get(&format!("/places?saved_view={none}")).await.refuses(Code::NotFound, &["saved_view"]);
}

#[tokio::test]
async fn a_view_that_does_not_fit_says_why() {
    let house = House::open().await;
    let save = |query: Value| json!({"entity": "places", "name": "View", "query": query});
    let refused = house.post("/saved-views", save(json!({"filter[nothing]": "x"}))).await;
    refused.refuses(Code::InvalidFilter, &["query.filter[nothing]"]);
    let refused = house.post("/saved-views", save(json!({"cursor": "x"}))).await;
    refused.refuses(Code::InvalidValue, &["query.cursor"]);
    let refused = house.post("/saved-views", save(json!([]))).await;
    refused.refuses(Code::InvalidValue, &["query"]);
    let nowhere = json!({"entity": "nowhere", "name": "View", "query": {}});
    house.post("/saved-views", nowhere).await.refuses(Code::UnknownReference, &["entity"]);
    let id = house.post("/saved-views", save(json!({"sort": "name"}))).await.is(201).id();
    let patched = house.patch(&format!("/saved-views/{id}"), json!({"query": {"sort": "x"}})).await;
    patched.refuses(Code::InvalidSort, &["query.sort"]);
    let checked = house.post(&format!("/saved-views/{id}/check"), json!({})).await.is(200);
    assert_eq!(checked.body, json!({"fits": true, "errors": []}));
}

#[tokio::test]
async fn a_private_view_is_its_owners_alone() {
    let house = House::open().await;
    let view = json!({"entity": "places", "name": "Mine", "query": {}, "is_default": true});
    let id = house.post("/saved-views", view.clone()).await.is(201).id();
    house.post("/saved-views", view).await.refuses(Code::AlreadyExists, &["user_id"]);
    // Whoever else asks, even with every right: here a part of the house itself.
    let seen = async || {
        let cx = house.org.begin().await.unwrap();
        let rows = cx.query("select id from saved_views", &[]).await.unwrap();
        cx.rollback().await.unwrap();
        rows.len()
    };
    assert_eq!(seen().await, 0);
    let share = format!("/saved-views/{id}/share");
    let no_team = house.post(&share, json!({"visibility": "team"})).await;
    no_team.refuses(Code::InvalidValue, &["team_id"]);
    house.post(&share, json!({"visibility": "shared"})).await.is(200);
    assert_eq!(seen().await, 1);
    house.post(&share, json!({"visibility": "private"})).await.is(200);
    assert_eq!(seen().await, 0);
    let team = house.post("/teams", json!({"name": "Crew"})).await.is(201).id();
    house.post(&share, json!({"visibility": "team", "team_id": team})).await.is(200);
    assert_eq!(seen().await, 0, "nobody else is in the team");
    // Whoever writes a row out of their own sight is told so: it is no fault of the server's.
    house.post(&share, json!({"visibility": "shared"})).await.is(200);
    let cx = house.org.begin().await.unwrap();
    let sql = "update saved_views set visibility = 'private' where id = $1::text::uuid";
    let refused = cx.execute(sql, &[&id]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Forbidden, "{}", refused.log_text());
    cx.rollback().await.unwrap();
}

#[tokio::test]
async fn somebody_elses_view_goes_to_no_team_that_one_is_not_in() {
    let house = House::open().await;
    let other = Joined::new(&house, &role(&house, "administrator").await).await;
    let view = json!({"entity": "places", "name": "Ours", "query": {}});
    let id = house.post("/saved-views", view).await.is(201).id();
    let share = format!("/saved-views/{id}/share");
    house.post(&share, json!({"visibility": "shared"})).await.is(200);
    let team = house.post("/teams", json!({"name": "Crew"})).await.is(201).id();
    let to_team = json!({"visibility": "team", "team_id": team});
    let refused = with(&house, &other.token, "POST", &share, to_team.clone()).await;
    refused.refuses(Code::Forbidden, &["team_id"]);
    house.post("/team-members", json!({"team_id": team, "user_id": other.user})).await.is(201);
    with(&house, &other.token, "POST", &share, to_team).await.is(200);
    // A member of the team sees it.
    with(&house, &other.token, "GET", &format!("/saved-views/{id}"), Value::Null).await.is(200);
}

#[tokio::test]
async fn every_kind_that_is_suggested_can_be_kept() {
    let house = House::open().await;
    let meta = house.get("/meta").await.is(200).body;
    let entities = meta["entities"].as_array().unwrap();
    let kinds: BTreeSet<&str> = entities
        .iter()
        .flat_map(|entity| entity["views"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    assert!(kinds.contains("dashboard"), "{kinds:?}");
    for kind in kinds {
        let view = json!({"entity": "places", "name": kind, "kind": kind, "query": {}});
        house.post("/saved-views", view).await.is(201);
    }
}

#[tokio::test]
async fn numbers_that_do_not_come_back_are_refused() {
    let house = House::open().await;
    let view = |number: f64| json!({"entity": "places", "name": "Odd", "query": {"sort": number}});
    let seen = house.post("/saved-views", view(f64::MIN)).await;
    seen.refuses(Code::ValidationFailed, &["query"]);
    let seen = house.post("/saved-views", view(-1e300)).await;
    assert!(seen.status < 500, "{}", seen.body);
}
