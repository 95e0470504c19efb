use super::*;

#[track_caller]
fn check(units: i64, currency: &str, shown: &str) {
    assert_eq!(show(from_minor(units, currency), currency), shown);
}

#[test]
fn minor_units_become_amounts_by_the_currency() {
    check(4250, "EUR", "42.50");
    check(0, "EUR", "0.00");
    check(4250, "JPY", "4250");
    check(4250, "KWD", "4.250");
    check(-1, "EUR", "-0.01");
    assert_eq!(show(Decimal::new(425_000, 4), "EUR"), "42.50");
    assert_eq!(show(Decimal::new(425_001, 4), "EUR"), "42.5001");
}

#[test]
fn rounding_is_half_to_even_at_the_minor_unit() {
    assert_eq!(round(Decimal::new(2345, 3), "EUR"), Decimal::new(234, 2));
    assert_eq!(round(Decimal::new(2355, 3), "EUR"), Decimal::new(236, 2));
    assert_eq!(round(Decimal::new(15, 1), "JPY"), Decimal::from(2));
}

#[test]
fn what_the_column_cannot_hold_is_known() {
    assert!(fits(Decimal::new(1, 4)));
    assert!(!fits(Decimal::new(1, 5)));
    assert!(fits(Decimal::from(WHOLE_MAX)));
    assert!(!fits(Decimal::from(WHOLE_MAX) + Decimal::ONE));
}

#[test]
fn a_mean_is_rounded_once() {
    #[track_caller]
    fn check(sum: &str, count: i64, digits: u32, expected: &str) {
        assert_eq!(mean(sum, count, digits).as_deref(), Some(expected));
    }
    check("15.5000", 2, 2, "7.75");
    check("0.0500", 10, 2, "0.00");
    check("0.1500", 10, 2, "0.02");
    check("-0.1500", 10, 2, "-0.02");
    // 0.00500001 to four digits first would be a tie, and down.
    check("500.0010", 100_000, 2, "0.01");
    check("-500.0010", 100_000, 2, "-0.01");
    check("1", 3, 4, "0.3333");
    check("2", 3, 4, "0.6667");
    check("100", 1, 0, "100");
    check("999999999999999.9999", 1, 4, "999999999999999.9999");
    assert_eq!(mean("1", 0, 2), None);
    assert_eq!(mean("NaN", 1, 2), None);
}
