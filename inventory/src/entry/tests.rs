use super::*;

/// Computed with another language's SHA-256 from the layout in this module's head: every reader of
/// the journal depends on these bytes.
#[test]
fn the_chain_is_frozen() {
    let head = Head::genesis(Uuid::from_u128(9));
    assert_eq!(
        head.hash.to_string(),
        "658a05db80b3d43c1632103e5b3bd26e87380999516cf8a21f3d1c78e06ea03e"
    );
    let entry = Entry {
        seq: 1,
        prev_hash: head.hash,
        at: Millis(1_795_287_900_123),
        v: 1,
        kind: "ticket.blocked".to_owned(),
        data: RawValue::from_string(r#"{"ticket": 3, "note":"ä"}"#.to_owned()).unwrap(),
    };
    assert_eq!(
        entry.hash().to_string(),
        "ca50fdbf88d31902d911c9ad450ffc7e900f1392ab39d55bd038c3be7d48c675"
    );
    assert!(entry.follows(head));
    assert_eq!(entry.head(), Head { seq: 1, hash: entry.hash() });
}

#[test]
fn every_field_is_hashed_and_spaces_in_data_are_kept() {
    let text = r#"{"seq":1,"prev_hash":"658a05db80b3d43c1632103e5b3bd26e87380999516cf8a21f3d1c78e06ea03e",
        "at":"2026-11-21T19:05:00.123Z","v":1,"kind":"ticket.blocked","data":{"ticket": 3}}"#;
    let entry: Entry = serde_json::from_str(text).unwrap();
    let changes: [fn(&mut Entry); 6] = [
        |e| e.seq = 2,
        |e| e.prev_hash.0[31] ^= 1,
        |e| e.at.0 += 1,
        |e| e.v = 2,
        |e| e.kind.push('!'),
        |e| e.data = RawValue::from_string(r#"{"ticket":3}"#.to_owned()).unwrap(),
    ];
    for (field, change) in changes.iter().enumerate() {
        let mut changed = entry.clone();
        change(&mut changed);
        assert_ne!(changed.hash(), entry.hash(), "field {field}");
    }
    let read: Entry = serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap();
    assert_eq!(read.hash(), entry.hash());
}
