//! Two-phase lanes and admissions that are taken back, as turnstiles meet them.

use gate::settings::{Limits, Role};
use inventory::decide::ANNUL_WITHIN_MS;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{DEVICE, DEVICE_TOKEN, EVENT, Got, House, NUMBER, scan_body};

/// The usual event with a turnstile at `North 3`, re-entry to `main`.
async fn house(lease_end: &str) -> House {
    let lease_end = lease_end.to_owned();
    House::with(Role::All, Limits::default(), move |config| {
        config["zones"][0]["policy"] = json!({"kind": "reentry"});
        config["lanes"] =
            json!([{"key": "North 3", "two_phase": true, "lease_s": 10, "lease_end": lease_end}]);
    })
    .await
}

async fn report(house: &House, scan: &Value, outcome: &str) -> Got {
    let scan = scan.as_str().expect("a scan's id");
    house.device_post(&format!("/api/v1/check-in/scans/{scan}/{outcome}"), None).await
}

async fn annul(house: &House, nonce: &str) -> Got {
    house.device_post("/api/v1/check-in/annul", Some(json!({"nonce": nonce}))).await
}

async fn entries(house: &House) -> usize {
    house.journal(EVENT).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turnstile_opens_and_reports() {
    let house = house("passed").await;
    let order = house.buy(2).await;
    let credential = &order["tickets"][0]["credential"];
    let reserved = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    assert_eq!((&reserved["verdict"], &reserved["settled"]), (&json!("reserve"), &json!(null)));
    assert_eq!(reserved["occupancy"]["inside"], 1);
    let passed = report(&house, &reserved["scan"], "passed").await.expect(200);
    assert_eq!(
        (&passed["verdict"], &passed["settled"], &passed["scan"]),
        (&json!("reserve"), &json!("passed"), &reserved["scan"])
    );
    let before = entries(&house).await;
    let again = report(&house, &reserved["scan"], "passed").await.expect(200);
    assert_eq!(again["settled"], "passed", "a repeated report is answered alike");
    report(&house, &reserved["scan"], "not-passed").await.problem(409, "already_settled");
    assert_eq!(entries(&house).await, before, "and written once");
    let replay = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    assert_eq!((&replay["replay"], &replay["settled"]), (&json!(true), &json!("passed")));

    let second = &order["tickets"][1]["credential"];
    let reserved = house.scan(scan_body(second, "nonce-0002")).await.expect(200);
    let turned = report(&house, &reserved["scan"], "not-passed").await.expect(200);
    assert_eq!(turned["settled"], "not_passed");
    assert_eq!(turned["occupancy"]["inside"], 1, "nobody went through");
    let fresh = house.scan(scan_body(second, "nonce-0003")).await.expect(200);
    assert_eq!(fresh["verdict"], "reserve", "the ticket is as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_nobody_reports_ends_as_the_lane_says() {
    for (lease_end, settled, inside) in [("passed", "passed", 1), ("not_passed", "not_passed", 0)] {
        let house = house(lease_end).await;
        let order = house.buy(1).await;
        let body = scan_body(&order["tickets"][0]["credential"], "nonce-0001");
        house.scan(body.clone()).await.expect(200);
        house.clock.advance_ms(9_999);
        assert_eq!(house.scan(body.clone()).await.expect(200)["settled"], json!(null));
        house.clock.advance_ms(1);
        let replay = house.scan(body).await.expect(200);
        assert_eq!((&replay["replay"], &replay["settled"]), (&json!(true), &json!(settled)));
        assert_eq!(replay["occupancy"]["inside"], inside);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_what_is_not_theirs_are_not_found() {
    let house = house("passed").await;
    let order = house.buy(1).await;
    let body = scan_body(&order["tickets"][0]["credential"], "nonce-0001");
    let reserved = house.scan(body).await.expect(200);
    for scan in [
        format!("{NUMBER}-9999"),
        "7-1".to_owned(),
        "nothing".to_owned(),
        format!("{NUMBER}-01"),
        format!("{NUMBER}-0"),
    ] {
        report(&house, &json!(scan), "passed").await.problem(404, "unknown_scan");
    }
    // Another device of the same house learns nothing of the reservation, and cannot end it.
    let path = format!("/api/v1/check-in/scans/{}/passed", reserved["scan"].as_str().expect("id"));
    house.publish_device(Uuid::from_u128(0xd2), "another-device-token", |_| ()).await;
    let other = house.post_as("another-device-token", &path, None).await;
    other.problem(404, "unknown_scan");
    let annul = json!({"nonce": "nonce-0001"});
    let other = house.post_as("another-device-token", "/api/v1/check-in/annul", Some(annul)).await;
    other.problem(404, "unknown_scan");
    // Neither does a device whose event it is no longer.
    house.publish_device(DEVICE, DEVICE_TOKEN, |d| d["events"] = json!([Uuid::nil()])).await;
    report(&house, &reserved["scan"], "passed").await.problem(404, "unknown_scan");
    house.publish_device(DEVICE, DEVICE_TOKEN, |_| ()).await;
    assert_eq!(report(&house, &reserved["scan"], "passed").await.expect(200)["settled"], "passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_takes_its_admission_back() {
    let house = House::open().await;
    let order = house.buy(1).await;
    let credential = &order["tickets"][0]["credential"];
    annul(&house, "nonce-0001").await.problem(404, "unknown_scan");
    let admitted = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    house.clock.advance_ms(ANNUL_WITHIN_MS);
    let back = annul(&house, "nonce-0001").await.expect(200);
    assert_eq!(
        (&back["scan"], &back["settled"], &back["occupancy"]["inside"]),
        (&admitted["scan"], &json!("annulled"), &json!(0))
    );
    let before = entries(&house).await;
    assert_eq!(annul(&house, "nonce-0001").await.expect(200)["settled"], "annulled");
    assert_eq!(entries(&house).await, before, "taken back once");
    let replay = house.scan(scan_body(credential, "nonce-0001")).await.expect(200);
    assert_eq!((&replay["replay"], &replay["settled"]), (&json!(true), &json!("annulled")));
    let again = house.scan(scan_body(credential, "nonce-0002")).await.expect(200);
    assert_eq!(again["verdict"], "admit", "the ticket may enter again");
    house.clock.advance_ms(ANNUL_WITHIN_MS + 1);
    annul(&house, "nonce-0002").await.problem(409, "not_annullable");
    house.scan(scan_body(credential, "nonce-0003")).await.expect(200);
    annul(&house, "nonce-0003").await.problem(409, "not_annullable");
}

#[tokio::test(flavor = "multi_thread")]
async fn annulments_name_what_is_wrong_with_them() {
    let house = House::open().await;
    for (body, field, code) in [
        (json!({}), "nonce", "required"),
        (json!({"nonce": "short"}), "nonce", "format"),
        (json!({"nonce": 7}), "nonce", "type"),
        (json!({"nonce": "nonce-0001", "event": EVENT}), "event", "unknown"),
    ] {
        let got = house.device_post("/api/v1/check-in/annul", Some(body)).await;
        let problem = got.problem(400, "invalid_body");
        let error = &problem["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!(field), &json!(code)));
    }
}
