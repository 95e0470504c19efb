//! No way to a row passes by a rule.

use kernel::cx::{Actor, Patch};
use kernel::error::{Code, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CASE, CASES_MAX, Desk, id, is, refused};

#[tokio::test]
async fn every_way_to_a_row_meets_its_rules() {
    let desk = Desk::open().await;
    let label = desk.label("ruled").await;
    let bad = json!({"label_id": label, "title": "forbidden"});
    let case = desk.case(&label, "Printer").await;
    let path = format!("/cases/{case}");
    let single = [
        ("POST", "/cases".to_owned(), bad.clone()),
        ("POST", format!("/labels/{label}/cases"), json!({"title": "forbidden"})),
        ("PATCH", path.clone(), json!({"title": "forbidden"})),
    ];
    for (method, path, body) in single {
        let seen = desk.send(method, &path, body).await;
        refused(&seen, Code::InvalidValue, &["title"]);
    }
    let operations = json!([
        {"op": "create", "data": bad},
        {"op": "update", "id": case, "data": {"title": "forbidden"}},
    ]);
    let each = json!({"mode": "each", "operations": operations});
    let seen = is(desk.send("POST", "/cases/bulk", each).await, 200);
    for result in seen.body["results"].as_array().unwrap() {
        assert_eq!(result["error"]["code"], "invalid_value", "{result}");
    }
    let all = json!({"mode": "all", "operations": operations});
    let seen = desk.send("POST", "/cases/bulk", all).await;
    let fields = ["operations[0].data.title", "operations[1].data.title"];
    refused(&seen, Code::BulkRefused, &fields);
    // Inside: what actions and jobs call.
    let row = || crate::hall::object(json!({"label_id": label, "title": "forbidden"}));
    let title = || crate::hall::object(json!({"title": "forbidden"}));
    let case: Uuid = case.parse().unwrap();
    for way in 0..6 {
        let mut cx = desk.server.service.begin(Actor::Service("test"), desk.org.id).await.unwrap();
        let fields = [("title", json!("forbidden"))];
        let one = |mut many: Vec<Result<Uuid>>| many.pop().unwrap().map(drop);
        let told = match way {
            0 => cx.insert(&CASE, row()).await.map(drop),
            1 => cx.create(&CASE, row()).await.map(drop),
            2 => cx.set(&CASE, case, &fields).await,
            3 => cx.patch(&CASE, case, title(), None).await,
            4 => one(cx.create_many(&CASE, vec![row()]).await.unwrap()),
            _ => {
                let patch = Patch { id: case, version: None, body: title() };
                one(cx.patch_many(&CASE, vec![patch]).await.unwrap())
            }
        };
        cx.rollback().await.unwrap();
        assert_eq!(told.unwrap_err().code(), Code::InvalidValue, "way {way}");
    }
}

#[tokio::test]
async fn deletion_and_restoration_meet_rules_too() {
    let desk = Desk::open().await;
    let label = desk.label("kept").await;
    let parent = desk.case(&label, "Printer").await;
    let kept = json!({"label_id": label, "title": "keep", "part_of_id": parent});
    let kept = id(&is(desk.send("POST", "/cases", kept).await, 201));
    // A row that would go along has rules of its own.
    for row in [&kept, &parent] {
        let seen = desk.send("DELETE", &format!("/cases/{row}"), Value::Null).await;
        refused(&seen, Code::InvalidValue, &["title"]);
    }
    is(desk.get(&format!("/cases/{parent}")).await, 200);
    let gone = desk.case(&label, "Screen").await;
    is(desk.send("DELETE", &format!("/cases/{gone}"), Value::Null).await, 204);
    for n in 2..CASES_MAX - 1 {
        desk.case(&label, &format!("case {n}")).await;
    }
    // Full: a new one and one that comes back are one too many alike.
    desk.case(&label, "the last").await;
    let more = json!({"label_id": label, "title": "one more"});
    refused(&desk.send("POST", "/cases", more).await, Code::LimitReached, &["label_id"]);
    let seen = desk.send("POST", &format!("/cases/{gone}/restore"), Value::Null).await;
    refused(&seen, Code::LimitReached, &["label_id"]);
}
