//! What the catalogue says about the waiting room before a sale.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// Fastest admission, people a minute.
pub const ROOM_PER_MINUTE_MAX: u32 = 1_000_000;

/// While an event has a room, holds take a pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoomConfig {
    /// Who joins before is drawn by lot, who joins later stands behind them.
    pub opens_at: Millis,
    /// Nobody needs a pass from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Millis>,
    /// People admitted a minute, as long as there is anything for them.
    pub per_minute: u32,
}

impl RoomConfig {
    pub fn is_sound(&self) -> bool {
        (1..=ROOM_PER_MINUTE_MAX).contains(&self.per_minute)
            && self.closes_at.is_none_or(|closes_at| self.opens_at < closes_at)
    }

    /// Whether a hold takes a pass.
    pub fn is_on(&self, now: Millis) -> bool {
        self.closes_at.is_none_or(|closes_at| now < closes_at)
    }
}
