//! Personal data of an order: sealed under the order's own key, so that erasing is deleting a key.

use serde::{Deserialize, Serialize};

/// Plain text of `Sealed::bytes`, as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Personal {
    #[serde(default)]
    pub buyer: Person,
    /// None, or one a ticket, in ticket order.
    #[serde(default)]
    pub attendees: Vec<Person>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Person {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub email: String,
}
