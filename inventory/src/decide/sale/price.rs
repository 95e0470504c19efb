//! What a basket costs, frozen into lines.

use super::stock::Basket;
use crate::command::LineView;
use crate::money::contained_tax;
use crate::state::State;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::decide) enum Charge {
    Full,
    /// The price is shown and discounted whole; no fee.
    Nothing,
}

/// Prices of now, frozen into lines.
pub(in crate::decide) fn price(state: &State, basket: &Basket, charge: Charge) -> Vec<LineView> {
    let line = |(row, quantity): &(u16, u32)| {
        let kind = state.tables.kind(*row)?;
        let times = |amount: i64| amount.saturating_mul(i64::from(*quantity));
        let price = times(kind.price);
        let (discount, fee) = match charge {
            Charge::Full => (0, times(kind.fee)),
            Charge::Nothing => (price, 0),
        };
        let gross = price.saturating_sub(discount).saturating_add(fee);
        let tax = contained_tax(gross, kind.tax_rate_bp);
        Some(LineView { ticket_type: kind.id, quantity: *quantity, price, discount, fee, tax })
    };
    basket.iter().filter_map(line).collect()
}
