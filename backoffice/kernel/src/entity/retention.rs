//! How long rows stay that nobody deletes: data that the sweep works by, and the schema gives an index.

use jiff::SignedDuration;

/// What becomes of rows that grow on their own.
#[derive(Debug, Clone, Copy)]
pub enum Keeping {
    /// People make and delete them.
    Unsaid,
    /// They do not grow without end, or have to stay; why.
    Kept(&'static str),
    Swept(&'static [Retention]),
}

/// Some rows of a table, and how long they stay.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Column of instants, one of the entity's or `created_at`; rows without one stay.
    pub after: &'static str,
    /// From then on.
    pub kept: SignedDuration,
    /// Which rows, as a condition on their columns; all when empty. It is an index's, too.
    pub only: &'static str,
    /// Columns that lose their values in place of the row; empty: the row goes.
    pub empties: &'static [&'static str],
}

impl Retention {
    pub const fn new(after: &'static str, kept: SignedDuration) -> Self {
        Self { after, kept, only: "", empties: &[] }
    }

    pub const fn days(after: &'static str, days: i64) -> Self {
        Self::new(after, SignedDuration::from_hours(24 * days))
    }

    pub const fn only(mut self, condition: &'static str) -> Self {
        self.only = condition;
        self
    }

    pub const fn empties(mut self, columns: &'static [&'static str]) -> Self {
        self.empties = columns;
        self
    }
}
