//! The whole house from outside: the two commands, both services, real Postgres and Redis, faults.

#![allow(clippy::expect_used, reason = "what a test expects and does not find fails it")]

mod bench;
mod contracts;
mod crash;
mod front;
mod layering;
mod tidy;
mod walk;
