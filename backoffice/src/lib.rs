//! The composition root: which domains make the back office. Knows every domain by name and
//! nothing of what they do.

use kernel::registry::{Faults, Registry};

/// Every domain of the house, checked as one registry. Accounts come first: the others may link to
/// organizations and users.
pub fn registry() -> Result<Registry, Faults> {
    Registry::new(&[
        &kernel::accounts::DOMAIN,
        &kernel::work::DOMAIN,
        &kernel::lists::DOMAIN,
        &identity::DOMAIN,
        &events::DOMAIN,
        &ticketing::DOMAIN,
    ])
}
