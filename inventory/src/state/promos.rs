//! Promo codes and buyers: what was listed, how far each code is used, what it keeps back, and how
//! many tickets a buyer has. Counts follow from holds and orders; `check` recounts them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tables::Tables;
use super::{HoldStatus, QuotaCount, Stage, State};
use crate::command::{Constraint, Digest16, Refusal, RefusalCode, TicketStatus};
use crate::config::{Discount, PROMO_LINKS_MAX, PROMOS_MAX, PROMOS_PER_CHUNK_MAX, PromoConfig};
use crate::money::{PRICE_MAX, allocate};
use crate::time::Millis;

/// A code once listed, for good: holds and orders refer to it by row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Promo {
    pub config: PromoConfig,
    pub chunk: Uuid,
    /// In the newest state of its chunk.
    pub listed: bool,
    /// Its time is over: it keeps nothing back any more.
    pub ended: bool,
}

impl Promo {
    /// Whether it keeps places back.
    pub(crate) fn keeps(&self) -> bool {
        self.listed && self.config.active && !self.ended && !self.config.reserves.is_empty()
    }

    /// Places of a quota that it still keeps.
    fn kept(&self, count: &PromoCount, tables: &Tables, quota: u16) -> u64 {
        if !self.keeps() {
            return 0;
        }
        let number = tables.quotas.get(usize::from(quota)).map(|row| row.config.number);
        let mine = self.config.reserves.iter().filter(|reserve| Some(reserve.quota) == number);
        let places = mine.fold(0_u64, |sum, reserve| sum.saturating_add(reserve.places.into()));
        let tickets = count.tickets.iter();
        let of_quota = tickets.filter(|(kind, _)| tables.quotas_of(*kind).contains(&quota));
        let taken = of_quota.fold(0_u64, |sum, (_, count)| sum.saturating_add((*count).into()));
        places.saturating_sub(taken)
    }

    /// Rows of the quotas that it keeps places of, each once.
    pub(crate) fn quotas(&self, tables: &Tables) -> Vec<u16> {
        let numbers = self.config.reserves.iter().map(|reserve| reserve.quota);
        let mut rows: Vec<u16> = numbers.filter_map(|number| tables.quota_row(number)).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// When its places become free by time alone.
    pub(crate) fn keeps_until(&self) -> Option<Millis> {
        self.config.until.filter(|_| self.keeps())
    }
}

/// What live holds and orders made of a code.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PromoCount {
    pub uses: u32,
    /// Minor units of discount.
    pub spent: i64,
    /// Tickets by row of their type, sorted, none of them zero.
    pub tickets: Vec<(u16, u32)>,
}

/// One movement of a code's count.
#[derive(Clone, Copy, Default)]
pub(crate) struct PromoShift {
    pub uses: i64,
    pub spent: i64,
    pub type_row: u16,
    pub tickets: i64,
}

impl PromoCount {
    /// None when something would fall below zero.
    pub(crate) fn shifted(&self, by: PromoShift) -> Option<Self> {
        let mut moved = self.clone();
        moved.uses = add(self.uses, by.uses)?;
        moved.spent = self.spent.checked_add(by.spent).filter(|spent| 0 <= *spent)?;
        let place = moved.tickets.binary_search_by_key(&by.type_row, |(row, _)| *row);
        match place {
            Ok(at) => {
                let count = add(moved.tickets.get(at)?.1, by.tickets)?;
                if count == 0 {
                    moved.tickets.remove(at);
                } else if let Some(slot) = moved.tickets.get_mut(at) {
                    slot.1 = count;
                }
            }
            Err(_) if by.tickets == 0 => {}
            Err(at) => moved.tickets.insert(at, (by.type_row, add(0, by.tickets)?)),
        }
        Some(moved)
    }
}

fn add(count: u32, by: i64) -> Option<u32> {
    u32::try_from(i64::from(count).checked_add(by)?).ok()
}

impl State {
    /// A listed code by its digest.
    pub(crate) fn promo_by_code(&self, code: &Digest16) -> Option<(u32, &Promo)> {
        let row = *self.promo_codes.get(code)?;
        Some((row, self.promo_at(row)?))
    }

    pub(crate) fn promo_at(&self, row: u32) -> Option<&Promo> {
        self.promos.get(usize::try_from(row).ok()?)
    }

    pub(crate) fn promo_count(&self, row: u32) -> Option<&PromoCount> {
        self.promo_counts.get(usize::try_from(row).ok()?)
    }

    pub(crate) fn promo_id(&self, row: Option<u32>) -> Option<Uuid> {
        Some(self.promo_at(row?)?.config.id)
    }

    /// Places of a quota that a code still keeps for its holders.
    pub(crate) fn kept_by(&self, row: u32, quota: u16) -> u64 {
        let known = self.promo_at(row).zip(self.promo_count(row));
        known.map_or(0, |(promo, count)| promo.kept(count, &self.tables, quota))
    }

    /// Puts what codes keep by these tables into counts of quotas that have none of it yet.
    pub(crate) fn count_kept(&self, tables: &Tables, quotas: &mut [QuotaCount]) {
        for (promo, used) in self.promos.iter().zip(&self.promo_counts).filter(|(p, _)| p.keeps()) {
            for quota in promo.quotas(tables) {
                if let Some(count) = quotas.get_mut(usize::from(quota)) {
                    count.kept = count.kept.saturating_add(promo.kept(used, tables, quota));
                }
            }
        }
    }

    /// Tickets of a type in a buyer's live holds and orders.
    pub(crate) fn bought(&self, buyer: Digest16, type_row: u16) -> u32 {
        self.buyers.get(&(buyer, type_row)).copied().unwrap_or(0)
    }

