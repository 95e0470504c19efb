//! What facts of sale do to the state: holds, orders, tickets, and the stock they take and give back.

use uuid::Uuid;

use super::promos::Party;
use super::{Applied, ApplyError, large, small};
use crate::command::{LineView, TicketStatus};
use crate::fact::OrderConfirmed;
use crate::state::undo::Progress;
use crate::state::{
    Admission, Due, Hold, HoldStatus, KeyOutcome, Line, Order, Stage, State, Ticket, number_at,
};
use crate::time::Millis;

impl State {
    // === holds ===

    pub(super) fn create_hold(
        &mut self,
        id: Uuid,
        lines: &[LineView],
        expires_at: Millis,
        renew_until: Millis,
        party: Party,
    ) -> Applied {
        if self.holds.contains_key(&id) {
            return Err(ApplyError::contradiction("hold id is taken"));
        }
        let lines = self.rows_of(lines)?;
        self.count_use(party, 1)?;
        for line in &lines {
            let quantity = i64::from(line.quantity);
            self.shift(line.type_row, 0, quantity)?;
            self.count_sale(party, line.type_row, quantity, line.discount)?;
        }
        let basket = self.intern_basket(lines)?;
        let Party { buyer, promo } = party;
        let status = HoldStatus::Live;
        let hold = Hold { basket, expires_at, renew_until, status, buyer, promo, order: None };
        self.put_hold(id, Some(hold));
        self.add_due(expires_at, Due::HoldEnds(id));
        Ok(())
    }

    pub(super) fn renew_hold(&mut self, id: Uuid, expires_at: Millis) -> Applied {
        let hold = self.live_hold(id)?;
        self.remove_due(hold.expires_at, Due::HoldEnds(id));
        self.add_due(expires_at, Due::HoldEnds(id));
        self.put_hold(id, Some(Hold { expires_at, ..hold }));
        Ok(())
    }

    /// Ends a live hold and returns what it held.
    pub(super) fn give_back(&mut self, id: Uuid, status: HoldStatus) -> Applied {
        let hold = self.live_hold(id)?;
        let party = Party { buyer: hold.buyer, promo: hold.promo };
        self.count_use(party, -1)?;
        for index in 0..self.basket(hold.basket).len() {
            let Some(line) = self.basket(hold.basket).get(index).copied() else { break };
            let back = i64::from(line.quantity).saturating_neg();
            self.shift(line.type_row, 0, back)?;
            self.count_sale(party, line.type_row, back, line.discount.saturating_neg())?;
        }
        self.return_seats(id)?;
        self.remove_due(hold.expires_at, Due::HoldEnds(id));
        self.push_ended(self.totals.now, id);
        self.put_hold(id, Some(Hold { status, ..hold }));
        Ok(())
    }

    fn live_hold(&self, id: Uuid) -> Result<Hold, ApplyError> {
        let hold = self.holds.get(&id).filter(|hold| hold.status == HoldStatus::Live);
        hold.copied().ok_or(ApplyError::contradiction("hold is not live"))
    }

    // === orders and tickets ===

    /// An order that waits for its payment: its hold holds on, for whoever ordered.
    pub(super) fn place(&mut self, placed: &OrderConfirmed) -> Applied {
        let wrong = ApplyError::contradiction("an order that waits has a hold, an end, no tickets");
        let index = self.next_order(placed)?;
        let (Some(id), Some(until), true) = (placed.hold, placed.until, placed.tickets.is_empty())
        else {
            return Err(wrong);
        };
        let hold = self.live_hold(id)?;
        let party = self.party(placed.buyer, placed.promo)?;
        let before = Party { buyer: hold.buyer, promo: hold.promo };
        let basket = self.rows_of(&placed.lines)?;
        if hold.order.is_some() || self.basket(hold.basket) != basket.as_slice() {
            return Err(ApplyError::contradiction("not what the hold holds, or another order's"));
        }
        self.count_use(before, -1)?;
        self.count_use(party, 1)?;
        for line in &basket {
            let (quantity, off) = (i64::from(line.quantity), line.discount);
            self.count_sale(
                before,
                line.type_row,
                quantity.saturating_neg(),
                off.saturating_neg(),
            )?;
            self.count_sale(party, line.type_row, quantity, off)?;
        }
        self.remove_due(hold.expires_at, Due::HoldEnds(id));
        self.add_due(until, Due::HoldEnds(id));
        let Party { buyer, promo } = party;
        let order = Some(index);
        self.put_hold(id, Some(Hold { buyer, promo, order, expires_at: until, ..hold }));
        let nothing = Progress { stage: Stage::Awaiting, first_ticket: 0, tickets: 0, live: 0 };
        self.enter_order(index, placed, basket, party, nothing)?;
        self.put_awaiting(index, Some(id));
        self.remember(placed.key.as_ref(), KeyOutcome::Order(index));
        Ok(())
    }

