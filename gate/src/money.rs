//! Amounts on the wire: `{"amount":"42.50","currency":"EUR"}`. Minor units stay inside.

use serde_json::{Value, json};

/// Digits after the point that a currency may have (ISO 4217 knows up to 4).
const EXPONENT_MAX: u8 = 8;

/// `minor` units of a currency with `exponent` decimal digits.
pub fn render(minor: i64, exponent: u8, currency: &str) -> Value {
    json!({"amount": amount(minor, exponent), "currency": currency})
}

/// The number alone.
pub fn amount(minor: i64, exponent: u8) -> String {
    let digits = usize::from(exponent.min(EXPONENT_MAX));
    let sign = if minor < 0 { "-" } else { "" };
    let unsigned = minor.unsigned_abs().to_string();
    if digits == 0 {
        return format!("{sign}{unsigned}");
    }
    let padded = format!("{unsigned:0>width$}", width = digits.saturating_add(1));
    let (whole, fraction) = padded.split_at(padded.len().saturating_sub(digits));
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests;
