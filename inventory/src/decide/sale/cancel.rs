//! Cancellations: whole orders, or single tickets of them.

use uuid::Uuid;

use crate::command::{IdempotencyKey, OrderStatus, Refusal, RefusalCode, TicketStatus};
use crate::decide::{Decided, Decision, Outcome, refusal, refused_for, replay};
use crate::fact::Fact;
use crate::money::of_part;
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
    let canceling = cancelable(state, order, positions)?;
    for number in &canceling.positions {
        if state.ticket(*number).is_some_and(|(_, ticket)| ticket.entered != 0) {
            return refused_for(RefusalCode::TicketUsed, "ticket", number);
        }
    }
    let fact = canceling.fact(order, key.copied());
    Ok(Decision::facts(vec![fact], Outcome::Canceled { order, replayed: false }))
}

/// Tickets to cancel, with what each gives back; none of an order that waits for its payment.
pub(in crate::decide) struct Canceling {
    positions: Vec<u64>,
    refunds: Vec<i64>,
}

impl Canceling {
    pub(in crate::decide) fn fact(self, order: Uuid, key: Option<IdempotencyKey>) -> Fact {
        let Self { positions, refunds } = self;
        // Nothing for nobody is not worth telling.
        let refunds = if refunds.iter().all(|refund| *refund == 0) { vec![] } else { refunds };
        Fact::OrderCanceled { order, positions, refunds, key }
    }
}

/// The tickets that a cancellation gives back: those named, or all that are left.
pub(in crate::decide) fn cancelable(
    state: &State,
    order: Uuid,
    positions: &[u64],
) -> Result<Canceling, Refusal> {
    let Some(view) = state.order_view(order) else {
        return refused_for(RefusalCode::UnknownOrder, "order", order);
    };
    if view.status == OrderStatus::AwaitingPayment && positions.is_empty() {
        return Ok(Canceling { positions: vec![], refunds: vec![] });
    }
    let live = view.tickets.iter().filter(|ticket| ticket.status != TicketStatus::Canceled);
    let live: Vec<u64> = live.map(|ticket| ticket.number).collect();
    if live.is_empty() {
        return refused_for(RefusalCode::AlreadyCanceled, "order", order);
    }
    if positions.is_empty() {
        return Ok(refunded(state, live));
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
    Ok(refunded(state, chosen))
}

fn refunded(state: &State, positions: Vec<u64>) -> Canceling {
    let refunds = positions.iter().map(|number| refund(state, *number).unwrap_or(0)).collect();
    Canceling { positions, refunds }
}

/// The ticket's share of what its line cost; of fees only when the event gives them back, or is off.
fn refund(state: &State, number: u64) -> Option<i64> {
    let (_, ticket) = state.ticket(number)?;
    let share = state.share(state.order_at(ticket.order)?.basket, ticket.position)?;
    let net = share.price.saturating_sub(share.discount);
    let charged = net.saturating_add(share.fee);
    let fees = state.config.sale.refund_fees || state.canceled();
    let back = if fees { charged } else { net };
    let added = if share.tax_added { of_part(share.tax, back, charged) } else { 0 };
    Some(back.saturating_add(added))
}
