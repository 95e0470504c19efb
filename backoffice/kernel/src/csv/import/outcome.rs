//! What becomes of each row of a file, as a chunk keeps it and the API shows it. No value of a row
//! stands here, only where it is and what is wrong.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{Code, Error, Fault, Result};

/// Faults of one row that are kept.
const FAULTS_MAX: usize = 10;

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
    pub(super) faults: Vec<Fault>,
}

impl Outcome {
    pub(super) fn faulty(row: u64, mut faults: Vec<Fault>) -> Self {
        faults.truncate(FAULTS_MAX);
        Self { row, fate: Fate::Faulty, id: None, version: None, faults }
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
        Self { row, fate, id: Some(id), version: None, faults: Vec::new() }
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

/// Outcomes as a chunk keeps them.
pub(super) fn write(outcomes: &[Outcome]) -> Vec<u8> {
    let all: Vec<Value> = outcomes.iter().map(|outcome| outcome.show(|_| Value::Null)).collect();
    Value::Array(all).to_string().into_bytes()
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Outcome>> {
    let broken = || Error::internal("an import's outcome cannot be read");
    let all: Value = serde_json::from_slice(bytes).map_err(|_| broken())?;
    all.as_array()
        .ok_or_else(broken)?
        .iter()
        .map(|one| one_outcome(one).ok_or_else(broken))
        .collect()
}

fn one_outcome(value: &Value) -> Option<Outcome> {
    let fate = match value.get("status")?.as_str()? {
        "create" => Fate::Create,
        "update" => Fate::Update,
        "unchanged" => Fate::Unchanged,
        "faulty" => Fate::Faulty,
        "undone" => Fate::Undone,
        "kept" => Fate::Kept,
        _ => return None,
    };
    let fault = |one: &Value| {
        let text = |name: &str| one.get(name).and_then(Value::as_str);
        Some(Fault::new(text("field")?, Code::parse(text("code")?)?, text("message")?))
    };
    Some(Outcome {
        row: value.get("row")?.as_u64()?,
        fate,
        id: value.get("id").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok()),
        version: value.get("version").and_then(Value::as_i64),
        faults: value.get("errors")?.as_array()?.iter().map(fault).collect::<Option<_>>()?,
    })
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
