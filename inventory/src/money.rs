//! Amounts of a line, in minor units. Knows prices and rates, not stock.
//!
//! Rounding, once and everywhere: what a rate makes of an amount is rounded half to even, once a line
//! (as the ledger rounds, `kernel::money::round`); what is divided is divided by largest remainder, so
//! that the parts sum to the whole.

#[cfg(test)]
mod tests;

/// Largest price or fee of one ticket, minor units. With [`TAX_RATE_BP_MAX`] and at most a
/// thousand tickets in an order no sum leaves an `i64`.
pub const PRICE_MAX: i64 = 1_000_000_000_000;
/// Largest tax rate, basis points of the net amount.
pub const TAX_RATE_BP_MAX: u32 = 100_000;
/// Largest fee, basis points of what it is a fee on.
pub const FEE_BP_MAX: u32 = 10_000;

/// A tenth of a thousandth: rates are in basis points.
const ONE_BP: i128 = 10_000;

/// Tax contained in a gross amount: `gross × bp / (10,000 + bp)`, rounded half to even, once a line.
#[expect(clippy::arithmetic_side_effects, reason = "i128 holds any i64 times any u32")]
pub fn contained_tax(gross: i64, rate_bp: u32) -> i64 {
    divide(i128::from(gross) * i128::from(rate_bp), ONE_BP + i128::from(rate_bp))
}

/// `amount × bp / 10,000`, rounded half to even: a percentage, or the tax on a net amount.
#[expect(clippy::arithmetic_side_effects, reason = "i128 holds any i64 times any u32")]
pub fn of_rate(amount: i64, rate_bp: u32) -> i64 {
    divide(i128::from(amount) * i128::from(rate_bp), ONE_BP)
}

/// `amount × part / whole`, rounded half to even; nothing of nothing.
#[expect(clippy::arithmetic_side_effects, reason = "i128 holds any i64 times any i64")]
pub fn of_part(amount: i64, part: i64, whole: i64) -> i64 {
    if whole <= 0 { 0 } else { divide(i128::from(amount) * i128::from(part), i128::from(whole)) }
}

/// Half to even; the divisor is positive.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "quotient and rest are smaller than the dividend"
)]
fn divide(dividend: i128, divisor: i128) -> i64 {
    let (quotient, rest) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    let up = match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient.rem_euclid(2) == 1,
        std::cmp::Ordering::Greater => true,
    };
    i64::try_from(quotient + i128::from(up)).unwrap_or(i64::MAX)
}

/// `total` in `parts` shares whose sum is `total`; the first ones take the remainder.
pub fn allocate(total: i64, parts: u32) -> impl Iterator<Item = i64> {
    (0..parts.max(1)).map(move |index| share(total, parts, index))
}

/// One of the shares of [`allocate`].
pub fn share(total: i64, parts: u32, index: u32) -> i64 {
    let count = i64::from(parts.max(1));
    let (share, rest) = (total.div_euclid(count), total.rem_euclid(count));
    share.saturating_add(i64::from(i64::from(index) < rest))
}

/// `total` divided by weight, by largest remainder (Hamilton): the sum is `total`, and no share
/// exceeds its weight while `total` does not exceed their sum. Neither may be negative; weights that
/// are all zero give zeros.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "i128 holds any i64 times any i64; shares sum to at most the total"
)]
pub fn apportion(total: i64, weights: &[i64]) -> Vec<i64> {
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if whole <= 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &i64| {
        let dividend = i128::from(total) * i128::from(*weight);
        (dividend / whole, dividend % whole)
    };
    let exact: Vec<(i128, i128)> = weights.iter().map(exact).collect();
    let mut left = i128::from(total) - exact.iter().map(|(share, _)| share).sum::<i128>();
    let mut order: Vec<usize> = (0..exact.len()).collect();
    // The larger remainder first; among equals the earlier line.
    order.sort_by_key(|at| std::cmp::Reverse(exact.get(*at).map_or(0, |(_, rest)| *rest)));
    let mut shares: Vec<i128> = exact.into_iter().map(|(share, _)| share).collect();
    for at in order {
        if left == 0 {
            break;
        }
        if let Some(share) = shares.get_mut(at) {
            *share += 1;
            left -= 1;
        }
    }
    shares.into_iter().map(|share| i64::try_from(share).unwrap_or(i64::MAX)).collect()
}
