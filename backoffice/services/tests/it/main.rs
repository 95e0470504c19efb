//! The ways outside against programs of others.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod post_office;
mod smtp;
