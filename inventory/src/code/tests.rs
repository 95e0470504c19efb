use std::collections::HashSet;

use super::*;

#[test]
fn codes_are_distinct_and_look_alike() {
    let event = Uuid::from_u128(7);
    let mut seen = HashSet::new();
    for number in 0..20_000 {
        let code = order_code(event, number);
        assert_eq!(code.len(), 6, "{code}");
        assert!(code.bytes().all(|b| ALPHABET.contains(&b)), "{code}");
        assert!(seen.insert(code));
    }
}

/// The network over few bits, exhausted: every value comes out exactly once.
#[test]
fn the_scramble_is_a_bijection() {
    let out: HashSet<u64> =
        (0..1 << 14).map(|number| feistel(Uuid::from_u128(7), number, 7)).collect();
    assert_eq!(out.len(), 1 << 14);
    assert!(out.iter().all(|value| *value < 1 << 14));
}

#[test]
fn lengths_grow_with_the_number() {
    let length = |number| order_code(Uuid::from_u128(7), number).len();
    assert_eq!(length((1 << 30) - 1), 6);
    assert_eq!(length(1 << 30), 8);
    assert_eq!(length((1 << 40) - 1), 8);
    assert_eq!(length(1 << 40), 10);
}

#[test]
fn another_event_another_code() {
    assert_ne!(order_code(Uuid::from_u128(7), 1), order_code(Uuid::from_u128(8), 1));
}

/// Printed codes must never change.
#[test]
fn codes_are_frozen() {
    let code = |number| order_code(Uuid::from_u128(7), number);
    assert_eq!([code(1), code(2), code(3)], ["SRT760", "4954AK", "2RNBBC"]);
}
