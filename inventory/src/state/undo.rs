//! The only ways to change a state. Each leaves behind what takes it back exactly, so that a node
//! may run ahead of its log and return. Knows how things are stored, not why they change.

use std::sync::Arc;

use uuid::Uuid;

use super::room::{Moved, Pass, Rank};
use super::seats::{Cell, HeldSeat, Plan};
use super::tables::Tables;
use super::{
    Admission, Due, Hold, KeyRecord, Lease, Line, Order, Promo, PromoCount, QuotaCount, Scan,
    Stage, State, Ticket, Totals, TypeCount, ZoneCount,
};
use crate::command::{Digest16, Refusal};
use crate::config::EventConfig;
use crate::time::Millis;

#[derive(Debug)]
pub(super) enum Undo {
    Totals(Totals),
    Catalogue(Box<Catalogue>),
    Quota(usize, QuotaCount),
    Type(usize, TypeCount),
    Zone(usize, ZoneCount),
    Ticket(usize, Ticket),
    TicketAdded,
    /// What changes of an order.
    OrderMoved(usize, Progress),
    Awaiting(u32, Option<Uuid>),
    Refund(u32, Option<i64>),
    OrderAdded,
    Admission((u32, u8), Option<Admission>),
    AnsweredAdded((u32, Uuid)),
    RecordedAdded(u32),
    Lease(u32, Option<Lease>),
    LaneAdded,
    BasketAdded,
    Hold(Uuid, Option<Hold>),
    PromoAdded,
    Promo(usize, Box<Promo>),
    PromoCount(usize, Box<PromoCount>),
    PromoCode(Digest16, Option<u32>),
    PromoChunk(Uuid, Option<u64>),
    PromoBuyer((u32, Digest16), Option<u32>),
    Buyer((Digest16, u16), Option<u32>),
    DueAdded(Millis, Due),
    DueRemoved(Millis, Due),
    EndedPushed,
    EndedPopped(Millis, Uuid),
    Key(Digest16, Option<Box<KeyRecord>>),
    KeyPushed,
    KeyPopped(Millis, Digest16),
    ScanPushed,
    Scan(u32, Box<Scan>),
    ScanPopped(Box<Scan>),
    Nonce(Digest16, Option<u32>),
    InstructionAdded(Uuid),
    House(HouseUndo),
}

/// Changes of seats and of the waiting room.
#[derive(Debug)]
pub(super) enum HouseUndo {
    /// With the number of cells that there were.
    Plan(Box<Plan>, usize),
    Cell(u32, Cell),
    /// With the number of tickets that the list reached to.
    TicketSeat(usize, u32, usize),
    HeldSeats(Uuid, Option<Box<[HeldSeat]>>),
    Room(Moved),
    Sample(Digest16, Option<Rank>),
    Pass(Digest16, Option<Pass>),
}

/// How far an order came, and with which tickets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) stage: Stage,
    pub(super) first_ticket: u32,
    pub(super) tickets: u32,
    pub(super) live: u32,
}

impl Order {
    pub(super) fn progress(&self) -> Progress {
        let Self { stage, first_ticket, tickets, live, .. } = *self;
        Progress { stage, first_ticket, tickets, live }
    }

    fn replace_progress(&mut self, progress: Progress) -> Progress {
        let before = self.progress();
        let Progress { stage, first_ticket, tickets, live } = progress;
        (self.stage, self.first_ticket, self.tickets, self.live) =
            (stage, first_ticket, tickets, live);
        before
    }
}

/// All that a configuration replaces.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) config: Arc<EventConfig>,
    pub(super) tables: Arc<Tables>,
    pub(super) quotas: Vec<QuotaCount>,
    pub(super) types: Vec<TypeCount>,
    pub(super) zones: Vec<ZoneCount>,
}

impl State {
    pub(super) fn set_totals(&mut self, totals: Totals) {
        self.undo.push(Undo::Totals(std::mem::replace(&mut self.totals, totals)));
    }

    pub(super) fn set_catalogue(&mut self, catalogue: Catalogue) {
        let before = self.swap_catalogue(catalogue);
        self.undo.push(Undo::Catalogue(Box::new(before)));
    }

