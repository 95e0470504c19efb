//! What each fact does to the state. Trusts nothing: an entry that contradicts the state is an
//! error, since it means that the journal or this code is not what it was.

use std::sync::Arc;

use super::tables::conflict;
use super::undo::Catalogue;
use super::{HoldStatus, KeyOutcome, KeyRecord, QuotaCount, Stage, State};
use crate::command::{IdempotencyKey, Refusal, TicketStatus};
use crate::config::EventConfig;
use crate::entry::{Entry, VERSION};
use crate::fact::Fact;
use crate::time::Millis;

mod doors;
mod promos;
mod room;
mod sale;
mod seats;

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
            Fact::PromosListed { chunk, cursor, promos } => {
                self.list_promos(*chunk, *cursor, promos)?;
            }
            Fact::PromosEnded { promos } => self.end_promos(promos)?,
            Fact::HoldCreated {
                hold,
                lines,
                expires_at,
                renew_until,
                buyer,
                promo,
                seats,
                pass,
                key,
            } => {
                let (expires_at, renew_until) = (*expires_at, *renew_until);
                let party = self.party(*buyer, *promo)?;
                self.create_hold(*hold, lines, expires_at, renew_until, party)?;
                self.hold_seats(*hold, seats)?;
                self.use_pass(*pass)?;
                self.remember(key.as_ref(), KeyOutcome::Hold(*hold));
            }
            Fact::HoldRenewed { hold, expires_at, key } => {
                self.renew_hold(*hold, *expires_at)?;
                self.remember(key.as_ref(), KeyOutcome::Renewed(*hold, *expires_at));
            }
            Fact::HoldReleased { hold } => self.give_back(*hold, HoldStatus::Released)?,
            Fact::HoldsExpired { holds } => {
                for hold in holds {
                    self.give_back(*hold, HoldStatus::Expired)?;
                }
            }
            Fact::OrderPlaced(order) => self.place(order)?,
            Fact::OrdersExpired { orders } => {
                for order in orders {
                    self.end_awaiting(*order, HoldStatus::Expired, Stage::Expired)?;
                }
            }
            Fact::OrderRefundDue { order } => self.refund_due(*order)?,
            Fact::OrderConfirmed(order) => self.confirm(order)?,
            Fact::OrderCanceled { order, positions, refunds, key } => {
                let index = self.cancel(*order, positions, refunds)?;
                self.remember(key.as_ref(), KeyOutcome::Canceled(index));
            }
            Fact::TicketReissued { ticket, revision, seat, key } => {
                let index = self.reissue(*ticket, *revision, *seat)?;
                self.remember(key.as_ref(), KeyOutcome::Reissued(index));
            }
            _ => self.apply_in_house(entry, fact)?,
        }
        self.forget();
        Ok(())
    }

    /// Facts of tickets, the house, its doors and the event as a whole; those of sale stand above.
    fn apply_in_house(&mut self, entry: &Entry, fact: &Fact) -> Applied {
        match fact {
            Fact::TicketBlocked { ticket } => self.set_status(*ticket, TicketStatus::Blocked)?,
            Fact::TicketUnblocked { ticket } => self.set_status(*ticket, TicketStatus::Valid)?,
            Fact::RoomJoined { entry, rank } => self.join_room(*entry, *rank)?,
            Fact::RoomMoved { admitted, credit } => self.admit_to(*admitted, *credit)?,
            Fact::RoomEntered { entry, rank, until } => self.give_pass(*entry, *rank, *until)?,
            Fact::SeatsApplied { cursor, section } => self.apply_section(*cursor, section)?,
            Fact::SeatsBlocked { seats } => self.block_seats(seats, true)?,
            Fact::SeatsUnblocked { seats } => self.block_seats(seats, false)?,
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
            Fact::CatalogueApplied { .. }
            | Fact::PromosListed { .. }
            | Fact::PromosEnded { .. }
            | Fact::HoldCreated { .. }
            | Fact::HoldRenewed { .. }
            | Fact::HoldReleased { .. }
            | Fact::HoldsExpired { .. }
            | Fact::OrderConfirmed(_)
            | Fact::OrderPlaced(_)
            | Fact::OrdersExpired { .. }
            | Fact::OrderRefundDue { .. }
            | Fact::OrderCanceled { .. }
            | Fact::TicketReissued { .. } => {
                return Err(ApplyError::contradiction("a fact that no room knows"));
            }
        }
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
        if config.room.is_some_and(|room| !room.is_sound()) {
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
        self.count_kept(&tables, &mut quotas);
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
        let room_moves = self.room.moves_at(self.config.room);
        self.set_catalogue(catalogue);
        self.reschedule_room(room_moves);
        self.refold_all(&moved)?;
        let mut totals = self.totals;
        totals.cursor = cursor;
        self.set_totals(totals);
        Ok(())
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
            self.put_held_seats(hold, None);
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

fn small(len: usize) -> Result<u32, ApplyError> {
    u32::try_from(len).map_err(|_| ApplyError::contradiction("the event is full"))
}

fn large(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
