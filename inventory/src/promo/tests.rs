use super::*;

#[test]
fn case_and_white_space_at_the_ends_make_no_difference() {
    let event = Uuid::from_u128(1);
    let code = digest(event, "Straße-10");
    for same in [" straße-10", "STRAßE-10\t", "Straße-10"] {
        assert_eq!(digest(event, same), code, "{same}");
    }
    assert_ne!(digest(event, "Straße 10"), code);
    assert_ne!(digest(Uuid::from_u128(2), "Straße-10"), code);
}

/// Frozen: the back office makes the same digests.
#[test]
fn digests_stay_as_they_are() {
    assert_eq!(digest(Uuid::nil(), "EARLY").to_string(), DIGEST_OF_EARLY);
}

/// Made by Python: `sha256(b"ATLVS-PROMO-v1\0" + bytes(16) + b"early").hexdigest()[:32]`.
const DIGEST_OF_EARLY: &str = "b8c8fc4b4556e564bdd9572c294a5bcb";
