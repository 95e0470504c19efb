use super::*;

#[track_caller]
fn check_currency(currency: &str, minor: i64, stored: &str) {
    assert_eq!(to_minor(stored.parse().unwrap(), currency).unwrap(), minor);
    assert_eq!(money::from_minor(minor, currency), stored.parse().unwrap());
}

#[test]
fn minor_units_follow_the_exponent() {
    check_currency("EUR", 4_250, "42.5000");
    check_currency("EUR", 0, "0.0000");
    check_currency("EUR", -5, "-0.0500");
    check_currency("JPY", 1_200, "1200.0000");
    check_currency("KWD", 1_234, "1.2340");
}

#[test]
fn an_amount_finer_than_its_currency_is_refused() {
    assert!(to_minor("12.5".parse().unwrap(), "JPY").is_err());
    assert!(to_minor("0.0050".parse().unwrap(), "EUR").is_err());
}
