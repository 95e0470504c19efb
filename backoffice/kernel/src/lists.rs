//! What the kernel keeps beside lists, as a domain: files on their way in, and saved views. Stands in
//! every registry whose lists take them.

use crate::action::{Action, Reading};
use crate::csv::import;
use crate::entity::Domain;
use crate::{csv, views};

pub static DOMAIN: Domain = Domain {
    name: "lists",
    entities: &[&csv::IMPORT, &csv::IMPORT_CHUNK, &views::SAVED_VIEW],
    actions: ACTIONS,
    readings: READINGS,
    rules: &[views::RULE],
    sql: &[("views.sql", include_str!("../sql/views.sql"))],
    jobs: &[import::JOB],
    ..Domain::EMPTY
};

const ACTIONS: &[Action] =
    &[csv::COMMIT, csv::CANCEL, csv::UNDO, views::CREATE, views::SHARE, views::CHECK];

const READINGS: &[Reading] = &[Reading {
    name: "rows",
    entity: &csv::IMPORT,
    run: |cx, id, query| Box::pin(import::rows(cx, id, query)),
}];
