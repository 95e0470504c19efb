//! Ticketing: what is sold and scanned, told to the gate through the catalogue feed, and what the
//! gate sold and scanned, read from its journal and projected into rows.
//!
//! The gate decides every sale and every scan. Rows here that speak of orders, registrations and
//! admissions are projections of the journal; staff who change one send an instruction and see the
//! row move when the journal says so.
//!
//! Must not know: the gate's stores and rules (only the journal's types of `inventory`), HTTP,
//! other domains' tables beyond events, which it reads.
//!
//! To be read in one sitting: `actions/registrations.rs` → `catalogue/publisher.rs` → (gate) →
//! `journal/feed.rs` → `journal/raw.rs` → `journal/project.rs`.

mod actions;
mod catalogue;
mod journal;
mod money;
mod secrets;
mod tables;

pub use journal::{Page, Progress, Stored, project, store};

use kernel::action::Loop;
use kernel::cron::{Cron, Every};
use kernel::entity::Domain;
use kernel::jobs::Job;

pub static DOMAIN: Domain = Domain {
    name: "ticketing",
    entities: tables::ENTITIES,
    actions: actions::ACTIONS,
    sql: tables::SQL,
    internal: catalogue::ROUTES,
    loops: &[Loop { name: "journal", run: |service, end| Box::pin(journal::follow(service, end)) }],
    jobs: &[Job::new(CATALOGUE_SWEEP, |run| Box::pin(catalogue::sweep(run)))],
    crons: &[Cron { name: CATALOGUE_SWEEP, every: Every::Minutes(10), job: CATALOGUE_SWEEP }],
    consumers: &[catalogue::CONSUMER],
    ..Domain::EMPTY
};

const CATALOGUE_SWEEP: &str = "catalogue.sweep";
