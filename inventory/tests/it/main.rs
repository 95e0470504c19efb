//! One binary for the crate's tests: rules, histories, the task, and the stores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics fails, which is what a test is for"
)]

mod alone;
mod competing;
mod harness;
mod histories;
mod rulebook;
mod rules_admission;
mod rules_catalogue;
mod rules_doors;
mod rules_limits;
mod rules_offline;
mod rules_payment;
mod rules_prices;
mod rules_promo;
mod rules_room;
mod rules_sale;
mod rules_seats;
mod steps;
mod store_file;
mod store_memory;
mod store_redis;
mod tasks;
