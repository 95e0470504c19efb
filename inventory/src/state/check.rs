//! The invariants of a state, recounted from what it holds. Slow: for tests and audits.

use std::collections::HashSet;

use uuid::Uuid;

use super::{
    Flags, HoldStatus, QuotaCount, Stage, State, TypeCount, ZoneCount, number_at, zone_bit,
};
use crate::command::TicketStatus;

type Checked = Result<(), String>;

impl State {
    /// Every count recounted, every index followed both ways. `Err` says what does not hold.
    pub fn check(&self) -> Checked {
        self.check_counts()?;
        self.check_orders()?;
        self.check_tickets()?;
        self.check_zones()?;
        self.check_holds()?;
        self.check_promos_and_buyers()?;
        self.check_memory()?;
        let live = |hold| self.holds.get(&hold).is_some_and(|h| h.status == HoldStatus::Live);
        self.seats.check(&live)?;
        self.room.check()?;
        self.check_seats()
    }

    /// Each quota is the sum of its ticket types.
    pub(crate) fn check_counts(&self) -> Checked {
        let mut sums = vec![QuotaCount::default(); self.quotas.len()];
        for (row, count) in self.types.iter().enumerate() {
            for quota in self.tables.quotas_of(u16::try_from(row).unwrap_or(u16::MAX)) {
                if let Some(sum) = sums.get_mut(usize::from(*quota)) {
                    sum.sold = sum.sold.saturating_add(count.sold);
                    sum.held = sum.held.saturating_add(count.held);
                }
            }
        }
        self.count_kept(&self.tables, &mut sums);
        same("quotas", &sums, &self.quotas)
    }

    fn check_orders(&self) -> Checked {
        // Tickets stand in the order of their confirmation.
        let mut ranges = Vec::new();
        for (index, order) in self.orders.iter().enumerate() {
            let lines = self.basket(order.basket).iter().map(|line| line.quantity);
            let confirmed = order.stage == Stage::Confirmed;
            let tickets = if confirmed { lines.fold(0, u32::saturating_add) } else { 0 };
            same("order's lines", &tickets, &order.tickets)?;
            if confirmed {
                ranges.push((order.first_ticket, order.tickets));
            }
            let of_order = self.tickets_of(order.first_ticket, order.tickets);
            let live = of_order.iter().filter(|t| t.status.is_live()).count();
            same("order's live tickets", &usize::try_from(order.live).unwrap_or(0), &live)?;
            let back = self.order_ids.get(&order.id).and_then(|i| usize::try_from(*i).ok());
            same("order by id", &back, &Some(index))?;
            for (position, ticket) in of_order.iter().enumerate() {
                let found = (usize::try_from(ticket.order), usize::try_from(ticket.position));
                same("ticket's order", &found, &(Ok(index), Ok(position)))?;
            }
        }
        self.check_awaiting()?;
        ranges.sort_unstable();
        let mut next_ticket = 0_u32;
        for (first, tickets) in ranges {
            same("order's first ticket", &first, &next_ticket)?;
            next_ticket = next_ticket.saturating_add(tickets);
        }
        same("orders by id", &self.order_ids.len(), &self.orders.len())?;
        for (basket, index) in &self.basket_ids {
            same("basket by lines", &self.basket(*index), &basket.as_ref())?;
        }
        same("baskets by lines", &self.basket_ids.len(), &self.baskets.len())?;
        same("tickets", &usize::try_from(next_ticket), &Ok(self.tickets.len()))
    }

    /// A canceled ticket has no seat, and no two tickets have one.
    fn check_seats(&self) -> Checked {
        for (ticket, at) in self.tickets.iter().zip(0_u32..) {
            if !ticket.status.is_live() && self.seats.ticket_seat(at).is_some() {
                return Err(format!("ticket {}: canceled, and has a seat", number_at(at)));
            }
        }
        let gone = self.seats.held.keys().find(|hold| !self.holds.contains_key(hold));
        gone.map_or(Ok(()), |hold| Err(format!("hold {hold} is forgotten, its seats are not")))
    }

    /// Orders that wait and the holds that they wait with, both ways.
    fn check_awaiting(&self) -> Checked {
        let waits = |order: &super::Order| order.stage == Stage::Awaiting;
        let waiting = (0..).zip(&self.orders).filter(|(_, order)| waits(order));
        let waiting: Vec<u32> = waiting.map(|(index, _)| index).collect();
        same("orders that wait", &waiting, &self.awaiting.keys().copied().collect())?;
        for (order, hold) in &self.awaiting {
            let hold = self.holds.get(hold).filter(|hold| hold.status == HoldStatus::Live);
            same("hold of an order", &hold.map(|hold| hold.order), &Some(Some(*order)))?;
        }
        for (ticket, refund) in &self.refunds {
            let status = self.ticket_at(*ticket).map(|ticket| ticket.status);
            if status != Some(TicketStatus::Canceled) || *refund <= 0 {
                return Err(format!("ticket {}: a refund of nothing", number_at(*ticket)));
            }
        }
        Ok(())
    }

    fn tickets_of(&self, first: u32, count: u32) -> &[super::Ticket] {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.tickets.get(first..first.saturating_add(count)).unwrap_or(&[])
    }

