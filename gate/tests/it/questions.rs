//! Questions at the door, from the first scan to the sealed answer in the journal.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use gate::settings::{Limits, Role};
use inventory::log::DataKey;
use inventory::personal::open_answers;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{EVENT, House, scan_body};

const ADULT: Uuid = Uuid::from_u128(0x31);
const MEAL: Uuid = Uuid::from_u128(0x32);
const NOTE: Uuid = Uuid::from_u128(0x33);

async fn house() -> House {
    House::with(Role::All, Limits::default(), |config| {
        config["questions"] = json!([
            {"id": ADULT, "text": "Over 18?", "kind": "confirm"},
            {"id": MEAL, "text": "Meal", "kind": "choice", "options": ["fish", "none"]},
            {"id": NOTE, "text": "Allergies", "kind": "text"},
            {"id": Uuid::from_u128(0x34), "text": "Of others", "kind": "confirm", "types": [2]},
        ]);
    })
    .await
}

fn answered(credential: &Value, nonce: &str, answers: Value) -> Value {
    let mut body = scan_body(credential, nonce);
    body["answers"] = answers;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_answers_and_enters_with_the_same_nonce() {
    let house = house().await;
    let order = house.buy(2).await;
    let credential = &order["tickets"][0]["credential"];
    let asked = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    assert_eq!((&asked["verdict"], &asked["scan"]), (&json!("ask"), &json!(null)));
    assert_eq!(
        asked["questions"],
        json!([
            {"id": ADULT, "text": "Over 18?", "kind": "confirm", "options": []},
            {"id": MEAL, "text": "Meal", "kind": "choice", "options": ["fish", "none"]},
            {"id": NOTE, "text": "Allergies", "kind": "text", "options": []},
        ])
    );
    let half = json!({ADULT.to_string(): true, MEAL.to_string(): "fish"});
    let asked = house.scan(answered(credential, "nonce-0001", half)).await.expect(200);
    assert_eq!(asked["questions"][0]["id"], json!(NOTE), "what is still open");
    let before = house.journal(EVENT).await.len();
    let all = json!({ADULT.to_string(): true, MEAL.to_string(): "fish",
                     NOTE.to_string(): " no nuts "});
    let admitted = house.scan(answered(credential, "nonce-0001", all)).await.expect(200);
    assert_eq!((&admitted["verdict"], &admitted["replay"]), (&json!("admit"), &json!(false)));
    assert_eq!(admitted["questions"], json!([]));

    // The journal says which were answered; what was said needs the order's key.
    let page = house.feed(&format!("/internal/v1/journal?event={EVENT}&after={before}")).await;
    let page = page.expect(200);
    assert!(!page.to_string().contains("no nuts"), "never in clear");
    let told = &page["entries"][0]["data"]["answers"];
    let sealed = BASE64.decode(told["sealed"].as_str().expect("sealed").as_bytes()).expect("b64");
    let bought = house.feed(&format!("/internal/v1/journal?event={EVENT}&after=0")).await;
    let id: Uuid = serde_json::from_value(order["id"].clone()).expect("an id");
    let key = bought.expect(200)["keys"][id.to_string()].clone();
    let key = BASE64.decode(key.as_str().expect("a key").as_bytes()).expect("b64");
    let key = DataKey(key.try_into().expect("32 bytes"));
    let opened = open_answers(&sealed, &key, EVENT, id).expect("it opens");
    let expected = [(ADULT, "true"), (MEAL, "fish"), (NOTE, "no nuts")];
    assert_eq!(opened, BTreeMap::from(expected.map(|(id, text)| (id, text.to_owned()))));
    assert_eq!(told["questions"], json!([ADULT, MEAL, NOTE]));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_none_are_named() {
    let house = house().await;
    let order = house.buy(1).await;
    let credential = &order["tickets"][0]["credential"];
    let before = house.journal(EVENT).await.len();
    let stranger = Uuid::from_u128(0x99);
    let cases = [
        (ADULT, json!(false), "format"),
        (ADULT, json!("yes"), "format"),
        (MEAL, json!("meat"), "format"),
        (MEAL, json!(true), "format"),
        (NOTE, json!(""), "range"),
        (NOTE, json!("  "), "range"),
        (NOTE, json!("x".repeat(501)), "range"),
        (NOTE, json!("a\u{0}b"), "format"),
        (NOTE, json!(7), "type"),
        (stranger, json!(true), "unknown"),
    ];
    for (question, answer, code) in cases {
        let answers = json!({question.to_string(): answer});
        let got = house.scan(answered(credential, "nonce-0001", answers)).await;
        let problem = got.problem(400, "invalid_body");
        let error = &problem["errors"][0];
        assert_eq!(
            (&error["field"], &error["code"]),
            (&json!(format!("answers.{question}")), &json!(code)),
            "{problem}"
        );
    }
    assert_eq!(house.journal(EVENT).await.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_erased_person_answers_is_not_kept() {
    let house = house().await;
    let order = house.buy(1).await;
    let erase = json!({"event": EVENT, "order": order["id"]});
    assert_eq!(house.feed_post("/internal/v1/erasures", erase).await.status, 204);
    let before = house.journal(EVENT).await.len();
    let answers = json!({ADULT.to_string(): true, MEAL.to_string(): "none",
                         NOTE.to_string(): "no nuts"});
    let credential = &order["tickets"][0]["credential"];
    let admitted = house.scan(answered(credential, "nonce-0001", answers)).await.expect(200);
    assert_eq!(admitted["verdict"], "admit");
    let told = &house.journal(EVENT).await[before]["data"]["answers"];
    assert_eq!(told["sealed"], "");
    assert_eq!(told["questions"], json!([ADULT, MEAL, NOTE]));
}
