//! The kernel against a real PostgreSQL, over small registries of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod answers;
mod background;
mod bounds;
mod changes;
mod crud;
mod database;
mod desk;
mod doors;
mod erasing;
mod files;
mod front;
mod hall;
mod holders;
mod imports;
mod jobs;
mod joining;
mod kinds;
mod lists;
mod machinery;
mod mailing;
mod meta;
mod odd;
mod outside;
mod pages;
mod people;
mod post;
mod programs;
mod reads;
mod recalled;
mod saved_views;
mod schedules;
mod schema;
mod sealing;
mod totals;
mod trials;
mod views;
mod wheres;
mod words;
mod work;
mod workers;
