//! Amounts: exact decimals with an ISO 4217 currency. The only place that rounds.

use rust_decimal::{Decimal, RoundingStrategy};

/// `numeric(19,4)`: digits after the point that the database keeps.
pub const SCALE_MAX: u32 = 4;
/// Largest whole part of `numeric(19,4)`: 15 digits.
const WHOLE_MAX: i64 = 999_999_999_999_999;

/// Digits of a currency that `EXPONENTS` does not list.
pub const EXPONENT_DEFAULT: u32 = 2;

/// Currencies whose minor unit has another number of digits (ISO 4217, list one).
pub const EXPONENTS: &[(u32, &[&str])] = &[
    (
        0,
        &[
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI",
            "VND", "VUV", "XAF", "XOF", "XPF",
        ],
    ),
    (3, &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]),
    (4, &["CLF", "UYW"]),
];

/// Digits after the point of a currency's minor unit.
pub fn exponent(currency: &str) -> u32 {
    let listed = EXPONENTS.iter().find(|(_, codes)| codes.contains(&currency));
    listed.map_or(EXPONENT_DEFAULT, |(digits, _)| *digits)
}

/// Three upper-case letters, as in ISO 4217.
pub fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Whether `numeric(19,4)` holds the number exactly.
pub fn fits(amount: Decimal) -> bool {
    amount.normalize().scale() <= SCALE_MAX && amount.abs().trunc() <= Decimal::from(WHOLE_MAX)
}

/// Minor units to an amount: 4250 EUR is 42.50.
pub fn from_minor(units: i64, currency: &str) -> Decimal {
    Decimal::new(units, exponent(currency))
}

/// As the API shows it: at least the currency's digits, more only where they are not zero.
pub fn show(amount: Decimal, currency: &str) -> String {
    let mut shown = amount.normalize();
    let digits = exponent(currency);
    if shown.scale() < digits {
        shown.rescale(digits);
    }
    shown.to_string()
}

/// The sum of so many amounts shared out evenly, to so many digits, half to even: rounded once, from
/// the exact quotient. `sum` is a plain decimal text; `None` when it is none, or is too long for 128
/// bits.
pub fn mean(sum: &str, count: i64, digits: u32) -> Option<String> {
    let (whole, part) = sum.split_once('.').unwrap_or((sum, ""));
    let units: i128 = format!("{whole}{part}").parse().ok()?;
    let scale = u32::try_from(part.len()).ok()?;
    let divisor = i128::from(count).checked_mul(10_i128.checked_pow(scale)?)?;
    let dividend = units.checked_mul(10_i128.checked_pow(digits)?)?;
    let (quotient, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    let twice = rest.abs().checked_mul(2)?;
    let up = divisor < twice || divisor == twice && quotient % 2 != 0;
    let rounded = quotient.checked_add(if up { units.signum() } else { 0 })?;
    Decimal::try_from_i128_with_scale(rounded, digits).ok().map(|mean| mean.to_string())
}

/// To the currency's minor unit, half to even.
pub fn round(amount: Decimal, currency: &str) -> Decimal {
    amount.round_dp_with_strategy(exponent(currency), RoundingStrategy::MidpointNearestEven)
}

#[cfg(test)]
mod tests;
