//! Ticketing's tables, as data.

pub(crate) mod admission;
pub(crate) mod feeds;
pub(crate) mod orders;
pub(crate) mod sale;

use kernel::entity::Entity;

pub(crate) static ENTITIES: &[&Entity] = &[
    &sale::QUOTAS,
    &sale::TICKET_TYPES,
    &sale::QUOTA_TICKET_TYPES,
    &admission::CHECK_IN_ZONES,
    &admission::CHECK_IN_LANES,
    &admission::CHECK_IN_LANE_TYPES,
    &admission::CHECK_IN_QUESTIONS,
    &admission::CHECK_IN_QUESTION_TYPES,
    &admission::TICKET_TYPE_ZONES,
    &admission::TICKET_TYPE_WINDOWS,
    &admission::CHECK_IN_DEVICES,
    &admission::CHECK_IN_DEVICE_EVENTS,
    &orders::TICKET_ORDERS,
    &orders::EVENT_REGISTRATIONS,
    &orders::REGISTRATION_LINE_ITEMS,
    &orders::ORDER_DATA_KEYS,
    &admission::CREDENTIAL_ACCESS_LOG,
    &feeds::EVENT_KEYS,
    &feeds::EVENT_SECRETS,
    &feeds::GATE_INSTRUCTIONS,
    &feeds::GATE_JOURNAL,
    &feeds::GATE_CURSORS,
    &feeds::GATE_PARKED,
    &feeds::CATALOGUE_DOCUMENTS,
];

/// Create-or-replace files, applied in this order after the tables exist.
pub(crate) static SQL: &[(&str, &str)] = &[
    ("ticketing_numbers.sql", include_str!("../sql/numbers.sql")),
    ("ticketing_same_event.sql", include_str!("../sql/same_event.sql")),
    ("ticketing_feeds.sql", include_str!("../sql/feeds.sql")),
];