    /// The same over all types.
    pub(crate) fn bought_in_all(&self, buyer: Digest16) -> u32 {
        let rows = 0..u16::try_from(self.types.len()).unwrap_or(u16::MAX);
        rows.fold(0, |sum, row| sum.saturating_add(self.bought(buyer, row)))
    }

    /// Live holds and orders of a buyer with a code.
    pub(crate) fn uses_by(&self, row: u32, buyer: Digest16) -> u32 {
        self.promo_buyers.get(&(row, buyer)).copied().unwrap_or(0)
    }

    /// Buyers' tickets and uses of codes, counted anew from holds and orders.
    pub(crate) fn recount(&self) -> Recount {
        let mut counted = Recount {
            promos: vec![PromoCount::default(); self.promos.len()],
            ..Recount::default()
        };
        for hold in self.holds.values().filter(|hold| hold.status == HoldStatus::Live) {
            counted.used(hold.promo, hold.buyer);
            for line in self.basket(hold.basket) {
                counted.sold(hold.promo, hold.buyer, line.type_row, line.quantity, line.discount);
            }
        }
        for order in self.orders.iter().filter(|order| order.stage == Stage::Confirmed) {
            if order.live != 0 {
                counted.used(order.promo.get(), order.buyer);
            }
            let mut index = order.first_ticket;
            for line in self.basket(order.basket) {
                for discount in allocate(line.discount, line.quantity) {
                    let ticket = self.ticket_at(index);
                    if ticket.is_some_and(|ticket| ticket.status != TicketStatus::Canceled) {
                        let (promo, buyer) = (order.promo.get(), order.buyer);
                        counted.sold(promo, buyer, line.type_row, 1, discount);
                    }
                    index = index.saturating_add(1);
                }
            }
        }
        counted
    }

    /// Why a chunk cannot be taken over.
    pub(crate) fn check_promos(&self, chunk: Uuid, promos: &[PromoConfig]) -> Result<(), Refusal> {
        let refused = |id: Uuid| Refusal {
            code: RefusalCode::CatalogueConflict,
            constraint: Some(Constraint { kind: "promo_code".to_owned(), id: id.to_string() }),
        };
        if PROMOS_PER_CHUNK_MAX < promos.len() {
            return Err(refused(chunk));
        }
        let (mut ids, mut codes) = (HashMap::new(), HashMap::new());
        let mut added = 0_usize;
        for promo in promos {
            let known = self.promo_ids.get(&promo.id).and_then(|row| self.promo_at(*row));
            // A code and its chunk are for good: holds, orders and keys refer to it.
            let moved = known.is_some_and(|k| k.config.code != promo.code || k.chunk != chunk);
            let other = self.promo_by_code(&promo.code);
            // Another chunk's code of the same letters; this chunk's own may have gone with this.
            let taken = other.is_some_and(|(_, o)| o.config.id != promo.id && o.chunk != chunk);
            added = added.saturating_add(usize::from(known.is_none()));
            let twice =
                ids.insert(promo.id, ()).is_some() || codes.insert(promo.code, ()).is_some();
            if moved || taken || twice || !self.in_range(promo) {
                return Err(refused(promo.id));
            }
        }
        let full = PROMOS_MAX < self.promos.len().saturating_add(added);
        if full { Err(refused(chunk)) } else { Ok(()) }
    }

    fn in_range(&self, promo: &PromoConfig) -> bool {
        let discount = promo.discount.is_none_or(|discount| match discount {
            Discount::Percent { bp } => bp <= 10_000,
            Discount::AmountPerTicket { amount } | Discount::AmountPerOrder { amount } => {
                (0..=PRICE_MAX).contains(&amount)
            }
            Discount::FixedPrice { price } => (0..=PRICE_MAX).contains(&price),
        });
        let budget = promo.budget.is_none_or(|budget| 0 <= budget);
        let linked = promo.types.len() <= PROMO_LINKS_MAX
            && promo.reserves.len() <= PROMO_LINKS_MAX
            && promo.reserves.iter().all(|r| self.tables.quota_row(r.quota).is_some())
            && promo.types.iter().all(|number| self.tables.type_number_known(*number));
        discount && budget && linked
    }
}

/// See [`State::recount`].
#[derive(Default)]
pub(crate) struct Recount {
    pub buyers: HashMap<(Digest16, u16), u32>,
    pub promo_buyers: HashMap<(u32, Digest16), u32>,
    pub promos: Vec<PromoCount>,
}

impl Recount {
    fn used(&mut self, promo: Option<u32>, buyer: Option<Digest16>) {
        let Some(row) = promo else { return };
        self.shift(row, PromoShift { uses: 1, ..PromoShift::default() });
        if let Some(buyer) = buyer {
            let uses = self.promo_buyers.entry((row, buyer)).or_default();
            *uses = uses.saturating_add(1);
        }
    }

    fn sold(
        &mut self,
        promo: Option<u32>,
        buyer: Option<Digest16>,
        type_row: u16,
        quantity: u32,
        discount: i64,
    ) {
        if let Some(buyer) = buyer {
            let count = self.buyers.entry((buyer, type_row)).or_default();
            *count = count.saturating_add(quantity);
        }
        if let Some(row) = promo {
            let tickets = i64::from(quantity);
            self.shift(row, PromoShift { uses: 0, spent: discount, type_row, tickets });
        }
    }

    fn shift(&mut self, row: u32, by: PromoShift) {
        let slot = usize::try_from(row).ok().and_then(|row| self.promos.get_mut(row));
        if let Some(slot) = slot
            && let Some(moved) = slot.shifted(by)
        {
            *slot = moved;
        }
    }
}
