//! The gate as its clients meet it: a real server on a free port, a log in a directory of its own,
//! a back office that follows a script, a clock that stands until it is moved. Every reply is
//! compared with the OpenAPI document on the way.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a helper of tests fails its test by panicking"
)]

mod catalogue;
mod degraded;
mod doors;
mod evacuation;
mod feeds;
mod house;
mod idempotency;
mod nodes;
mod offline;
mod operations;
mod payment;
mod promo;
mod questions;
mod queue;
mod sales;
mod scans;
mod seats;
mod shape;
mod turnstile;
mod walk;
