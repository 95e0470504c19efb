//! Views of the state as commands are answered with them: the first time and every later time from
//! here, so that a repeated request is answered alike.

use uuid::Uuid;

use super::{Flags, HeldSeat, Hold, HoldStatus, Line, Scan, Stage, State, number_at};
use crate::code::order_code;
use crate::command::{
    FirstScan, HeldSeatView, HoldView, LineView, Occupancy, OrderStatus, OrderView, ScanVerdict,
    TicketStatus, TicketView,
};
use crate::money::share;
use crate::view::{EventView, QuotaFigures, TypeFigures, ZoneFigures};

impl State {
    /// By number, which counts from one.
    pub fn ticket_view(&self, number: u64) -> Option<TicketView> {
        self.ticket_view_at(super::ticket_index(number)?)
    }

    pub fn order_view(&self, id: Uuid) -> Option<OrderView> {
        self.order_view_at(self.order(id)?.0)
    }

    pub fn hold_view(&self, id: Uuid) -> Option<HoldView> {
        let hold = self.holds.get(&id)?;
        let lines = self.line_views(self.basket(hold.basket));
        let total = total(&lines);
        let (expires_at, promo) = (hold.expires_at, self.promo_id(hold.promo));
        let seats = self.held_seat_views(id);
        Some(HoldView { id, expires_at, lines, total, promo, seats, replayed: false })
    }

    /// The same, while it still holds anything.
    pub fn live_hold_view(&self, id: Uuid) -> Option<HoldView> {
        let live = |hold: &Hold| hold.status == HoldStatus::Live;
        self.holds.get(&id).is_some_and(live).then(|| self.hold_view(id))?
    }

    pub(crate) fn ticket_view_at(&self, index: u32) -> Option<TicketView> {
        let ticket = self.ticket_at(index)?;
        let kind = self.tables.kind(ticket.type_row)?;
        Some(TicketView {
            number: number_at(index),
            ticket_type: kind.id,
            type_number: kind.number,
            revision: ticket.revision,
            zones: self.tables.zones_of(ticket.type_row),
            valid_from: kind.valid_from,
            valid_until: kind.valid_until,
            rotating: kind.rotating,
            status: ticket.status,
            refund: self.refunds.get(&index).copied().unwrap_or(0),
            order: self.order_at(ticket.order)?.id,
            position: ticket.position,
            seat: self
                .seats
                .ticket_seat(index)
                .and_then(|seat| self.seats.told(seat))
                .map(Box::new),
        })
    }

    pub(crate) fn order_view_at(&self, index: u32) -> Option<OrderView> {
        let order = self.order_at(index)?;
        let lines = self.line_views(self.basket(order.basket));
        let tickets = order.first_ticket..order.first_ticket.checked_add(order.tickets)?;
        let live = order.live != 0;
        let hold = self.awaiting.get(&index).and_then(|hold| self.holds.get(hold));
        let tickets: Vec<TicketView> =
            tickets.filter_map(|index| self.ticket_view_at(index)).collect();
        Some(OrderView {
            id: order.id,
            number: number_at(index),
            code: order_code(self.event, number_at(index)),
            status: match order.stage {
                Stage::Confirmed if live => OrderStatus::Confirmed,
                Stage::Confirmed | Stage::Withdrawn => OrderStatus::Canceled,
                Stage::Awaiting => OrderStatus::AwaitingPayment,
                Stage::Expired => OrderStatus::Expired,
                Stage::RefundDue => OrderStatus::RefundDue,
            },
            until: hold.map(|hold| hold.expires_at),
            refunded: tickets.iter().fold(0, |sum, ticket| sum.saturating_add(ticket.refund)),
            total: total(&lines),
            lines,
            tickets,
            secret_hash: order.secret_hash,
            personal: order.personal.to_vec(),
            replayed: false,
        })
    }

    /// The decision as it was given; ticket and occupancy as they are now.
    pub(crate) fn verdict_view(&self, scan: &Scan) -> ScanVerdict {
        let zone = scan.zone.get().and_then(|row| self.zone_at(row));
        let first = scan.flags.has(Flags::HAD_FIRST).then_some(scan.ticket.get()).flatten();
        ScanVerdict {
            verdict: scan.verdict,
            reason: scan.reason,
            scan: scan.seq,
            at: scan.at,
            ticket: scan.ticket.get().and_then(|index| self.ticket_view_at(index)),
            first_scan: first.and_then(|index| self.first_scan(index, zone?.number)),
            occupancy: scan.zone.get().and_then(|row| self.occupancy(row)),
            forced: scan.flags.has(Flags::FORCED),
            replay: false,
            settled: scan.settlement(),
            questions: Vec::new(),
            alone: None,
        }
    }

    /// The ticket's first admission to a zone, by number.
    pub(crate) fn first_scan(&self, ticket: u32, zone: u8) -> Option<FirstScan> {
        let first = self.first_admission(ticket, zone)?;
        let lane = self.lanes.get(usize::try_from(first.lane).ok()?)?;
        Some(FirstScan { at: first.at, lane: lane.to_string() })
    }

