//! What is signed comes back, whatever it says and however it is presented.

use keys::rotating::{EventSecret, LiveCode, code, verify};
use keys::{Claims, Credential, Minutes, Presented, Refused, TICKET_NUMBER_MAX, parse, sealed};
use proptest::prelude::*;

use super::{NOW, ring, signing};

prop_compose! {
    fn any_claims()(
        event in any::<u32>(), ticket in 0..=TICKET_NUMBER_MAX, ticket_type in any::<u16>(),
        from in any::<u32>(), until in any::<u32>(), zones in any::<u32>(),
        revision in any::<u16>(), rotating in any::<bool>(), seed in any::<u8>(),
    ) -> (keys::SigningKey, Claims) {
        let key = signing(event, seed);
        let claims = Claims {
            kid: key.kid(), event, ticket, ticket_type, from: Minutes(from),
            until: Minutes(until), zones, revision, rotating,
        };
        (key, claims)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn signed_claims_come_back(
        (key, claims) in any_claims(),
        digits in "[0-9]{8}",
        decoration in prop::sample::select(vec!["", " ", "]Q1", "\\000026", "]Q1\\000026", "h://x/"]),
        lower in any::<bool>(),
    ) {
        let credential = key.sign(&claims).unwrap();
        prop_assert_eq!(credential.unverified().0, claims);
        prop_assert_eq!(Credential::from_bytes(&credential.to_bytes()), Ok(credential));
        let live_code = LiveCode::from_ascii(digits.as_bytes());
        let text = format!("{decoration}{}", credential.text_with(&live_code.unwrap()));
        let text = if lower { text.to_lowercase() } else { text };
        let presented = parse(&text).unwrap();
        prop_assert_eq!(presented, Presented { credential, live_code });
        let verified = ring(&[&key]).verify(&presented.credential, NOW).unwrap();
        prop_assert_eq!(verified.claims(), &claims);
    }

    #[test]
    fn another_key_of_the_event_is_not_believed((key, claims) in any_claims()) {
        let other = keys::SigningKey::from_seed(claims.event, &[0xee; 31].iter().chain(&[1]).copied()
            .collect::<Vec<u8>>().try_into().unwrap());
        let credential = key.sign(&claims).unwrap();
        let judged = ring(&[&other]).verify(&credential, NOW).map(|_| ());
        prop_assert_eq!(judged, Err(Refused::UnknownKey));
        // Even if it pretends to be that key.
        let mut bytes = credential.to_bytes();
        bytes[1..4].copy_from_slice(&other.kid().0);
        let pretended = Credential::from_bytes(&bytes).unwrap();
        let judged = ring(&[&other]).verify(&pretended, NOW).map(|_| ());
        prop_assert_eq!(judged, Err(Refused::Invalid));
    }

    #[test]
    fn a_code_is_accepted_within_two_steps_and_not_beyond(
        secret in any::<[u8; 32]>(), event in any::<u32>(), ticket in 0..=TICKET_NUMBER_MAX,
        revision in any::<u16>(), now in 0..4_000_000_000_i64, steps in -6..=6_i64,
    ) {
        let secret = EventSecret::from_bytes(secret);
        let shown_at = now + steps * 15;
        prop_assume!(shown_at >= 0);
        let shown = code(&secret, event, ticket, revision, shown_at);
        let near = (-2..=2).any(|k| code(&secret, event, ticket, revision, now + k * 15) == shown);
        prop_assert_eq!(verify(&secret, event, ticket, revision, now, &shown), near);
        prop_assert!(near || steps.abs() > 2);
    }

    #[test]
    fn sealed_values_open_to_what_they_were(
        key in any::<[u8; 32]>(), aad in prop::collection::vec(any::<u8>(), 0..40),
        plaintext in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let value = sealed::seal(&key, &aad, &plaintext).unwrap();
        let opened = sealed::open(&key, &aad, &value).unwrap();
        prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
        let more = [aad.as_slice(), &[0]].concat();
        prop_assert!(sealed::open(&key, &more, &value).is_err());
    }
}
