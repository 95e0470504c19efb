//! For tests of this crate and of its users: a database a process, an organization a test, rows of
//! any entity made from its descriptor, a server and its callers. Built only with feature `testkit`.

mod client;
mod database;
mod direct;
mod environment;
mod interpreter;
mod organization;
mod plant;
mod sample;
mod server;

pub use client::{Client, Reply};
pub use database::TestDb;
pub use direct::{Bare, direct, forget_callers};
pub use environment::setting;
pub use interpreter::python;
pub use organization::{PASSWORD, TestOrg};
pub use plant::{Hint, Planter, plant};
pub use sample::value;
pub use server::{CATALOGUE_TOKEN, JOURNAL_TOKEN, TestServer, settings};
