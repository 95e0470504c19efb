//! What the pages on rights say, as a few lines of Rust over rows in memory: whose a row is, what a
//! line gives, union within a role, intersection with the token.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

/// Fields that levels and lists of names speak of: 1 is personal, 2 confidential.
pub(super) const FIELDS: &[(&str, usize)] = &[("note", 1), ("pay", 2)];
const OWN: usize = 0;
const TEAM: usize = 1;
const UNIT: usize = 2;
const ALL: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Project,
    Task,
    Remark,
    Thing,
}

impl Kind {
    pub(super) const ALL: &[Self] = &[Self::Project, Self::Task, Self::Remark, Self::Thing];

    pub(super) fn route(self) -> &'static str {
        ["crew-projects", "crew-tasks", "crew-remarks", "crew-things"][self as usize]
    }

    fn grant(self) -> &'static str {
        ["crew.projects", "crew.tasks", "crew.remarks", "crew.things"][self as usize]
    }

    pub(super) fn above(self) -> Option<Self> {
        [None, Some(Self::Project), Some(Self::Task), None][self as usize]
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) id: Uuid,
    pub(super) owner: Option<Uuid>,
    pub(super) team: Option<Uuid>,
    pub(super) unit: Option<Uuid>,
    pub(super) parent: Option<Uuid>,
}

impl Row {
    /// Fields that say whose it is.
    pub(super) fn hands(&self) -> Vec<(&'static str, Option<Uuid>)> {
        match self.kind {
            Kind::Project => {
                vec![("lead_id", self.owner), ("team_id", self.team), ("unit_id", self.unit)]
            }
            Kind::Task => vec![("assignee_id", self.owner), ("project_id", self.parent)],
            Kind::Remark => vec![("task_id", self.parent)],
            Kind::Thing => Vec::new(),
        }
    }
}

pub(super) struct User {
    pub(super) id: Uuid,
    pub(super) role: Uuid,
    pub(super) teams: BTreeSet<Uuid>,
    pub(super) units: BTreeSet<Uuid>,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) grant: &'static str,
    pub(super) rights: Vec<&'static str>,
    pub(super) reach: usize,
    /// How many of open, personal, confidential.
    pub(super) levels: usize,
    pub(super) hidden: Vec<&'static str>,
    pub(super) fixed: Vec<&'static str>,
}

impl Line {
    pub(super) fn everything() -> Self {
        let (hidden, fixed) = (Vec::new(), Vec::new());
        Self { grant: "*", rights: vec!["*"], reach: ALL, levels: 3, hidden, fixed }
    }

    pub(super) fn show(&self) -> Value {
        let scope = ["own", "team", "unit", "all"][self.reach];
        let levels = &["open", "personal", "confidential"][..self.levels];
        json!({
            "grant": self.grant,
            "rights": self.rights,
            "scope": scope,
            "levels": levels,
            "hidden": self.hidden,
            "fixed": self.fixed,
        })
    }

    fn gives(&self, kind: Kind, right: &str) -> bool {
        let named = self.grant == kind.grant() || self.grant == "*" || self.grant == "crew.*";
        named && (self.rights.contains(&right) || self.rights.contains(&"*"))
    }

    fn gives_field(&self, right: &str, field: &str, level: usize) -> bool {
        level < self.levels
            && !self.hidden.contains(&field)
            && (right == "read" || !self.fixed.contains(&field))
    }
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) users: Vec<User>,
    pub(super) teams: Vec<Uuid>,
    pub(super) units: Vec<Uuid>,
    /// Unit above.
    pub(super) parents: BTreeMap<Uuid, Uuid>,
    pub(super) rows: Vec<Row>,
}

impl Model {
    fn me(&self) -> &User {
        &self.users[0]
    }

    /// Whether the row is in this scope of the first person's.
    fn is_in(&self, row: &Row, reach: usize) -> bool {
        let me = self.me();
        let mate = |owner: Uuid| {
            let other = self.users.iter().find(|user| user.id == owner).unwrap();
            other.teams.intersection(&me.teams).next().is_some()
        };
        let own = row.owner == Some(me.id);
        let team = match row.kind {
            Kind::Project => row.team.is_some_and(|team| me.teams.contains(&team)),
            _ => row.owner.is_some_and(mate),
        };
        let unit = row.unit.is_some_and(|unit| {
            std::iter::successors(Some(unit), |unit| self.parents.get(unit).copied())
                .any(|unit| me.units.contains(&unit))
        });
        let above = row.parent.is_some_and(|id| {
            let parent = self.rows.iter().find(|row| row.id == id).unwrap();
            self.is_in(parent, reach)
        });
        let [own, team, unit] =
            [(OWN, own), (TEAM, team), (UNIT, unit)].map(|(least, holds)| least <= reach && holds);
        reach == ALL || own || team || unit || above
    }

    /// The narrowest over the layers of the widest within one.
    fn reach(layers: &[Vec<Line>], gives: impl Fn(&Line) -> bool) -> Option<usize> {
        let widest = |layer: &Vec<Line>| {
            layer.iter().filter(|line| gives(line)).map(|line| line.reach).max()
        };
        layers.iter().map(widest).min().flatten()
    }

    pub(super) fn may(&self, layers: &[Vec<Line>], kind: Kind, right: &str) -> bool {
        // Nobody's things are in no scope but all.
        Self::reach(layers, |line| line.gives(kind, right))
            .is_some_and(|reach| kind != Kind::Thing || reach == ALL)
    }

    pub(super) fn reaches(&self, layers: &[Vec<Line>], row: &Row, right: &str) -> bool {
        Self::reach(layers, |line| line.gives(row.kind, right))
            .is_some_and(|reach| self.is_in(row, reach))
    }

    pub(super) fn reached(
        &self,
        layers: &[Vec<Line>],
        kind: Kind,
        right: &'static str,
    ) -> impl Iterator<Item = &Row> {
        let rows = self.rows.iter().filter(move |row| row.kind == kind);
        rows.filter(move |row| self.reaches(layers, row, right))
    }

    fn field_reach(
        layers: &[Vec<Line>],
        kind: Kind,
        right: &str,
        field: &str,
        level: usize,
    ) -> Option<usize> {
        Self::reach(layers, |line| line.gives(kind, right) && line.gives_field(right, field, level))
            .filter(|reach| kind != Kind::Thing || *reach == ALL)
    }

    /// Whether the field of a row in reach is shown or may be written.
    pub(super) fn field(
        &self,
        layers: &[Vec<Line>],
        row: &Row,
        right: &str,
        field: &str,
        level: usize,
    ) -> bool {
        Self::field_reach(layers, row.kind, right, field, level)
            .is_some_and(|reach| self.is_in(row, reach))
    }

    pub(super) fn field_anywhere(
        &self,
        layers: &[Vec<Line>],
        kind: Kind,
        right: &str,
        field: &str,
        level: usize,
    ) -> bool {
        Self::field_reach(layers, kind, right, field, level).is_some()
    }

    /// Whether the field is shown on every row that is.
    pub(super) fn everywhere(
        &self,
        layers: &[Vec<Line>],
        kind: Kind,
        field: &str,
        level: usize,
    ) -> bool {
        let rows = Self::reach(layers, |line| line.gives(kind, "read"));
        rows.is_some() && Self::field_reach(layers, kind, "read", field, level) == rows
    }
}
