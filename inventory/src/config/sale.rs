//! The part of the catalogue's view that is about sale: quotas and ticket types.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ZoneWindow;
use crate::time::Millis;

/// Numbers are given once by the catalogue and never reused within an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QuotaConfig {
    pub id: Uuid,
    pub number: u16,
    pub name: String,
    /// None = unlimited.
    pub size: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TicketTypeConfig {
    pub id: Uuid,
    pub number: u16,
    pub name: String,
    /// Gross price and fee of one ticket, minor units, tax included.
    pub price: i64,
    #[serde(default)]
    pub fee: i64,
    /// Tax contained in price and fee, in basis points of the net amount: 1900 = 19 %.
    #[serde(default)]
    pub tax_rate_bp: u32,
    /// Numbers of the quotas that each ticket of this type takes one place of.
    pub quotas: Vec<u16>,
    /// Numbers of the zones it admits to (0 to 31).
    pub zones: Vec<u8>,
    pub valid_from: Option<Millis>,
    pub valid_until: Option<Millis>,
    pub sale_from: Option<Millis>,
    pub sale_until: Option<Millis>,
    pub max_per_order: Option<u32>,
    /// Zones that it admits to at certain times only, beside `valid_from` and `valid_until`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<ZoneWindow>,
    #[serde(default)]
    pub rotating: bool,
    /// Staff should look twice at the door.
    #[serde(default)]
    pub attention: bool,
    /// Off: not sold; what was sold stays good.
    pub active: bool,
}
