//! The gate's journal on this side: fetched, stored as it came exactly once, projected into rows.

mod facts;
mod feed;
mod instructions;
mod orders;
mod parked;
mod project;
mod raw;
mod scans;

pub(crate) use feed::follow;
pub(crate) use orders::registration_id;
pub use project::{Progress, project};
pub use raw::{Page, Stored, store};