    fn swap_catalogue(&mut self, catalogue: Catalogue) -> Catalogue {
        Catalogue {
            config: std::mem::replace(&mut self.config, catalogue.config),
            tables: std::mem::replace(&mut self.tables, catalogue.tables),
            quotas: std::mem::replace(&mut self.quotas, catalogue.quotas),
            types: std::mem::replace(&mut self.types, catalogue.types),
            zones: std::mem::replace(&mut self.zones, catalogue.zones),
        }
    }

    pub(super) fn set_quota(&mut self, row: usize, count: QuotaCount) {
        if let Some(slot) = self.quotas.get_mut(row) {
            self.undo.push(Undo::Quota(row, std::mem::replace(slot, count)));
        }
    }

    pub(super) fn set_type(&mut self, row: usize, count: TypeCount) {
        if let Some(slot) = self.types.get_mut(row) {
            self.undo.push(Undo::Type(row, std::mem::replace(slot, count)));
        }
    }

    pub(super) fn set_zone(&mut self, row: usize, count: ZoneCount) {
        if let Some(slot) = self.zones.get_mut(row) {
            self.undo.push(Undo::Zone(row, std::mem::replace(slot, count)));
        }
    }

    pub(super) fn set_ticket(&mut self, index: usize, ticket: Ticket) {
        if let Some(slot) = self.tickets.get_mut(index) {
            self.undo.push(Undo::Ticket(index, std::mem::replace(slot, ticket)));
        }
    }

    pub(super) fn add_ticket(&mut self, ticket: Ticket) {
        self.tickets.push(ticket);
        self.undo.push(Undo::TicketAdded);
    }

    pub(super) fn move_order(&mut self, index: usize, progress: Progress) {
        if let Some(order) = self.orders.get_mut(index) {
            self.undo.push(Undo::OrderMoved(index, order.replace_progress(progress)));
        }
    }

    pub(super) fn put_awaiting(&mut self, order: u32, hold: Option<Uuid>) {
        let before = match hold {
            Some(hold) => self.awaiting.insert(order, hold),
            None => self.awaiting.remove(&order),
        };
        self.undo.push(Undo::Awaiting(order, before));
    }

    pub(super) fn add_refund(&mut self, ticket: u32, refund: i64) {
        let before = self.refunds.insert(ticket, refund);
        self.undo.push(Undo::Refund(ticket, before));
    }

    pub(super) fn add_order(&mut self, index: u32, order: Order) {
        self.order_ids.insert(order.id, index);
        self.orders.push(order);
        self.undo.push(Undo::OrderAdded);
    }

    pub(super) fn put_admission(&mut self, key: (u32, u8), admission: Option<Admission>) {
        let before = match admission {
            Some(admission) => self.admissions.insert(key, admission),
            None => self.admissions.remove(&key),
        };
        self.undo.push(Undo::Admission(key, before));
    }

    pub(super) fn add_answered(&mut self, key: (u32, Uuid)) {
        if self.answered.insert(key) {
            self.undo.push(Undo::AnsweredAdded(key));
        }
    }

    pub(super) fn add_recorded(&mut self, ticket: u32) {
        if self.recorded.insert(ticket) {
            self.undo.push(Undo::RecordedAdded(ticket));
        }
    }

    pub(super) fn put_lease(&mut self, scan: u32, lease: Option<Lease>) {
        let before = match lease {
            Some(lease) => self.leases.insert(scan, lease),
            None => self.leases.remove(&scan),
        };
        self.undo.push(Undo::Lease(scan, before));
    }

    pub(super) fn add_lane(&mut self, index: u32, lane: &str) {
        self.lanes.push(lane.into());
        self.lane_ids.insert(lane.into(), index);
        self.undo.push(Undo::LaneAdded);
    }

    pub(super) fn add_basket(&mut self, index: u32, basket: Box<[Line]>) {
        self.baskets.push(basket.clone());
        self.basket_ids.insert(basket, index);
        self.undo.push(Undo::BasketAdded);
    }

