//! The whole house from outside: the two commands, both services, real Postgres and Redis, faults.

mod contracts;
mod crash;
mod front;
mod layering;
mod tidy;
mod walk;
