//! What every other domain links to: parties and how to reach them, units, legal entities,
//! locations, calendars, currencies, number series, references to other systems.
//! Knows nothing of what parties do: staff, customer, vendor, talent are one row each elsewhere.

mod calendars;
mod numbers;
mod parties;
mod references;
mod structure;

pub use numbers::NUMBER_SERIES;

use kernel::entity::Domain;

pub static DOMAIN: Domain = Domain {
    name: "identity",
    entities: &[
        &references::CURRENCIES,
        &calendars::CALENDARS,
        &calendars::CALENDAR_HOLIDAYS,
        &parties::PARTIES,
        &parties::PARTY_ADDRESSES,
        &parties::PARTY_EMAILS,
        &parties::PARTY_PHONES,
        &parties::PARTY_TAX_IDS,
        &structure::UNITS,
        &structure::UNIT_MEMBERS,
        &structure::LOCATIONS,
        &structure::LEGAL_ENTITIES,
        &numbers::NUMBER_SERIES,
        &references::EXTERNAL_REFS,
    ],
    actions: &[references::CREATE_EXTERNAL_REF, numbers::TAKE_NUMBER],
    rules: structure::RULES,
    sql: &[
        ("identity_units.sql", include_str!("../sql/units.sql")),
        ("identity_trees.sql", include_str!("../sql/trees.sql")),
        ("identity_currencies.sql", include_str!("../sql/currencies.sql")),
    ],
    ..Domain::EMPTY
};
