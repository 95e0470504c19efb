//! The layout of the claims, key ids, minutes.

use super::*;

fn sample() -> Claims {
    Claims {
        kid: Kid([0x01, 0x02, 0x03]),
        event: 0x0405_0607,
        ticket: 0x0809_0a0b_0c0d,
        ticket_type: 0x0e0f,
        from: Minutes(0x1011_1213),
        until: Minutes(0x1415_1617),
        zones: 0x1819_1a1b,
        revision: 0x1c1d,
        rotating: true,
    }
}

#[test]
fn every_field_lies_where_the_specification_says() {
    let bytes = sample().to_bytes();
    assert_eq!(bytes[0], 1, "version");
    for (offset, byte) in bytes.iter().enumerate().take(30).skip(1) {
        assert_eq!(usize::from(*byte), offset);
    }
    assert_eq!(bytes[30], 1, "flags");
    assert_eq!(Claims::from_bytes(bytes), Ok(sample()));
}

#[test]
fn every_other_version_and_reserved_flag_is_refused() {
    let bytes = sample().to_bytes();
    for value in 0..=u8::MAX {
        let mut changed = bytes;
        changed[0] = value;
        let expected = if value == 1 { Ok(sample()) } else { Err(Malformed::Version(value)) };
        assert_eq!(Claims::from_bytes(changed), expected);

        let mut changed = bytes;
        changed[30] = value;
        let read = Claims::from_bytes(changed);
        match value {
            0 | 1 => assert_eq!(read.map(|claims| claims.rotating), Ok(value == 1)),
            _ => assert_eq!(read, Err(Malformed::ReservedFlags(value))),
        }
    }
}

#[test]
fn a_kid_is_six_hexadecimal_digits() {
    #[track_caller]
    fn check(text: &str, expected: Result<Kid, KidError>) {
        assert_eq!(text.parse::<Kid>(), expected, "{text:?}");
        assert_eq!(serde_json::from_value::<Kid>(text.into()).ok(), expected.ok());
    }
    check("00aF9c", Ok(Kid([0, 0xaf, 0x9c])));
    assert_eq!(Kid([0, 0xaf, 0x9c]).to_string(), "00af9c");
    for bad in ["", "00af9", "00af9c0", "00af9g", "0x00af", "ééé", " 0af9c"] {
        check(bad, Err(KidError));
    }
}

#[test]
fn a_window_never_shrinks_by_rounding() {
    #[track_caller]
    fn check(unix_s: i64, floor: Option<u32>, ceil: Option<u32>) {
        assert_eq!(Minutes::floor(unix_s).map(|m| m.0), floor, "floor of {unix_s}");
        assert_eq!(Minutes::ceil(unix_s).map(|m| m.0), ceil, "ceil of {unix_s}");
    }
    let epoch = Minutes::EPOCH_UNIX_S;
    check(epoch - 1, None, None);
    // Zero means unbounded, so the first minute of 2020 has no start of a window.
    check(epoch, None, None);
    check(epoch + 1, None, Some(1));
    check(epoch + 59, None, Some(1));
    check(epoch + 60, Some(1), Some(1));
    check(epoch + 61, Some(1), Some(2));
    let last = epoch + 60 * i64::from(u32::MAX);
    check(last, Some(u32::MAX), Some(u32::MAX));
    check(last + 1, Some(u32::MAX), None);
    check(last + 60, None, None);
    check(i64::MAX, None, None);
    check(i64::MIN, None, None);
}

#[test]
fn minutes_are_moments_unless_unbounded() {
    assert_eq!(Minutes::UNBOUNDED.unix_s(), None);
    assert_eq!(Minutes(1).unix_s(), Some(1_577_836_860));
    assert_eq!(Minutes(u32::MAX).unix_s(), Some(1_577_836_800 + 60 * 4_294_967_295));
}
