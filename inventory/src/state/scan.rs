//! A scan as the state remembers it: the decision for its nonce, and a passage of its ticket. Kept
//! by the million, so it is packed; nothing here knows rules.

use serde::{Deserialize, Serialize};

use super::State;
use crate::command::{Digest16, Reason, Settlement, Verdict};
use crate::time::Millis;

/// The first admission is not copied: a ticket's, once there, changes only by facts that come late,
/// so whether there was one then is enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Scan {
    pub nonce: Digest16,
    pub request: Digest16,
    /// When it happened: for a live scan the time of its decision.
    pub at: Millis,
    /// Journal number of the decision.
    pub seq: u64,
    /// Index of the ticket.
    pub ticket: MaybeIndex,
    /// Index of the ticket's passage before, plus one; 0 = none.
    pub before: u32,
    /// Index into the lanes.
    pub lane: u32,
    /// Row of the zone.
    pub zone: MaybeRow,
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    pub flags: Flags,
}

const _: () = assert!(size_of::<Scan>() <= 64, "a scan is kept by the million");

/// What is yes or no about a scan, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) const EXIT: Self = Self(1);
    pub(crate) const FORCED: Self = Self(1 << 1);
    pub(crate) const HAD_FIRST: Self = Self(1 << 2);
    pub(crate) const PASSED: Self = Self(1 << 3);
    pub(crate) const NOT_PASSED: Self = Self(1 << 4);
    pub(crate) const ANNULLED: Self = Self(1 << 5);
    /// Decided without the store and told later.
    pub(crate) const RECORDED: Self = Self(1 << 6);
    /// Its nonce has another decision already, which stays the answer.
    pub(crate) const SECOND: Self = Self(1 << 7);

    pub(crate) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    #[must_use]
    pub(crate) fn with(self, flag: Self, on: bool) -> Self {
        if on { Self(self.0 | flag.0) } else { self }
    }
}

/// An index that may be missing, in four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct MaybeIndex(u32);

impl MaybeIndex {
    pub(crate) fn get(self) -> Option<u32> {
        (self.0 != u32::MAX).then_some(self.0)
    }
}

impl From<Option<u32>> for MaybeIndex {
    fn from(index: Option<u32>) -> Self {
        Self(index.unwrap_or(u32::MAX))
    }
}

/// A row that may be missing, in one byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct MaybeRow(u8);

impl MaybeRow {
    pub(crate) fn get(self) -> Option<u8> {
        (self.0 != u8::MAX).then_some(self.0)
    }
}

impl From<Option<u8>> for MaybeRow {
    fn from(row: Option<u8>) -> Self {
        Self(row.unwrap_or(u8::MAX))
    }
}

impl Scan {
    pub(crate) fn is_exit(&self) -> bool {
        self.flags.has(Flags::EXIT)
    }

    /// Someone went through, as far as is known.
    pub(crate) fn is_passage(&self) -> bool {
        self.verdict.lets_through()
            && !self.flags.has(Flags::NOT_PASSED)
            && !self.flags.has(Flags::ANNULLED)
    }

    pub(crate) fn settlement(&self) -> Option<Settlement> {
        let told = [
            (Flags::ANNULLED, Settlement::Annulled),
            (Flags::NOT_PASSED, Settlement::NotPassed),
            (Flags::PASSED, Settlement::Passed),
        ];
        told.into_iter().find(|(flag, _)| self.flags.has(*flag)).map(|(_, settlement)| settlement)
    }

    /// Passages of a ticket stand in this order, whatever order they became known in: by time; within
    /// a millisecond those decided by the store in its order, then the others by device and nonce.
    pub(crate) fn order(&self) -> (Millis, bool, u64, Digest16) {
        let recorded = self.flags.has(Flags::RECORDED);
        (self.at, recorded, if recorded { 0 } else { self.seq }, self.nonce)
    }
}

impl State {
    /// By index, which counts from the event's first scan.
    pub(crate) fn scan_at(&self, index: u32) -> Option<&Scan> {
        let offset = index.checked_sub(self.totals.scans_forgotten)?;
        self.scans.get(usize::try_from(offset).ok()?)
    }

    /// Index of the scan with this journal number.
    pub(crate) fn scan_by_seq(&self, seq: u64) -> Option<u32> {
        let offset = self.scans.binary_search_by_key(&seq, |scan| scan.seq).ok()?;
        u32::try_from(offset).ok()?.checked_add(self.totals.scans_forgotten)
    }
}
