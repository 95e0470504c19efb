//! Public keys: which are accepted, their JSON, their life.

use data_encoding::HEXLOWER;

use super::*;
use crate::SigningKey;

/// The points of small order in their canonical encodings.
const SMALL_ORDER: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];

#[track_caller]
fn check_refused(public: &str, expected: KeyError) {
    let public: [u8; 32] = HEXLOWER.decode(public.as_bytes()).unwrap().try_into().unwrap();
    assert_eq!(PublicKey::new(1, &public, 0), Err(expected));
}

#[test]
fn points_of_small_order_are_no_keys() {
    for public in SMALL_ORDER {
        check_refused(public, KeyError::Weak);
    }
}

#[test]
fn a_second_encoding_of_a_point_is_no_key() {
    // y = p + 3 and p + 4 with either sign; y = 3 and y = 4 are on the curve.
    for low in ["f0", "f1"] {
        for high in ["7f", "ff"] {
            check_refused(&format!("{low}{}{high}", "ff".repeat(30)), KeyError::Point);
        }
    }
    // y = p stands for 0, which is of small order in its canonical encoding.
    check_refused(&format!("ed{}7f", "ff".repeat(30)), KeyError::Point);
    // The largest canonical y, p − 1, is a point: of small order, hence refused for that.
    check_refused(SMALL_ORDER[1], KeyError::Weak);
}

#[test]
fn bytes_off_the_curve_are_no_key() {
    check_refused(&format!("02{}", "00".repeat(31)), KeyError::Point);
}

fn sample() -> PublicKey {
    let public = SigningKey::from_seed(1042, &[7; 32]).public();
    let mut key = PublicKey::new(1042, &public, 1000).unwrap();
    key.not_after = Some(2000);
    key
}

#[test]
fn json_comes_back() {
    let mut key = sample();
    key.revoked_at = Some(1500);
    let json = serde_json::to_value(&key).unwrap();
    assert_eq!(json["kid"], key.kid().to_string());
    assert_eq!(json["public"], BASE64.encode(&key.to_bytes()));
    assert_eq!(serde_json::from_value::<PublicKey>(json).unwrap(), key);
}

#[test]
fn json_that_is_not_a_key_is_refused_with_the_member_and_the_reason() {
    #[track_caller]
    fn check(member: &str, value: serde_json::Value, expected: &str) {
        let mut json = serde_json::to_value(sample()).unwrap();
        json[member] = value;
        let error = serde_json::from_value::<PublicKey>(json).unwrap_err().to_string();
        assert!(error.contains(expected), "{member}: {error}");
    }
    let kid = sample().kid();
    let stated = format!("kid: 000000 is stated, the key's is {kid}");
    check("kid", "000000".into(), &stated);
    check("kid", "56".into(), "a key id is six hexadecimal digits");
    check("public", "AAAA".into(), "public: not base64 of 32 bytes");
    check("public", "?".into(), "public: not base64 of 32 bytes");
    check("public", BASE64.encode(&[0; 32]).into(), "small order");
    check("event", (-1).into(), "invalid value: integer `-1`");
    check("private", "x".into(), "unknown field `private`");
}

#[test]
fn a_key_lives_from_its_start_to_its_end_or_its_revocation() {
    #[track_caller]
    fn check(key: &PublicKey, now: i64, expected: Result<(), Refused>) {
        assert_eq!(key.state(now), expected, "at {now}");
        assert_eq!(key.is_live(now), expected.is_ok());
    }
    let mut key = sample();
    check(&key, 999, Err(Refused::NotYet));
    check(&key, 1000, Ok(()));
    check(&key, 1999, Ok(()));
    check(&key, 2000, Err(Refused::Expired));
    key.not_after = None;
    check(&key, i64::MAX, Ok(()));
    key.revoked_at = Some(1500);
    check(&key, 1499, Ok(()));
    check(&key, 1500, Err(Refused::Revoked));
    // Revocation is told first, whatever else is wrong.
    key.revoked_at = Some(0);
    check(&key, 999, Err(Refused::Revoked));
}
