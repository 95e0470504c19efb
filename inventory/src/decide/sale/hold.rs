//! Holds: stock and prices kept for a buyer for a while.

use uuid::Uuid;

use super::limits;
use super::price::{Charge, price};
use super::promo::{self, Applied};
use super::stock::{basket, check_stock, on_sale};
use crate::command::{HoldRequest, IdempotencyKey, LineView, Quote, Refusal, RefusalCode, Reply};
use crate::config::{EventStatus, PromoConfig};
use crate::decide::{Decided, Decision, Outcome, refusal, refused_for, replay, room, seats};
use crate::fact::{Fact, SeatGiven};
use crate::state::{Hold, HoldStatus, KeyOutcome, State, total};
use crate::time::Millis;

pub(in crate::decide) fn hold(state: &State, now: Millis, request: &HoldRequest) -> Decided {
    match replay(state, now, request.key.as_ref())? {
        Some(KeyOutcome::Hold(hold)) => {
            return Ok(Decision::facts(vec![], Outcome::Held { hold, replayed: true }));
        }
        Some(_) => return Err(refusal(RefusalCode::KeyReused, None)),
        None => {}
    }
    if state.holds.contains_key(&request.id) {
        return refused_for(RefusalCode::IdTaken, "hold", request.id);
    }
    let pass = room::pass(state, now, request.pass)?;
    let offer = offer(state, now, request)?;
    let config = &state.config;
    let fact = Fact::HoldCreated {
        hold: request.id,
        lines: offer.lines,
        expires_at: now.plus_s(config.hold_ttl_s.min(config.hold_cap_s)),
        renew_until: now.plus_s(config.hold_cap_s),
        buyer: request.buyer,
        promo: offer.promo.map(|promo| promo.id),
        seats: offer.seats,
        pass,
        key: request.key,
    };
    Ok(Decision::facts(vec![fact], Outcome::Held { hold: request.id, replayed: false }))
}

/// The same question without taking anything; without items only whether the code is still good.
pub(in crate::decide) fn quote(state: &State, now: Millis, request: &HoldRequest) -> Decided {
    let Offer { lines, promo, seats: _ } = match request.items.is_empty() {
        true => alone(state, now, request)?,
        false => offer(state, now, request)?,
    };
    let quote = Quote { total: total(&lines), lines, promo: promo.cloned() };
    Ok(Decision::reply(Reply::Quoted(quote)))
}

/// What would be held.
struct Offer<'s> {
    lines: Vec<LineView>,
    promo: Option<&'s PromoConfig>,
    seats: Vec<SeatGiven>,
}

fn offer<'s>(state: &'s State, now: Millis, request: &HoldRequest) -> Result<Offer<'s>, Refusal> {
    if state.config.status != EventStatus::OnSale || state.canceled() {
        return refused_for(RefusalCode::SaleClosed, "event", state.event());
    }
    let found = promo::find(state, now, request.promo.as_ref())?;
    let promo = found.map(|(row, promo)| Applied { row, config: &promo.config });
    let items = request.items.iter().map(|item| (item.ticket_type, item.quantity));
    let basket = basket(state, items)?;
    for (row, _) in &basket {
        let Some(kind) = state.tables.kind(*row) else { continue };
        // Who has no code for it learns nothing of a hidden type.
        if kind.hidden && !promo.is_some_and(|promo| promo.is_for(kind)) {
            return refused_for(RefusalCode::UnknownTicketType, "ticket_type", kind.id);
        }
        let listed = state.tables.types.get(usize::from(*row)).is_some_and(|row| row.listed);
        if !listed || !on_sale(kind, now) {
            return refused_for(RefusalCode::SaleClosed, "ticket_type", kind.id);
        }
    }
    limits::per_order(state, &basket)?;
    if let Some(buyer) = request.buyer {
        limits::per_customer(state, buyer, &basket)?;
    }
    if let Some(promo) = promo {
        promo::applies(state, promo, &basket)?;
        promo::check_uses(state, promo, request.buyer)?;
    }
    check_stock(state, &basket, promo.map(|promo| promo.row))?;
    let lines = price(state, &basket, Charge::Full(promo));
    if let Some(promo) = promo {
        promo::check_budget(state, promo, &lines)?;
    }
    let seats = seats::given(state, &seats::choose(state, &request.items)?);
    Ok(Offer { lines, promo: promo.map(|promo| promo.config), seats })
}

fn alone<'s>(state: &'s State, now: Millis, request: &HoldRequest) -> Result<Offer<'s>, Refusal> {
    let Some((row, promo)) = promo::find(state, now, request.promo.as_ref())? else {
        return Err(refusal(RefusalCode::UnknownPromo, None));
    };
    promo::check_uses(state, Applied { row, config: &promo.config }, request.buyer)?;
    Ok(Offer { lines: Vec::new(), promo: Some(&promo.config), seats: Vec::new() })
}

/// A hold at its cap is answered with the end that it has.
pub(in crate::decide) fn renew(
    state: &State,
    now: Millis,
    id: Uuid,
    key: Option<&IdempotencyKey>,
) -> Decided {
    let renewed =
        |hold, expires_at, replayed| Outcome::Reply(Reply::Renewed { hold, expires_at, replayed });
    match replay(state, now, key)? {
        Some(KeyOutcome::Renewed(hold, ends)) => {
            return Ok(Decision::facts(vec![], renewed(hold, ends, true)));
        }
        Some(_) => return Err(refusal(RefusalCode::KeyReused, None)),
        None => {}
    }
    let hold = live_hold(state, now, id)?;
    let wanted = now.plus_s(state.config.hold_ttl_s).min(hold.renew_until);
    let expires_at = wanted.max(hold.expires_at);
    // With a key it is written although nothing moves: the same key is then answered alike later.
    let facts = if hold.expires_at < expires_at || key.is_some() {
        vec![Fact::HoldRenewed { hold: id, expires_at, key: key.copied() }]
    } else {
        vec![]
    };
    Ok(Decision::facts(facts, renewed(id, expires_at, false)))
}

/// Releasing what holds nothing any more is done already, unless an order took it.
pub(in crate::decide) fn release(state: &State, id: Uuid) -> Decided {
    let Some(hold) = state.holds.get(&id) else {
        return refused_for(RefusalCode::UnknownHold, "hold", id);
    };
    match hold.status {
        HoldStatus::Live if hold.order.is_some() => {
            refused_for(RefusalCode::HoldExpired, "hold", id)
        }
        HoldStatus::Live => {
            let facts = vec![Fact::HoldReleased { hold: id }];
            Ok(Decision::facts(facts, Outcome::Reply(Reply::Released)))
        }
        HoldStatus::Released | HoldStatus::Expired => Ok(Decision::reply(Reply::Released)),
        HoldStatus::Ordered => refused_for(RefusalCode::HoldExpired, "hold", id),
    }
}

pub(super) fn live_hold(state: &State, now: Millis, id: Uuid) -> Result<&Hold, Refusal> {
    let Some(hold) = state.holds.get(&id) else {
        return refused_for(RefusalCode::UnknownHold, "hold", id);
    };
    // One that waits with an order for a payment is the order's.
    if hold.status != HoldStatus::Live || hold.expires_at <= now || hold.order.is_some() {
        return refused_for(RefusalCode::HoldExpired, "hold", id);
    }
    Ok(hold)
}
