//! What each fact does to the state. Trusts nothing: an entry that contradicts the state is an
//! error, since it means that the journal or this code is not what it was.

use std::sync::Arc;

use uuid::Uuid;

use super::tables::conflict;
use super::undo::Catalogue;
use super::{
    Admission, Due, Hold, HoldStatus, KeyOutcome, KeyRecord, Line, Order, QuotaCount, State,
    Ticket, number_at,
};
use crate::command::{IdempotencyKey, LineView, Refusal, TicketStatus};
use crate::config::EventConfig;
use crate::entry::{Entry, VERSION};
use crate::fact::{Fact, OrderConfirmed};
use crate::time::Millis;

mod doors;

/// Outdated records of each kind that one entry clears away.
const FORGOTTEN_PER_ENTRY_MAX: usize = 16;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ApplyError {
    /// Its number or previous hash are not those of the journal's end.
    #[error("entry {0} does not follow the journal's end")]
    Chain(u64),
    #[error("entry version {0} is not known here")]
    Version(u16),
    #[error("entry cannot be read: {0}")]
    Unreadable(String),
    #[error("entry contradicts the state: {0}")]
    Contradiction(String),
}

impl ApplyError {
    pub(crate) fn contradiction(what: impl Into<String>) -> Self {
        Self::Contradiction(what.into())
    }
}

type Applied = Result<(), ApplyError>;

impl State {
    /// Leaves a part of its changes behind when it fails: the caller rolls back.
    pub(super) fn try_apply(&mut self, entry: &Entry, fact: &Fact) -> Applied {
        if entry.v != VERSION {
            return Err(ApplyError::Version(entry.v));
        }
        if !entry.follows(self.totals.head) {
            return Err(ApplyError::Chain(entry.seq));
        }
        if entry.at < self.totals.now {
            return Err(ApplyError::contradiction("time runs backward"));
        }
        let mut totals = self.totals;
        totals.head = entry.head();
        totals.now = entry.at;
        self.set_totals(totals);
        match fact {
            Fact::CatalogueApplied { cursor, config, exit_alls } => {
                self.configure(*cursor, config)?;
                self.schedule_exits(exit_alls)?;
            }
            Fact::HoldCreated { hold, lines, expires_at, renew_until, buyer: _, key } => {
                self.create_hold(*hold, lines, *expires_at, *renew_until)?;
                self.remember(key.as_ref(), KeyOutcome::Hold(*hold));
            }
            Fact::HoldRenewed { hold, expires_at } => self.renew_hold(*hold, *expires_at)?,
            Fact::HoldReleased { hold } => self.give_back(*hold, HoldStatus::Released)?,
            Fact::HoldsExpired { holds } => {
                for hold in holds {
                    self.give_back(*hold, HoldStatus::Expired)?;
                }
            }
            Fact::OrderConfirmed(order) => self.confirm(order)?,
            Fact::OrderCanceled { order, positions, key } => {
                let index = self.cancel(*order, positions)?;
                self.remember(key.as_ref(), KeyOutcome::Canceled(index));
            }
            Fact::TicketBlocked { ticket } => self.set_status(*ticket, TicketStatus::Blocked)?,
            Fact::TicketUnblocked { ticket } => self.set_status(*ticket, TicketStatus::Valid)?,
            Fact::TicketReissued { ticket, revision } => self.reissue(*ticket, *revision)?,
            Fact::ScanDecided(scan) => self.scan(entry, scan)?,
            Fact::ScanSettled { scan, passed, device: _ } => self.settle(*scan, *passed)?,
            Fact::ScanAnnulled { scan, device: _ } => self.annul(*scan)?,
            Fact::ScanRecorded(scan) => self.record(entry, scan)?,
            Fact::ZoneEmptied { zone, before, next } => self.empty(*zone, *before, *next)?,
            Fact::ZoneCorrected { zone, inside, by: _ } => self.correct(*zone, *inside)?,
            Fact::EventEvacuated { on, by: _ } => {
                let mut totals = self.totals;
                totals.evacuated = *on;
                self.set_totals(totals);
            }
            Fact::EventCanceled {} => {
                let mut totals = self.totals;
                totals.canceled = true;
                self.set_totals(totals);
            }
            Fact::InstructionDone { id, refused } => {
                if self.instructions.contains_key(id) {
                    return Err(ApplyError::contradiction("instruction is done already"));
                }
                self.add_instruction(*id, refused.clone());
            }
        }
        self.forget();
        Ok(())
    }

