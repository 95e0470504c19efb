//! What is asked for, and whether there is enough of it.

use uuid::Uuid;

use super::TICKETS_PER_ORDER_MAX;
use crate::command::{Refusal, RefusalCode};
use crate::config::TicketTypeConfig;
use crate::decide::{refusal, refused_for};
use crate::state::State;
use crate::time::Millis;

/// Rows of types with their quantities, each type once.
pub(in crate::decide) type Basket = Vec<(u16, u32)>;

/// What is asked for, added up by type.
pub(in crate::decide) fn basket(
    state: &State,
    items: impl Iterator<Item = (Uuid, u32)>,
) -> Result<Basket, Refusal> {
    let limit = || {
        let max = TICKETS_PER_ORDER_MAX.to_string();
        refusal(RefusalCode::LimitReached, Some(("per_order", max)))
    };
    let mut basket = Basket::new();
    let mut tickets = 0_u32;
    for (id, quantity) in items {
        let Some(row) = state.tables.type_row(id) else {
            return refused_for(RefusalCode::UnknownTicketType, "ticket_type", id);
        };
        tickets = tickets.saturating_add(quantity);
        if quantity == 0 || TICKETS_PER_ORDER_MAX < tickets {
            return Err(limit());
        }
        match basket.iter_mut().find(|(known, _)| *known == row) {
            Some((_, sum)) => *sum = sum.saturating_add(quantity),
            None => basket.push((row, quantity)),
        }
    }
    if basket.is_empty() { Err(limit()) } else { Ok(basket) }
}

/// Every quota of every type has room for all of the basket; a code's holder may also take what the
/// code keeps back.
pub(in crate::decide) fn check_stock(
    state: &State,
    basket: &Basket,
    promo: Option<u32>,
) -> Result<(), Refusal> {
    let mut wanted: Vec<(u16, i64)> = Vec::new();
    for (row, quantity) in basket {
        for quota in state.tables.quotas_of(*row) {
            match wanted.iter_mut().find(|(known, _)| known == quota) {
                Some((_, sum)) => *sum = sum.saturating_add(i64::from(*quantity)),
                None => wanted.push((*quota, i64::from(*quantity))),
            }
        }
    }
    for (row, wanted) in wanted {
        let kept = promo.map_or(0, |promo| state.kept_by(promo, row));
        let kept = i64::try_from(kept).unwrap_or(i64::MAX);
        if state.free(row).is_some_and(|free| free.saturating_add(kept) < wanted) {
            let quota = state.tables.quotas.get(usize::from(row));
            let id = quota.map_or_else(Uuid::nil, |quota| quota.config.id);
            return refused_for(RefusalCode::SoldOut, "quota", id);
        }
    }
    Ok(())
}

pub(super) fn on_sale(kind: &TicketTypeConfig, now: Millis) -> bool {
    kind.active
        && kind.sale_from.is_none_or(|from| from <= now)
        && kind.sale_until.is_none_or(|until| now < until)
}