    pub(super) fn put_hold(&mut self, id: Uuid, hold: Option<Hold>) {
        let before = match hold {
            Some(hold) => self.holds.insert(id, hold),
            None => self.holds.remove(&id),
        };
        self.undo.push(Undo::Hold(id, before));
    }

    pub(super) fn add_promo(&mut self, row: u32, promo: Promo) {
        self.promo_ids.insert(promo.config.id, row);
        self.promos.push(promo);
        self.promo_counts.push(PromoCount::default());
        self.undo.push(Undo::PromoAdded);
    }

    pub(super) fn set_promo(&mut self, row: usize, promo: Promo) {
        if let Some(slot) = self.promos.get_mut(row) {
            self.undo.push(Undo::Promo(row, Box::new(std::mem::replace(slot, promo))));
        }
    }

    pub(super) fn set_promo_count(&mut self, row: usize, count: PromoCount) {
        if let Some(slot) = self.promo_counts.get_mut(row) {
            self.undo.push(Undo::PromoCount(row, Box::new(std::mem::replace(slot, count))));
        }
    }

    pub(super) fn put_promo_code(&mut self, code: Digest16, row: Option<u32>) {
        let before = put(&mut self.promo_codes, code, row);
        self.undo.push(Undo::PromoCode(code, before));
    }

    pub(super) fn put_promo_chunk(&mut self, chunk: Uuid, cursor: u64) {
        let before = self.promo_chunks.insert(chunk, cursor);
        self.undo.push(Undo::PromoChunk(chunk, before));
    }

    /// None = no longer any.
    pub(super) fn put_promo_buyer(&mut self, key: (u32, Digest16), uses: Option<u32>) {
        let before = put(&mut self.promo_buyers, key, uses);
        self.undo.push(Undo::PromoBuyer(key, before));
    }

    /// None = no longer any.
    pub(super) fn put_buyer(&mut self, key: (Digest16, u16), tickets: Option<u32>) {
        let before = put(&mut self.buyers, key, tickets);
        self.undo.push(Undo::Buyer(key, before));
    }

    pub(super) fn add_due(&mut self, at: Millis, what: Due) {
        if self.due.insert((at, what)) {
            self.undo.push(Undo::DueAdded(at, what));
        }
    }

    pub(super) fn remove_due(&mut self, at: Millis, what: Due) {
        if self.due.remove(&(at, what)) {
            self.undo.push(Undo::DueRemoved(at, what));
        }
    }

    pub(super) fn push_ended(&mut self, at: Millis, hold: Uuid) {
        self.ended.push_back((at, hold));
        self.undo.push(Undo::EndedPushed);
    }

    pub(super) fn pop_ended(&mut self) {
        if let Some((at, hold)) = self.ended.pop_front() {
            self.undo.push(Undo::EndedPopped(at, hold));
        }
    }

    pub(super) fn put_key(&mut self, scope: Digest16, record: Option<KeyRecord>) {
        let before = match record {
            Some(record) => self.keys.insert(scope, record),
            None => self.keys.remove(&scope),
        };
        self.undo.push(Undo::Key(scope, before.map(Box::new)));
    }

    pub(super) fn push_key(&mut self, at: Millis, scope: Digest16) {
        self.key_order.push_back((at, scope));
        self.undo.push(Undo::KeyPushed);
    }

    pub(super) fn pop_key(&mut self) {
        if let Some((at, scope)) = self.key_order.pop_front() {
            self.undo.push(Undo::KeyPopped(at, scope));
        }
    }

    pub(super) fn push_scan(&mut self, scan: Scan) {
        self.scans.push_back(scan);
        self.undo.push(Undo::ScanPushed);
    }

    pub(super) fn set_scan(&mut self, index: u32, scan: Scan) {
        if let Some(slot) = self.scan_slot(index) {
            let before = std::mem::replace(slot, scan);
            self.undo.push(Undo::Scan(index, Box::new(before)));
        }
    }

    fn scan_slot(&mut self, index: u32) -> Option<&mut Scan> {
        let offset = index.checked_sub(self.totals.scans_forgotten)?;
        self.scans.get_mut(usize::try_from(offset).ok()?)
    }

