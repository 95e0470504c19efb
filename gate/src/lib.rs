//! The gate: sells and admits. It speaks HTTP, keeps the catalogue's newest documents, verifies
//! credentials and hands every decision to the event's task in `inventory`.
//!
//! The gate holds no rules of sale or admission and no state that a restart would lose: rules and
//! state are `inventory`'s, signatures are `keys`'s, and the back office reaches it only through
//! the two feeds. It must not know the back office's tables or code.
//!
//! Where to begin: `routes` lists every door, `http::scan` is the path of a scan from the request
//! to the verdict, `catalogue` is what comes in from the back office, `journal` what goes out.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "a test may fail by panicking"
    )
)]

pub mod alarm;
pub mod attempts;
pub mod back_office;
pub mod buyer;
pub mod catalogue;
pub mod cli;
pub mod devices;
pub mod events;
pub mod gate;
pub mod http;
pub mod issue;
pub mod journal;
pub mod json;
pub mod limits;
pub mod logging;
pub mod measured;
pub mod message;
pub mod metrics;
pub mod money;
pub mod openapi;
pub mod people;
pub mod problem;
pub mod qr;
pub mod room;
pub mod routes;
pub mod secret;
pub mod serve;
pub mod settings;
pub mod staff;
#[cfg(feature = "testing")]
pub mod testing;
