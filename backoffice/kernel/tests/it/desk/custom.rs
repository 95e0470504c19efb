//! Custom fields: defined by rows, validated, merged, told by level.

use kernel::error::Code;
use serde_json::{Value, json};

use super::{Desk, id, is, refused};

async fn define(desk: &Desk, key: &str, kind: &str, more: Value) -> String {
    let mut body = json!({"entity": "labels", "key": key, "label": key, "kind": kind});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    id(&is(desk.send("POST", "/custom-fields", body).await, 201))
}

#[tokio::test]
async fn values_are_judged_by_their_kind_and_merge() {
    let desk = Desk::open().await;
    let kinds = [
        ("text", json!("a"), json!(1)),
        ("long_text", json!("a\nb"), json!({})),
        ("boolean", json!(true), json!("true")),
        ("integer", json!(-4), json!(1.5)),
        ("decimal", json!("1.25"), json!("1,25")),
        ("money", json!({"amount": "1.50", "currency": "EUR"}), json!("1.50")),
        ("date", json!("2026-11-21"), json!("2026-02-30")),
        ("instant", json!("2026-11-21T10:00:00Z"), json!("now")),
        ("email", json!("a@example.org"), json!("nobody")),
        ("phone", json!("+49 30 123456"), json!("x")),
        ("url", json!("https://example.org/"), json!("javascript:x")),
        ("country", json!("DE"), json!("de")),
        ("currency", json!("EUR"), json!("XX")),
    ];
    let mut good = json!({});
    let mut bad = json!({});
    for (kind, value, wrong) in kinds {
        define(&desk, kind, kind, json!({})).await;
        good[kind] = value;
        bad[kind] = wrong;
    }
    define(&desk, "choice", "choice", json!({"options": ["red", "green"]})).await;
    good["choice"] = json!("red");
    bad["choice"] = json!("blue");
    let body = json!({"name": "x", "code": "kinds", "custom": bad});
    let seen = desk.send("POST", "/labels", body).await;
    let mut expected: Vec<String> =
        bad.as_object().unwrap().keys().map(|key| format!("custom.{key}")).collect();
    expected.sort_unstable();
    let mut fields = seen.fields();
    fields.sort_unstable();
    assert_eq!(fields, expected, "{}", seen.body);
    let body = json!({"name": "x", "code": "kinds", "custom": good});
    let made = is(desk.send("POST", "/labels", body).await, 201);
    assert_eq!(made.body["custom"], good);
    // Absent keys stay, null takes one away.
    let path = format!("/labels/{}", id(&made));
    let seen =
        is(desk.send("PATCH", &path, json!({"custom": {"text": "b", "date": null}})).await, 200);
    good["text"] = json!("b");
    good.as_object_mut().unwrap().remove("date");
    assert_eq!(seen.body["custom"], good);
    let body = json!({"code": "kinds", "custom": {"integer": 9}});
    assert_eq!(is(desk.send("PUT", "/labels", body).await, 200).body["custom"]["integer"], 9);
    let bulk = json!({"mode": "all", "operations": [
        {"op": "update", "id": id(&made), "data": {"custom": {"integer": 10, "colour": 1}}},
    ]});
    let seen = desk.send("POST", "/labels/bulk", bulk).await;
    refused(&seen, Code::BulkRefused, &["operations[0].data.custom.colour"]);
    refused(
        &desk.send("PATCH", &path, json!({"custom": 1})).await,
        Code::ValidationFailed,
        &["custom"],
    );
    let near = desk.send("PATCH", &path, json!({"custom": {"texd": "x"}})).await;
    assert!(near.body.to_string().contains("did you mean text?"), "{}", near.body);
}

#[tokio::test]
async fn a_definition_keeps_what_rows_may_hold() {
    let desk = Desk::open().await;
    let plain =
        |key: &str, kind: &str| json!({"entity": "labels", "key": key, "label": key, "kind": kind});
    let mut cases = vec![
        (plain("a", "matrix"), Code::ValidationFailed, "kind"),
        (plain("a", "choice"), Code::ValidationFailed, "options"),
    ];
    for (name, value, field) in [
        ("options", json!(["x"]), "options"),
        ("entity", json!("users"), "entity"),
        ("entity", json!("melons"), "entity"),
        ("key", json!("A b"), "key"),
    ] {
        let mut body = plain("a", "text");
        body[name] = value;
        cases.push((body, Code::ValidationFailed, field));
    }
    for (body, code, field) in cases {
        refused(&desk.send("POST", "/custom-fields", body).await, code, &[field]);
    }
    let size = define(&desk, "size", "choice", json!({"options": ["s", "m"]})).await;
    refused(
        &desk.send("POST", "/custom-fields", plain("size", "text")).await,
        Code::AlreadyExists,
        &["key"],
    );
    let path = format!("/custom-fields/{size}");
    let seen =
        desk.send("PATCH", &path, json!({"kind": "text", "entity": "cases", "key": "x"})).await;
    refused(&seen, Code::ValidationFailed, &["entity", "key", "kind"]);
    let seen = desk.send("PATCH", &path, json!({"options": ["s"]})).await;
    refused(&seen, Code::ValidationFailed, &["options"]);
    is(desk.send("PATCH", &path, json!({"options": ["s", "m", "l"]})).await, 200);
    refused(&desk.send("DELETE", &path, Value::Null).await, Code::MethodNotAllowed, &[]);
}

