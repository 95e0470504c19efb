//! The rules of sale and admission, written once, as one deterministic state machine per event:
//! state + command + time → reply + journal entries; applying entries gives the next state. The
//! journal is the truth, stores only keep it.
//!
//! Must not know: HTTP, the back office, wall clocks (time is passed in), randomness (ids and
//! secrets come with the command). Only `store::redis` talks to Redis.
//!
//! Without the feature `store` only the journal's types and the rules remain, for readers of the
//! journal.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "a test that overflows or indexes wrongly fails, which is what it is for"
    )
)]

// What is asked, answered and written.
mod calendar;
pub mod command;
pub mod config;
pub mod entry;
pub mod fact;
pub mod personal;
pub mod promo;
mod text;
pub mod time;
pub mod view;

// The rules.
pub mod code;
pub mod decide;
pub mod money;
pub mod node;
pub mod state;

// Where it is kept.
#[cfg(feature = "testing")]
pub mod conformance;
pub mod log;
#[cfg(feature = "store")]
pub mod store;
#[cfg(feature = "store")]
pub mod task;
#[cfg(feature = "testing")]
pub mod testing;
