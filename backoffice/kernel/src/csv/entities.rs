//! What the kernel keeps of imports: one row a file, and the file's rows in chunks. Contents are
//! secret fields: they never show in a list, in an answer or in the change log, and they are emptied
//! when they are no longer needed.

use crate::action::{Action, Answers, On};
use crate::entity::{
    Entity, Group, Operations, Retention, Unique, boolean, bytes, choice, id, instant, integer,
    json as json_field, link, text,
};
use crate::error::Code;

use super::import;

const STATUSES: &[&str] = &[
    "uploading",
    "checking",
    "checked",
    "importing",
    "done",
    "failed",
    "canceled",
    "undoing",
    "undone",
    "expired",
];
pub(super) const MODES: &[&str] = &["all", "each"];
pub(super) const MATCHINGS: &[&str] = &["create", "update", "upsert"];

const COUNT_MAX: i64 = i64::MAX;

pub(crate) static IMPORT: Entity = Entity::new("imports")
    .grant("lists.imports")
    .group(Group::Organizations)
    .label("entity")
    .about("A file of rows on its way in: checked first, then written, and undone if need be.")
    .operations(Operations::READ)
    .importable(false)
    .fields(&[
        link("user_id", "accounts.users").by_action().about("Who sent the file."),
        text("entity").required().by_action().about("Route of the rows, like party-emails."),
        choice("status", STATUSES).required().default("'uploading'").by_action(),
        choice("mode", MODES).required().by_action().about(
            "All rows in one transaction, or each batch for itself without its faulty rows.",
        ),
        choice("matching", MATCHINGS)
            .required()
            .by_action()
            .about("Whether rows are made, changed, or changed where they are there."),
        boolean("dry_run").required().by_action().about("Waits for commit when it is checked."),
        boolean("quiet")
            .required()
            .by_action()
            .about("Automation does not react to these changes."),
        json_field("mapping").required().by_action().about("Each column's header and field."),
        integer("rows_total", 0, COUNT_MAX).required().default("0").by_action(),
        integer("rows_done", 0, COUNT_MAX).required().default("0").by_action(),
        integer("rows_create", 0, COUNT_MAX).required().default("0").by_action(),
        integer("rows_update", 0, COUNT_MAX).required().default("0").by_action(),
        integer("rows_unchanged", 0, COUNT_MAX).required().default("0").by_action(),
        integer("rows_faulty", 0, COUNT_MAX).required().default("0").by_action(),
        id("job_id").by_action().about("The job that works on it."),
        json_field("error").by_action().about(
            "Problem with code and detail, when it failed or its rows are refused together.",
        ),
        instant("finished_at").by_action(),
    ])
    .indexes(&[&["status"]])
    .retention(&[Retention::days("finished_at", 400)]);

/// Bytes of one chunk's records and of its outcome.
pub(super) const CHUNK_BYTES_MAX: u32 = 4 * 1024 * 1024;

pub(crate) static IMPORT_CHUNK: Entity = Entity::new("import_chunks")
    .grant("lists.imports")
    .about("Some rows of an imported file, and what became of each.")
    .retention(&[
        // Whoever has not committed it by then never will: `import::OPEN_TIME`, and a day.
        Retention::days("created_at", 8).empties(&["records"]),
        // Past commit and undo, with a margin: `import::UNDO_TIME`.
        Retention::days("created_at", 45),
    ])
    .operations(Operations::NONE)
    .importable(false)
    .fields(&[
        link("import_id", "lists.imports").required().cascade(),
        integer("seq", 0, COUNT_MAX).required(),
        integer("row_count", 0, COUNT_MAX).required(),
        integer("row_first", 0, COUNT_MAX).required().about("As a spreadsheet counts them."),
        integer("row_last", 0, COUNT_MAX).required(),
        boolean("done").required().default("false").unlogged().about("Its rows are written."),
        bytes("records", CHUNK_BYTES_MAX)
            .secret()
            .unlogged()
            .about("RFC 4180, emptied in the end."),
        bytes("outcome", CHUNK_BYTES_MAX)
            .secret()
            .unlogged()
            .about("A list with an entry for each row."),
        json_field("fates").unlogged().about("Number of rows by what became of them."),
    ])
    .uniques(&[Unique {
        name: "import_chunks_seq_key",
        fields: &["import_id", "seq"],
        code: Code::AlreadyExists,
    }]);

pub(crate) const COMMIT: Action = Action {
    name: "commit",
    entity: &IMPORT,
    on: On::Row,
    input: &[],
    answers: Answers::Row,
    about: "Writes the rows of a checked import, in the background.",
    run: |cx, args| Box::pin(import::commit(cx, args)),
};

pub(crate) const CANCEL: Action = Action {
    name: "cancel",
    entity: &IMPORT,
    on: On::Row,
    input: &[],
    answers: Answers::Row,
    about: "Stops an import; batches that are written stay, and can be undone.",
    run: |cx, args| Box::pin(import::cancel(cx, args)),
};

pub(crate) const UNDO: Action = Action {
    name: "undo",
    entity: &IMPORT,
    on: On::Row,
    input: &[],
    answers: Answers::Row,
    about: "Deletes the rows that the import made and gives those that nobody changed since their \
            earlier values; the others are listed.",
    run: |cx, args| Box::pin(import::undo(cx, args)),
};
