//! Promo codes as the catalogue sends them: in chunks, since an event may have many thousands.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::TicketTypeConfig;
use crate::command::Digest16;
use crate::time::Millis;

/// Codes of one chunk, so that its entry stays small.
pub const PROMOS_PER_CHUNK_MAX: usize = 500;
/// Codes that an event may ever have had.
pub const PROMOS_MAX: usize = 100_000;
/// Quotas that one code keeps places of, and types that it names.
pub const PROMO_LINKS_MAX: usize = 64;

/// One promo code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PromoConfig {
    pub id: Uuid,
    /// [`crate::promo::digest`] of the code: nobody learns codes from a journal.
    pub code: Digest16,
    /// None = the price stays; the code gives access, or keeps places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Discount>,
    /// Numbers of the types that it is for, hidden ones among them; empty = every type that is not
    /// hidden.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// Live holds and orders with the code, in all and of one buyer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_customer: Option<u32>,
    /// Least number of tickets of its types in one hold.
    #[serde(default)]
    pub min_quantity: u32,
    /// Most discount that all live holds and orders together may have, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<i64>,
    /// Places that only the code's holders may take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserves: Vec<Reserve>,
    /// Off: no longer taken; what was sold with it stays as it is.
    #[serde(default = "yes")]
    pub active: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Discount {
    /// Basis points of the price.
    Percent { bp: u32 },
    /// Minor units off each ticket, never more than it costs.
    AmountPerTicket { amount: i64 },
    /// Minor units off all tickets of its types together, divided over their lines by price.
    AmountPerOrder { amount: i64 },
    /// What a ticket costs instead, where that is less.
    FixedPrice { price: i64 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reserve {
    /// Number of the quota.
    pub quota: u16,
    pub places: u32,
}

impl PromoConfig {
    /// A code that names no type is for all that everyone may buy.
    pub fn is_for(&self, kind: &TicketTypeConfig) -> bool {
        if self.types.is_empty() { !kind.hidden } else { self.types.contains(&kind.number) }
    }
}

fn yes() -> bool {
    true
}
