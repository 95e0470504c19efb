//! The waiting room as the journal has it: one number, the admitted rank, a sample of who waits, and
//! the passes given. A sample is enough to move the number by people, and it stays small however
//! many wait: whoever is not in it needs no entry and no store. Knows no buyers, only their entries.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::command::Digest16;
use crate::config::RoomConfig;
use crate::time::Millis;
use crate::view::RoomFigures;

/// People sampled at most; then every second of them is let go, and half as many are taken.
pub const SAMPLES_MAX: usize = 4_096;
/// Between two moves of the admitted rank.
pub const ROOM_STEP_MS: i64 = 1_000;
/// How long a pass is good, and for how many holds.
pub const PASS_MS: i64 = 10 * 60 * 1_000;
pub const HOLDS_PER_PASS_MAX: u8 = 3;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Room {
    pub figures: Moved,
    /// Of who is not admitted yet: rank by entry.
    pub samples: BTreeMap<Digest16, Rank>,
    pub passes: BTreeMap<Digest16, Pass>,
    /// Passes that no hold was made with, by their end.
    unspent: BTreeSet<(Millis, Digest16)>,
}

/// The figures that move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// Whoever has this rank or a lower one may enter.
    pub admitted: Rank,
    pub at: Option<Millis>,
    /// What was not enough for a person more: people × milliseconds of a minute.
    pub credit: u64,
    /// One of 2^share people is in the sample.
    pub share: u8,
}

/// Place in the queue, the lower the earlier: by lot below 2^63, by time from there on. As JSON 16
/// hexadecimal digits, which compare as text like the numbers do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Rank(pub u64);

const BY_TIME: u64 = 1 << 63;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Pass {
    pub rank: Rank,
    pub until: Millis,
    pub holds: u8,
}

impl Rank {
    /// Of who joined before the room opened, from the first bytes of HMAC(seed, entry).
    pub fn by_lot(drawn: u64) -> Self {
        Self(drawn >> 1)
    }

    /// Of who joined later.
    pub fn by_time(joined_at: Millis) -> Self {
        Self(BY_TIME | u64::try_from(joined_at.0).unwrap_or(0))
    }
}

impl Moved {
    /// Whether an entry is in the sample: its digest is as good as random.
    pub(crate) fn samples(&self, entry: Digest16) -> bool {
        sampled(entry, self.share)
    }
}

/// Whether an entry is one of the 2^share that a sample takes one of.
pub fn sampled(entry: Digest16, share: u8) -> bool {
    let bits = u128::from_be_bytes(entry.0);
    u8::try_from(bits.trailing_zeros()).unwrap_or(u8::MAX) >= share
}

impl Room {
    /// When the admitted rank moves next.
    pub(crate) fn moves_at(&self, config: Option<RoomConfig>) -> Option<Millis> {
        let config = config?;
        let next = self.figures.at.map_or(config.opens_at, |at| at.plus_ms(ROOM_STEP_MS));
        let next = next.max(config.opens_at);
        config.is_on(next).then_some(next)
    }

    /// Ranks in the sample that are not admitted yet, the first ones first.
    pub(crate) fn waiting(&self) -> Vec<Rank> {
        let ranks = self.samples.values().copied();
        let mut ranks: Vec<Rank> = ranks.filter(|rank| self.figures.admitted < *rank).collect();
        ranks.sort_unstable();
        ranks
    }

    /// Passes that may still be used for a first hold.
    pub(crate) fn unspent(&self, now: Millis) -> u64 {
        let live = self.unspent.iter().rev().take_while(|(until, _)| now < *until);
        u64::try_from(live.count()).unwrap_or(u64::MAX)
    }

    pub(super) fn put_pass(&mut self, entry: Digest16, pass: Option<Pass>) -> Option<Pass> {
        let before = match pass {
            Some(pass) => self.passes.insert(entry, pass),
            None => self.passes.remove(&entry),
        };
        if let Some(before) = before {
            self.unspent.remove(&(before.until, entry));
        }
        if let Some(pass) = pass.filter(|pass| pass.holds == 0) {
            self.unspent.insert((pass.until, entry));
        }
        before
    }

    pub(super) fn put_sample(&mut self, entry: Digest16, rank: Option<Rank>) -> Option<Rank> {
        match rank {
            Some(rank) => self.samples.insert(entry, rank),
            None => self.samples.remove(&entry),
        }
    }

    pub(super) fn view(&self, config: Option<RoomConfig>) -> Option<RoomFigures> {
        let (config, waiting) = (config?, self.waiting());
        let Moved { admitted, share, .. } = self.figures;
        Some(RoomFigures { config, admitted, share, waiting: waiting.into() })
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let unspent = self.passes.iter().filter(|(_, pass)| pass.holds == 0);
        let unspent: BTreeSet<_> = unspent.map(|(entry, pass)| (pass.until, *entry)).collect();
        if unspent != self.unspent {
            return Err("passes that no hold was made with: not those counted".to_owned());
        }
        if self.passes.values().any(|pass| HOLDS_PER_PASS_MAX < pass.holds) {
            return Err("a pass was used too often".to_owned());
        }
        let strange = self.samples.keys().find(|entry| !self.figures.samples(**entry));
        if let Some(entry) = strange {
            return Err(format!("entry {entry} does not belong to the sample"));
        }
        let many = SAMPLES_MAX < self.samples.len();
        if many { Err("the sample has grown over its bound".to_owned()) } else { Ok(()) }
    }
}
