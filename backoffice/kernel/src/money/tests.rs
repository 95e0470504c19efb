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
