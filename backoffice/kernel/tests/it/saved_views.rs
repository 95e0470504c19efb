//! Saved views: kept parameters of a list, seen by whom they are meant for.

use kernel::error::Code;
use serde_json::{Value, json};

use crate::hall::House;

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
}