#[tokio::test]
async fn required_ones_are_asked_of_people_and_retired_ones_are_gone() {
    let desk = Desk::open().await;
    let early = desk.label("early").await;
    let field = define(&desk, "size", "text", json!({"required": true})).await;
    let body = json!({"name": "x", "code": "late"});
    let seen = desk.send("POST", "/labels", body.clone()).await;
    refused(&seen, Code::ValidationFailed, &["custom.size"]);
    // What was made before stays changeable; an action knows nothing of custom fields.
    is(desk.send("PATCH", &format!("/labels/{early}"), json!({"rank": 1})).await, 200);
    let mut cx = desk.org.begin().await.unwrap();
    cx.insert(&super::LABEL, crate::hall::object(body)).await.unwrap();
    cx.rollback().await.unwrap();
    let path = format!("/labels/{early}");
    is(desk.send("PATCH", &path, json!({"custom": {"size": "m"}})).await, 200);
    let seen = desk.send("PATCH", &path, json!({"custom": {"size": null}})).await;
    refused(&seen, Code::ValidationFailed, &["custom.size"]);
    is(desk.send("POST", &format!("/custom-fields/{field}/retire"), json!({})).await, 200);
    let seen = desk.send("PATCH", &path, json!({"custom": {"size": "l"}})).await;
    refused(&seen, Code::ValidationFailed, &["custom.size"]);
    assert_eq!(desk.get(&path).await.body["custom"], json!({}));
    is(desk.send("POST", &format!("/custom-fields/{field}/reinstate"), json!({})).await, 200);
    assert_eq!(desk.get(&path).await.body["custom"], json!({"size": "m"}), "values outlive it");
    let seen = desk.send(
        "POST",
        "/custom-fields",
        json!({"entity": "labels", "key": "size", "label": "x", "kind": "date"}),
    );
    refused(&seen.await, Code::AlreadyExists, &["key"]);
}

#[tokio::test]
async fn levels_hide_values_in_rows_and_lists() {
    let desk = Desk::open().await;
    define(&desk, "plain", "text", json!({})).await;
    define(&desk, "pay", "text", json!({"level": "confidential"})).await;
    let body = json!({"name": "x", "code": "levels", "custom": {"plain": "a", "pay": "b"}});
    let label = id(&is(desk.send("POST", "/labels", body).await, 201));
    let grants = json!([{"grant": "desk.labels", "rights": ["read"], "levels": ["open"]}]);
    let token = desk.org.issue(grants).await.unwrap();
    let other = desk.server.client.with_bearer(token.expose());
    let row = is(other.get(&format!("/api/v1/labels/{label}")).await.unwrap(), 200);
    assert_eq!(row.body["custom"], json!({"plain": "a"}));
    let list = is(other.get("/api/v1/labels").await.unwrap(), 200);
    assert_eq!(list.body["data"][0]["custom"], json!({"plain": "a"}));
    let stranger = Desk::open().await;
    let seen = stranger.send(
        "POST",
        "/labels",
        json!({"name": "x", "code": "x", "custom": {"plain": "a"}}),
    );
    refused(&seen.await, Code::ValidationFailed, &["custom.plain"]);
}

#[tokio::test]
async fn a_level_stays_so_that_nobody_lowers_it_to_read() {
    let desk = Desk::open().await;
    let pay = define(&desk, "pay", "text", json!({"level": "confidential"})).await;
    let path = format!("/custom-fields/{pay}");
    let seen = desk.send("PATCH", &path, json!({"level": "open"})).await;
    refused(&seen, Code::ValidationFailed, &["level"]);
    assert_eq!(desk.get(&path).await.body["level"], "confidential");
    is(desk.send("PATCH", &path, json!({"label": "Pay"})).await, 200);
}

#[tokio::test]
async fn levels_keep_values_from_being_written() {
    let desk = Desk::open().await;
    define(&desk, "plain", "text", json!({})).await;
    define(&desk, "pay", "text", json!({"level": "confidential"})).await;
    let label = desk.label("written").await;
    let path = format!("/api/v1/labels/{label}");
    let with = async |levels: Value, custom: Value| {
        let line = json!({"grant": "desk.labels", "rights": ["*"], "levels": levels});
        let token = desk.org.issue(json!([line])).await.unwrap();
        let client = desk.server.client.with_bearer(token.expose());
        client.patch(&path, &json!({"custom": custom})).await.unwrap()
    };
    let both = json!({"plain": "a", "pay": "b"});
    let refusal = with(json!(["open"]), both.clone()).await;
    refused(&refusal, Code::FieldNotPermitted, &["custom.pay"]);
    is(with(json!(["open"]), json!({"plain": "a"})).await, 200);
    let refusal = with(json!(["personal"]), both.clone()).await;
    refused(&refusal, Code::FieldNotPermitted, &["custom.pay", "custom.plain"]);
    is(with(json!(["open", "confidential"]), both.clone()).await, 200);
    assert_eq!(desk.get(&format!("/labels/{label}")).await.body["custom"], both);
}

