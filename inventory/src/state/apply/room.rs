//! What facts do to the waiting room.

use super::{Applied, ApplyError};
use crate::command::Digest16;
use crate::state::room::{Moved, Pass, Rank, SAMPLES_MAX};
use crate::state::{Due, State};
use crate::time::Millis;

impl State {
    pub(super) fn join_room(&mut self, entry: Digest16, rank: Rank) -> Applied {
        if !self.room.figures.samples(entry) || self.room.samples.contains_key(&entry) {
            return Err(ApplyError::contradiction("the entry is not one to sample"));
        }
        self.put_sample(entry, Some(rank));
        while SAMPLES_MAX < self.room.samples.len() {
            let share = self.room.figures.share.saturating_add(1);
            self.move_room(Moved { share, ..self.room.figures });
            let samples = self.room.samples.keys().copied();
            let gone: Vec<Digest16> =
                samples.filter(|entry| !self.room.figures.samples(*entry)).collect();
            for entry in gone {
                self.put_sample(entry, None);
            }
        }
        Ok(())
    }

    /// Whoever is admitted is no longer waited for.
    pub(super) fn admit_to(&mut self, admitted: Rank, credit: u64) -> Applied {
        if admitted < self.room.figures.admitted {
            return Err(ApplyError::contradiction("the admitted rank falls"));
        }
        let before = self.room.moves_at(self.config.room);
        let at = Some(self.totals.now);
        self.move_room(Moved { admitted, at, credit, ..self.room.figures });
        let samples = self.room.samples.iter().filter(|(_, rank)| **rank <= admitted);
        let gone: Vec<Digest16> = samples.map(|(entry, _)| *entry).collect();
        for entry in gone {
            self.put_sample(entry, None);
        }
        self.reschedule_room(before);
        Ok(())
    }

    pub(super) fn give_pass(&mut self, entry: Digest16, rank: Rank, until: Millis) -> Applied {
        let now = self.totals.now;
        let known = self.room.passes.get(&entry);
        let again = known.is_some_and(|pass| now < pass.until || rank <= pass.rank);
        if again || self.room.figures.admitted < rank {
            return Err(ApplyError::contradiction("the entry has no right to a pass"));
        }
        self.put_pass(entry, Some(Pass { rank, until, holds: 0 }));
        Ok(())
    }

    pub(super) fn use_pass(&mut self, entry: Option<Digest16>) -> Applied {
        let Some(entry) = entry else { return Ok(()) };
        let pass = self.room.passes.get(&entry).copied();
        let pass = pass.ok_or(ApplyError::contradiction("no such pass"))?;
        self.put_pass(entry, Some(Pass { holds: pass.holds.saturating_add(1), ..pass }));
        Ok(())
    }

    /// After the configuration or the figures have changed.
    pub(super) fn reschedule_room(&mut self, before: Option<Millis>) {
        let after = self.room.moves_at(self.config.room);
        if before != after {
            if let Some(at) = before {
                self.remove_due(at, Due::RoomMoves);
            }
            if let Some(at) = after {
                self.add_due(at, Due::RoomMoves);
            }
        }
    }
}
