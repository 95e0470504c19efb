//! The back office's kernel: entities as data and the engine that serves them, actions, the unit of
//! work, rights, errors, accounts, HTTP. The only crate that sees the database driver; it knows no
//! domain and nothing of the gate.
//!
//! Read in this order: `entity` (what a table is), `registry`, `cx` (the unit of work), `engine`,
//! `action`, `dispatch` (from a call to an answer), `http` (the stack in front of it).

pub mod accounts;
pub mod action;
pub mod actor;
pub mod audit;
mod beats;
pub mod catalog;
pub mod clock;
pub mod cron;
mod csv;
mod custom;
pub mod cx;
pub mod db;
pub mod ddl;
mod dispatch;
pub mod egress;
mod engine;
pub mod entity;
pub mod error;
mod filter;
mod flow;
mod history;
pub mod http;
mod idempotency;
pub mod installation;
pub mod jobs;
mod kind;
pub mod kind_sql;
pub mod limits;
pub mod lists;
pub mod loops;
pub mod mail;
mod meta;
pub mod metrics;
pub mod money;
pub mod openapi;
pub mod outbox;
pub mod page;
mod param;
mod partitions;
mod privacy;
mod ready;
mod reference;
pub mod registry;
pub mod rights;
pub mod rule;
pub mod schedules;
pub mod schema;
mod seal;
pub mod service;
pub mod settings;
mod shutdown;
pub mod startup;
mod stream;
mod strict_json;
pub mod sweep;
#[cfg(feature = "testkit")]
pub mod testkit;
mod tx;
mod validate;
mod views;
pub mod work;
