//! Look-up by event and key id, and the order of the checks.

use super::*;
use crate::{Minutes, SigningKey};

/// Two private keys whose public keys have the same id, found by search.
const TWINS: [u32; 2] = [3972, 8129];

fn signing(event: u32, number: u32) -> SigningKey {
    let mut seed = [0; 32];
    seed[28..].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_seed(event, &seed)
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::new(key.event(), &key.public(), 1000).unwrap()
}

fn claims(key: &SigningKey) -> Claims {
    Claims {
        kid: key.kid(),
        event: key.event(),
        ticket: 7,
        ticket_type: 1,
        from: Minutes(0),
        until: Minutes(0),
        zones: 0,
        revision: 0,
        rotating: false,
    }
}

fn forged(credential: &Credential) -> Credential {
    let mut bytes = credential.to_bytes();
    bytes[94] ^= 1;
    Credential::from_bytes(&bytes).unwrap()
}

#[test]
fn two_keys_of_one_event_with_the_same_id_make_no_ring() {
    let [a, b] = TWINS.map(|number| signing(1, number));
    assert_eq!(a.kid(), b.kid());
    assert_ne!(a.public(), b.public());
    let refused = KeyRing::new([public(&a), public(&b)]).map(|ring| ring.len());
    assert_eq!(refused, Err(RingError::DuplicateKid { event: 1, kid: a.kid() }));
    let twice = KeyRing::new([public(&a), public(&a)]).map(|ring| ring.len());
    assert_eq!(twice, Err(RingError::DuplicateKid { event: 1, kid: a.kid() }));
}

#[test]
fn the_same_id_in_two_events_is_two_keys() {
    let [a, b] = [signing(1, TWINS[0]), signing(2, TWINS[1])];
    let ring = KeyRing::new([public(&a), public(&b)]).unwrap();
    for key in [&a, &b] {
        let credential = key.sign(&claims(key)).unwrap();
        let verified = ring.verify(&credential, 1000).unwrap();
        assert_eq!(verified.claims(), &claims(key));
    }
    // The other event's key cannot speak for this one, although the id fits.
    let mut bytes = a.sign(&claims(&a)).unwrap().to_bytes();
    bytes[7] = 2;
    let moved = Credential::from_bytes(&bytes).unwrap();
    assert_eq!(ring.verify(&moved, 1000), Err(Refused::Invalid));
}

#[test]
fn a_key_signs_for_its_own_event_only() {
    let ours = signing(1, 1);
    let foreign = signing(2, 2);
    let ring = KeyRing::new([public(&ours), public(&foreign)]).unwrap();
    // As if event 2's private key were used to make tickets of event 1.
    let usurper = signing(1, 2);
    let credential = usurper.sign(&claims(&usurper)).unwrap();
    assert_eq!(ring.verify(&credential, 1000), Err(Refused::UnknownKey));
    assert!(ring.get(1, usurper.kid()).is_none());
    assert_eq!(ring.get(2, usurper.kid()), Some(&public(&foreign)));
}

#[test]
fn an_empty_ring_believes_nobody() {
    let key = signing(1, 1);
    let ring = KeyRing::default();
    assert!(ring.is_empty());
    let credential = key.sign(&claims(&key)).unwrap();
    assert_eq!(ring.verify(&credential, 1000), Err(Refused::UnknownKey));
}

#[test]
fn a_forgery_learns_nothing_about_the_key() {
    let key = signing(1, 1);
    let genuine = key.sign(&claims(&key)).unwrap();
    let mut public = public(&key);
    public.revoked_at = Some(5000);
    public.not_after = Some(4000);
    let ring = KeyRing::new([public]).unwrap();
    for (now, expected) in [
        (999, Err(Refused::NotYet)),
        (1000, Ok(())),
        (4000, Err(Refused::Expired)),
        (5000, Err(Refused::Revoked)),
    ] {
        assert_eq!(ring.verify(&genuine, now).map(|_| ()), expected, "at {now}");
        assert_eq!(ring.verify(&forged(&genuine), now), Err(Refused::Invalid), "at {now}");
    }
}

#[test]
fn offline_an_announced_revocation_counts_at_once() {
    let key = signing(1, 1);
    let credential = key.sign(&claims(&key)).unwrap();
    let mut public = public(&key);
    let ring = KeyRing::new([public.clone()]).unwrap();
    assert!(ring.verify_offline(&credential, 2000).is_ok());
    public.revoked_at = Some(5000);
    let ring = KeyRing::new([public]).unwrap();
    assert!(ring.verify(&credential, 4999).is_ok());
    assert_eq!(ring.verify(&credential, 5000), Err(Refused::Revoked));
    assert_eq!(ring.verify_offline(&credential, 2000), Err(Refused::Revoked));
    assert_eq!(ring.verify_offline(&forged(&credential), 2000), Err(Refused::Invalid));
}

#[test]
fn a_genuine_credential_of_another_event_says_so_only_after_everything_else() {
    let key = signing(1, 1);
    let ring = KeyRing::new([public(&key)]).unwrap();
    let credential = key.sign(&claims(&key)).unwrap();
    let ask = |credential, events, now| ring.verify_for(credential, events, now).map(|_| ());
    assert_eq!(ask(&credential, &[3, 1], 1000), Ok(()));
    assert_eq!(ask(&credential, &[2], 1000), Err(Refused::WrongEvent));
    assert_eq!(ask(&credential, &[], 1000), Err(Refused::WrongEvent));
    assert_eq!(ask(&credential, &[2], 999), Err(Refused::NotYet));
    assert_eq!(ask(&forged(&credential), &[2], 1000), Err(Refused::Invalid));
}
