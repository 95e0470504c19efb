//! What the gate is shown: documents made from rows, numbered in commit order, read by cursor.

mod admission;
mod documents;
mod publisher;
mod route;

pub(crate) use publisher::{CONSUMER, sweep};
pub(crate) use route::ROUTES;
