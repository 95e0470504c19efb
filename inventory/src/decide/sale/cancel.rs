//! Cancellations: whole orders, or single tickets of them.

use uuid::Uuid;

use crate::command::{IdempotencyKey, Refusal, RefusalCode, TicketStatus};
use crate::decide::{Decided, Decision, Outcome, refusal, refused_for, replay};
use crate::fact::Fact;
use crate::state::{KeyOutcome, State};
use crate::time::Millis;

/// What a buyer may give back: tickets that nobody used.
pub(in crate::decide) fn cancel_by_buyer(
    state: &State,
    now: Millis,
    order: Uuid,
    positions: &[u64],
    key: Option<&IdempotencyKey>,
) -> Decided {
    match replay(state, now, key)? {
        Some(KeyOutcome::Canceled(index)) => {
            let order = state.order_at(index).map_or(order, |order| order.id);
            return Ok(Decision::facts(vec![], Outcome::Canceled { order, replayed: true }));
        }
        Some(_) => return Err(refusal(RefusalCode::KeyReused, None)),
        None => {}
    }
    let positions = cancelable(state, order, positions)?;
    for number in &positions {
        if state.ticket(*number).is_some_and(|(_, ticket)| ticket.entered != 0) {
            return refused_for(RefusalCode::TicketUsed, "ticket", number);
        }
    }
    let fact = Fact::OrderCanceled { order, positions, key: key.copied() };
    Ok(Decision::facts(vec![fact], Outcome::Canceled { order, replayed: false }))
}

/// The tickets that a cancellation gives back: those named, or all that are left.
pub(in crate::decide) fn cancelable(
    state: &State,
    order: Uuid,
    positions: &[u64],
) -> Result<Vec<u64>, Refusal> {
    let Some(view) = state.order_view(order) else {
        return refused_for(RefusalCode::UnknownOrder, "order", order);
    };
    let live = view.tickets.iter().filter(|ticket| ticket.status != TicketStatus::Canceled);
    let live: Vec<u64> = live.map(|ticket| ticket.number).collect();
    if live.is_empty() {
        return refused_for(RefusalCode::AlreadyCanceled, "order", order);
    }
    if positions.is_empty() {
        return Ok(live);
    }
    let mut chosen: Vec<u64> = positions.to_vec();
    chosen.sort_unstable();
    chosen.dedup();
    for number in &chosen {
        if view.tickets.iter().all(|ticket| ticket.number != *number) {
            return refused_for(RefusalCode::UnknownTicket, "ticket", number);
        }
        if !live.contains(number) {
            return refused_for(RefusalCode::AlreadyCanceled, "ticket", number);
        }
    }
    Ok(chosen)
}