    // === catalogue ===

    /// The catalogue after this configuration, or why it cannot be taken over.
    pub(crate) fn check_config(&self, config: &EventConfig) -> Result<(), Refusal> {
        self.catalogue_with(config).map(drop)
    }

    fn catalogue_with(&self, config: &EventConfig) -> Result<Catalogue, Refusal> {
        let changed = self.configured()
            && (config.number != self.config.number
                || config.organization != self.config.organization);
        // What was sold was sold in the former currency.
        let traded = !self.orders.is_empty() || self.holds_live();
        let recoined =
            config.currency != self.config.currency || config.exponent != self.config.exponent;
        if config.event != self.event || changed || (traded && recoined) {
            return Err(conflict("event", config.event));
        }
        let tables = self.tables.merge(config)?;
        let mut types = self.types.clone();
        types.resize(tables.types.len(), Default::default());
        let mut zones = self.zones.clone();
        zones.resize(tables.zones.len(), Default::default());
        // A type may have been moved to other quotas: what it sold and holds counts there now.
        let mut quotas = vec![QuotaCount::default(); tables.quotas.len()];
        for (row, count) in types.iter().enumerate() {
            for quota in tables.quotas_of(u16::try_from(row).unwrap_or(u16::MAX)) {
                if let Some(quota) = quotas.get_mut(usize::from(*quota)) {
                    quota.sold = quota.sold.saturating_add(count.sold);
                    quota.held = quota.held.saturating_add(count.held);
                }
            }
        }
        let (config, tables) = (Arc::new(config.clone()), Arc::new(tables));
        Ok(Catalogue { config, tables, quotas, types, zones })
    }

    fn configure(&mut self, cursor: u64, config: &EventConfig) -> Applied {
        if cursor <= self.totals.cursor {
            return Err(ApplyError::contradiction("catalogue runs backward"));
        }
        let catalogue = self.catalogue_with(config).map_err(|refusal| {
            ApplyError::Contradiction(format!("configuration refused: {:?}", refusal.constraint))
        })?;
        let moved = self.moved_by(&catalogue.tables);
        self.set_catalogue(catalogue);
        self.refold_all(&moved)?;
        let mut totals = self.totals;
        totals.cursor = cursor;
        self.set_totals(totals);
        Ok(())
    }

    // === holds ===

    fn create_hold(
        &mut self,
        id: Uuid,
        lines: &[LineView],
        expires_at: Millis,
        renew_until: Millis,
    ) -> Applied {
        if self.holds.contains_key(&id) {
            return Err(ApplyError::contradiction("hold id is taken"));
        }
        let lines = self.rows_of(lines)?;
        for line in &lines {
            self.shift(line.type_row, 0, i64::from(line.quantity))?;
        }
        let basket = self.intern_basket(lines)?;
        let hold = Hold { basket, expires_at, renew_until, status: HoldStatus::Live };
        self.put_hold(id, Some(hold));
        self.add_due(expires_at, Due::HoldEnds(id));
        Ok(())
    }

    fn renew_hold(&mut self, id: Uuid, expires_at: Millis) -> Applied {
        let hold = self.live_hold(id)?;
        self.remove_due(hold.expires_at, Due::HoldEnds(id));
        self.add_due(expires_at, Due::HoldEnds(id));
        self.put_hold(id, Some(Hold { expires_at, ..hold }));
        Ok(())
    }

