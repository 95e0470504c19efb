//! Scans that handhelds decided alone, uploaded later, and the report of what they contradict.

use gate::routes::UPLOAD_SCANS_MAX;
use gate::settings::{Limits, Role};
use inventory::time::Millis;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{DEVICE, DEVICE_TOKEN, EVENT, Got, House, NOW, ORGANIZATION, scan_body};

const BULK: &str = "/api/v1/check-in/scans/bulk";

/// Admitted by a handheld so many milliseconds after `NOW`.
fn offline(credential: &Value, nonce: &str, at_ms: i64) -> Value {
    json!({"credential": credential, "gate": "Handheld 7", "zone": "main", "direction": "entry",
           "nonce": nonce, "at": NOW.plus_ms(at_ms), "offset_ms": 0, "decided": "admit",
           "mode": "bundle", "bundle": 3})
}

async fn upload(house: &House, scans: &[Value]) -> Got {
    house.device_post(BULK, Some(json!({"scans": scans}))).await
}

/// Status and reason of each.
async fn told(house: &House, scans: &[Value]) -> Vec<(String, Value)> {
    let reply = upload(house, scans).await.expect(200);
    let results = reply["results"].as_array().expect("results");
    let told =
        |r: &Value| (r["status"].as_str().expect("a status").to_owned(), r["reason"].clone());
    results.iter().map(told).collect()
}

