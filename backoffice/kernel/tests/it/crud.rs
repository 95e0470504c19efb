//! Create, get, patch, delete: what each kind takes and shows, versions, links, errors by field.

use kernel::error::Code;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hall::{House, Seen};

fn full(key: &str) -> Value {
    json!({
        "name": "Great hall", "key": key, "notes": "one\ntwo", "contact": "a@example.org",
        "phone": "+49 30 123456", "site": "https://example.org/a", "open": false, "seats": 400,
        "rent": {"amount": "42.5", "currency": "EUR"}, "rating": "4.25", "currency": "JPY",
        "country": "DE", "language": "de-AT", "zone": "Europe/Berlin", "opened_on": "1999-12-31",
        "opened_at": "2026-11-21T20:05:00.5+01:00", "kind": "club",
        "outside_id": "018f0000-0000-7000-8000-000000000000", "extra": {"b": [1, null], "a": "ü"},
        "logo": "AAEC", "tags": ["a, b", "\"quoted\""],
    })
}

#[tokio::test]
async fn every_kind_comes_back_as_it_went_in() {
    let house = House::open().await;
    let seen = house.post("/places", full("great")).await.is(201);
    assert_eq!(seen.header("etag"), "\"1\"");
    assert_eq!(seen.header("location"), format!("/api/v1/places/{}", seen.id()));
    let mut expected = full("great");
    expected["rent"]["amount"] = json!("42.50");
    expected["opened_at"] = json!("2026-11-21T19:05:00.5Z");
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&seen.body[name], value, "{name}");
    }
    assert_eq!(seen.body["visits"], 0);
    assert_eq!(seen.body["version"], 1);
    assert!(seen.body.get("seal").is_none(), "a secret field shows");
    let again = house.get(&format!("/places/{}", seen.id())).await.is(200);
    assert_eq!(again.body, seen.body);
    let short = Seen::of(
        house
            .plain("GET", &format!("/api/places/{}", seen.id()))
            .bearer_auth(house.org.token.expose()),
    );
    assert_eq!(short.await.is(200).body, seen.body, "/api and /api/v1 are the same");
}

