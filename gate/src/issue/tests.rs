use keys::EventSecret;
use uuid::Uuid;

use super::{ORDER_SECRET_CHARS, event_of, fresh_id, order_secret};

#[test]
fn ids_name_their_event_and_nothing_else() {
    for number in [0, 1, 1042, u32::MAX] {
        let (one, two) = (fresh_id(number).expect("random"), fresh_id(number).expect("random"));
        assert_ne!(one, two);
        assert_eq!(event_of(one), Some(number));
    }
    assert_eq!(event_of(Uuid::new_v4()), None);
    assert_eq!(event_of(Uuid::nil()), None);
    assert_eq!(event_of(Uuid::max()), None);
}

/// Computed with an independent HKDF (Python's hmac and hashlib).
#[test]
fn order_secrets_are_those_of_the_specification() {
    let secret = EventSecret::from_bytes([7; 32]);
    let order = Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);
    let text = order_secret(&secret, order).expect("derived");
    assert_eq!(text, "TB6YMCFA2HI6L6ESDTDM3FRXSLN7S7AO");
    assert_eq!(text.len(), ORDER_SECRET_CHARS);
    assert_ne!(text, order_secret(&secret, Uuid::nil()).expect("derived"));
}
