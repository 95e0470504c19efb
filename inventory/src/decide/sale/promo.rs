//! Promo codes: whether one applies to a basket, and whether its uses and its budget cover it.

use uuid::Uuid;

use super::stock::Basket;
use crate::command::{Digest16, LineView, Refusal, RefusalCode, Reply};
use crate::config::{Discount, PromoConfig, TicketTypeConfig};
use crate::decide::{Decided, Decision, Outcome, refusal, refused_for};
use crate::fact::Fact;
use crate::state::{Promo, State};
use crate::time::Millis;

/// A code that applies.
#[derive(Clone, Copy)]
pub(in crate::decide) struct Applied<'s> {
    pub(super) row: u32,
    pub(super) config: &'s PromoConfig,
}

impl Applied<'_> {
    pub(super) fn is_for(&self, kind: &TicketTypeConfig) -> bool {
        self.config.is_for(kind)
    }

    pub(super) fn discount(&self) -> Option<Discount> {
        self.config.discount
    }
}

/// A chunk of codes, from the catalogue.
pub(in crate::decide) fn list_promos(
    state: &State,
    chunk: Uuid,
    cursor: u64,
    promos: &[PromoConfig],
) -> Decided {
    if let Some(known) = state.promo_chunks.get(&chunk).filter(|known| cursor <= **known) {
        return Ok(Decision::reply(Reply::Listed { cursor: *known }));
    }
    state.check_promos(chunk, promos)?;
    let fact = Fact::PromosListed { chunk, cursor, promos: promos.to_vec() };
    Ok(Decision::facts(vec![fact], Outcome::Reply(Reply::Listed { cursor })))
}

/// The code of a request, when it may be used now; what it does to this basket is looked at after.
pub(super) fn find<'s>(
    state: &'s State,
    now: Millis,
    code: Option<&Digest16>,
) -> Result<Option<(u32, &'s Promo)>, Refusal> {
    let Some(code) = code else { return Ok(None) };
    let found = state.promo_by_code(code).filter(|(_, promo)| promo.config.active);
    let Some((row, promo)) = found else {
        return Err(refusal(RefusalCode::UnknownPromo, None));
    };
    let config = &promo.config;
    let begun = config.from.is_none_or(|from| from <= now);
    let over = promo.ended || config.until.is_some_and(|until| until <= now);
    if !begun || over {
        return refused_for(RefusalCode::PromoNotApplicable, "promo_period", config.id);
    }
    Ok(Some((row, promo)))
}

/// Enough tickets of its types are in the basket.
pub(super) fn applies(state: &State, promo: Applied<'_>, basket: &Basket) -> Result<(), Refusal> {
    let mine = basket
        .iter()
        .filter(|(row, _)| state.tables.kind(*row).is_some_and(|kind| promo.is_for(kind)));
    let tickets = mine.fold(0_u32, |sum, (_, quantity)| sum.saturating_add(*quantity));
    let id = promo.config.id;
    if tickets == 0 {
        return refused_for(RefusalCode::PromoNotApplicable, "promo_types", id);
    }
    if tickets < promo.config.min_quantity {
        return refused_for(RefusalCode::PromoNotApplicable, "promo_min_quantity", id);
    }
    Ok(())
}

/// Uses are left; one more is about to be made.
pub(super) fn check_uses(
    state: &State,
    promo: Applied<'_>,
    buyer: Option<Digest16>,
) -> Result<(), Refusal> {
    let (config, used) = (promo.config, state.promo_count(promo.row).map_or(0, |c| c.uses));
    if config.max_uses.is_some_and(|max| max <= used) {
        return refused_for(RefusalCode::PromoExhausted, "promo_uses", config.id);
    }
    check_customer(state, promo, buyer)
}

/// Uses of this buyer are left. A nameless basket is counted when it becomes an order.
pub(super) fn check_customer(
    state: &State,
    promo: Applied<'_>,
    buyer: Option<Digest16>,
) -> Result<(), Refusal> {
    let id = promo.config.id;
    match (promo.config.max_per_customer, buyer) {
        (Some(max), Some(buyer)) if max <= state.uses_by(promo.row, buyer) => {
            refused_for(RefusalCode::PromoExhausted, "promo_customer_uses", id)
        }
        _ => Ok(()),
    }
}

/// A discount that does not fit the budget is refused whole.
pub(super) fn check_budget(
    state: &State,
    promo: Applied<'_>,
    lines: &[LineView],
) -> Result<(), Refusal> {
    let Some(budget) = promo.config.budget else { return Ok(()) };
    let spent = state.promo_count(promo.row).map_or(0, |count| count.spent);
    let wanted = lines.iter().fold(0_i64, |sum, line| sum.saturating_add(line.discount));
    if budget < spent.saturating_add(wanted) {
        return refused_for(RefusalCode::PromoExhausted, "promo_budget", promo.config.id);
    }
    Ok(())
}
