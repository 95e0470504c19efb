//! Amounts of a line, in minor units. Knows prices and tax rates, not stock.

#[cfg(test)]
mod tests;

/// Largest price or fee of one ticket, minor units. With [`TAX_RATE_BP_MAX`] and at most a
/// thousand tickets in an order no sum leaves an `i64`.
pub const PRICE_MAX: i64 = 1_000_000_000_000;
/// Largest tax rate, basis points of the net amount.
pub const TAX_RATE_BP_MAX: u32 = 100_000;

/// Tax contained in a gross amount: `gross × bp / (10,000 + bp)`, rounded half to even, once a line.
#[expect(clippy::arithmetic_side_effects, reason = "i128 holds any i64 times any u32")]
pub fn contained_tax(gross: i64, rate_bp: u32) -> i64 {
    let divisor = 10_000 + i128::from(rate_bp);
    let dividend = i128::from(gross) * i128::from(rate_bp);
    let (quotient, rest) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    let up = match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient.rem_euclid(2) == 1,
        std::cmp::Ordering::Greater => true,
    };
    i64::try_from(quotient + i128::from(up)).unwrap_or(i64::MAX)
}
