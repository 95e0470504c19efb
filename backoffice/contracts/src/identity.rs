//! What identity offers.

use serde::{Deserialize, Serialize};

/// Gives the next numbers of a series: answers `{"number": "R-00042", "numbers": ["R-00042"]}`.
pub const TAKE_NUMBER: &str = "identity.take-number";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TakeNumber {
    /// `code` of the series.
    pub code: String,
    /// How many; one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
}
