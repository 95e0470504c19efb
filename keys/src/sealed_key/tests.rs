//! Keys at rest: their JSON, opening, retiring, and which of them signs.

use super::*;

fn master() -> MasterKey {
    MasterKey::from_bytes([1; 32])
}

fn sealed(seed: u8, not_before: i64) -> SealedKey {
    SealedKey::seal(&SigningKey::from_seed(1042, &[seed; 32]), &master(), not_before).unwrap()
}

#[test]
fn a_sealed_key_survives_json_and_opens() {
    let key = sealed(1, 1000);
    let json = serde_json::to_string(&key).unwrap();
    let read: SealedKey = serde_json::from_str(&json).unwrap();
    assert_eq!(read, key);
    let opened = read.open(&master()).unwrap();
    assert_eq!(opened.public(), key.public.to_bytes());
    assert_eq!(opened.event(), 1042);
}

#[test]
fn another_master_key_is_a_clear_error() {
    let key = sealed(1, 0);
    let error = key.open(&MasterKey::from_bytes([2; 32])).unwrap_err();
    let expected = format!(
        "key {} of event 1042: cannot be opened: another key, other associated data, or changed bytes",
        key.public.kid()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_private_half_cannot_be_moved_to_another_event_or_key() {
    let json = serde_json::to_value(sealed(1, 0)).unwrap();
    let mut moved = json.clone();
    moved["event"] = 1043.into();
    let moved: SealedKey = serde_json::from_value(moved).unwrap();
    assert!(matches!(moved.open(&master()), Err(UnlockError::Open { event: 1043, .. })));

    let other = serde_json::to_value(sealed(2, 0)).unwrap();
    let mut mixed = json;
    mixed["sealed_private"] = other["sealed_private"].clone();
    let mixed: SealedKey = serde_json::from_value(mixed).unwrap();
    assert!(matches!(mixed.open(&master()), Err(UnlockError::Open { .. })));
}

#[test]
fn a_private_half_that_was_sealed_for_another_public_half_is_found_out() {
    let key = sealed(1, 0);
    let wrong = master().seal(&aad(&key.public), &[2; 32]).unwrap();
    let mixed = SealedKey { sealed_private: wrong, ..key.clone() };
    let kid = key.public.kid();
    assert_eq!(mixed.open(&master()).unwrap_err(), UnlockError::OtherKey { event: 1042, kid });
}

#[test]
fn json_without_a_whole_private_half_is_refused() {
    for bad in ["", "AAAA", "?"] {
        let mut json = serde_json::to_value(sealed(1, 0)).unwrap();
        json["sealed_private"] = bad.into();
        let error = serde_json::from_value::<SealedKey>(json).unwrap_err().to_string();
        assert!(error.contains("sealed_private: not base64"), "{error}");
    }
}

#[test]
fn debug_shows_no_private_half() {
    let key = SigningKey::from_seed(1042, &[0xab; 32]);
    assert_eq!(format!("{key:?}"), format!("SigningKey(event 1042 kid {})", key.kid()));
}

#[test]
fn an_end_and_a_revocation_only_come_nearer() {
    let mut key = sealed(1, 0);
    key.retire(500);
    key.retire(900);
    assert_eq!(key.public.not_after, Some(500));
    key.retire(400);
    assert_eq!(key.public.not_after, Some(400));
    key.revoke(300);
    key.revoke(350);
    assert_eq!(key.public.revoked_at, Some(300));
    key.revoke(200);
    assert_eq!(key.public.revoked_at, Some(200));
}

#[test]
fn the_youngest_live_key_without_an_end_signs() {
    #[track_caller]
    fn check(keys: &[SealedKey], now: i64, expected: Option<&SealedKey>) {
        assert_eq!(current(keys, 1042, now), expected);
        assert_eq!(current(keys, 1043, now), None);
    }
    let mut keys = [sealed(1, 0), sealed(2, 100), sealed(3, 200)];
    check(&[], 0, None);
    check(&keys, -1, None);
    check(&keys, 0, Some(&keys[0]));
    check(&keys, 199, Some(&keys[1]));
    check(&keys, 200, Some(&keys[2]));
    // On its way out: the older one without an end signs.
    keys[2].retire(1000);
    check(&keys, 300, Some(&keys[1]));
    // A revocation that is announced ends signing at once.
    keys[1].revoke(2000);
    check(&keys, 300, Some(&keys[0]));
    keys[0].retire(900);
    check(&keys, 300, Some(&keys[2]));
    check(&keys, 1000, None);
}
