//! The kernel's machinery that runs behind the API, as a domain: its tables, its functions and its
//! loops. It knows no other domain; what they want done is in their tables (`Domain::jobs`,
//! `crons`, `consumers`).

mod figures;

use crate::action::Loop;
use crate::entity::Domain;
use crate::{audit, cron, jobs, outbox, sweep};

/// Stands in every registry that enqueues.
pub static DOMAIN: Domain = Domain {
    name: "work",
    entities: &[
        &jobs::JOB,
        &jobs::JOB_QUEUE,
        &cron::CRON_TICK,
        &outbox::DELIVERY,
        &audit::CHANGE_SEAL,
    ],
    actions: jobs::ACTIONS,
    sql: &[("work.sql", include_str!("../sql/work.sql"))],
    loops: &[
        Loop { name: "jobs", run: |service, end| Box::pin(jobs::work(service, end)) },
        Loop { name: "cron", run: |service, end| Box::pin(cron::tick(service, end)) },
        Loop { name: "figures", run: |service, end| Box::pin(figures::keep(service, end)) },
        Loop { name: "sweep", run: |service, end| Box::pin(sweep::keep(service, end)) },
        Loop { name: "outbox", run: |service, end| Box::pin(outbox::dispatch(service, end)) },
        Loop { name: "consumers", run: |service, end| Box::pin(outbox::consume(service, end)) },
    ],
    ..Domain::EMPTY
};
