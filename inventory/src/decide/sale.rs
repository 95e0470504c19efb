//! Rules of sale: holds, orders, cancellations. One decision looks at every quota of every item:
//! all or nothing, and the refusal names the constraint that failed.

use uuid::Uuid;

use super::{Decided, Decision, Outcome, refusal, refused_for, replay};
use crate::code::order_code;
use crate::command::{
    HoldRequest, IdempotencyKey, LineView, OrderRequest, PaymentMethod, Refusal, RefusalCode,
    Reply, TicketStatus,
};
use crate::config::{EventStatus, TicketTypeConfig};
use crate::entry::Hash;
use crate::fact::{Base64, Fact, IssuedTicket, OrderConfirmed};
use crate::money::contained_tax;
use crate::state::{Hold, HoldStatus, KeyOutcome, State, total};
use crate::time::Millis;

/// Tickets of one hold or order, so that an entry stays small and no sum overflows.
pub const TICKETS_PER_ORDER_MAX: u32 = 1_000;

pub(super) fn hold(state: &State, now: Millis, request: &HoldRequest) -> Decided {
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
    let config = &state.config;
    let fact = Fact::HoldCreated {
        hold: request.id,
        lines: price(state, &basket, Charge::Full),
        expires_at: now.plus_s(config.hold_ttl_s.min(config.hold_cap_s)),
        renew_until: now.plus_s(config.hold_cap_s),
        buyer: request.buyer,
        key: request.key,
    };
    Ok(Decision::facts(vec![fact], Outcome::Held { hold: request.id, replayed: false }))
}

/// A hold at its cap is answered with the end that it has.
pub(super) fn renew(state: &State, now: Millis, id: Uuid) -> Decided {
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
pub(super) fn release(state: &State, id: Uuid) -> Decided {
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

/// A live hold is a promise: it becomes an order although the sale has closed meanwhile, but not
/// when the event was canceled.
pub(super) fn order(state: &State, now: Millis, request: &OrderRequest) -> Decided {
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
    check_payment(request.payment, total(&lines))?;
    let key = request.personal.key.clone();
    let confirmed = OrderConfirmed {
        hold: Some(request.hold),
        payment: request.payment,
        buyer: request.buyer,
        secret_hash: Hash(request.secret_hash),
        personal: Base64(request.personal.bytes.clone()),
        key: request.key,
        ..draft(state, request.id, &basket, lines)?
    };
    Ok(Decision {
        facts: vec![Fact::OrderConfirmed(Box::new(confirmed))],
        keys: vec![(request.id, key)],
        outcome: Outcome::Ordered { order: request.id, replayed: false },
    })
}

/// What a buyer may give back: tickets that nobody used.
pub(super) fn cancel_by_buyer(
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
pub(super) fn cancelable(
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

/// Rows of types with their quantities, each type once.
pub(super) type Basket = Vec<(u16, u32)>;

/// What is asked for, added up by type.
pub(super) fn basket(
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

/// Every quota of every type has room for all of the basket.
pub(super) fn check_stock(state: &State, basket: &Basket) -> Result<(), Refusal> {
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
        if state.free(row).is_some_and(|free| free < wanted) {
            let quota = state.tables.quotas.get(usize::from(row));
            let id = quota.map_or_else(Uuid::nil, |quota| quota.config.id);
            return refused_for(RefusalCode::SoldOut, "quota", id);
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Charge {
    Full,
    /// The price is shown and discounted whole; no fee.
    Nothing,
}

/// Prices of now, frozen into lines.
pub(super) fn price(state: &State, basket: &Basket, charge: Charge) -> Vec<LineView> {
    let line = |(row, quantity): &(u16, u32)| {
        let kind = state.tables.kind(*row)?;
        let times = |amount: i64| amount.saturating_mul(i64::from(*quantity));
        let price = times(kind.price);
        let (discount, fee) = match charge {
            Charge::Full => (0, times(kind.fee)),
            Charge::Nothing => (price, 0),
        };
        let gross = price.saturating_sub(discount).saturating_add(fee);
        let tax = contained_tax(gross, kind.tax_rate_bp);
        Some(LineView { ticket_type: kind.id, quantity: *quantity, price, discount, fee, tax })
    };
    basket.iter().filter_map(line).collect()
}

/// An order of these lines with the next number and the next tickets; the rest is the caller's.
pub(super) fn draft(
    state: &State,
    id: Uuid,
    basket: &Basket,
    lines: Vec<LineView>,
) -> Result<OrderConfirmed, Refusal> {
    if state.order(id).is_some() {
        return refused_for(RefusalCode::IdTaken, "order", id);
    }
    let after = |len: usize| u64::try_from(len).unwrap_or(u64::MAX).saturating_add(1);
    let number = after(state.orders.len());
    let numbers = after(state.tickets.len())..;
    let types = basket.iter().flat_map(|(row, quantity)| {
        let id = state.tables.kind(*row).map_or_else(Uuid::nil, |kind| kind.id);
        (0..*quantity).map(move |_| id)
    });
    let tickets = numbers.zip(types);
    let tickets = tickets.map(|(ticket, ticket_type)| IssuedTicket { ticket, ticket_type });
    Ok(OrderConfirmed {
        order: id,
        number,
        code: order_code(state.event(), number),
        hold: None,
        channel: crate::command::Channel::Shop,
        payment: PaymentMethod::Free,
        currency: state.config.currency.clone(),
        lines,
        tickets: tickets.collect(),
        buyer: None,
        secret_hash: Hash([0; 32]),
        personal: Base64::default(),
        key: None,
    })
}

fn replayed_order(state: &State, index: u32) -> Decision {
    let order = state.order_at(index).map_or_else(Uuid::nil, |order| order.id);
    Decision::facts(vec![], Outcome::Ordered { order, replayed: true })
}

fn live_hold(state: &State, now: Millis, id: Uuid) -> Result<&Hold, Refusal> {
    let Some(hold) = state.holds.get(&id) else {
        return refused_for(RefusalCode::UnknownHold, "hold", id);
    };
    if hold.status != HoldStatus::Live || hold.expires_at <= now {
        return refused_for(RefusalCode::HoldExpired, "hold", id);
    }
    Ok(hold)
}

/// Cards need a payment provider, which no event has so far; `free` is for what costs nothing.
fn check_payment(payment: PaymentMethod, total: i64) -> Result<(), Refusal> {
    let accepted = match payment {
        PaymentMethod::Free => total == 0,
        PaymentMethod::Invoice => true,
        PaymentMethod::Card => false,
    };
    if accepted { Ok(()) } else { Err(refusal(RefusalCode::PaymentNotAccepted, None)) }
}

fn on_sale(kind: &TicketTypeConfig, now: Millis) -> bool {
    kind.active
        && kind.sale_from.is_none_or(|from| from <= now)
        && kind.sale_until.is_none_or(|until| now < until)
}