#[tokio::test]
async fn every_fault_is_told_at_once_by_its_field() {
    let house = House::open().await;
    let body = json!({
        "key": "Bad Key", "contact": "nobody", "seats": -1, "seats_": 1, "kind": "barn",
        "rent": {"amount": "1.005", "currency": "EUR"}, "tags": ["a", 5], "visits": 3,
        "seal": "AAEC", "version": 9, "opened_on": "2026-02-30",
    });
    let seen = house.post("/places", body).await;
    let seen = seen.refuses(
        Code::ValidationFailed,
        &[
            "contact",
            "key",
            "kind",
            "opened_on",
            "rent.amount",
            "seal",
            "seats",
            "seats_",
            "tags[1]",
            "version",
            "visits",
            "name",
        ],
    );
    let code = |field: &str| {
        let faults = seen.body["errors"].as_array().unwrap();
        faults.iter().find(|f| f["field"] == field).unwrap()["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(code("seal"), "unknown_field", "a secret field is as good as unknown");
    assert_eq!(code("visits"), "immutable");
    assert_eq!(code("name"), "required");
    assert_eq!(code("kind"), "not_an_option");
    let near = seen.body["errors"].to_string();
    assert!(near.contains("did you mean seats?"), "{near}");
}

#[tokio::test]
async fn patch_keeps_absent_fields_and_null_empties() {
    let house = House::open().await;
    let place = house.post("/places", full("kept")).await.is(201);
    let path = format!("/places/{}", place.id());
    let seen =
        house.patch(&path, json!({"notes": null, "rent": null, "name": "New"})).await.is(200);
    assert_eq!(seen.body["version"], 2);
    assert_eq!(seen.header("etag"), "\"2\"");
    for (name, value) in place.body.as_object().unwrap() {
        match name.as_str() {
            "notes" | "rent" => assert_eq!(seen.body[name], Value::Null),
            "name" => assert_eq!(seen.body[name], "New"),
            "version" | "updated_at" => assert_ne!(&seen.body[name], value),
            _ => assert_eq!(&seen.body[name], value, "{name}"),
        }
    }
    house.patch(&path, json!({})).await.is(200);
    assert_eq!(house.get(&path).await.body["version"], 2, "an empty patch changes nothing");
    let refused =
        house.patch(&path, json!({"name": null, "key": "other", "id": Uuid::nil()})).await;
    refused.refuses(Code::ValidationFailed, &["id", "key", "name"]);
}

#[tokio::test]
async fn if_match_guards_against_lost_updates() {
    let house = House::open().await;
    let path = format!("/places/{}", house.place("guarded").await);
    let send = |method: &'static str, tag: &'static str| {
        let request = house.request(method, &path).header("if-match", tag);
        Seen::of(if method == "PATCH" { request.json(&json!({"seats": 1})) } else { request })
    };
    send("PATCH", "\"7\"").await.refuses(Code::VersionMismatch, &[]);
    send("PATCH", "W/\"1\"").await.refuses(Code::VersionMismatch, &["If-Match"]);
    send("DELETE", "\"2\"").await.refuses(Code::VersionMismatch, &[]);
    send("PATCH", "\"1\"").await.is(200);
    send("PATCH", "\"1\"").await.refuses(Code::VersionMismatch, &[]);
    send("PATCH", "*").await.is(200);
    send("DELETE", "\"3\"").await.is(204);
    send("PATCH", "\"3\"").await.refuses(Code::NotFound, &[]);
}

#[tokio::test]
async fn keys_and_checks_of_the_database_speak_by_field() {
    let house = House::open().await;
    let place = house.place("once").await;
    let twice = house.post("/places", json!({"name": "b", "key": "once"})).await;
    twice.refuses(Code::AlreadyExists, &["key"]);
    let same_id = json!({"id": place, "name": "b", "key": "other"});
    house.post("/places", same_id).await.refuses(Code::AlreadyExists, &["id"]);
    let path = format!("/places/{place}");
    let large = house.patch(&path, json!({"kind": "club", "seats": 501})).await;
    large.refuses(Code::OutOfRange, &["seats"]);
    // A deleted row gives its key free.
    house.delete(&path).await.is(204);
    house.get(&path).await.refuses(Code::NotFound, &[]);
    house.delete(&path).await.refuses(Code::NotFound, &[]);
    house.place("once").await;
}

#[tokio::test]
async fn links_lead_to_living_rows_of_the_same_organization() {
    let house = House::open().await;
    let stranger = house.stranger().await;
    let mut cx = stranger.begin().await.unwrap();
    let body = crate::hall::object(json!({"name": "Theirs", "key": "theirs"}));
    let theirs = cx.create(&crate::hall::PLACE, body).await.unwrap();
    cx.commit().await.unwrap();
    let deleted = house.place("deleted").await;
    house.delete(&format!("/places/{deleted}")).await.is(204);
    let place = house.place("there").await;
    let hall = house.hall(&place).await;
    let mut told = Vec::new();
    for target in [theirs.to_string(), Uuid::nil().to_string(), deleted] {
        let create = house.post("/halls", json!({"name": "x", "place_id": target})).await;
        told.push(create.refuses(Code::UnknownReference, &["place_id"]).body);
        let patch = house.patch(&format!("/halls/{hall}"), json!({"place_id": target})).await;
        told.push(patch.refuses(Code::UnknownReference, &["place_id"]).body);
        house.get(&format!("/places/{target}")).await.refuses(Code::NotFound, &[]);
        house.patch(&format!("/places/{target}"), json!({"seats": 1})).await.is(404);
        house.delete(&format!("/places/{target}")).await.is(404);
    }
    for body in &mut told {
        body["request_id"] = Value::Null;
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "foreign and unknown differ: {told:?}");
    let user = house.patch(&format!("/halls/{hall}"), json!({"keeper_id": Uuid::nil()})).await;
    user.refuses(Code::UnknownReference, &["keeper_id"]);
    let own = json!({"keeper_id": house.org.owner, "inside_id": hall});
    house.patch(&format!("/halls/{hall}"), own).await.is(200);
}

#[tokio::test]
async fn deletion_is_refused_while_rows_link_here_and_takes_along_what_was_said() {
    let house = House::open().await;
    let place = house.place("full").await;
    let hall = house.hall(&place).await;
    let booking = house.post("/bookings", json!({"hall_id": hall, "title": "Gala"})).await.is(201);
    let refused = house.delete(&format!("/places/{place}")).await;
    refused.refuses(Code::InUse, &["halls.place_id"]);
    house.delete(&format!("/halls/{hall}")).await.is(204);
    house.get(&format!("/bookings/{}", booking.id())).await.refuses(Code::NotFound, &[]);
    house.delete(&format!("/places/{place}")).await.is(204);
}

/// However many rows go along, however many links lead there.
#[tokio::test]
async fn a_deletion_takes_few_statements() {
    let house = House::open().await;
    let place = house.place("wide").await;
    let hall: Uuid = house.hall(&place).await.parse().unwrap();
    let mut cx = house.org.begin().await.unwrap();
    let row = |n: usize| crate::hall::object(json!({"hall_id": hall, "title": format!("t{n}")}));
    let made = cx.insert_many(&crate::hall::BOOKING, (0..300).map(row).collect()).await.unwrap();
    let before = cx.statements();
    cx.delete(&crate::hall::HALL, hall).await.unwrap();
    // The lock, what goes along, what stands in the way, and a mark for each of the two tables.
    assert_eq!(cx.statements() - before, 5);
    cx.commit().await.unwrap();
    for booking in [&made[0], &made[299]] {
        let path = format!("/bookings/{}", booking.as_ref().unwrap());
        house.get(&path).await.refuses(Code::NotFound, &[]);
    }
}

#[tokio::test]
async fn child_collections_belong_to_their_parent() {
    let house = House::open().await;
    let (one, two) = (house.place("one").await, house.place("two").await);
    let path = format!("/places/{one}/halls");
    let made = house.post(&path, json!({"name": "Small"})).await.is(201);
    assert_eq!(made.body["place_id"], one);
    house.hall(&two).await;
    let list = house.get(&path).await.is(200);
    assert_eq!(list.body["data"], json!([made.body]));
    assert_eq!(list.body["page"]["count"], json!({"value": 1, "exact": true}));
    let other = house.post(&path, json!({"name": "x", "place_id": two})).await;
    other.refuses(Code::ValidationFailed, &["place_id"]);
    let nowhere = format!("/places/{}/halls", Uuid::nil());
    house.get(&nowhere).await.refuses(Code::NotFound, &[]);
    house.post(&nowhere, json!({"name": "x"})).await.refuses(Code::NotFound, &[]);
    let booked = format!("/halls/{}/bookings", made.id());
    house.post(&booked, json!({"title": "Gala"})).await.is(201);
    assert_eq!(house.get(&booked).await.body["data"][0]["hall_id"], made.body["id"]);
}

#[tokio::test]
async fn logs_are_read_only_over_the_api() {
    let house = House::open().await;
    let place = house.place("visited").await;
    let mut cx = house.org.begin().await.unwrap();
    let body = crate::hall::object(json!({"place_id": place, "who": "Ada"}));
    let visit = cx.insert(&crate::hall::VISIT, body).await.unwrap();
    cx.commit().await.unwrap();
    let path = format!("/visits/{visit}");
    let seen = house.get(&path).await.is(200);
    assert_eq!(seen.body["who"], "Ada");
    assert!(seen.body.get("version").is_none());
    assert_eq!(seen.header("etag"), "");
    for method in ["PATCH", "DELETE"] {
        let refused = Seen::of(house.request(method, &path)).await;
        assert_eq!(refused.refuses(Code::MethodNotAllowed, &[]).header("allow"), "GET");
    }
    let refused = house.post("/visits", json!({})).await.refuses(Code::MethodNotAllowed, &[]);
    assert_eq!(refused.header("allow"), "GET");
}

#[tokio::test]
async fn an_answer_tells_a_bounded_number_of_faults() {
    let house = House::open().await;
    let names = (0..20_000).map(|n| (format!("f{n}"), Value::Null));
    let seen = house.post("/places", Value::Object(names.collect())).await.is(422);
    assert_eq!(seen.body["errors"].as_array().unwrap().len(), kernel::error::FAULTS_MAX);
}

#[tokio::test]
async fn a_member_that_stands_twice_is_refused() {
    let house = House::open().await;
    let body = r#"{"name": "One", "key": "twice", "name": "Other"}"#;
    let request = house.request("POST", "/places").header("content-type", "application/json");
    let seen = Seen::of(request.body(body)).await.refuses(Code::MalformedJson, &[]);
    assert!(seen.body["detail"].as_str().unwrap().contains("twice"), "{}", seen.body);
}
