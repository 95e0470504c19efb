//! How rows of a statement become JSON objects: worked out once a statement, so that a cell costs
//! what its value does.

use tokio_postgres::Row;

use super::{Column, reaches};
use crate::error::Result;
use crate::kind;
use crate::kind_sql::second_column;

/// The members of an object, and where their values stand behind the first column of a
/// `select_list`.
pub(super) struct Layout {
    members: Vec<Member>,
    width: usize,
}

struct Member {
    /// `,"name":`
    opening: Vec<u8>,
    column: Column,
    place: usize,
    /// Place of the condition under which the member is shown.
    gate: Option<usize>,
}

impl Layout {
    pub(super) fn new(columns: &[Column]) -> Result<Self> {
        let reaches = reaches(columns);
        let mut width = reaches.len();
        let mut members = Vec::with_capacity(columns.len());
        for column in columns {
            let mut opening = Vec::with_capacity(column.name.len() + 4);
            opening.push(b',');
            kind::write_text(&mut opening, column.name)?;
            opening.push(b':');
            let gate = column.only.and_then(|only| reaches.iter().position(|reach| *reach == only));
            members.push(Member { opening, column: *column, place: width, gate });
            width += 1 + usize::from(second_column(column.kind, column.name).is_some());
        }
        Ok(Self { members, width })
    }

    /// Columns of the `select_list`.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The members of a row whose `select_list` begins at this column, without braces.
    pub(super) fn members(&self, row: &Row, start: usize, out: &mut Vec<u8>) -> Result<()> {
        let mut skipped = 1;
        for Member { opening, column, place, gate } in &self.members {
            if let Some(gate) = gate
                && !row.try_get::<_, bool>(start + gate)?
            {
                continue;
            }
            out.extend_from_slice(opening.get(skipped..).unwrap_or_default());
            skipped = 0;
            kind::encode(row, start + place, column.kind, out)?;
        }
        Ok(())
    }

    /// One row as a JSON object.
    pub(super) fn row(&self, row: &Row, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'{');
        self.members(row, 0, out)?;
        out.push(b'}');
        Ok(())
    }
}
