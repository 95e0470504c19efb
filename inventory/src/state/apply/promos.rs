//! What facts do to promo codes and to the counts of buyers.

use uuid::Uuid;

use super::{Applied, ApplyError, large, small};
use crate::command::Digest16;
use crate::config::PromoConfig;
use crate::state::{Due, Promo, PromoShift, State};

/// Whose a hold or an order is, and by what code.
#[derive(Clone, Copy, Default)]
pub(super) struct Party {
    pub(super) buyer: Option<Digest16>,
    /// Row of the code.
    pub(super) promo: Option<u32>,
}

impl State {
    pub(super) fn party(
        &self,
        buyer: Option<Digest16>,
        promo: Option<Uuid>,
    ) -> Result<Party, ApplyError> {
        let unknown = || ApplyError::contradiction("unknown promo code");
        let row = |id| self.promo_ids.get(&id).copied().ok_or_else(unknown);
        Ok(Party { buyer, promo: promo.map(row).transpose()? })
    }

    // === the catalogue's codes ===

    pub(super) fn list_promos(
        &mut self,
        chunk: Uuid,
        cursor: u64,
        promos: &[PromoConfig],
    ) -> Applied {
        if self.promo_chunks.get(&chunk).is_some_and(|known| cursor <= *known) {
            return Err(ApplyError::contradiction("a chunk of promo codes runs backward"));
        }
        self.check_promos(chunk, promos).map_err(|refusal| {
            ApplyError::Contradiction(format!("promo codes refused: {:?}", refusal.constraint))
        })?;
        self.put_promo_chunk(chunk, cursor);
        let before = (0..).zip(&self.promos).filter(|(_, p)| p.chunk == chunk && p.listed);
        let before: Vec<u32> = before.map(|(row, _)| row).collect();
        for row in before {
            let Some(promo) = self.promo_at(row).cloned() else { continue };
            self.put_promo_code(promo.config.code, None);
            self.change_promo(row, Promo { listed: false, ..promo })?;
        }
        for config in promos {
            let ended = config.until.is_some_and(|until| until <= self.totals.now);
            let promo = Promo { config: config.clone(), chunk, listed: true, ended };
            let row = match self.promo_ids.get(&config.id) {
                Some(row) => *row,
                None => {
                    let row = small(self.promos.len())?;
                    // Not listed yet, so that what it keeps is counted by the change.
                    self.add_promo(row, Promo { listed: false, ..promo.clone() });
                    row
                }
            };
            self.put_promo_code(config.code, Some(row));
            self.change_promo(row, promo)?;
        }
        Ok(())
    }

    pub(super) fn end_promos(&mut self, promos: &[Uuid]) -> Applied {
        for id in promos {
            let row = self.party(None, Some(*id))?.promo.unwrap_or(u32::MAX);
            let known = self.promo_at(row).filter(|promo| promo.keeps()).cloned();
            let promo =
                known.ok_or(ApplyError::contradiction("a promo code that keeps nothing"))?;
            self.change_promo(row, Promo { ended: true, ..promo })?;
        }
        Ok(())
    }

    /// Replaces a code, with what it keeps of each quota and what is due for it.
    fn change_promo(&mut self, row: u32, promo: Promo) -> Applied {
        let Some(before) = self.promo_at(row).cloned() else { return Ok(()) };
        if let Some(until) = before.keeps_until() {
            self.remove_due(until, Due::PromoEnds(row));
        }
        if let Some(until) = promo.keeps_until() {
            self.add_due(until, Due::PromoEnds(row));
        }
        let mut quotas = before.quotas(&self.tables);
        quotas.extend(promo.quotas(&self.tables));
        quotas.sort_unstable();
        quotas.dedup();
        self.keeping(row, &quotas, |state| state.set_promo(large(row), promo));
        Ok(())
    }

    /// Makes a change and moves what the code keeps of these quotas along.
    fn keeping(&mut self, row: u32, quotas: &[u16], change: impl FnOnce(&mut Self)) {
        let before: Vec<u64> = quotas.iter().map(|quota| self.kept_by(row, *quota)).collect();
        change(self);
        for (quota, before) in quotas.iter().zip(before) {
            let after = self.kept_by(row, *quota);
            let at = usize::from(*quota);
            if let Some(mut count) = self.quotas.get(at).copied().filter(|_| after != before) {
                count.kept = count.kept.saturating_sub(before).saturating_add(after);
                self.set_quota(at, count);
            }
        }
    }

    // === counts ===

    /// Moves what a party has of a type: tickets, and their discount.
    pub(super) fn count_sale(
        &mut self,
        party: Party,
        type_row: u16,
        tickets: i64,
        discount: i64,
    ) -> Applied {
        if let Some(buyer) = party.buyer {
            let key = (buyer, type_row);
            let count = moved(self.buyers.get(&key).copied(), tickets)?;
            self.put_buyer(key, count);
        }
        let shift = PromoShift { uses: 0, spent: discount, type_row, tickets };
        party.promo.map_or(Ok(()), |row| self.count_promo(row, shift))
    }

    /// Moves the uses of the party's code.
    pub(super) fn count_use(&mut self, party: Party, uses: i64) -> Applied {
        let Some(row) = party.promo else { return Ok(()) };
        if let Some(buyer) = party.buyer {
            let key = (row, buyer);
            let count = moved(self.promo_buyers.get(&key).copied(), uses)?;
            self.put_promo_buyer(key, count);
        }
        self.count_promo(row, PromoShift { uses, ..PromoShift::default() })
    }

    fn count_promo(&mut self, row: u32, by: PromoShift) -> Applied {
        let known = self.promo_at(row).zip(self.promo_count(row));
        let (promo, count) = known.ok_or(ApplyError::contradiction("unknown promo code"))?;
        let quotas = if promo.keeps() { promo.quotas(&self.tables) } else { Vec::new() };
        let count = count.shifted(by).ok_or(below_zero())?;
        self.keeping(row, &quotas, |state| state.set_promo_count(large(row), count));
        Ok(())
    }
}

/// None = none left.
fn moved(count: Option<u32>, by: i64) -> Result<Option<u32>, ApplyError> {
    let count = i64::from(count.unwrap_or(0)).checked_add(by).ok_or(below_zero())?;
    let count = u32::try_from(count).map_err(|_| below_zero())?;
    Ok((count != 0).then_some(count))
}

fn below_zero() -> ApplyError {
    ApplyError::contradiction("a count of a buyer or a code would fall below zero")
}
