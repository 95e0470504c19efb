//! Payments of orders that waited for them. A payment that came late is honoured as long as there is
//! something left; otherwise it is due back. Nothing is ever oversold for it.

use uuid::Uuid;

use super::order::tickets;
use super::stock::{Basket, check_stock};
use crate::code::order_code;
use crate::command::{Channel, PaymentMethod, Refusal, RefusalCode};
use crate::decide::{refused_for, seats};
use crate::entry::Hash;
use crate::fact::{Base64, Fact, OrderConfirmed};
use crate::state::{Order, Stage, State, number_at};

/// What a payment leads to; nothing when it was known before.
pub(in crate::decide) fn paid(state: &State, id: Uuid) -> Result<Vec<Fact>, Refusal> {
    let Some((index, order)) = state.order(id) else {
        return refused_for(RefusalCode::UnknownOrder, "order", id);
    };
    let due = Fact::OrderRefundDue { order: id };
    Ok(match order.stage {
        Stage::Confirmed | Stage::RefundDue => vec![],
        Stage::Awaiting if state.canceled() => vec![Fact::OrdersExpired { orders: vec![id] }, due],
        Stage::Awaiting => {
            let hold = state.awaiting.get(&index).copied();
            vec![confirmed(state, index, order, hold)]
        }
        Stage::Expired if left(state, order) => vec![confirmed(state, index, order, None)],
        Stage::Expired | Stage::Withdrawn => vec![due],
    })
}

/// The payment failed: the order does not wait any longer.
pub(in crate::decide) fn unpaid(state: &State, id: Uuid) -> Result<Vec<Fact>, Refusal> {
    let Some((_, order)) = state.order(id) else {
        return refused_for(RefusalCode::UnknownOrder, "order", id);
    };
    Ok(match order.stage {
        Stage::Awaiting => vec![Fact::OrdersExpired { orders: vec![id] }],
        _ => vec![],
    })
}

/// Whether an order that lapsed can still be had. Its price was promised; limits and codes were
/// looked at when it was placed. Seats were chosen, and others would not be what was paid for.
fn left(state: &State, order: &Order) -> bool {
    let seated = |row: u16| {
        state.tables.kind(row).is_some_and(|kind| state.seats.plan.seats_type(kind.number))
    };
    let basket = basket(state, order);
    !state.canceled()
        && !basket.iter().any(|(row, _)| seated(*row))
        && check_stock(state, &basket, order.promo.get()).is_ok()
}

fn basket(state: &State, order: &Order) -> Basket {
    state.basket(order.basket).iter().map(|line| (line.type_row, line.quantity)).collect()
}

fn confirmed(state: &State, index: u32, order: &Order, hold: Option<Uuid>) -> Fact {
    let mut tickets = tickets(state, &basket(state, order));
    if let Some(hold) = hold {
        seats::assign(state, &mut tickets, state.seats.held_by(hold));
    }
    let number = number_at(index);
    Fact::OrderConfirmed(Box::new(OrderConfirmed {
        order: order.id,
        number,
        code: order_code(state.event(), number),
        hold,
        channel: Channel::Shop,
        payment: PaymentMethod::Card,
        currency: state.config.currency.clone(),
        lines: state.line_views(state.basket(order.basket)),
        tickets,
        buyer: order.buyer,
        promo: state.promo_id(order.promo.get()),
        secret_hash: Hash(order.secret_hash),
        personal: Base64(order.personal.to_vec()),
        until: None,
        key: None,
    }))
}
