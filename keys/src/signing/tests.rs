//! What a key refuses to sign.

use super::*;
use crate::Minutes;

fn key() -> SigningKey {
    SigningKey::from_seed(1042, &[1; 32])
}

fn claims() -> Claims {
    Claims {
        kid: key().kid(),
        event: 1042,
        ticket: TICKET_NUMBER_MAX,
        ticket_type: 1,
        from: Minutes(9),
        // A window that is empty, no zones: not the codec's business.
        until: Minutes(3),
        zones: 0,
        revision: 0,
        rotating: false,
    }
}

#[test]
fn a_key_signs_what_is_its_own() {
    let credential = key().sign(&claims()).unwrap();
    assert_eq!(credential.unverified().0, claims());
}

#[test]
fn a_key_refuses_what_is_not() {
    #[track_caller]
    fn check(claims: &Claims, expected: SignError, words: &str) {
        assert_eq!(key().sign(claims), Err(expected));
        assert_eq!(expected.to_string(), words);
    }
    let foreign = Claims { event: 1043, ..claims() };
    let words = "event: the key signs for 1042, the claims are of 1043";
    check(&foreign, SignError::ForeignEvent { key: 1042, claims: 1043 }, words);

    let kid = Kid([0; 3]);
    let words = format!("kid: the key's is {}, the claims name 000000", key().kid());
    let foreign = Claims { kid, ..claims() };
    check(&foreign, SignError::ForeignKid { key: key().kid(), claims: kid }, &words);

    let number = TICKET_NUMBER_MAX + 1;
    let words = "ticket: 281474976710656 exceeds 281474976710655, the largest number of 48 bits";
    check(&Claims { ticket: number, ..claims() }, SignError::TicketNumber(number), words);
    check(
        &Claims { ticket: u64::MAX, ..claims() },
        SignError::TicketNumber(u64::MAX),
        "ticket: 18446744073709551615 exceeds 281474976710655, the largest number of 48 bits",
    );
}

#[test]
fn generated_keys_differ_and_know_their_event() {
    let [a, b] = [SigningKey::generate(7).unwrap(), SigningKey::generate(7).unwrap()];
    assert_ne!(a.public(), b.public());
    assert_eq!((a.event(), b.event()), (7, 7));
}
