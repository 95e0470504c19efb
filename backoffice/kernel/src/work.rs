//! The kernel's machinery that runs behind the API, as a domain: its tables, its functions and its
//! loops. It knows no other domain; what they want done is in their tables (`Domain::jobs`,
//! `crons`, `consumers`).

mod figures;

use crate::action::Loop;
use crate::entity::Domain;
use crate::{audit, cron, installation, jobs, outbox, schedules, sweep};

/// Stands in every registry that enqueues.
pub static DOMAIN: Domain = Domain {
    name: "work",
    entities: &[
        &installation::INSTALLATION,
        &jobs::JOB,
        &jobs::JOB_QUEUE,
        &cron::CRON_TICK,
        &schedules::SCHEDULE,
        &outbox::DELIVERY,
        &audit::CHANGE_SEAL,
    ],
    actions: ACTIONS,
    rules: &[schedules::RULE],
    sql: &[
        ("installation.sql", include_str!("../sql/installation.sql")),
        ("work.sql", include_str!("../sql/work.sql")),
        ("schedules.sql", include_str!("../sql/schedules.sql")),
    ],
    jobs: &[schedules::REPLAY],
    loops: &[
        Loop { name: "jobs", run: |service, end| Box::pin(jobs::work(service, end)) },
        Loop { name: "cron", run: |service, end| Box::pin(cron::tick(service, end)) },
        Loop { name: "schedules", run: |service, end| Box::pin(schedules::keep(service, end)) },
        Loop { name: "figures", run: |service, end| Box::pin(figures::keep(service, end)) },
        Loop { name: "sweep", run: |service, end| Box::pin(sweep::keep(service, end)) },
        Loop { name: "outbox", run: |service, end| Box::pin(outbox::dispatch(service, end)) },
        Loop { name: "consumers", run: |service, end| Box::pin(outbox::consume(service, end)) },
    ],
    ..Domain::EMPTY
};

const ACTIONS: &[crate::action::Action] =
    &[jobs::CANCEL, jobs::REPLAY, jobs::REPLAY_DEAD, schedules::CREATE];
