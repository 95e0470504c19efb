use super::*;

fn ada() -> Personal {
    let person = Person { name: "Ada Lovelace".to_owned(), email: "ada@example.org".to_owned() };
    Personal { buyer: person.clone(), attendees: vec![person] }
}

#[test]
fn opens_for_the_same_order_only() {
    let (event, order) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let Sealed { bytes, key } = seal(&ada(), event, order).unwrap();
    assert_eq!(open(&bytes, &key, event, order).unwrap(), ada());
    assert!(open(&bytes, &key, order, event).is_err());
    assert!(open(&bytes, &key, event, Uuid::from_u128(3)).is_err());
    assert!(open(&bytes, &DataKey([0; 32]), event, order).is_err());
    assert!(open(&[], &key, event, order).is_err());
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        assert!(open(&changed, &key, event, order).is_err(), "byte {index}");
    }
}

#[test]
fn two_sealings_share_nothing() {
    let (event, order) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let (one, two) = (seal(&ada(), event, order).unwrap(), seal(&ada(), event, order).unwrap());
    assert_ne!(one.key.0, two.key.0);
    assert_ne!(one.bytes, two.bytes);
}

#[test]
fn debug_shows_nobody() {
    let shown = format!("{:?} {:?}", ada(), ada().buyer);
    assert!(!shown.contains("Ada") && !shown.contains("ada@"), "{shown}");
}

#[test]
fn answers_open_for_the_same_order_and_as_answers_only() {
    let (event, order) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let Sealed { bytes, key } = seal(&ada(), event, order).unwrap();
    let answers = BTreeMap::from([(Uuid::from_u128(9), "no nuts".to_owned())]);
    let sealed = seal_answers(&answers, &key, event, order).unwrap();
    assert_eq!(open_answers(&sealed, &key, event, order).unwrap(), answers);
    assert!(open_answers(&sealed, &key, order, event).is_err());
    assert!(open_answers(&bytes, &key, event, order).is_err(), "names are no answers");
    assert!(open(&sealed, &key, event, order).is_err(), "answers are no names");
}
