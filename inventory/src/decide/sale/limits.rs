//! How many tickets an order and a buyer may have.

use uuid::Uuid;

use super::stock::Basket;
use crate::command::{Digest16, Refusal, RefusalCode};
use crate::decide::refused_for;
use crate::state::State;

type Kept = Result<(), Refusal>;

/// Least and most of one order, by type and over all types.
pub(super) fn per_order(state: &State, basket: &Basket) -> Kept {
    for (row, quantity) in basket {
        let Some(kind) = state.tables.kind(*row) else { continue };
        between(kind.min_per_order, kind.max_per_order, *quantity, kind.id)?;
    }
    let sale = &state.config.sale;
    between(sale.min_per_order, sale.max_per_order, all(basket), state.event())
}

fn between(min: Option<u32>, max: Option<u32>, quantity: u32, id: Uuid) -> Kept {
    if max.is_some_and(|max| max < quantity) {
        return refused_for(RefusalCode::LimitReached, "per_order", id);
    }
    if min.is_some_and(|min| quantity < min) {
        return refused_for(RefusalCode::LimitReached, "min_per_order", id);
    }
    Ok(())
}

/// Most of one buyer over all live holds and orders, this basket added to them.
pub(super) fn per_customer(state: &State, buyer: Digest16, basket: &Basket) -> Kept {
    for (row, quantity) in basket {
        let Some(kind) = state.tables.kind(*row) else { continue };
        if let Some(max) = kind.max_per_customer
            && max < state.bought(buyer, *row).saturating_add(*quantity)
        {
            return refused_for(RefusalCode::LimitReached, "per_customer", kind.id);
        }
    }
    if let Some(max) = state.config.sale.max_per_customer
        && max < state.bought_in_all(buyer).saturating_add(all(basket))
    {
        return refused_for(RefusalCode::LimitReached, "per_customer", state.event());
    }
    Ok(())
}

/// Who orders has to be known where a limit per customer holds: a nameless basket is counted when it
/// becomes an order, and no order may stay nameless then.
pub(super) fn known(state: &State, basket: &Basket, promo: Option<u32>) -> Kept {
    let limited = |(row, _): &&(u16, u32)| {
        state.tables.kind(*row).is_some_and(|kind| kind.max_per_customer.is_some())
    };
    if let Some((row, _)) = basket.iter().find(limited) {
        let id = state.tables.kind(*row).map_or_else(Uuid::nil, |kind| kind.id);
        return refused_for(RefusalCode::BuyerRequired, "per_customer", id);
    }
    let promo = promo.and_then(|row| state.promo_at(row));
    if let Some(promo) = promo.filter(|promo| promo.config.max_per_customer.is_some()) {
        return refused_for(RefusalCode::BuyerRequired, "promo_customer_uses", promo.config.id);
    }
    if state.config.sale.max_per_customer.is_some() {
        return refused_for(RefusalCode::BuyerRequired, "per_customer", state.event());
    }
    Ok(())
}

fn all(basket: &Basket) -> u32 {
    basket.iter().fold(0, |sum, (_, quantity)| sum.saturating_add(*quantity))
}
