//! Many operations in one request: each for itself, or all or none.

use kernel::error::Code;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Desk, id, is, refused};

async fn bulk(desk: &Desk, route: &str, mode: &str, operations: Value) -> kernel::testkit::Reply {
    let body = json!({"mode": mode, "operations": operations});
    desk.send("POST", &format!("/{route}/bulk"), body).await
}

#[tokio::test]
async fn each_keeps_what_went_well() {
    let desk = Desk::open().await;
    let (one, two) = (desk.label("one").await, desk.label("two").await);
    let three = desk.label("three").await;
    is(desk.send("DELETE", &format!("/labels/{three}"), Value::Null).await, 204);
    let seen = bulk(
        &desk,
        "labels",
        "each",
        json!([
            {"op": "create", "data": {"name": "Four", "code": "four"}},
            {"op": "create", "data": {"name": "One", "code": "one"}},
            {"op": "update", "id": one, "version": 1, "data": {"rank": 7}},
            {"op": "update", "id": one, "version": 1, "data": {"rank": 8}},
            {"op": "delete", "id": two},
            {"op": "restore", "id": three},
            {"op": "upsert", "data": {"code": "four", "name": "Vier"}},
            {"op": "action", "action": "use", "id": one, "input": {}},
            {"op": "update", "id": Uuid::nil(), "data": {"rank": 1}},
            {"op": "create", "data": {"name": ""}},
        ]),
    )
    .await;
    let seen = is(seen, 200);
    let results = seen.body["results"].as_array().unwrap();
    let statuses: Vec<i64> = results.iter().map(|one| one["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [201, 409, 200, 412, 204, 200, 200, 200, 404, 422], "{results:?}");
    assert_eq!(results[1]["error"]["code"], "already_exists");
    assert_eq!(results[1]["error"]["errors"][0]["field"], "code");
    assert_eq!(results[2]["data"]["rank"], 7);
    assert_eq!(results[4].as_object().unwrap().len(), 1, "a deletion shows nothing");
    assert_eq!(results[6]["data"]["id"], results[0]["data"]["id"]);
    assert_eq!(results[7]["data"]["uses"], 1);
    assert_eq!(desk.get(&format!("/labels/{one}")).await.body["rank"], 7);
    refused(&desk.get(&format!("/labels/{two}")).await, Code::NotFound, &[]);
}

#[tokio::test]
async fn all_names_every_fault_and_changes_nothing() {
    let desk = Desk::open().await;
    let one = desk.label("one").await;
    let before = (desk.get("/labels").await.body, desk.traces(&one).await);
    let seen = bulk(&desk, "labels", "all", json!([
        {"op": "create", "data": {"name": "Two", "code": "two"}},
        {"op": "create", "data": {"name": "Two", "code": "two"}},
        {"op": "update", "id": one, "data": {"rank": 101, "price": {"amount": "1", "currency": "XX"}}},
        {"op": "update", "id": one, "version": 9, "data": {"rank": 1}},
        {"op": "update", "id": one, "data": {"rank": 5}},
        {"op": "delete", "id": Uuid::nil()},
    ]))
    .await;
    let fields = [
        "operations[1].data.code",
        "operations[2].data.price.currency",
        "operations[2].data.rank",
        "operations[3]",
        "operations[5]",
    ];
    refused(&seen, Code::BulkRefused, &fields);
    let codes: Vec<&str> = seen.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["code"].as_str().unwrap())
        .collect();
    let expected =
        ["already_exists", "invalid_format", "out_of_range", "version_mismatch", "not_found"];
    assert_eq!(codes, expected);
    assert_eq!((desk.get("/labels").await.body, desk.traces(&one).await), before);
    let seen = bulk(
        &desk,
        "labels",
        "all",
        json!([
            {"op": "create", "data": {"name": "Two", "code": "two"}},
            {"op": "update", "id": one, "data": {"rank": 5}},
        ]),
    )
    .await;
    assert_eq!(is(seen, 200).body["results"][0]["status"], 201);
}

#[tokio::test]
async fn the_form_is_judged_before_anything_is_done() {
    let desk = Desk::open().await;
    let seen = bulk(
        &desk,
        "labels",
        "each",
        json!([
            {"op": "create", "data": {"name": "One", "code": "one"}},
            {"op": "create", "date": {}},
            {"op": "melt"},
            {"op": "update", "id": "1", "version": "1", "data": []},
            {"op": "action", "action": "melt", "id": Uuid::nil()},
            7,
        ]),
    )
    .await;
    let fields = [
        "operations[1].data",
        "operations[1].date",
        "operations[2].op",
        "operations[3].id",
        "operations[3].version",
        "operations[3].data",
        "operations[4].action",
        "operations[4].id",
        "operations[5]",
    ];
    refused(&seen, Code::ValidationFailed, &fields);
    assert_eq!(desk.get("/labels").await.body["data"], json!([]));
    for (body, field) in [
        (json!({"operations": [{"op": "restore", "id": Uuid::nil()}]}), "mode"),
        (json!({"mode": "some", "operations": [{"op": "restore", "id": Uuid::nil()}]}), "mode"),
        (json!({"mode": "all"}), "operations"),
        (json!({"mode": "all", "operations": []}), "operations"),
        (json!({"mode": "all", "operations": vec![json!({"op": "melt"}); 501]}), "operations"),
    ] {
        let seen = desk.send("POST", "/labels/bulk", body).await;
        refused(&seen, Code::ValidationFailed, &[field]);
    }
}

#[tokio::test]
async fn rights_are_asked_for_each_operation() {
    let desk = Desk::open().await;
    let one = desk.label("one").await;
    let grants = json!([{"grant": "desk.labels", "rights": ["read", "update"]}]);
    let token = desk.org.issue(grants).await.unwrap();
    let client = desk.server.client.with_bearer(token.expose());
    let body = json!({"mode": "each", "operations": [
        {"op": "create", "data": {"name": "Two", "code": "two"}},
        {"op": "update", "id": one, "data": {"rank": 1}},
        {"op": "delete", "id": one},
        {"op": "action", "action": "use", "id": one},
    ]});
    let seen = is(client.post("/api/v1/labels/bulk", &body).await.unwrap(), 200);
    let statuses: Vec<&Value> =
        seen.body["results"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [403, 200, 403, 403]);
    let stranger = Desk::open().await;
    let foreign = bulk(
        &stranger,
        "labels",
        "each",
        json!([
            {"op": "update", "id": one, "data": {"rank": 1}},
            {"op": "delete", "id": one},
            {"op": "restore", "id": one},
            {"op": "action", "action": "use", "id": one},
        ]),
    )
    .await;
    for result in is(foreign, 200).body["results"].as_array().unwrap() {
        assert_eq!(result["status"], 404);
    }
    let case = bulk(
        &stranger,
        "cases",
        "each",
        json!([
            {"op": "create", "data": {"label_id": one, "title": "x"}},
        ]),
    )
    .await;
    assert_eq!(case.body["results"][0]["error"]["code"], "unknown_reference");
}

#[tokio::test]
async fn moves_run_in_a_bulk() {
    let desk = Desk::open().await;
    let label = desk.label("one").await;
    let case = desk.case(&label, "Printer").await;
    let seen = bulk(
        &desk,
        "cases",
        "each",
        json!([
            {"op": "action", "action": "hold", "id": case},
            {"op": "action", "action": "hold", "id": case},
            {"op": "action", "action": "close", "id": case},
            {"op": "action", "action": "reopen", "id": case},
            {"op": "action", "action": "drop", "id": case, "input": {"outcome": "gone"}},
        ]),
    )
    .await;
    let seen = is(seen, 200);
    let results = seen.body["results"].as_array().unwrap();
    let statuses: Vec<&Value> = results.iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [200, 409, 422, 200, 200]);
    assert_eq!(results[4]["data"]["status"], "dropped");
}

