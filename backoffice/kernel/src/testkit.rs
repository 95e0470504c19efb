//! For tests of this crate and of its users: a database a process, an organization a test, rows of
//! any entity made from its descriptor. Built only with feature `testkit`.

mod database;
mod plant;
mod sample;

pub use database::TestDb;
pub use plant::{Planter, plant};
pub use sample::{Links, sample, value};
