//! What identity offers.

use serde::{Deserialize, Serialize};

/// Gives the next number of a gapless series: answers `{"number": "R-00042"}`.
pub const TAKE_NUMBER: &str = "identity.take-number";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TakeNumber {
    /// `code` of the series.
    pub code: String,
}
