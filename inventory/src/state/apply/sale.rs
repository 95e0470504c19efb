//! What facts of sale do to the state: holds, orders, tickets, and the stock they take and give back.

use uuid::Uuid;

use super::promos::Party;
use super::{Applied, ApplyError, large, small};
use crate::command::{LineView, TicketStatus};
use crate::fact::OrderConfirmed;
use crate::state::{
    Admission, Due, Hold, HoldStatus, KeyOutcome, Line, Order, State, Ticket, number_at,
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
        let hold = Hold { basket, expires_at, renew_until, status, buyer, promo };
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

    pub(super) fn confirm(&mut self, confirmed: &OrderConfirmed) -> Applied {
        let index = u32::try_from(self.orders.len())
            .map_err(|_| ApplyError::contradiction("too many orders"))?;
        if confirmed.number != number_at(index) || self.order_ids.contains_key(&confirmed.order) {
            return Err(ApplyError::contradiction("order number or id is out of line"));
        }
        if let Some(hold) = confirmed.hold {
            self.give_back(hold, HoldStatus::Ordered)?;
        }
        let party = self.party(confirmed.buyer, confirmed.promo)?;
        self.count_use(party, 1)?;
        let first_ticket = small(self.tickets.len())?;
        let lines = self.rows_of(&confirmed.lines)?;
        let mut issued = confirmed.tickets.iter();
        for line in &lines {
            for _ in 0..line.quantity {
                let next = issued.next();
                let ticket = next.map(|t| (t.ticket, self.tables.type_row(t.ticket_type)));
                let number = number_at(small(self.tickets.len())?);
                if ticket != Some((number, Some(line.type_row))) {
                    return Err(ApplyError::contradiction("tickets do not match the lines"));
                }
                let at = small(self.tickets.len())?;
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
        let order = Order {
            id: confirmed.order,
            secret_hash: confirmed.secret_hash.0,
            personal: confirmed.personal.0.clone().into_boxed_slice(),
            first_ticket,
            tickets,
            live: tickets,
            basket: self.intern_basket(lines)?,
            buyer: party.buyer,
            promo: party.promo.into(),
        };
        self.add_order(index, order);
        self.remember(confirmed.key.as_ref(), KeyOutcome::Order(index));
        Ok(())
    }

    pub(super) fn cancel(&mut self, id: Uuid, positions: &[u64]) -> Result<u32, ApplyError> {
        let wrong = || ApplyError::contradiction("no such order, or not its live ticket");
        let (order_index, order) = self.order(id).ok_or_else(wrong)?;
        let (mut live, basket) = (order.live, order.basket);
        let party = Party { buyer: order.buyer, promo: order.promo.get() };
        for number in positions {
            let (index, ticket) = self.ticket(*number).ok_or_else(wrong)?;
            if ticket.order != order_index || ticket.status == TicketStatus::Canceled {
                return Err(wrong());
            }
            let canceled = Ticket { status: TicketStatus::Canceled, ..*ticket };
            let discount = self.share(basket, canceled.position).map_or(0, |share| share.discount);
            self.shift(canceled.type_row, -1, 0)?;
            self.count_sale(party, canceled.type_row, -1, discount.saturating_neg())?;
            self.set_ticket(large(index), canceled);
            self.unseat_ticket(index)?;
            live = live.checked_sub(1).ok_or_else(wrong)?;
        }
        if live == 0 {
            self.count_use(party, -1)?;
        }
        self.set_order_live(large(order_index), live);
        Ok(order_index)
    }

    pub(super) fn set_status(&mut self, number: u64, status: TicketStatus) -> Applied {
        let (index, ticket) = self.live_ticket(number)?;
        self.set_ticket(large(index), Ticket { status, ..ticket });
        Ok(())
    }

    pub(super) fn reissue(&mut self, number: u64, revision: u16, seat: Option<u32>) -> Applied {
        let (index, ticket) = self.live_ticket(number)?;
        if revision <= ticket.revision {
            return Err(ApplyError::contradiction("revision does not rise"));
        }
        self.set_ticket(large(index), Ticket { revision, ..ticket });
        if seat.is_some() {
            self.unseat_ticket(index)?;
        }
        self.seat_ticket(index, seat)
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
