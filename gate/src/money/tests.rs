use super::amount;

#[track_caller]
fn check(minor: i64, exponent: u8, expect: &str) {
    assert_eq!(amount(minor, exponent), expect);
}

#[test]
fn amounts_carry_the_digits_of_their_currency() {
    check(4250, 2, "42.50");
    check(0, 2, "0.00");
    check(5, 2, "0.05");
    check(-5, 2, "-0.05");
    check(1234, 0, "1234");
    check(-7, 0, "-7");
    check(1, 3, "0.001");
    check(12_345, 4, "1.2345");
    check(i64::MAX, 2, "92233720368547758.07");
    check(i64::MIN, 2, "-92233720368547758.08");
}
