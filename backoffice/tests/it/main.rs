//! The back office as a whole: rules over the registry, the schema, the feeds, the walk. One binary,
//! one migrated database; every test opens organizations of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells what it covered"
)]

mod adding;
mod alike;
mod backup;
mod bloat;
mod boundaries;
mod database;
mod domains;
mod doors;
mod erasure;
mod feeds;
mod files;
mod foreign;
mod gate;
mod journal;
mod judges;
mod keeping;
mod kill;
mod meta;
mod numbers;
mod operators;
mod reach;
mod reference;
mod roles;
mod rules;
mod sale;
mod scopes;
mod sealer;
mod settings;
mod shares;
mod smtp;
mod stage;
mod walk;
mod whole;
mod worker;
mod writes;

use kernel::registry::Registry;
use kernel::testkit::TestDb;

fn registry() -> &'static Registry {
    static REGISTRY: std::sync::OnceLock<&'static Registry> = std::sync::OnceLock::new();
    REGISTRY.get_or_init(|| backoffice::registry().unwrap().leak())
}

/// The database of this process, made by the migrations as an installation's is.
async fn database() -> &'static TestDb {
    TestDb::shared(&migrations::scripts()).await.unwrap()
}
