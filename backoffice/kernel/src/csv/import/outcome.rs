//! What becomes of each row of a file, as a chunk keeps it and the API shows it. No value of a row
//! stands here, only where it is and what is wrong.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{Code, Error, Fault, Result};

/// Faults of one row that are kept.
const FAULTS_MAX: usize = 10;
/// Characters of a fault's sentence and of its path; the rest is cut off.
const MESSAGE_CHARS_MAX: usize = 240;
const PATH_CHARS_MAX: usize = 120;
/// Bytes of a chunk's outcomes, beyond which a row keeps one fault with its code's own sentence.
const FULL_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Create,
    Update,
    Unchanged,
    Faulty,
    /// After an undo: the row is as it was before.
    Undone,
    /// After an undo: the row stays as it is, for the reason that stands beside.
    Kept,
}

impl Fate {
    pub(super) const NAMES: &'static [&'static str] =
        &["create", "update", "unchanged", "faulty", "undone", "kept"];
    const ALL: [Self; 6] =
        [Self::Create, Self::Update, Self::Unchanged, Self::Faulty, Self::Undone, Self::Kept];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
            Self::Faulty => "faulty",
            Self::Undone => "undone",
            Self::Kept => "kept",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// As a spreadsheet shows it: the header is row 1.
    pub(super) row: u64,
    pub(super) fate: Fate,
    pub(super) id: Option<Uuid>,
    /// The row's version after the import wrote it.
    pub(super) version: Option<i64>,
    /// The version of a changed row before the import.
    pub(super) before: Option<i64>,
    pub(super) faults: Vec<Fault>,
}

impl Outcome {
    pub(super) fn faulty(row: u64, mut faults: Vec<Fault>) -> Self {
        faults.truncate(FAULTS_MAX);
        for fault in &mut faults {
            cut(&mut fault.field, PATH_CHARS_MAX);
            cut(&mut fault.message, MESSAGE_CHARS_MAX);
        }
        Self { row, fate: Fate::Faulty, id: None, version: None, before: None, faults }
    }

    /// The engine's refusal of one row.
    pub(super) fn refused(row: u64, error: &Error) -> Self {
        let faults = match error.list() {
            [] => vec![Fault::new("", error.code(), error.detail())],
            list => list.to_vec(),
        };
        Self::faulty(row, faults)
    }

    pub(super) fn written(row: u64, fate: Fate, id: Uuid) -> Self {
        Self { row, fate, id: Some(id), version: None, before: None, faults: Vec::new() }
    }

    /// `column` names the file's header of a field's path.
    pub(super) fn show(&self, column: impl Fn(&str) -> Value) -> Value {
        let faults = self.faults.iter().map(|fault| {
            json!({
                "column": column(&fault.field),
                "field": fault.field,
                "code": fault.code.name(),
                "message": fault.message,
            })
        });
        let faults: Vec<Value> = faults.collect();
        json!({
            "row": self.row,
            "status": self.fate.name(),
            "id": self.id,
            "version": self.version,
            "errors": faults,
        })
    }
}

fn cut(text: &mut String, chars: usize) {
    if let Some((at, _)) = text.char_indices().nth(chars) {
        text.truncate(at);
        text.push('…');
    }
}

/// Outcomes as a chunk keeps them: a list a row, so that a hundred thousand rows stay some megabytes.
pub(super) fn write(outcomes: &[Outcome]) -> Vec<u8> {
    let mut out = vec![b'['];
    for outcome in outcomes {
        if out.len() > 1 {
            out.push(b',');
        }
        let short = out.len() > FULL_BYTES_MAX;
        let faults = outcome.faults.iter().take(if short { 1 } else { FAULTS_MAX });
        let faults = faults.map(|Fault { field, code, message }| {
            let message = if short { code.title() } else { message };
            json!([field, code.name(), message])
        });
        let faults: Vec<Value> = faults.collect();
        let Outcome { row, fate, id, version, before, .. } = outcome;
        let kept = json!([row, fate.name(), id, version, before, faults]);
        out.extend_from_slice(kept.to_string().as_bytes());
    }
    out.push(b']');
    out
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Outcome>> {
    let broken = || Error::internal("an import's outcome cannot be read");
    let all: Vec<Value> = serde_json::from_slice(bytes).map_err(|_| broken())?;
    all.iter().map(|one| one_outcome(one).ok_or_else(broken)).collect()
}

fn one_outcome(value: &Value) -> Option<Outcome> {
    let [row, fate, id, version, before, faults] = value.as_array()?.as_slice() else {
        return None;
    };
    let fault = |one: &Value| {
        let [field, code, message] = one.as_array()?.as_slice() else { return None };
        Some(Fault::new(field.as_str()?, Code::parse(code.as_str()?)?, message.as_str()?))
    };
    let fate = fate.as_str()?;
    Some(Outcome {
        row: row.as_u64()?,
        fate: Fate::ALL.into_iter().find(|one| one.name() == fate)?,
        id: id.as_str().and_then(|id| Uuid::try_parse(id).ok()),
        version: version.as_i64(),
        before: before.as_i64(),
        faults: faults.as_array()?.iter().map(fault).collect::<Option<_>>()?,
    })
}

/// Number of rows by what became of them, as a chunk keeps it: those that there are.
pub(super) fn fates(outcomes: &[Outcome]) -> Value {
    let count = |fate: Fate| outcomes.iter().filter(|one| one.fate == fate).count();
    let counts = Fate::ALL.into_iter().map(|fate| (fate.name().to_owned(), count(fate)));
    counts.filter(|(_, count)| *count > 0).map(|(name, count)| (name, json!(count))).collect()
}

/// Rows by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) create: u64,
    pub(super) update: u64,
    pub(super) unchanged: u64,
    pub(super) faulty: u64,
}

impl Counts {
    pub(super) fn add(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            match outcome.fate {
                Fate::Create => self.create += 1,
                Fate::Update => self.update += 1,
                Fate::Unchanged => self.unchanged += 1,
                Fate::Faulty => self.faulty += 1,
                Fate::Undone | Fate::Kept => {}
            }
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.create + self.update + self.unchanged + self.faulty
    }

    pub(super) fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("rows_done", json!(self.rows())),
            ("rows_create", json!(self.create)),
            ("rows_update", json!(self.update)),
            ("rows_unchanged", json!(self.unchanged)),
            ("rows_faulty", json!(self.faulty)),
        ]
    }
}
