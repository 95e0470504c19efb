//! Minor units, which live only in the gate, to amounts and back, by the kernel's exponent table.
//! The one place that converts.

use kernel::error::{Error, Result};
use kernel::money;
use rust_decimal::Decimal;

/// 42.5000 EUR → 4250; an amount finer than the minor unit has no place in a catalogue.
pub(crate) fn to_minor(amount: Decimal, currency: &str) -> Result<i64> {
    let scaled = amount
        .checked_mul(Decimal::from(10_i64.pow(money::exponent(currency))))
        .ok_or_else(|| Error::internal("an amount is out of range"))?;
    if !scaled.fract().is_zero() {
        return Err(Error::internal(format!("{amount} is finer than {currency} allows")));
    }
    i64::try_from(scaled).map_err(|_| Error::internal("an amount is out of range"))
}

#[cfg(test)]
mod tests;
