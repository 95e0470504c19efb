use super::*;

const OPENS: Millis = Millis(1_000_000);

fn keys(secret: u8, event: u128) -> RoomKeys {
    let config = RoomConfig { opens_at: OPENS, closes_at: None, per_minute: 60 };
    RoomKeys::derive(&EventSecret::from_bytes([secret; 32]), Uuid::from_u128(event), config)
        .expect("keys")
}

#[test]
fn a_token_is_read_where_it_was_written_and_nowhere_else() {
    let room = keys(1, 1);
    let entry = room.entry(Digest16([7; 16]), Millis(5));
    let text = room.write_entry(&entry);
    assert_eq!(text.len(), TOKEN_CHARS);
    assert_eq!(keys(1, 1).read_entry(&text), Some(entry), "another node");
    assert_eq!(keys(2, 1).read_entry(&text), None, "another secret");
    assert_eq!(keys(1, 2).read_entry(&text), None, "another event");
    assert_eq!(room.read_pass(&text), None, "another kind");
    let pass = Pass { id: entry.id, until: Millis(9) };
    assert_eq!(room.read_pass(&room.write_pass(&pass)), Some(pass));
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert_eq!(room.read_entry(&changed), None, "changed at {at}");
    }
    for wrong in ["", "A", &text[1..], &format!("{text}A")] {
        assert_eq!(room.read_entry(wrong), None, "{wrong}");
    }
}

#[test]
fn one_buyer_has_one_lot_and_latecomers_stand_behind() {
    let room = keys(1, 1);
    let early = |n: u8, at: i64| room.entry(Digest16([n; 16]), Millis(at));
    // However often one joins before the opening.
    assert_eq!(room.rank(&early(1, 5)), room.rank(&early(1, 999_999)));
    assert_ne!(room.rank(&early(1, 5)), room.rank(&early(2, 5)));
    let late = early(1, 1_000_000);
    assert_eq!(early(1, 5).id, late.id);
    assert_eq!(room.rank(&late), Rank::by_time(OPENS));
    for n in 0..=255 {
        assert!(room.rank(&early(n, 5)) < room.rank(&late));
    }
    // The lot is the one that anybody can draw again from the seed.
    let drawn = mac(room.seed(), &[&late.id.0]);
    let first = u64::from_be_bytes(*drawn.first_chunk::<8>().expect("eight bytes"));
    assert_eq!(room.rank(&early(1, 5)), Rank::by_lot(first));
    let hash: [u8; 32] = Sha256::digest(room.seed()).into();
    assert_eq!(room.seed_hash(), hash);
}
