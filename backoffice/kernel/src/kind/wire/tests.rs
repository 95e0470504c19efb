//! Against what others make of the same bytes: the drivers' own types and their texts.

use bytes::BytesMut;
use jiff::Timestamp;
use jiff::civil::Date;
use proptest::prelude::*;
use rust_decimal::Decimal;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::*;

fn wire(value: &(dyn ToSql + Sync), ty: &Type) -> Vec<u8> {
    let mut out = BytesMut::new();
    value.to_sql_checked(ty, &mut out).unwrap();
    out.to_vec()
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn number(value: Decimal, digits: Digits) -> String {
    text(|out| numeric(&wire(&value, &Type::NUMERIC), digits, out).unwrap())
}

#[test]
fn types_are_those_of_the_driver() {
    let all = [
        (BOOL, Type::BOOL),
        (INT8, Type::INT8),
        (DATE, Type::DATE),
        (TIMESTAMPTZ, Type::TIMESTAMPTZ),
        (NUMERIC, Type::NUMERIC),
        (UUID, Type::UUID),
        (JSONB, Type::JSONB),
    ];
    for (oid, ty) in all {
        assert_eq!(oid, ty.oid());
    }
}

#[test]
fn edges_are_written_and_what_is_broken_is_refused() {
    let integers = [0, 1, -1, 9, 10, i64::MAX, i64::MIN];
    for value in integers {
        assert_eq!(text(|out| integer(&value.to_be_bytes(), out).unwrap()), value.to_string());
    }
    for value in [
        "0",
        "1",
        "-1",
        "10000",
        "9999.9999",
        "0.0001",
        "-0.00000001",
        "100000000.00000000",
        "79228162514264337593543950335",
        "0.0000000000000000000000000001",
    ] {
        let value: Decimal = value.parse().unwrap();
        assert_eq!(number(value, Digits::Stored), value.to_string());
        assert_eq!(number(value, Digits::AtLeast(0)), value.normalize().to_string());
    }
    assert_eq!(number(Decimal::new(425, 1), Digits::AtLeast(2)), "42.50");
    assert_eq!(number(Decimal::new(425_001, 4), Digits::AtLeast(2)), "42.5001");
    // A nought of four digits, as the server sends it; the driver's own loses them.
    let nought = [0, 0, 0, 0, 0, 0, 0, 4];
    assert_eq!(text(|out| numeric(&nought, Digits::Stored, out).unwrap()), "0.0000");
    assert_eq!(text(|out| numeric(&nought, Digits::AtLeast(2), out).unwrap()), "0.00");
    // NaN and the infinities (`numeric.c`).
    for sign in [0xC0, 0xD0, 0xF0] {
        assert!(numeric(&[0, 0, 0, 0, sign, 0, 0, 0], Digits::Stored, &mut Vec::new()).is_err());
    }
    assert!(numeric(&[0, 1, 0, 0, 0, 0, 0, 0], Digits::Stored, &mut Vec::new()).is_err());
    assert!(json(&[2, b'1']).is_err() && json(&[]).is_err());
    assert!(boolean(&[2], &mut Vec::new()).is_err() && uuid(&[0; 15], &mut Vec::new()).is_err());
    // The server's infinities, and years that need more than four digits.
    let mut out = Vec::new();
    for days in [i32::MAX, i32::MIN] {
        assert!(date(&days.to_be_bytes(), &mut out).unwrap().is_none());
    }
    for micros in [i64::MAX, i64::MIN] {
        assert!(instant(&micros.to_be_bytes(), &mut out).unwrap().is_none());
    }
    assert!(out.is_empty());
}

proptest! {
    #[test]
    fn numbers_are_as_the_decimal_type_writes_them(
        mantissa in -79_228_162_514_264_337_593_543_950_335_i128..79_228_162_514_264_337_593_543_950_335,
        shift in 0..29_u32, scale in 0..28_u32, least in 0..6_u32,
    ) {
        let value = Decimal::from_i128_with_scale(mantissa / 10_i128.pow(shift), scale);
        prop_assume!(!value.is_zero());
        prop_assert_eq!(number(value, Digits::Stored), value.to_string());
        prop_assert_eq!(number(value, Digits::AtLeast(0)), value.normalize().to_string());
        let mut shown = value.normalize();
        if shown.scale() < least {
            shown.rescale(least);
        }
        // A number of 28 digits has no room for more zeros in the decimal type.
        if shown.scale() >= least {
            let least = usize::try_from(least).unwrap();
            prop_assert_eq!(number(value, Digits::AtLeast(least)), shown.to_string());
        }
    }

    #[test]
    fn days_and_instants_are_as_the_calendar_writes_them(
        days in -719_162..2_932_896_i64, micros in -62_135_596_800_000_000..253_402_207_200_000_000_i64,
        cut in prop::sample::select(vec![1_i64, 1_000, 1_000_000]),
    ) {
        let day = Date::constant(1970, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
        let shown = text(|out| date(&wire(&day, &Type::DATE), out).unwrap().unwrap());
        prop_assert_eq!(shown, format!("\"{day}\""));
        let at = Timestamp::from_microsecond(micros / cut * cut).unwrap();
        let shown = text(|out| instant(&wire(&at, &Type::TIMESTAMPTZ), out).unwrap().unwrap());
        prop_assert_eq!(shown, format!("\"{at}\""));
    }

    #[test]
    fn ids_and_integers_are_as_their_types_write_them(id in any::<u128>(), value in any::<i64>()) {
        let id = Uuid::from_u128(id);
        let shown = text(|out| uuid(&wire(&id, &Type::UUID), out).unwrap());
        prop_assert_eq!(shown, format!("\"{id}\""));
        let shown = text(|out| integer(&wire(&value, &Type::INT8), out).unwrap());
        prop_assert_eq!(shown, value.to_string());
    }
}
