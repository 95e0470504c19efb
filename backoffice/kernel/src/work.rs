//! The kernel's machinery that runs behind the API, as a domain: its tables, its functions and its
//! loops. It knows no other domain; what they want done is in their tables (`Domain::jobs`).

use crate::action::Loop;
use crate::entity::Domain;
use crate::jobs;

/// Stands in every registry that enqueues.
pub static DOMAIN: Domain = Domain {
    name: "work",
    entities: &[&jobs::JOB, &jobs::JOB_QUEUE],
    actions: jobs::ACTIONS,
    sql: &[("work.sql", include_str!("../sql/work.sql"))],
    loops: &[Loop { name: "jobs", run: |service, end| Box::pin(jobs::work(service, end)) }],
    ..Domain::EMPTY
};