    /// Ends a live hold and returns what it held.
    fn give_back(&mut self, id: Uuid, status: HoldStatus) -> Applied {
        let hold = self.live_hold(id)?;
        for index in 0..self.basket(hold.basket).len() {
            let Some(line) = self.basket(hold.basket).get(index).copied() else { break };
            let quantity = i64::from(line.quantity);
            self.shift(line.type_row, 0, quantity.saturating_neg())?;
        }
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

    fn confirm(&mut self, confirmed: &OrderConfirmed) -> Applied {
        let index = u32::try_from(self.orders.len())
            .map_err(|_| ApplyError::contradiction("too many orders"))?;
        if confirmed.number != number_at(index) || self.order_ids.contains_key(&confirmed.order) {
            return Err(ApplyError::contradiction("order number or id is out of line"));
        }
        if let Some(hold) = confirmed.hold {
            self.give_back(hold, HoldStatus::Ordered)?;
        }
        let first_ticket = small(self.tickets.len())?;
        let lines = self.rows_of(&confirmed.lines)?;
        let mut issued = confirmed.tickets.iter();
        for line in &lines {
            for _ in 0..line.quantity {
                let ticket = issued.next().map(|t| (t.ticket, self.tables.type_row(t.ticket_type)));
                let number = number_at(small(self.tickets.len())?);
                if ticket != Some((number, Some(line.type_row))) {
                    return Err(ApplyError::contradiction("tickets do not match the lines"));
                }
                let position = small(self.tickets.len())?.saturating_sub(first_ticket);
                self.add_ticket(Ticket::new(index, position, line.type_row));
            }
            self.shift(line.type_row, i64::from(line.quantity), 0)?;
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
        };
        self.add_order(index, order);
        self.remember(confirmed.key.as_ref(), KeyOutcome::Order(index));
        Ok(())
    }

    fn cancel(&mut self, id: Uuid, positions: &[u64]) -> Result<u32, ApplyError> {
        let wrong = || ApplyError::contradiction("no such order, or not its live ticket");
        let (order_index, order) = self.order(id).ok_or_else(wrong)?;
        let mut live = order.live;
        for number in positions {
            let (index, ticket) = self.ticket(*number).ok_or_else(wrong)?;
            if ticket.order != order_index || ticket.status == TicketStatus::Canceled {
                return Err(wrong());
            }
            let canceled = Ticket { status: TicketStatus::Canceled, ..*ticket };
            self.shift(canceled.type_row, -1, 0)?;
            self.set_ticket(large(index), canceled);
            live = live.checked_sub(1).ok_or_else(wrong)?;
        }
        self.set_order_live(large(order_index), live);
        Ok(order_index)
    }

    fn set_status(&mut self, number: u64, status: TicketStatus) -> Applied {
        let (index, ticket) = self.live_ticket(number)?;
        self.set_ticket(large(index), Ticket { status, ..ticket });
        Ok(())
    }

    fn reissue(&mut self, number: u64, revision: u16) -> Applied {
        let (index, ticket) = self.live_ticket(number)?;
        if revision <= ticket.revision {
            return Err(ApplyError::contradiction("revision does not rise"));
        }
        self.set_ticket(large(index), Ticket { revision, ..ticket });
        Ok(())
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

    // === memory of requests ===

    fn remember(&mut self, key: Option<&IdempotencyKey>, outcome: KeyOutcome) {
        let Some(key) = key else { return };
        let at = self.totals.now;
        self.put_key(key.scope, Some(KeyRecord { at, body: key.body, outcome }));
        self.push_key(at, key.scope);
    }

    /// Clears away what is outdated by the time of the entry. Look-ups ignore such records anyway;
    /// this only frees memory, a bounded piece an entry, the same on every node.
    fn forget(&mut self) {
        let now = self.totals.now;
        let outdated = |at: Millis| at.plus_ms(super::KEY_KEPT_MS) <= now;
        for _ in 0..FORGOTTEN_PER_ENTRY_MAX {
            let Some((at, scope)) = self.key_order.front().copied() else { break };
            if !outdated(at) {
                break;
            }
            self.pop_key();
            // The same key may have been given anew since.
            if self.keys.get(&scope).is_some_and(|record| record.at == at) {
                self.put_key(scope, None);
            }
        }
        for _ in 0..FORGOTTEN_PER_ENTRY_MAX {
            let Some((at, hold)) = self.ended.front().copied() else { break };
            if !outdated(at) {
                break;
            }
            self.pop_ended();
            self.put_hold(hold, None);
        }
        for _ in 0..FORGOTTEN_PER_ENTRY_MAX {
            let Some(scan) = self.scans.front().copied() else { break };
            if self.nonce_kept(&scan, now) {
                break;
            }
            self.settle_inside(scan.ticket.get());
            self.pop_scan();
            if self.nonces.get(&scan.nonce) == Some(&self.totals.scans_forgotten) {
                self.put_nonce(scan.nonce, None);
            }
            let mut totals = self.totals;
            totals.scans_forgotten = totals.scans_forgotten.saturating_add(1);
            self.set_totals(totals);
        }
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

fn small(len: usize) -> Result<u32, ApplyError> {
    u32::try_from(len).map_err(|_| ApplyError::contradiction("the event is full"))
}

fn large(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
