//! Holds: stock and prices kept for a buyer for a while.

use uuid::Uuid;

use super::price::{Charge, price};
use super::stock::{basket, check_stock, on_sale};
use crate::command::{HoldRequest, Refusal, RefusalCode, Reply};
use crate::config::EventStatus;
use crate::decide::{Decided, Decision, Outcome, refusal, refused_for, replay, seats};
use crate::fact::Fact;
use crate::state::{Hold, HoldStatus, KeyOutcome, State};
use crate::time::Millis;

pub(in crate::decide) fn hold(state: &State, now: Millis, request: &HoldRequest) -> Decided {
    match replay(state, now, request.key.as_ref())? {
        Some(KeyOutcome::Hold(hold)) => {
            return Ok(Decision::facts(vec![], Outcome::Held { hold, replayed: true }));
        }
        Some(_) => return Err(refusal(RefusalCode::KeyReused, None)),
        None => {}
    }
    if state.config.status != EventStatus::OnSale || state.canceled() {
        return refused_for(RefusalCode::SaleClosed, "event", state.event());
    }
    if state.holds.contains_key(&request.id) {
        return refused_for(RefusalCode::IdTaken, "hold", request.id);
    }
    let items = request.items.iter().map(|item| (item.ticket_type, item.quantity));
    let basket = basket(state, items)?;
    for (row, quantity) in &basket {
        let Some(kind) = state.tables.kind(*row) else { continue };
        let listed = state.tables.types.get(usize::from(*row)).is_some_and(|row| row.listed);
        if !listed || !on_sale(kind, now) {
            return refused_for(RefusalCode::SaleClosed, "ticket_type", kind.id);
        }
        if kind.max_per_order.is_some_and(|max| max < *quantity) {
            return refused_for(RefusalCode::LimitReached, "per_order", kind.id);
        }
    }
    check_stock(state, &basket)?;
    let seats = seats::choose(state, &request.items)?;
    let config = &state.config;
    let fact = Fact::HoldCreated {
        hold: request.id,
        lines: price(state, &basket, Charge::Full),
        expires_at: now.plus_s(config.hold_ttl_s.min(config.hold_cap_s)),
        renew_until: now.plus_s(config.hold_cap_s),
        buyer: request.buyer,
        seats: seats::given(state, &seats),
        key: request.key,
    };
    Ok(Decision::facts(vec![fact], Outcome::Held { hold: request.id, replayed: false }))
}

/// A hold at its cap is answered with the end that it has.
pub(in crate::decide) fn renew(state: &State, now: Millis, id: Uuid) -> Decided {
    let hold = live_hold(state, now, id)?;
    let wanted = now.plus_s(state.config.hold_ttl_s).min(hold.renew_until);
    let expires_at = wanted.max(hold.expires_at);
    let facts = if hold.expires_at < expires_at {
        vec![Fact::HoldRenewed { hold: id, expires_at }]
    } else {
        vec![]
    };
    Ok(Decision::facts(facts, Outcome::Reply(Reply::Renewed { hold: id, expires_at })))
}

/// Releasing what holds nothing any more is done already, unless an order took it.
pub(in crate::decide) fn release(state: &State, id: Uuid) -> Decided {
    let Some(hold) = state.holds.get(&id) else {
        return refused_for(RefusalCode::UnknownHold, "hold", id);
    };
    match hold.status {
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
    if hold.status != HoldStatus::Live || hold.expires_at <= now {
        return refused_for(RefusalCode::HoldExpired, "hold", id);
    }
    Ok(hold)
}
