//! Bytes and text of a credential, and what it shows of itself.

use super::*;
use crate::{Kid, Minutes};

fn sample() -> Credential {
    let claims = Claims {
        kid: Kid([1, 2, 3]),
        event: 1042,
        ticket: 7,
        ticket_type: 1,
        from: Minutes(0),
        until: Minutes(0),
        zones: 1,
        revision: 2,
        rotating: false,
    };
    Credential::new(claims, [0xa5; SIGNATURE_BYTES])
}

#[test]
fn the_signed_message_is_the_domain_one_zero_byte_and_the_claims() {
    let credential = sample();
    let message = message(credential.claims());
    assert_eq!(message.len(), 47);
    assert_eq!(&message[..16], b"ATLVS-TICKET-v1\0");
    assert_eq!(&message[16..], &credential.to_bytes()[..31]);
}

#[test]
fn the_text_has_154_characters_of_the_qr_alphanumeric_alphabet() {
    let text = sample().text();
    assert_eq!(text.len(), 154);
    assert_eq!(text.len(), TEXT_CHARACTERS);
    assert!(text.starts_with("TK"));
    assert!(text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "{text}");
}

#[test]
fn bytes_come_back() {
    let credential = sample();
    assert_eq!(Credential::from_bytes(&credential.to_bytes()), Ok(credential));
    assert_eq!(credential.unverified(), Unverified(*credential.claims()));
}

#[test]
fn a_log_line_cannot_hold_a_usable_credential() {
    let shown = format!("{:?}", sample());
    assert_eq!(shown, "Credential(1042-7 revision 2)");
}
