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

#[track_caller]
fn check_apportion(total: i64, weights: &[i64], shares: &[i64]) {
    assert_eq!(apportion(total, weights), shares);
}

#[test]
fn shares_go_to_the_largest_remainders() {
    check_apportion(10, &[1, 1, 1], &[4, 3, 3]);
    check_apportion(100, &[50, 30, 20], &[50, 30, 20]);
    check_apportion(5, &[6, 4, 1], &[3, 2, 0]); // 2.73, 1.82, 0.45
    check_apportion(7, &[0, 0], &[0, 0]);
    check_apportion(0, &[3, 4], &[0, 0]);
    check_apportion(PRICE_MAX, &[PRICE_MAX, PRICE_MAX], &[PRICE_MAX / 2, PRICE_MAX / 2]);
    check_apportion(3, &[], &[]);
}

proptest::proptest! {
    #[test]
    fn parts_sum_to_the_whole(
        total in 0..PRICE_MAX,
        parts in 1..1_000_u32,
        weights in proptest::collection::vec(0..PRICE_MAX, 1..20),
    ) {
        proptest::prop_assert_eq!(allocate(total, parts).sum::<i64>(), total);
        let sum: i64 = weights.iter().sum();
        let total = total.min(sum);
        let shares = apportion(total, &weights);
        proptest::prop_assert_eq!(shares.iter().sum::<i64>(), total);
        for (share, weight) in shares.iter().zip(&weights) {
            proptest::prop_assert!((0..=*weight).contains(share), "{} of {}", share, weight);
        }
    }

    /// Within half a unit of the exact value, compared without rounding.
    #[test]
    fn rates_round_to_the_nearest(amount in 0..PRICE_MAX, bp in 0..TAX_RATE_BP_MAX) {
        let (amount_wide, bp_wide) = (i128::from(amount), i128::from(bp));
        let off = i128::from(of_rate(amount, bp)) * 10_000 - amount_wide * bp_wide;
        proptest::prop_assert!(off.abs() * 2 <= 10_000);
        let off = i128::from(contained_tax(amount, bp)) * (10_000 + bp_wide) - amount_wide * bp_wide;
        proptest::prop_assert!(off.abs() * 2 <= 10_000 + bp_wide);
    }
}

#[track_caller]
fn check_allocate(total: i64, parts: u32, expect: &[i64]) {
    let shares: Vec<i64> = allocate(total, parts).collect();
    assert_eq!(shares, expect);
    assert_eq!(shares.iter().sum::<i64>(), total);
}

#[test]
fn shares_sum_to_the_whole() {
    check_allocate(100, 3, &[34, 33, 33]);
    check_allocate(0, 2, &[0, 0]);
    check_allocate(-100, 3, &[-33, -33, -34]);
    check_allocate(2, 4, &[1, 1, 0, 0]);
    check_allocate(7, 1, &[7]);
}