/// The set-based way of imports: the same rows, faults told apart, by few statements.
#[tokio::test]
async fn many_rows_are_written_by_few_statements() {
    let desk = Desk::open().await;
    let mut cx = desk.org.begin().await.unwrap();
    let row = |n: usize| {
        let body = json!({
            "name": format!("Label {n}"), "code": format!("many-{n}"), "rank": n % 100,
            "words": [format!("w{n}"), "a, b"], "price": {"amount": "1.50", "currency": "EUR"},
            "extra": {"n": n}, "due_on": "2026-11-21",
        });
        crate::hall::object(body)
    };
    let mut rows: Vec<_> = (0..1_000).map(row).collect();
    rows[17].insert("rank".to_owned(), json!(101));
    rows[400].insert("code".to_owned(), json!("many-399"));
    rows[401].remove("price");
    rows[999].insert("stranger".to_owned(), json!(1));
    let outcomes = cx.create_many(&super::LABEL, rows).await.unwrap();
    cx.commit().await.unwrap();
    let faults: Vec<(usize, Code)> = outcomes
        .iter()
        .enumerate()
        .filter_map(|(place, one)| one.as_ref().err().map(|error| (place, error.code())))
        .collect();
    let expected =
        [(17, Code::ValidationFailed), (400, Code::AlreadyExists), (999, Code::ValidationFailed)];
    assert_eq!(faults, expected);
    let good: Vec<Uuid> = outcomes.into_iter().filter_map(Result::ok).collect();
    let seen = desk.get(&format!("/labels/{}", good[0])).await;
    let seen = is(seen, 200);
    for (name, value) in row(0) {
        assert_eq!(seen.body[&name], value, "{name}");
    }
    assert_eq!(desk.traces(&good[0].to_string()).await, (1, 1), "change log and outbox know it");
    let count = desk.get("/labels?limit=1").await.body["page"]["count"]["value"].clone();
    assert_eq!(count, 997);
    changed(&desk, &good).await;
}

