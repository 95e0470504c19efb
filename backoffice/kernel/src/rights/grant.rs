//! A line of a role: on which grants which rights, on which rows, which fields. Data; it knows no
//! entity and no caller.

use serde_json::{Map, Value, json};

use crate::entity::{Field, Level};

/// Which rows a right reaches; each holds the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Whose owner is the caller.
    Own,
    /// Of the caller's teams.
    Team,
    /// Of the caller's units and the units below them.
    Unit,
    All,
}

impl Reach {
    pub const EVERY: &[Self] = &[Self::Own, Self::Team, Self::Unit, Self::All];

    /// As roles and the API name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Team => "team",
            Self::Unit => "unit",
            Self::All => "all",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::EVERY.iter().copied().find(|reach| reach.name() == name)
    }
}

/// A set of field levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels(u8);

impl Levels {
    /// What a line gives that names none: open and personal.
    pub const USUAL: Self = Self(0b011);
    pub const NONE: Self = Self(0);

    #[must_use]
    pub const fn with(self, level: Level) -> Self {
        Self(self.0 | (1 << level as u8))
    }

    pub const fn has(self, level: Level) -> bool {
        self.0 & (1 << level as u8) != 0
    }

    fn names(self) -> Vec<&'static str> {
        Level::ALL.iter().filter(|level| self.has(**level)).map(|level| level.name()).collect()
    }
}

/// One line of a role: on `grant` (`events.events`, `events.*` or `*`) these rights (`read`,
/// `create`, `update`, `delete`, names of actions and moves, or `*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub grant: String,
    pub rights: Vec<String>,
    pub reach: Reach,
    pub levels: Levels,
    /// Fields that this line does not show.
    pub hidden: Vec<String>,
    /// Fields that this line shows and does not let write.
    pub fixed: Vec<String>,
    /// Reads of personal and confidential fields are told in `personal_reads`.
    pub logged: bool,
}

impl Grant {
    /// As roles store it and the API shows it; what a line leaves out stays out.
    pub(crate) fn show(&self) -> Value {
        let mut line = Map::new();
        line.insert("grant".to_owned(), json!(self.grant));
        line.insert("rights".to_owned(), json!(self.rights));
        line.insert("scope".to_owned(), json!(self.reach.name()));
        if self.levels != Levels::USUAL {
            line.insert("levels".to_owned(), json!(self.levels.names()));
        }
        for (name, fields) in [("hidden", &self.hidden), ("fixed", &self.fixed)] {
            if !fields.is_empty() {
                line.insert(name.to_owned(), json!(fields));
            }
        }
        if self.logged {
            line.insert("logged".to_owned(), json!(true));
        }
        Value::Object(line)
    }

    /// Whether the line speaks of the grant at all.
    pub(crate) fn names(&self, grant: &str) -> bool {
        match self.grant.strip_suffix('*') {
            Some(prefix) => grant.starts_with(prefix),
            None => self.grant == grant,
        }
    }

    /// The rows that the line gives this right on.
    pub(crate) fn reaches(&self, grant: &str, right: &str) -> Option<Reach> {
        let given = || self.rights.iter().any(|own| own == "*" || own == right);
        (self.names(grant) && given()).then_some(self.reach)
    }

    /// The rows on which the line shows the field (right `read`) or lets it be written (others).
    pub(super) fn reaches_field(
        &self,
        grant: &str,
        right: &str,
        field: &Named<'_>,
    ) -> Option<Reach> {
        if self.gives(right, field) { self.reaches(grant, right) } else { None }
    }

    pub(super) fn gives(&self, right: &str, field: &Named<'_>) -> bool {
        let named = |list: &[String]| list.iter().any(|one| one == field.name);
        self.levels.has(field.level)
            && !named(&self.hidden)
            && (right == "read" || !named(&self.fixed))
    }
}

/// What a line asks of a field.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) level: Level,
}

impl From<&'static Field> for Named<'static> {
    fn from(field: &'static Field) -> Self {
        Self { name: field.name, level: field.level }
    }
}
