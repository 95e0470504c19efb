//! The whole house from outside: the two commands, both services, real Postgres and Redis, faults.

mod layering;
mod tidy;
