//! Orders: what is held becomes tickets.

use uuid::Uuid;

use super::hold::live_hold;
use super::limits;
use super::promo::{Applied, check_customer};
use super::stock::Basket;
use crate::code::order_code;
use crate::command::{
    Channel, Digest16, LineView, OrderRequest, PaymentMethod, Refusal, RefusalCode,
};
use crate::decide::{Decided, Decision, Outcome, refusal, refused_for, replay, seats};
use crate::entry::Hash;
use crate::fact::{Base64, Fact, IssuedTicket, OrderConfirmed};
use crate::state::{Hold, KeyOutcome, State, total};
use crate::time::Millis;

/// A live hold is a promise: it becomes an order although the sale has closed meanwhile, but not
/// when the event was canceled.
pub(in crate::decide) fn order(state: &State, now: Millis, request: &OrderRequest) -> Decided {
    match replay(state, now, request.key.as_ref())? {
        Some(KeyOutcome::Order(index)) => return Ok(replayed_order(state, index)),
        Some(_) => return Err(refusal(RefusalCode::KeyReused, None)),
        None => {}
    }
    let hold = live_hold(state, now, request.hold)?;
    if state.canceled() {
        return refused_for(RefusalCode::SaleClosed, "event", state.event());
    }
    let lines = state.basket(hold.basket).iter();
    let basket: Basket = lines.map(|line| (line.type_row, line.quantity)).collect();
    let Some(lines) = state.hold_view(request.hold).map(|view| view.lines) else {
        return refused_for(RefusalCode::UnknownHold, "hold", request.hold);
    };
    let tickets: u64 = basket.iter().map(|(_, quantity)| u64::from(*quantity)).sum();
    if request.attendees != 0 && u64::from(request.attendees) != tickets {
        return Err(refusal(RefusalCode::AttendeesMismatch, None));
    }
    check_payment(state, request.payment, total(&lines))?;
    let buyer = request.buyer.or(hold.buyer);
    check_buyer(state, hold, buyer, &basket)?;
    let key = request.personal.key.clone();
    let mut order = OrderConfirmed {
        hold: Some(request.hold),
        payment: request.payment,
        buyer,
        promo: state.promo_id(hold.promo),
        secret_hash: Hash(request.secret_hash),
        personal: Base64(request.personal.bytes.clone()),
        key: request.key,
        ..draft(state, request.id, &basket, lines)?
    };
    let fact = if request.payment == PaymentMethod::Card {
        order.tickets.clear();
        order.until = Some(now.plus_s(state.config.sale.payment_cap_s));
        Fact::OrderPlaced(Box::new(order))
    } else {
        seats::assign(state, &mut order.tickets, state.seats.held_by(request.hold));
        Fact::OrderConfirmed(Box::new(order))
    };
    Ok(Decision {
        facts: vec![fact],
        keys: vec![(request.id, key)],
        outcome: Outcome::Ordered { order: request.id, replayed: false },
    })
}

/// An order of these lines with the next number and the next tickets; the rest is the caller's.
pub(in crate::decide) fn draft(
    state: &State,
    id: Uuid,
    basket: &Basket,
    lines: Vec<LineView>,
) -> Result<OrderConfirmed, Refusal> {
    if state.order(id).is_some() {
        return refused_for(RefusalCode::IdTaken, "order", id);
    }
    let number = after(state.orders.len());
    Ok(OrderConfirmed {
        order: id,
        number,
        code: order_code(state.event(), number),
        hold: None,
        channel: Channel::Shop,
        payment: PaymentMethod::Free,
        currency: state.config.currency.clone(),
        lines,
        tickets: tickets(state, basket),
        buyer: None,
        promo: None,
        secret_hash: Hash([0; 32]),
        personal: Base64::default(),
        until: None,
        key: None,
    })
}

/// The next tickets, in the order of the lines.
pub(super) fn tickets(state: &State, basket: &Basket) -> Vec<IssuedTicket> {
    let numbers = after(state.tickets.len())..;
    let types = basket.iter().flat_map(|(row, quantity)| {
        let id = state.tables.kind(*row).map_or_else(Uuid::nil, |kind| kind.id);
        (0..*quantity).map(move |_| id)
    });
    let issued = |(ticket, ticket_type)| IssuedTicket { ticket, ticket_type, seat: None };
    numbers.zip(types).map(issued).collect()
}

fn after(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX).saturating_add(1)
}

/// What the hold counts for its buyer stays as it was allowed; another one is counted anew.
fn check_buyer(
    state: &State,
    hold: &Hold,
    buyer: Option<Digest16>,
    basket: &Basket,
) -> Result<(), Refusal> {
    let Some(known) = buyer else { return limits::known(state, basket, hold.promo) };
    if hold.buyer == buyer {
        return Ok(());
    }
    limits::per_customer(state, known, basket)?;
    let promo = hold.promo.and_then(|row| Some((row, state.promo_at(row)?)));
    let Some((row, promo)) = promo else { return Ok(()) };
    check_customer(state, Applied { row, config: &promo.config }, buyer)
}

fn replayed_order(state: &State, index: u32) -> Decision {
    let order = state.order_at(index).map_or_else(Uuid::nil, |order| order.id);
    Decision::facts(vec![], Outcome::Ordered { order, replayed: true })
}

/// Cards need somewhere to pay, and something to pay; `free` is for what costs nothing.
fn check_payment(state: &State, payment: PaymentMethod, total: i64) -> Result<(), Refusal> {
    let accepted = match payment {
        PaymentMethod::Free => total == 0,
        PaymentMethod::Invoice => true,
        PaymentMethod::Card => 0 < total && state.config.sale.payment_url.is_some(),
    };
    if accepted { Ok(()) } else { Err(refusal(RefusalCode::PaymentNotAccepted, None)) }
}
