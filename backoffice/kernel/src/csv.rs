//! Rows as files: comma-separated values out (`export`) and in (`import`). A cell is the JSON value
//! of its kind (`cell`), a column is a field (`mapping`), and what comes in is written by the engine
//! as any body is. Knows no HTTP framework and no entity by name.

mod cell;
mod entities;
pub(crate) mod export;
pub(crate) mod import;
mod mapping;
mod text;

pub(crate) use entities::{CANCEL, COMMIT, UNDO};
pub(crate) use entities::{IMPORT, IMPORT_CHUNK};

/// RFC 7111 and RFC 4180, 3: text in UTF-8 with a header row.
pub(crate) const MEDIA_TYPE: &str = "text/csv; charset=utf-8; header=present";