    /// Index of a new order.
    fn next_order(&self, order: &OrderConfirmed) -> Result<u32, ApplyError> {
        let index = small(self.orders.len())?;
        if order.number != number_at(index) || self.order_ids.contains_key(&order.order) {
            return Err(ApplyError::contradiction("order number or id is out of line"));
        }
        Ok(index)
    }

    fn enter_order(
        &mut self,
        index: u32,
        order: &OrderConfirmed,
        basket: Vec<Line>,
        party: Party,
        progress: Progress,
    ) -> Applied {
        let Progress { stage, first_ticket, tickets, live } = progress;
        let order = Order {
            id: order.order,
            secret_hash: order.secret_hash.0,
            personal: order.personal.0.clone().into_boxed_slice(),
            first_ticket,
            tickets,
            live,
            basket: self.intern_basket(basket)?,
            buyer: party.buyer,
            promo: party.promo.into(),
            stage,
        };
        self.add_order(index, order);
        Ok(())
    }

    /// Ends the wait of an order, with what its hold held.
    pub(super) fn end_awaiting(&mut self, id: Uuid, hold: HoldStatus, stage: Stage) -> Applied {
        let known = self.order(id).map(|(index, order)| (index, order.progress()));
        let found = known.and_then(|(index, p)| Some((index, p, *self.awaiting.get(&index)?)));
        let (index, progress, held) =
            found.ok_or(ApplyError::contradiction("an order that waits for nothing"))?;
        self.give_back(held, hold)?;
        self.put_awaiting(index, None);
        self.move_order(large(index), Progress { stage, ..progress });
        Ok(())
    }

    pub(super) fn refund_due(&mut self, id: Uuid) -> Applied {
        let known = self.order(id).map(|(index, order)| (index, order.progress()));
        let ended = |(_, p): &(u32, Progress)| matches!(p.stage, Stage::Expired | Stage::Withdrawn);
        let (index, progress) =
            known.filter(ended).ok_or(ApplyError::contradiction("an order that is not over"))?;
        self.move_order(large(index), Progress { stage: Stage::RefundDue, ..progress });
        Ok(())
    }

    pub(super) fn confirm(&mut self, confirmed: &OrderConfirmed) -> Applied {
        let known = self.order(confirmed.order).map(|(index, order)| (index, order.progress()));
        let index = match known {
            Some((index, _)) if confirmed.number == number_at(index) => index,
            Some(_) => return Err(ApplyError::contradiction("order number is out of line")),
            None => self.next_order(confirmed)?,
        };
        match (known.map(|(_, progress)| progress.stage), confirmed.hold) {
            (None, None) | (Some(Stage::Expired), None) => {}
            (None, Some(hold)) => self.give_back(hold, HoldStatus::Ordered)?,
            (Some(Stage::Awaiting), Some(hold)) if self.awaiting.get(&index) == Some(&hold) => {
                self.end_awaiting(confirmed.order, HoldStatus::Ordered, Stage::Confirmed)?;
            }
            _ => return Err(ApplyError::contradiction("an order that cannot be confirmed")),
        }
        let party = self.party(confirmed.buyer, confirmed.promo)?;
        let lines = self.rows_of(&confirmed.lines)?;
        let progress = self.issue(index, confirmed, &lines, party)?;
        match known {
            Some(_) => self.move_order(large(index), progress),
            None => self.enter_order(index, confirmed, lines, party, progress)?,
        }
        self.remember(confirmed.key.as_ref(), KeyOutcome::Order(index));
        Ok(())
    }

    /// The tickets of an order, in the order of its lines.
    fn issue(
        &mut self,
        index: u32,
        confirmed: &OrderConfirmed,
        lines: &[Line],
        party: Party,
    ) -> Result<Progress, ApplyError> {
        self.count_use(party, 1)?;
        let first_ticket = small(self.tickets.len())?;
        let mut issued = confirmed.tickets.iter();
        for line in lines {
            for _ in 0..line.quantity {
                let next = issued.next();
                let ticket = next.map(|t| (t.ticket, self.tables.type_row(t.ticket_type)));
                let at = small(self.tickets.len())?;
                if ticket != Some((number_at(at), Some(line.type_row))) {
                    return Err(ApplyError::contradiction("tickets do not match the lines"));
                }
                let position = at.saturating_sub(first_ticket);
                self.add_ticket(Ticket::new(index, position, line.type_row));
                self.seat_ticket(at, next.and_then(|ticket| ticket.seat))?;
            }
            let quantity = i64::from(line.quantity);
            self.shift(line.type_row, quantity, 0)?;
            self.count_sale(party, line.type_row, quantity, line.discount)?;
        }
        if issued.next().is_some() {
            return Err(ApplyError::contradiction("more tickets than lines say"));
        }
        let tickets = small(confirmed.tickets.len())?;
        Ok(Progress { stage: Stage::Confirmed, first_ticket, tickets, live: tickets })
    }