    pub(crate) fn occupancy(&self, zone_row: u8) -> Option<Occupancy> {
        let row = usize::from(zone_row);
        let (zone, count) = (self.tables.zones.get(row)?, self.zones.get(row)?);
        let (key, capacity) = (zone.config.key.clone(), zone.config.capacity);
        Some(Occupancy { zone: key, inside: count.shown(), capacity })
    }

    fn held_seat_views(&self, hold: Uuid) -> Vec<HeldSeatView> {
        let view = |held: &HeldSeat| {
            let ticket_type = self.tables.kind(held.type_row)?.id;
            Some(HeldSeatView { ticket_type, seat: self.seats.told(held.seat)? })
        };
        self.seats.held_by(hold).iter().filter_map(view).collect()
    }

    /// What one ticket has of its order's amounts.
    pub(crate) fn share(&self, basket: u32, position: u32) -> Option<Line> {
        let mut before = position;
        for line in self.basket(basket) {
            let Some(rest) = before.checked_sub(line.quantity) else {
                let of = |amount| share(amount, line.quantity, before);
                let [price, discount, fee, tax] =
                    [line.price, line.discount, line.fee, line.tax].map(of);
                return Some(Line { price, discount, fee, tax, quantity: 1, ..*line });
            };
            before = rest;
        }
        None
    }

    /// By the key that lanes use.
    pub(crate) fn occupancy_of(&self, zone: &str) -> Option<Occupancy> {
        self.occupancy(self.tables.zone(zone)?.0)
    }

    pub(crate) fn line_views(&self, lines: &[Line]) -> Vec<LineView> {
        let view = |line: &Line| {
            Some(LineView {
                ticket_type: self.tables.kind(line.type_row)?.id,
                quantity: line.quantity,
                price: line.price,
                discount: line.discount,
                fee: line.fee,
                tax: line.tax,
                tax_added: line.tax_added,
            })
        };
        lines.iter().filter_map(view).collect()
    }

    /// Figures for everyone. What the catalogue no longer lists shows while it has figures.
    pub fn view(&self) -> EventView {
        let quotas = self.tables.quotas.iter().zip(&self.quotas).enumerate();
        let quotas = quotas.filter(|(_, (row, n))| row.listed || n.sold != 0 || n.held != 0);
        let types = self.tables.types.iter().zip(&self.types).enumerate();
        let types = types.filter(|(_, (row, n))| row.listed || n.sold != 0 || n.held != 0);
        let zones = self.tables.zones.iter().zip(&self.zones);
        let zones = zones.filter(|(row, n)| row.listed || n.inside != 0 || n.admitted != 0);
        EventView {
            event: self.event,
            number: self.config.number,
            organization: self.config.organization,
            config: self.config.clone(),
            catalogue_cursor: self.totals.cursor,
            now: self.totals.now,
            head: self.totals.head,
            fresh: true,
            quotas: quotas
                .map(|(row, (quota, count))| QuotaFigures {
                    id: quota.config.id,
                    size: quota.config.size,
                    sold: count.sold,
                    held: count.held,
                    blocked: count.kept.saturating_add(quota.config.blocked),
                    free: self.free(u16::try_from(row).unwrap_or(u16::MAX)),
                })
                .collect(),
            types: types
                .map(|(row, (kind, count))| TypeFigures {
                    id: kind.config.id,
                    available: self.available(u16::try_from(row).unwrap_or(u16::MAX)),
                    sold: count.sold,
                    admitted: count.admitted,
                })
                .collect(),
            zones: zones
                .map(|(zone, count)| ZoneFigures {
                    key: zone.config.key.clone(),
                    inside: count.shown(),
                    capacity: zone.config.capacity,
                    admitted: count.admitted,
                    denied: count.denied,
                })
                .collect(),
            admitted: self.totals.admitted,
            denied: self.totals.denied,
            evacuated: self.totals.evacuated,
            seats: self.seats.view(),
            unmerged: 0,
            room: self.room.view(self.config.room),
            balanced: self.check_counts().is_ok(),
        }
    }

    /// What the quotas of a type, and its seats, still allow: None = unlimited.
    pub(crate) fn available(&self, type_row: u16) -> Option<u64> {
        let quotas = self.tables.quotas_of(type_row).iter();
        let free = quotas.filter_map(|row| self.free(*row)).min();
        let free = free.map(|free| u64::try_from(free).unwrap_or(0));
        let seats = self.tables.kind(type_row).and_then(|kind| self.seats.open_for(kind.number));
        // What has no bound here is bounded there.
        free.into_iter().chain(seats).min()
    }
}

impl TicketStatus {
    pub(crate) fn is_live(self) -> bool {
        self != Self::Canceled
    }
}

/// What a basket costs, tax included.
pub(crate) fn total(lines: &[LineView]) -> i64 {
    lines.iter().fold(0, |sum, line| sum.saturating_add(line.total()))
}
