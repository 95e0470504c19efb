//! Read-only figures of an event, as they leave this crate. Knows nothing of how they come about.

use std::sync::Arc;

use uuid::Uuid;

use crate::config::{EventConfig, RoomConfig, SectionConfig};
use crate::entry::Head;
use crate::state::Rank;
use crate::time::Millis;

/// What anyone may know of an event without asking its task: at most 100 ms old while `fresh`.
#[derive(Clone, Debug)]
pub struct EventView {
    pub event: Uuid,
    pub number: u32,
    pub organization: Uuid,
    /// A draft with nothing in it until the catalogue came (`catalogue_cursor` is then 0).
    pub config: Arc<EventConfig>,
    pub catalogue_cursor: u64,
    /// Time of the last entry.
    pub now: Millis,
    pub head: Head,
    /// The log answered lately: these figures are the log's. Otherwise they are the last known.
    pub fresh: bool,
    pub quotas: Vec<QuotaFigures>,
    pub types: Vec<TypeFigures>,
    pub zones: Vec<ZoneFigures>,
    /// Entries admitted and scans denied, over all zones.
    pub admitted: u64,
    pub denied: u64,
    /// Nobody enters, everybody leaves.
    pub evacuated: bool,
    /// None where no ticket type is for seats.
    pub seats: Option<SeatsView>,
    /// Scans that this node decided alone and that its journal does not have yet.
    pub unmerged: usize,
    /// None where no waiting room is.
    pub room: Option<RoomFigures>,
    /// Every quota is sold + held + blocked + free = size, and is the sum of its ticket types.
    pub balanced: bool,
}

/// The waiting room, as anyone may know it.
#[derive(Clone, Debug)]
pub struct RoomFigures {
    pub config: RoomConfig,
    /// Whoever has this rank or a lower one may enter.
    pub admitted: Rank,
    /// Of those who wait one in 2^share is known, by `sampled`.
    pub share: u8,
    /// Their ranks, in order.
    pub waiting: Arc<[Rank]>,
}

/// The house, and what is taken of it.
#[derive(Clone, Debug)]
pub struct SeatsView {
    /// The best first, with the catalogue's cursor of each.
    pub sections: Vec<(u64, Arc<SectionConfig>)>,
    /// By number of the seat, less one.
    pub states: Arc<[SeatState]>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeatState {
    Open,
    Held,
    Sold,
    /// Kept back.
    Blocked,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotaFigures {
    pub id: Uuid,
    /// None = unlimited.
    pub size: Option<u64>,
    pub sold: u64,
    pub held: u64,
    /// Places that are kept back by hand, and by promo codes for their holders.
    pub blocked: u64,
    /// Negative after staff made the quota smaller than what was sold.
    pub free: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TypeFigures {
    pub id: Uuid,
    /// What its quotas still allow; None = unlimited.
    pub available: Option<u64>,
    /// Tickets that are not canceled.
    pub sold: u64,
    /// Tickets that were admitted to any zone.
    pub admitted: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneFigures {
    pub key: String,
    pub inside: u64,
    pub capacity: Option<u64>,
    /// Entries admitted and scans denied at this zone.
    pub admitted: u64,
    pub denied: u64,
}