    pub(super) fn pop_scan(&mut self) {
        if let Some(scan) = self.scans.pop_front() {
            self.undo.push(Undo::ScanPopped(Box::new(scan)));
        }
    }

    pub(super) fn put_nonce(&mut self, nonce: Digest16, index: Option<u32>) {
        let before = match index {
            Some(index) => self.nonces.insert(nonce, index),
            None => self.nonces.remove(&nonce),
        };
        self.undo.push(Undo::Nonce(nonce, before));
    }

    pub(super) fn add_instruction(&mut self, id: Uuid, refused: Option<Refusal>) {
        self.instructions.insert(id, refused.map(Box::new));
        self.undo.push(Undo::InstructionAdded(id));
    }

    pub(super) fn set_plan(&mut self, plan: Plan) {
        let cells = self.seats.cells.len();
        let before = self.seats.set_plan(plan);
        self.undo.push(Undo::House(HouseUndo::Plan(Box::new(before), cells)));
    }

    /// None when there is no such seat.
    pub(super) fn put_cell(&mut self, seat: u32, cell: Cell) -> Option<()> {
        let before = self.seats.set_cell(seat, cell)?;
        self.undo.push(Undo::House(HouseUndo::Cell(seat, before)));
        Some(())
    }

    pub(super) fn set_ticket_seat(&mut self, ticket: usize, seat: u32) {
        let reached = self.seats.of_ticket.len();
        if reached <= ticket {
            self.seats.of_ticket.resize(ticket.saturating_add(1), 0);
        }
        if let Some(slot) = self.seats.of_ticket.get_mut(ticket) {
            self.undo.push(Undo::House(HouseUndo::TicketSeat(
                ticket,
                std::mem::replace(slot, seat),
                reached,
            )));
        }
    }

    pub(super) fn put_held_seats(&mut self, hold: Uuid, seats: Option<Box<[HeldSeat]>>) {
        let before = match seats {
            Some(seats) => self.seats.held.insert(hold, seats),
            None if self.seats.held.is_empty() => return,
            None => self.seats.held.remove(&hold),
        };
        self.undo.push(Undo::House(HouseUndo::HeldSeats(hold, before)));
    }

    pub(super) fn move_room(&mut self, moved: Moved) {
        self.undo
            .push(Undo::House(HouseUndo::Room(std::mem::replace(&mut self.room.figures, moved))));
    }

    pub(super) fn put_sample(&mut self, entry: Digest16, rank: Option<Rank>) {
        let before = self.room.put_sample(entry, rank);
        self.undo.push(Undo::House(HouseUndo::Sample(entry, before)));
    }

    pub(super) fn put_pass(&mut self, entry: Digest16, pass: Option<Pass>) {
        let before = self.room.put_pass(entry, pass);
        self.undo.push(Undo::House(HouseUndo::Pass(entry, before)));
    }