/// Lists cast what is kept to its kind's type: no spelling that a write took makes a list fail.
#[tokio::test]
async fn values_are_kept_as_lists_can_read_them() {
    let desk = Desk::open().await;
    let spellings = [
        (
            "instant",
            json!("2026-11-21T20:05:00+01:00[Europe/Berlin]"),
            json!("2026-11-21T19:05:00Z"),
        ),
        ("instant", json!("0001-01-02T00:00:00Z"), json!("0001-01-02T00:00:00Z")),
        ("date", json!("9999-12-31"), json!("9999-12-31")),
        ("decimal", json!("00012.500"), json!("12.5")),
        ("decimal", json!(3), json!("3")),
        ("integer", json!(i64::MIN), json!(i64::MIN)),
        (
            "money",
            json!({"currency": "JPY", "amount": "007"}),
            json!({"amount": "7", "currency": "JPY"}),
        ),
        ("boolean", json!(false), json!(false)),
        ("text", json!("line "), json!("line ")),
    ];
    for (place, (kind, given, kept)) in spellings.into_iter().enumerate() {
        let key = format!("{kind}-{place}");
        define(&desk, &key, kind, json!({})).await;
        let body = json!({"name": "x", "code": key, "custom": {key.as_str(): given}});
        let made = is(desk.send("POST", "/labels", body).await, 201);
        assert_eq!(made.body["custom"][&key], kept, "{kind} {given}");
        let null = desk.get(&format!("/labels?filter[custom.{key}][null]=false")).await;
        assert_eq!(is(null, 200).body["data"][0]["id"], made.body["id"]);
        let test = match (kind, &kept) {
            ("money", _) => "gte]=7,JPY".to_owned(),
            ("boolean", _) => "eq]=false".to_owned(),
            ("text", _) => "eq]=line%20".to_owned(),
            (_, Value::String(text)) => format!("gte]={text}"),
            (_, other) => format!("gte]={other}"),
        };
        let found = desk.get(&format!("/labels?filter[custom.{key}][{test}")).await;
        assert_eq!(is(found, 200).body["data"][0]["id"], made.body["id"], "{kind} {kept}");
    }
}

#[tokio::test]
async fn lists_ask_by_added_fields_as_far_as_they_may_be_read() {
    let desk = Desk::open().await;
    define(&desk, "plain", "integer", json!({})).await;
    define(&desk, "pay", "money", json!({"level": "confidential"})).await;
    for (code, plain, pay) in [("a", 2, "10"), ("b", 10, "9"), ("c", 1, "1")] {
        let pay = json!({"amount": pay, "currency": "EUR"});
        let body = json!({"name": code, "code": code, "custom": {"plain": plain, "pay": pay}});
        is(desk.send("POST", "/labels", body).await, 201);
    }
    let grants = json!([{"grant": "desk.labels", "rights": ["read"], "levels": ["open"]}]);
    let token = desk.org.issue(grants).await.unwrap();
    let other = desk.server.client.with_bearer(token.expose());
    let codes = |reply: &kernel::testkit::Reply| -> String {
        let rows = reply.body["data"].as_array().unwrap();
        rows.iter().map(|row| row["code"].as_str().unwrap()).collect()
    };
    // Numbers are ordered as numbers, amounts as amounts.
    let list = is(other.get("/api/v1/labels?sort=custom.plain").await.unwrap(), 200);
    assert_eq!(codes(&list), "cab");
    assert_eq!(codes(&is(desk.get("/labels?sort=-custom.pay").await, 200)), "abc");
    let sum = is(desk.get("/labels?group=custom.pay.currency&aggregate=sum:custom.pay").await, 200);
    let euros = json!([{"amount": "20.00", "currency": "EUR"}]);
    assert_eq!(sum.body["data"][0]["sum"]["custom.pay"], euros);
    for (query, parameter) in [
        ("sort=custom.pay", "sort"),
        ("sort=-custom.plain,custom.pay.currency", "sort"),
        ("group=custom.pay.currency", "group"),
        ("group=custom.plain&aggregate=sum:custom.pay", "aggregate"),
        ("filter[custom.pay][gt]=1,EUR", "filter[custom.pay][gt]"),
        ("filter[custom.pay.currency]=EUR", "filter[custom.pay.currency]"),
    ] {
        let reply = other.get(&format!("/api/v1/labels?{query}")).await.unwrap();
        refused(&reply, Code::FieldNotPermitted, &[parameter]);
    }
    for (query, code, parameter) in [
        ("sort=custom.nope", Code::InvalidSort, "sort"),
        ("sort=custom.plain.currency", Code::InvalidSort, "sort"),
        ("group=custom.", Code::InvalidRequest, "group"),
        ("group=custom.pay", Code::InvalidRequest, "group"),
        ("group=custom.plain&aggregate=avg:custom.nope", Code::InvalidRequest, "aggregate"),
    ] {
        refused(&desk.get(&format!("/labels?{query}")).await, code, &[parameter]);
    }
}