    fn check_tickets(&self) -> Checked {
        let mut types = vec![TypeCount::default(); self.types.len()];
        for ticket in &self.tickets {
            let Some(count) = types.get_mut(usize::from(ticket.type_row)) else {
                return Err("ticket of an unknown type".to_owned());
            };
            count.sold = count.sold.saturating_add(u64::from(ticket.status.is_live()));
            count.admitted = count.admitted.saturating_add(u64::from(ticket.entered != 0));
        }
        let held = self.holds.values().filter(|hold| hold.status == HoldStatus::Live);
        for line in held.flat_map(|hold| self.basket(hold.basket)) {
            if let Some(count) = types.get_mut(usize::from(line.type_row)) {
                count.held = count.held.saturating_add(u64::from(line.quantity));
            }
        }
        same("types", &types, &self.types)
    }

    fn check_zones(&self) -> Checked {
        for (row, (zone, count)) in self.tables.zones.iter().zip(&self.zones).enumerate() {
            let bit = zone_bit(zone.config.number);
            let inside = self.tickets.iter().filter(|t| self.inside(t) & bit != 0).count();
            same("zone's inside", &u64::try_from(inside).unwrap_or(0), &count.inside)?;
            let entered = self.tickets.iter().filter(|t| t.entered & bit != 0).count();
            if count.admitted < u64::try_from(entered).unwrap_or(0) {
                return Err(format!("zone {row}: more tickets than admissions"));
            }
        }
        let admitted = self.zones.iter().map(|zone: &ZoneCount| zone.admitted);
        same("admitted", &admitted.fold(0, u64::saturating_add), &self.totals.admitted)?;
        for (index, ticket) in self.tickets.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let zones = self.tables.zones.iter().map(|zone| zone.config.number);
            for number in zones.filter(|number| ticket.entered & zone_bit(*number) != 0) {
                if self.first_scan(index, number).is_none() {
                    return Err(format!("ticket {}: no first admission", number_at(index)));
                }
            }
        }
        self.check_passages()?;
        same("lanes", &self.lane_ids.len(), &self.lanes.len())
    }

    /// Each ticket stands where the fold of its passages leads to, and they are in order.
    fn check_passages(&self) -> Checked {
        let mut admitted = vec![0_u64; self.zones.len()];
        for (index, ticket) in self.tickets.iter().enumerate() {
            let mut later = None;
            for scan in self.passages(ticket) {
                if later.is_some_and(|later| later < scan.order()) {
                    return Err(format!("ticket at {index}: passages not in order of time"));
                }
                later = Some(scan.order());
                let row = scan.zone.get().filter(|_| !scan.is_exit()).map(usize::from);
                if let Some(count) = row.and_then(|row| admitted.get_mut(row)) {
                    *count = count.saturating_add(1);
                }
            }
            let Some(folded) = self.fold(ticket) else { continue };
            same("entered", &folded.entered, &ticket.entered)?;
            same("inside", &folded.inside, &self.inside(ticket))?;
            for (zone, admission) in folded.firsts {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                same("first admission", &self.first_admission(index, zone), &Some(admission))?;
            }
        }
        let counted: Vec<u64> = self.zones.iter().map(|zone| zone.admitted).collect();
        if self.totals.scans_forgotten == 0 {
            same("admissions", &admitted, &counted)
        } else {
            Ok(())
        }
    }

    fn check_holds(&self) -> Checked {
        same("due", &self.all_due().collect(), &self.due)?;
        let ended = self.holds.iter().filter(|(_, hold)| hold.status != HoldStatus::Live);
        let ended: HashSet<Uuid> = ended.map(|(id, _)| *id).collect();
        let listed: HashSet<Uuid> = self.ended.iter().map(|(_, id)| *id).collect();
        same("holds ended", &ended, &listed)?;
        ordered("holds ended", self.ended.iter().map(|(at, _)| *at))
    }

    fn check_promos_and_buyers(&self) -> Checked {
        let counted = self.recount();
        same("codes", &counted.promos, &self.promo_counts)?;
        same("buyers of codes", &counted.promo_buyers, &self.promo_buyers)?;
        same("buyers", &counted.buyers, &self.buyers)?;
        let listed = self.promos.iter().filter(|promo| promo.listed).count();
        same("codes listed", &listed, &self.promo_codes.len())
    }

    fn check_memory(&self) -> Checked {
        ordered("keys", self.key_order.iter().map(|(at, _)| *at))?;
        for (scope, record) in &self.keys {
            if !self.key_order.contains(&(record.at, *scope)) {
                return Err(format!("key {scope} would never be forgotten"));
            }
        }
        ordered("scans", self.scans.iter().map(|scan| scan.seq))?;
        for (nonce, index) in &self.nonces {
            let offset = index.checked_sub(self.totals.scans_forgotten);
            let scan = offset.and_then(|o| self.scans.get(usize::try_from(o).ok()?));
            same("scan by nonce", &scan.map(|scan| scan.nonce), &Some(*nonce))?;
        }
        for scan in &self.scans {
            if !scan.flags.has(Flags::SECOND) && !self.nonces.contains_key(&scan.nonce) {
                return Err(format!("nonce {} was lost", scan.nonce));
            }
        }
        let canceled = |order: &super::Order| order.live == 0;
        for order in self.orders.iter().filter(|order| canceled(order)) {
            let tickets = self.tickets_of(order.first_ticket, order.tickets);
            if tickets.iter().any(|ticket| ticket.status != TicketStatus::Canceled) {
                return Err(format!("order {} is canceled, its tickets are not", order.id));
            }
        }
        Ok(())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, left: &T, right: &T) -> Checked {
    if left == right { Ok(()) } else { Err(format!("{what}: {left:?} and {right:?} differ")) }
}

fn ordered<T: PartialOrd>(what: &str, times: impl Iterator<Item = T>) -> Checked {
    if times.is_sorted() { Ok(()) } else { Err(format!("{what}: not in order of time")) }
}
