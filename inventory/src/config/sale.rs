//! The part of the catalogue's view that is about sale: quotas and ticket types.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ZoneWindow;
use crate::time::Millis;

/// Numbers are given once by the catalogue and never reused within an event.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct QuotaConfig {
    pub id: Uuid,
    pub number: u16,
    pub name: String,
    /// None = unlimited.
    pub size: Option<u64>,
    /// Places of it that are kept back by hand.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub blocked: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TicketTypeConfig {
    pub id: Uuid,
    pub number: u16,
    pub name: String,
    /// Price and fee of one ticket, minor units; gross unless tax is added.
    pub price: i64,
    #[serde(default)]
    pub fee: i64,
    /// Fee beside that, in basis points of what the ticket costs after its discount.
    #[serde(default, skip_serializing_if = "is_zero_u32")]
    pub fee_bp: u32,
    /// Tax on price and fee, in basis points of the net amount: 1900 = 19 %.
    #[serde(default)]
    pub tax_rate_bp: u32,
    /// The tax comes on top of price and fee; contained in them otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tax_added: bool,
    /// Numbers of the quotas that each ticket of this type takes one place of.
    pub quotas: Vec<u16>,
    /// Numbers of the zones it admits to (0 to 31).
    pub zones: Vec<u8>,
    pub valid_from: Option<Millis>,
    pub valid_until: Option<Millis>,
    pub sale_from: Option<Millis>,
    pub sale_until: Option<Millis>,
    pub max_per_order: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_per_order: Option<u32>,
    /// Over all live holds and orders of a buyer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_customer: Option<u32>,
    /// Shown and sold only to whoever has a promo code that names it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
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

/// What holds for the sale of an event as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct SaleConfig {
    /// Tickets of one order, and of one buyer over all live holds and orders, whatever their type.
    pub min_per_order: Option<u32>,
    pub max_per_order: Option<u32>,
    pub max_per_customer: Option<u32>,
    /// Fee of an order that costs anything, minor units, and in basis points of what its tickets cost
    /// after discounts.
    pub order_fee: i64,
    pub order_fee_bp: u32,
    /// Where cards are paid, with `{event}` and `{order}` in place of their ids. None = no cards.
    pub payment_url: Option<String>,
    /// How long an order waits for its payment, seconds.
    pub payment_cap_s: u32,
    /// A cancellation gives fees back too. What a canceled event cost is given back whole anyway.
    pub refund_fees: bool,
}

impl Default for SaleConfig {
    fn default() -> Self {
        Self {
            min_per_order: None,
            max_per_order: None,
            max_per_customer: None,
            order_fee: 0,
            order_fee_bp: 0,
            payment_url: None,
            payment_cap_s: 1_200,
            refund_fees: false,
        }
    }
}

impl SaleConfig {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_zero_u32(number: &u32) -> bool {
    *number == 0
}
