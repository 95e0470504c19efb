use uuid::Uuid;

use super::*;
use crate::cx::Actor;

fn hash(n: usize) -> Hash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&n.to_be_bytes());
    hash
}

fn proved(n: usize) -> Arc<Proved> {
    let caller = Caller::Token { actor: Actor::Public, organization: Uuid::nil() };
    Arc::new(Proved { caller, digest: n.to_string() })
}

fn digest(known: &Known, n: usize) -> Option<String> {
    known.find(&hash(n)).map(|proved| proved.digest.clone())
}

#[test]
fn the_last_ones_are_known_and_never_more_than_two_generations() {
    let known = Known::default();
    for n in 0..CALLERS_MAX * 5 {
        known.keep(hash(n), proved(n));
        assert!(known.len() <= CALLERS_MAX * 2);
        assert_eq!(digest(&known, n), Some(n.to_string()));
        // Whoever calls all the time stays known, whoever else comes.
        if 0 < n {
            assert_eq!(digest(&known, 0), Some("0".to_owned()), "after {n}");
        }
    }
    assert_eq!(digest(&known, 1), None, "one of long ago");
}

#[test]
fn what_was_proved_last_holds_and_what_is_forgotten_is_gone() {
    let known = Known::default();
    known.keep(hash(1), proved(1));
    // Into the old generation.
    for n in 2..CALLERS_MAX + 2 {
        known.keep(hash(n), proved(n));
    }
    known.keep(hash(1), proved(100));
    assert_eq!(digest(&known, 1), Some("100".to_owned()));
    known.forget(&hash(1));
    known.forget(&hash(2));
    assert_eq!((digest(&known, 1), digest(&known, 2)), (None, None));
    assert_eq!(digest(&known, 3), Some("3".to_owned()));
}
