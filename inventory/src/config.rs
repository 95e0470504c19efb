//! The catalogue's view of one event, as the back office sends it and the journal keeps it.
//! Additive: readers ignore fields they do not know.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Millis;

mod admission;
mod promo;
mod room;
mod sale;
mod seats;

pub use admission::*;
pub use promo::*;
pub use room::*;
pub use sale::*;
pub use seats::*;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventConfig {
    pub event: Uuid,
    /// Unique over the installation; stands in every credential.
    pub number: u32,
    pub organization: Uuid,
    pub name: String,
    /// ISO 4217 code and the digits of its minor unit.
    pub currency: String,
    pub exponent: u8,
    /// IANA zone of the venue.
    pub time_zone: String,
    pub status: EventStatus,
    /// End of admission; nonces are kept for seven days more.
    pub closes_at: Option<Millis>,
    pub quotas: Vec<QuotaConfig>,
    pub ticket_types: Vec<TicketTypeConfig>,
    pub zones: Vec<ZoneConfig>,
    /// Lanes with a rule of their own; any other lane decides by the defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneConfig>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<QuestionConfig>,
    /// Minutes after midnight, venue time, at which a day of admission begins: with 360 a night
    /// belongs to the day it began on.
    #[serde(default)]
    pub day_starts_min: u16,
    #[serde(default = "hold_ttl_s")]
    pub hold_ttl_s: u32,
    /// Longest life of a hold with all renewals.
    #[serde(default = "hold_cap_s")]
    pub hold_cap_s: u32,
    #[serde(default, skip_serializing_if = "SaleConfig::is_default")]
    pub sale: SaleConfig,
    /// The waiting room, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomConfig>,
}

impl EventConfig {
    /// An event that the catalogue has not spoken of: a draft with nothing in it.
    pub fn unconfigured(event: Uuid) -> Self {
        Self {
            event,
            number: 0,
            organization: Uuid::nil(),
            name: String::new(),
            currency: String::new(),
            exponent: 0,
            time_zone: String::new(),
            status: EventStatus::Draft,
            closes_at: None,
            quotas: Vec::new(),
            ticket_types: Vec::new(),
            zones: Vec::new(),
            lanes: Vec::new(),
            questions: Vec::new(),
            day_starts_min: 0,
            hold_ttl_s: hold_ttl_s(),
            hold_cap_s: hold_cap_s(),
            sale: SaleConfig::default(),
            room: None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    Draft,
    OnSale,
    /// No more sales; admission goes on.
    SaleClosed,
    Canceled,
}

fn hold_ttl_s() -> u32 {
    600
}

fn hold_cap_s() -> u32 {
    1_800
}
