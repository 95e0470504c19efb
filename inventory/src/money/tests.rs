use super::*;

#[track_caller]
fn check(gross: i64, rate_bp: u32, tax: i64) {
    assert_eq!(contained_tax(gross, rate_bp), tax, "{rate_bp} bp of {gross}");
}

#[test]
fn tax_contained_in_gross() {
    check(0, 1_900, 0);
    check(11_900, 1_900, 1_900);
    check(4_250, 1_900, 679); // 678.57
    check(4_250, 700, 278); // 278.04
    check(4_250, 0, 0);
    check(100, 10_000, 50);
    check(-11_900, 1_900, -1_900);
}

#[test]
fn halves_go_to_the_even_side() {
    // 100 %: half of the gross amount is tax.
    check(1, 10_000, 0);
    check(3, 10_000, 2);
    check(5, 10_000, 2);
    check(7, 10_000, 4);
    check(-1, 10_000, 0);
    check(-3, 10_000, -2);
}

#[test]
fn the_largest_amounts_do_not_overflow() {
    check(i64::MAX, u32::MAX, 9_223_350_562_068_290_691);
    assert!(contained_tax(i64::MAX, TAX_RATE_BP_MAX) < i64::MAX);
}