async fn conflicts(house: &House) -> Vec<Value> {
    let path = format!("/api/v1/events/{EVENT}/check-in/conflicts");
    let token = format!("Bearer {DEVICE_TOKEN}");
    let report = house.get(&path, &[("authorization", &token)]).await.expect(200);
    assert_eq!(report["event"], json!(EVENT));
    report["conflicts"].as_array().expect("conflicts").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_uploaded_scan_is_answered_in_its_place() {
    let house = House::open().await;
    let order = house.buy(3).await;
    let ticket = |n: usize| &order["tickets"][n]["credential"];
    house.clock.advance_ms(3_600_000);
    let mut elsewhere = offline(ticket(2), "nonce-0004", 0);
    elsewhere["zone"] = json!("nowhere");
    let mut denied = offline(ticket(1), "nonce-0002", 1_000);
    denied["decided"] = json!("deny");
    let mut ahead = offline(ticket(2), "nonce-0005", 3_600_000);
    ahead["offset_ms"] = json!(120_001);
    let scans = [
        offline(ticket(0), "nonce-0001", 0),
        denied,
        offline(ticket(0), "nonce-0001", 0),
        offline(ticket(1), "nonce-0001", 0),
        offline(&json!("garbage"), "nonce-0003", 0),
        elsewhere,
        ahead,
    ];
    let expected = [
        ("recorded", None),
        ("recorded", None),
        ("duplicate", None),
        ("rejected", Some("nonce_reused")),
        ("rejected", Some("invalid")),
        ("rejected", Some("wrong_zone")),
        ("rejected", Some("clock")),
    ];
    let expected: Vec<(String, Value)> =
        expected.iter().map(|(status, reason)| ((*status).to_owned(), json!(reason))).collect();
    assert_eq!(told(&house, &scans).await, expected);
    let entries = house.journal(EVENT).await.len();
    let again: Vec<(String, Value)> = told(&house, &scans).await;
    for (index, (status, reason)) in again.iter().enumerate() {
        let before = expected[index].0.as_str();
        let now = if before == "rejected" { "rejected" } else { "duplicate" };
        assert_eq!(status, now, "scan {index}: {reason}");
    }
    assert_eq!(house.journal(EVENT).await.len(), entries, "told twice, recorded once");
    let twice = told(&house, &[offline(ticket(0), "nonce-0006", 5_000)]).await;
    assert_eq!(twice, [("conflict".to_owned(), json!("already_used"))]);
    // A door knows of it from then on.
    let verdict = house.scan(scan_body(ticket(0), "nonce-0010")).await.expect(200);
    assert_eq!(verdict["first_scan"], json!({"at": NOW, "gate": "Handheld 7"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_names_who_was_admitted_twice_and_where() {
    let house = House::open().await;
    let order = house.buy(1).await;
    let credential = &order["tickets"][0]["credential"];
    house.clock.advance_ms(30_000);
    let live = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    assert_eq!(conflicts(&house).await, Vec::<Value>::new());
    house.clock.advance_ms(60_000);
    // The handheld's clock is ten seconds behind.
    let mut scan = offline(credential, "nonce-0002", 0);
    scan["offset_ms"] = json!(10_000);
    let reply = upload(&house, &[scan]).await.expect(200);
    let report = conflicts(&house).await;
    assert_eq!(report, [reply["results"][0]["with"].clone()]);
    let [conflict] = report.as_slice() else { panic!("{report:?}") };
    assert_eq!(
        (&conflict["ticket"], &conflict["zone"], &conflict["reason"], &conflict["seconds_apart"]),
        (&order["tickets"][0]["id"], &json!("main"), &json!("already_used"), &json!(20))
    );
    let at = |ms: i64| json!(Millis(NOW.0 + ms));
    assert_eq!(
        (&conflict["scans"][0]["gate"], &conflict["scans"][0]["at"]),
        (&json!("Handheld 7"), &at(10_000))
    );
    assert_eq!(
        conflict["scans"][1],
        json!({"scan": live["scan"], "gate": "North 3", "at": at(30_000)})
    );

    // Staff of the organization see it, others do not.
    house.office.employ("sess_of-the-box-office", ORGANIZATION);
    house.office.employ("sess_of-another-house", Uuid::from_u128(0x0b));
    let path = format!("/api/v1/events/{EVENT}/check-in/conflicts");
    let staff = |token: &str| format!("Bearer {token}");
    let seen = house.get(&path, &[("authorization", &staff("sess_of-the-box-office"))]).await;
    assert_eq!(seen.expect(200)["conflicts"][0]["seconds_apart"], 20);
    let unseen = house.get(&path, &[("authorization", &staff("sess_of-another-house"))]).await;
    unseen.problem(404, "unknown_event");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_names_what_is_wrong_with_it_and_records_nothing() {
    let house = House::open().await;
    let order = house.buy(1).await;
    let entries = house.journal(EVENT).await.len();
    let good = || offline(&order["tickets"][0]["credential"], "nonce-0001", 0);
    let with = |name: &str, value: Value| {
        let mut scan = good();
        scan[name] = value;
        scan
    };
    let without = |name: &str| {
        let mut scan = good();
        scan.as_object_mut().expect("an object").remove(name);
        scan
    };
    let cases = [
        (without("credential"), "credential", "required"),
        (without("at"), "at", "required"),
        (with("at", json!("yesterday")), "at", "format"),
        (without("decided"), "decided", "required"),
        (with("decided", json!("maybe")), "decided", "format"),
        (with("mode", json!("local")), "mode", "format"),
        (with("offset_ms", json!(86_400_001)), "offset_ms", "range"),
        (with("nonce", json!("short")), "nonce", "format"),
        (without("bundle"), "bundle", "required"),
        (with("ticket", json!("1042-1")), "ticket", "unknown"),
    ];
    for (scan, field, code) in cases {
        let problem = upload(&house, &[good(), scan]).await.problem(400, "invalid_body");
        let error = &problem["errors"][0];
        assert_eq!(
            (&error["field"], &error["code"]),
            (&json!(format!("scans[1].{field}")), &json!(code)),
            "{problem}"
        );
    }
    upload(&house, &[]).await.problem(400, "invalid_body");
    let many = vec![json!({}); UPLOAD_SCANS_MAX + 1];
    upload(&house, &many).await.problem(400, "invalid_body");
    house.publish_device(DEVICE, DEVICE_TOKEN, |d| d["lanes"] = json!(["Handheld 7"])).await;
    let foreign = with("gate", json!("North 3"));
    let problem = upload(&house, &[good(), foreign]).await.problem(403, "lane_not_assigned");
    assert_eq!(problem["errors"][0]["field"], "scans[1].gate");
    assert_eq!(house.journal(EVENT).await.len(), entries, "nothing half done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_upload_is_recorded_whole() {
    const TICKETS: usize = 100;
    let house = House::with(Role::All, Limits::default(), |config| {
        config["zones"][0]["policy"] = json!({"kind": "free_flow"});
    })
    .await;
    let order = house.buy(u32::try_from(TICKETS).expect("few")).await;
    let scans: Vec<Value> = (0..UPLOAD_SCANS_MAX)
        .map(|n| {
            let credential = &order["tickets"][n % TICKETS]["credential"];
            offline(credential, &format!("nonce-{n:06}"), i64::try_from(n).expect("few"))
        })
        .collect();
    house.clock.advance_ms(60_000);
    let told = told(&house, &scans).await;
    assert!(told.iter().all(|(status, _)| status == "recorded"));
    let view = house.view(EVENT, |view| view.admitted == 1_000).await;
    assert_eq!(view.zones[0].inside, 100);
}

/// A handheld knows no secret: by its lane it admits a rotating ticket by the signature alone, and says
/// so.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_code_that_nobody_checked_is_recorded_as_such() {
    let house = House::with(Role::All, Limits::default(), |config| {
        config["ticket_types"][0]["rotating"] = json!(true);
    })
    .await;
    let order = house.buy(1).await;
    let mut scan = offline(&order["tickets"][0]["credential"], "nonce-0001", 0);
    scan["mode"] = json!("code_unchecked");
    assert_eq!(told(&house, &[scan]).await, [("recorded".to_owned(), json!(null))]);
    let entry = house.journal(EVENT).await.pop().expect("entries");
    assert_eq!(
        (&entry["kind"], &entry["data"]["mode"]),
        (&json!("scan.recorded"), &json!("code_unchecked"))
    );
}