async fn changed(desk: &Desk, good: &[Uuid]) {
    let mut cx = desk.org.begin().await.unwrap();
    let patch = |place: usize, version: Option<i64>, body: Value| kernel::cx::Patch {
        id: good[place],
        version,
        body: crate::hall::object(body),
    };
    let outcomes = cx
        .patch_many(
            &super::LABEL,
            vec![
                patch(0, Some(1), json!({"rank": 1, "words": null, "price": null})),
                patch(1, Some(7), json!({"rank": 1})),
                patch(2, None, json!({"code": "changed"})),
                patch(3, None, json!({"rank": 2, "words": ["x"]})),
                patch(3, None, json!({"rank": 3})),
                patch(4, None, json!({})),
            ],
        )
        .await
        .unwrap();
    cx.commit().await.unwrap();
    let codes: Vec<Option<Code>> =
        outcomes.iter().map(|one| one.as_ref().err().map(kernel::error::Error::code)).collect();
    let expected = [
        None,
        Some(Code::VersionMismatch),
        Some(Code::ValidationFailed),
        None,
        Some(Code::Duplicate),
        None,
    ];
    assert_eq!(codes, expected);
    let seen = desk.get(&format!("/labels/{}", good[0])).await.body;
    assert_eq!(
        (&seen["rank"], &seen["words"], &seen["version"]),
        (&json!(1), &Value::Null, &json!(2))
    );
    assert_eq!(desk.get(&format!("/labels/{}", good[3])).await.body["words"], json!(["x"]));
}

#[tokio::test]
async fn links_of_many_rows_are_checked_by_set() {
    let desk = Desk::open().await;
    let (label, gone) = (desk.label("there").await, desk.label("gone").await);
    is(desk.send("DELETE", &format!("/labels/{gone}"), Value::Null).await, 204);
    let stranger = Desk::open().await;
    let theirs = stranger.label("theirs").await;
    let mut cx = desk.org.begin().await.unwrap();
    let rows = [&label, &gone, &theirs, &Uuid::nil().to_string(), &label]
        .map(|label| crate::hall::object(json!({"label_id": label, "title": "Printer"})));
    let outcomes = cx.create_many(&super::CASE, rows.to_vec()).await.unwrap();
    cx.commit().await.unwrap();
    let codes: Vec<Option<Code>> =
        outcomes.iter().map(|one| one.as_ref().err().map(kernel::error::Error::code)).collect();
    let unknown = Some(Code::UnknownReference);
    assert_eq!(codes, [None, unknown, unknown, unknown, None]);
    let made = desk.get("/cases").await;
    assert_eq!(made.body["data"].as_array().unwrap().len(), 2);
    assert_eq!(id(&desk.get(&format!("/labels/{label}")).await), label);
}