    /// `refunds` are of the positions, in their order, where the entry tells them.
    pub(super) fn cancel(
        &mut self,
        id: Uuid,
        positions: &[u64],
        refunds: &[i64],
    ) -> Result<u32, ApplyError> {
        let wrong = || ApplyError::contradiction("no such order, or not its live ticket");
        let (order_index, order) = self.order(id).ok_or_else(wrong)?;
        let (progress, basket) = (order.progress(), order.basket);
        let mut live = progress.live;
        if progress.stage == Stage::Awaiting && positions.is_empty() {
            self.end_awaiting(id, HoldStatus::Released, Stage::Withdrawn)?;
            return Ok(order_index);
        }
        let party = Party { buyer: order.buyer, promo: order.promo.get() };
        let refunds = refunds.iter().copied().chain(std::iter::repeat(0));
        for (number, refund) in positions.iter().zip(refunds) {
            let (index, ticket) = self.ticket(*number).ok_or_else(wrong)?;
            if ticket.order != order_index || ticket.status == TicketStatus::Canceled {
                return Err(wrong());
            }
            let canceled = Ticket { status: TicketStatus::Canceled, ..*ticket };
            let discount = self.share(basket, canceled.position).map_or(0, |share| share.discount);
            self.shift(canceled.type_row, -1, 0)?;
            self.count_sale(party, canceled.type_row, -1, discount.saturating_neg())?;
            self.set_ticket(large(index), canceled);
            if refund != 0 {
                self.add_refund(index, refund);
            }
            self.unseat_ticket(index)?;
            live = live.checked_sub(1).ok_or_else(wrong)?;
        }
        if live == 0 && 0 < progress.live {
            self.count_use(party, -1)?;
        }
        self.move_order(large(order_index), Progress { live, ..progress });
        Ok(order_index)
    }

    pub(super) fn set_status(&mut self, number: u64, status: TicketStatus) -> Applied {
        let (index, ticket) = self.live_ticket(number)?;
        self.set_ticket(large(index), Ticket { status, ..ticket });
        Ok(())
    }

    pub(super) fn reissue(
        &mut self,
        number: u64,
        revision: u16,
        seat: Option<u32>,
    ) -> Result<u32, ApplyError> {
        let (index, ticket) = self.live_ticket(number)?;
        if revision <= ticket.revision {
            return Err(ApplyError::contradiction("revision does not rise"));
        }
        self.set_ticket(large(index), Ticket { revision, ..ticket });
        if seat.is_some() {
            self.unseat_ticket(index)?;
        }
        self.seat_ticket(index, seat)?;
        Ok(index)
    }

    fn live_ticket(&self, number: u64) -> Result<(u32, Ticket), ApplyError> {
        let found = self.ticket(number).filter(|(_, t)| t.status != TicketStatus::Canceled);
        let (index, ticket) = found.ok_or(ApplyError::contradiction("no such live ticket"))?;
        Ok((index, *ticket))
    }

    /// Moves what a type, and with it each of its quotas, has sold and holds.
    fn shift(&mut self, type_row: u16, sold: i64, held: i64) -> Applied {
        let wrong = || ApplyError::contradiction("a count would fall below zero");
        let moved = |was: u64, by: i64| was.checked_add_signed(by).ok_or_else(wrong);
        let row = usize::from(type_row);
        let mut count = *self.types.get(row).ok_or_else(wrong)?;
        (count.sold, count.held) = (moved(count.sold, sold)?, moved(count.held, held)?);
        self.set_type(row, count);
        let tables = self.tables.clone();
        for quota in tables.quotas_of(type_row) {
            let row = usize::from(*quota);
            let mut count = *self.quotas.get(row).ok_or_else(wrong)?;
            (count.sold, count.held) = (moved(count.sold, sold)?, moved(count.held, held)?);
            self.set_quota(row, count);
        }
        Ok(())
    }

    fn rows_of(&self, lines: &[LineView]) -> Result<Vec<Line>, ApplyError> {
        let unknown = || ApplyError::contradiction("unknown ticket type");
        let rows = lines.iter().map(|line| {
            Ok(Line {
                price: line.price,
                discount: line.discount,
                fee: line.fee,
                tax: line.tax,
                quantity: line.quantity,
                type_row: self.tables.type_row(line.ticket_type).ok_or_else(unknown)?,
                tax_added: line.tax_added,
            })
        });
        rows.collect()
    }

    fn intern_basket(&mut self, lines: Vec<Line>) -> Result<u32, ApplyError> {
        if let Some(index) = self.basket_ids.get(lines.as_slice()) {
            return Ok(*index);
        }
        let index = small(self.baskets.len())?;
        self.add_basket(index, lines.into_boxed_slice());
        Ok(index)
    }
}

impl Ticket {
    fn new(order: u32, position: u32, type_row: u16) -> Self {
        Self {
            first: Admission::default(),
            order,
            position,
            entered: 0,
            inside: 0,
            last: 0,
            type_row,
            revision: 0,
            first_zone: 0,
            status: TicketStatus::Valid,
        }
    }
}
