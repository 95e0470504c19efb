//! What a basket costs, frozen into lines. Discounts, fees and taxes are each rounded once a line,
//! as `money` says.

use super::promo::Applied;
use super::stock::Basket;
use crate::command::LineView;
use crate::config::{Discount, TicketTypeConfig};
use crate::money::{apportion, contained_tax, of_rate};
use crate::state::State;

/// By whom and how a basket is charged.
#[derive(Clone, Copy)]
pub(in crate::decide) enum Charge<'s> {
    /// With the code that came along.
    Full(Option<Applied<'s>>),
    /// The price is shown and discounted whole; no fee.
    Nothing,
}

/// Prices of now.
pub(in crate::decide) fn price(
    state: &State,
    basket: &Basket,
    charge: Charge<'_>,
) -> Vec<LineView> {
    let kinds = basket.iter().filter_map(|(row, n)| Some((state.tables.kind(*row)?, *n)));
    let kinds: Vec<(&TicketTypeConfig, u32)> = kinds.collect();
    let prices: Vec<i64> =
        kinds.iter().map(|(kind, n)| kind.price.saturating_mul(i64::from(*n))).collect();
    let discounts = match charge {
        Charge::Full(promo) => discounts(promo, &kinds, &prices),
        Charge::Nothing => prices.clone(),
    };
    let net = prices.iter().zip(&discounts).map(|(price, off)| price.saturating_sub(*off));
    let net: Vec<i64> = net.collect();
    let of_order = match charge {
        Charge::Full(_) => order_fee(state, &net),
        Charge::Nothing => vec![0; net.len()],
    };
    let mut lines = Vec::with_capacity(kinds.len());
    let amounts = prices.into_iter().zip(discounts).zip(net.into_iter().zip(of_order));
    for ((kind, quantity), ((price, discount), (net, of_order))) in kinds.into_iter().zip(amounts) {
        let fee = match charge {
            Charge::Full(_) => fee(kind, quantity, net).saturating_add(of_order),
            Charge::Nothing => 0,
        };
        // A fee follows the tax rate of what it is a fee for.
        let taxed = net.saturating_add(fee);
        let tax = match kind.tax_added {
            true => of_rate(taxed, kind.tax_rate_bp),
            false => contained_tax(taxed, kind.tax_rate_bp),
        };
        let (ticket_type, tax_added) = (kind.id, kind.tax_added);
        lines.push(LineView { ticket_type, quantity, price, discount, fee, tax, tax_added });
    }
    lines
}

/// Off each line, never more than its price.
fn discounts(
    promo: Option<Applied<'_>>,
    kinds: &[(&TicketTypeConfig, u32)],
    prices: &[i64],
) -> Vec<i64> {
    let Some((promo, discount)) = promo.and_then(|promo| Some((promo, promo.discount()?))) else {
        return vec![0; prices.len()];
    };
    let of_code = kinds.iter().zip(prices);
    let of_code = of_code.map(|((kind, _), price)| if promo.is_for(kind) { *price } else { 0 });
    let of_code: Vec<i64> = of_code.collect();
    if let Discount::AmountPerOrder { amount } = discount {
        let whole = of_code.iter().fold(0_i64, |sum, price| sum.saturating_add(*price));
        return apportion(amount.min(whole), &of_code);
    }
    let line = |((_, quantity), price): (&(&TicketTypeConfig, u32), &i64)| {
        let times = |amount: i64| amount.saturating_mul(i64::from(*quantity));
        let off = match discount {
            Discount::Percent { bp } => of_rate(*price, bp),
            Discount::AmountPerTicket { amount } => times(amount),
            Discount::FixedPrice { price: fixed } => price.saturating_sub(times(fixed)),
            Discount::AmountPerOrder { .. } => 0,
        };
        off.clamp(0, *price)
    };
    kinds.iter().zip(&of_code).map(line).collect()
}

/// Fixed and relative fee of a line; a ticket that costs nothing has the fixed one only.
fn fee(kind: &TicketTypeConfig, quantity: u32, net: i64) -> i64 {
    let fixed = kind.fee.saturating_mul(i64::from(quantity));
    fixed.saturating_add(of_rate(net, kind.fee_bp))
}

/// The order's fee over the lines, by what they cost. An order that costs nothing has none.
fn order_fee(state: &State, net: &[i64]) -> Vec<i64> {
    let sale = &state.config.sale;
    let whole = net.iter().fold(0_i64, |sum, net| sum.saturating_add(*net));
    let fee = sale.order_fee.saturating_add(of_rate(whole, sale.order_fee_bp));
    apportion(fee, net)
}