    /// Takes back the newest change that is not committed.
    pub(super) fn undo_last(&mut self) {
        let Some(undo) = self.undo.pop() else { return };
        match undo {
            Undo::Totals(totals) => self.totals = totals,
            Undo::Catalogue(catalogue) => drop(self.swap_catalogue(*catalogue)),
            Undo::Quota(row, count) => restore(&mut self.quotas, row, count),
            Undo::Type(row, count) => restore(&mut self.types, row, count),
            Undo::Zone(row, count) => restore(&mut self.zones, row, count),
            Undo::Ticket(index, ticket) => restore(&mut self.tickets, index, ticket),
            Undo::TicketAdded => drop(self.tickets.pop()),
            Undo::OrderMoved(index, before) => {
                if let Some(order) = self.orders.get_mut(index) {
                    order.replace_progress(before);
                }
            }
            Undo::Awaiting(order, before) => restore_sorted(&mut self.awaiting, order, before),
            Undo::Refund(ticket, before) => restore_sorted(&mut self.refunds, ticket, before),
            Undo::OrderAdded => {
                if let Some(order) = self.orders.pop() {
                    self.order_ids.remove(&order.id);
                }
            }
            Undo::Admission(key, before) => restore_sorted(&mut self.admissions, key, before),
            Undo::AnsweredAdded(key) => drop(self.answered.remove(&key)),
            Undo::RecordedAdded(ticket) => drop(self.recorded.remove(&ticket)),
            Undo::Lease(scan, before) => restore_sorted(&mut self.leases, scan, before),
            Undo::LaneAdded => {
                if let Some(lane) = self.lanes.pop() {
                    self.lane_ids.remove(&lane);
                }
            }
            Undo::BasketAdded => {
                if let Some(basket) = self.baskets.pop() {
                    self.basket_ids.remove(&basket);
                }
            }
            Undo::Hold(id, before) => restore_in(&mut self.holds, id, before),
            Undo::PromoAdded => {
                self.promo_counts.pop();
                if let Some(promo) = self.promos.pop() {
                    self.promo_ids.remove(&promo.config.id);
                }
            }
            Undo::Promo(row, promo) => restore(&mut self.promos, row, *promo),
            Undo::PromoCount(row, count) => restore(&mut self.promo_counts, row, *count),
            Undo::PromoCode(code, before) => restore_in(&mut self.promo_codes, code, before),
            Undo::PromoChunk(chunk, before) => {
                restore_sorted(&mut self.promo_chunks, chunk, before);
            }
            Undo::PromoBuyer(key, before) => restore_in(&mut self.promo_buyers, key, before),
            Undo::Buyer(key, before) => restore_in(&mut self.buyers, key, before),
            Undo::DueAdded(at, what) => drop(self.due.remove(&(at, what))),
            Undo::DueRemoved(at, what) => drop(self.due.insert((at, what))),
            Undo::EndedPushed => drop(self.ended.pop_back()),
            Undo::EndedPopped(at, hold) => self.ended.push_front((at, hold)),
            Undo::Key(scope, before) => restore_in(&mut self.keys, scope, before.map(|key| *key)),
            Undo::KeyPushed => drop(self.key_order.pop_back()),
            Undo::KeyPopped(at, scope) => self.key_order.push_front((at, scope)),
            Undo::Scan(index, scan) => {
                if let Some(slot) = self.scan_slot(index) {
                    *slot = *scan;
                }
            }
            Undo::ScanPushed => drop(self.scans.pop_back()),
            Undo::ScanPopped(scan) => self.scans.push_front(*scan),
            Undo::Nonce(nonce, before) => restore_in(&mut self.nonces, nonce, before),
            Undo::InstructionAdded(id) => drop(self.instructions.remove(&id)),
            Undo::House(undo) => self.undo_in_house(undo),
        }
    }

    fn undo_in_house(&mut self, undo: HouseUndo) {
        match undo {
            HouseUndo::Plan(plan, cells) => {
                self.seats.cells.truncate(cells);
                drop(self.seats.set_plan(*plan));
            }
            HouseUndo::Cell(seat, cell) => drop(self.seats.set_cell(seat, cell)),
            HouseUndo::TicketSeat(ticket, seat, reached) => {
                restore(&mut self.seats.of_ticket, ticket, seat);
                self.seats.of_ticket.truncate(reached);
            }
            HouseUndo::Room(moved) => self.room.figures = moved,
            HouseUndo::Sample(entry, before) => drop(self.room.put_sample(entry, before)),
            HouseUndo::Pass(entry, before) => drop(self.room.put_pass(entry, before)),
            HouseUndo::HeldSeats(hold, before) => restore_in(&mut self.seats.held, hold, before),
        }
    }
}

fn put<K, V>(map: &mut std::collections::HashMap<K, V>, key: K, value: Option<V>) -> Option<V>
where
    K: std::hash::Hash + Eq,
{
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

fn restore<T>(slots: &mut [T], index: usize, before: T) {
    if let Some(slot) = slots.get_mut(index) {
        *slot = before;
    }
}

fn restore_in<K, V>(map: &mut std::collections::HashMap<K, V>, key: K, before: Option<V>)
where
    K: std::hash::Hash + Eq,
{
    match before {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

fn restore_sorted<K: Ord, V>(
    map: &mut std::collections::BTreeMap<K, V>,
    key: K,
    before: Option<V>,
) {
    match before {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}
