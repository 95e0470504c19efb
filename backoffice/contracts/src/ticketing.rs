//! What ticketing offers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Makes an event ready to sell: its first signing key and its secret. Refused with
/// `not_ready`, naming each missing piece (ticket type, quota, zone).
pub const PREPARE_SALES: &str = "ticketing.prepare-sales";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PrepareSales {
    pub event_id: Uuid,
}

/// Tells the gate that the event will not take place, if it was ever on sale.
pub const CANCEL_ADMISSION: &str = "ticketing.cancel-admission";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CancelAdmission {
    pub event_id: Uuid,
}
