use inventory::time::Millis;
use serde_json::json;
use uuid::Uuid;

use super::{Device, Devices};
use crate::secret;

const ID: Uuid = Uuid::from_u128(1);

fn device(token: &str, change: impl FnOnce(&mut Device)) -> Device {
    let mut device: Device = serde_json::from_value(json!({
        "organization": Uuid::from_u128(2),
        "name": "North 3",
        "token_hash": data_encoding::HEXLOWER.encode(&secret::hash(token.as_bytes())),
        "expires_at": null, "revoked": false, "may_force": false,
        "events": null, "lanes": null, "zones": null, "directions": ["entry"],
    }))
    .expect("a device");
    device.id = ID;
    change(&mut device);
    device
}

#[track_caller]
fn check(change: impl FnOnce(&mut Device), now: i64, expect: bool) {
    let devices = Devices::default();
    devices.put(device("good token", change));
    assert_eq!(devices.authenticate("good token", Millis(now)).is_some(), expect);
    assert!(devices.authenticate("another token", Millis(now)).is_none());
    assert!(devices.authenticate("", Millis(now)).is_none());
    assert!(devices.authenticate(&"x".repeat(10_000), Millis(now)).is_none());
}

#[test]
fn only_a_live_token_is_a_device() {
    check(|_| (), 0, true);
    check(|d| d.revoked = true, 0, false);
    check(|d| d.expires_at = Some(Millis(1_000)), 999, true);
    check(|d| d.expires_at = Some(Millis(1_000)), 1_000, false);
}

#[test]
fn a_new_token_ends_the_old_one() {
    let devices = Devices::default();
    devices.put(device("first", |_| ()));
    devices.put(device("second", |_| ()));
    assert!(devices.authenticate("first", Millis(0)).is_none());
    assert!(devices.authenticate("second", Millis(0)).is_some());
    devices.remove(ID);
    assert!(devices.authenticate("second", Millis(0)).is_none());
}

#[test]
fn assignments_restrict_and_absent_ones_do_not() {
    let free = device("t", |_| ());
    assert!(free.has_lane("any") && free.has_zone("any"));
    assert!(free.may_serve(Uuid::from_u128(9), Uuid::from_u128(2)));
    assert!(!free.may_serve(Uuid::from_u128(9), Uuid::from_u128(3)));
    let bound = device("t", |d| {
        d.lanes = Some(vec!["North 3".to_owned()]);
        d.zones = Some(vec!["main".to_owned()]);
        d.events = Some(vec![Uuid::from_u128(7)]);
    });
    assert!(bound.has_lane("North 3") && !bound.has_lane("North 4"));
    assert!(bound.has_zone("main") && !bound.has_zone("backstage"));
    assert!(bound.may_serve(Uuid::from_u128(7), Uuid::from_u128(2)));
    assert!(!bound.may_serve(Uuid::from_u128(9), Uuid::from_u128(2)));
}
