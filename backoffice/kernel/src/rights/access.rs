//! What a right reaches on one entity: which rows, which fields, ready for SQL. The one value that
//! the engine takes; it never looks at grants itself.

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::compile::{self, Predicate};
use super::grant::Named;
use super::{Person, Reach, Rights};
use crate::entity::{self, Entity, Field, Level};
use crate::error::{Code, Error, Result};
use crate::param::Bound;
use crate::registry::Registry;

/// Rows and fields in reach. Of a right to read, fields are those shown; of others, those that may
/// be written.
#[derive(Clone)]
pub(crate) struct Access(Option<Limits>);

/// Absent for services, and for rows that dispatch has reached already.
#[derive(Clone)]
struct Limits {
    registry: &'static Registry,
    person: Arc<Person>,
    entity: &'static Entity,
    reach: Reach,
    /// Fields in reach on fewer rows than the row itself, or on none.
    narrower: Vec<(&'static str, Option<Reach>)>,
    logged: bool,
    /// Levels of custom fields in reach on every row.
    levels: Vec<Level>,
    pin: Option<Pin>,
}

/// One column decides which rows: the party of a portal, the row of a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pin {
    pub(super) column: &'static str,
    pub(super) id: Uuid,
    /// Other columns are not the database role's to read, for the house's own use either.
    pub(super) strict: bool,
}

/// On which rows a field may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    /// On every row in reach.
    Always,
    /// On those within this narrower reach.
    Within(Reach),
    Never,
}

impl Access {
    /// Everything.
    pub(crate) fn all() -> Self {
        Self(None)
    }

    pub(super) fn limited(
        rights: &Rights,
        entity: &'static Entity,
        right: &str,
        reach: Reach,
    ) -> Self {
        let of = |field: &'static Field| {
            let named = Named::from(field);
            rights
                .narrowest(|line| line.reaches_field(entity.grant, right, &named))
                .filter(|reach| compile::carries(rights.registry, entity, *reach))
        };
        let narrower = entity.fields.iter().map(|field| (field.name, of(field)));
        let narrower = narrower.filter(|(_, own)| own.is_none_or(|own| own < reach)).collect();
        let logged = rights
            .layers
            .iter()
            .flatten()
            .any(|line| line.logged && line.reaches(entity.grant, right).is_some());
        let level = |level: &Level| {
            let named = Named { name: "custom", level: *level };
            let own = rights.narrowest(|line| line.reaches_field(entity.grant, right, &named));
            own.is_some_and(|own| reach <= own)
        };
        let levels = Level::ALL.iter().copied().filter(level).collect();
        let (registry, person) = (rights.registry, Arc::clone(&rights.person));
        Self(Some(Limits { registry, person, entity, reach, narrower, logged, levels, pin: None }))
    }

    /// Rows of one party, or one row; of its fields those that `visible` says, of custom ones none.
    pub(super) fn pinned(
        rights: &Rights,
        entity: &'static Entity,
        pin: Pin,
        visible: impl Fn(&Field) -> bool,
    ) -> Self {
        let hidden = entity.fields.iter().filter(|field| !visible(field));
        let narrower = hidden.map(|field| (field.name, None)).collect();
        let (registry, person) = (rights.registry, Arc::clone(&rights.person));
        let (reach, logged, levels) = (Reach::All, false, Vec::new());
        let pin = Some(pin);
        Self(Some(Limits { registry, person, entity, reach, narrower, logged, levels, pin }))
    }

    /// Of these rows the one that the pin names; of the fields in reach those that `visible` says, of
    /// custom ones none. What a link shows is told nowhere: it shows what is nobody's secret.
    pub(super) fn pinned_to(
        self,
        entity: &'static Entity,
        pin: Pin,
        visible: impl Fn(&Field) -> bool,
    ) -> Self {
        let narrowed = |limits: Limits| {
            let hidden = entity.fields.iter().filter(|field| !visible(field));
            let hidden = hidden.map(|field| (field.name, None));
            let kept = limits.narrower.iter().copied();
            let kept = kept.filter(|(name, _)| entity.field(name).is_some_and(&visible));
            let narrower = kept.chain(hidden).collect();
            Limits { narrower, logged: false, levels: Vec::new(), pin: Some(pin), ..limits }
        };
        Self(self.0.map(narrowed))
    }

    /// The same rows without limits on fields: what an action sees of the row it works on. Nothing
    /// of it is an answer, so nothing is told.
    pub(crate) fn whole_rows(&self) -> Self {
        let whole = |limits: Limits| match limits.pin {
            Some(pin) if pin.strict => limits,
            _ => Limits { narrower: Vec::new(), logged: false, ..limits },
        };
        Self(self.0.clone().map(whole))
    }

    pub(crate) fn is_everywhere(&self) -> bool {
        self.reach() == Reach::All && self.pin().is_none()
    }

    fn pin(&self) -> Option<Pin> {
        self.0.as_ref().and_then(|limits| limits.pin)
    }

    fn reach(&self) -> Reach {
        self.0.as_ref().map_or(Reach::All, |limits| limits.reach)
    }

    /// Whether reads of personal data under this right are told.
    pub(crate) fn is_logged(&self) -> bool {
        self.0.as_ref().is_some_and(|limits| limits.logged)
    }

    /// Appends ` and …` for the rows in reach. `alias` names the table where the statement gives
    /// it another name.
    pub(crate) fn rows_sql(&self, alias: Option<&str>, sql: &mut String, params: &mut Vec<Bound>) {
        if self.reach() != Reach::All {
            sql.push_str(" and ");
            sql.push_str(&self.condition(self.reach(), alias, params));
        }
        if let Some(pin) = self.pin() {
            let table = alias.map(|alias| format!("{alias}.")).unwrap_or_default();
            params.push(Bound::uuid(pin.id));
            sql.push_str(&format!(" and {table}\"{}\" = ${}", pin.column, params.len()));
        }
    }

    /// For select lists: whether the row is within this reach of the caller; never null.
    pub(crate) fn within_sql(
        &self,
        reach: Reach,
        alias: Option<&str>,
        params: &mut Vec<Bound>,
    ) -> String {
        format!("coalesce({}, false)", self.condition(reach, alias, params))
    }

    fn condition(&self, reach: Reach, alias: Option<&str>, params: &mut Vec<Bound>) -> String {
        match &self.0 {
            Some(limits) if reach != Reach::All => Predicate::new(
                limits.registry,
                &limits.person,
                params,
            )
            .rows(limits.entity, reach, alias),
            _ => "true".to_owned(),
        }
    }

    /// Who asks and how far they reach, for functions of the database that judge by themselves.
    pub(crate) fn caller(&self) -> (Reach, Uuid, Bound) {
        match &self.0 {
            Some(Limits { person, reach, .. }) => {
                (*reach, person.user, compile::uuids(&person.units))
            }
            None => (Reach::All, Uuid::nil(), compile::uuids(&[])),
        }
    }

    pub(crate) fn shows(&self, field: &Field) -> Shows {
        let narrower = self.0.as_ref().map(|limits| limits.narrower.as_slice()).unwrap_or_default();
        match narrower.iter().find(|(name, _)| *name == field.name) {
            None => Shows::Always,
            Some((_, Some(reach))) => Shows::Within(*reach),
            Some((_, None)) => Shows::Never,
        }
    }

    /// Whether custom fields of this level are in reach, on every row. Those on some rows only are
    /// not told apart: they count as out of reach.
    pub(crate) fn shows_level(&self, level: Level) -> bool {
        self.0.as_ref().is_none_or(|limits| limits.levels.contains(&level))
    }

    /// Names of the levels of custom fields that are in reach on every row.
    pub(crate) fn level_names(&self) -> Vec<&'static str> {
        let shown = Level::ALL.iter().filter(|level| self.shows_level(**level));
        shown.map(|level| level.name()).collect()
    }

    /// 403 unless the field may be read on every row in reach: else a filter or an order would tell
    /// what is not shown. The caller puts the parameter's name in with `Error::at`.
    pub(crate) fn readable_everywhere(&self, field: &Field) -> Result<()> {
        let text = match self.shows(field) {
            Shows::Always => return Ok(()),
            Shows::Within(_) => format!("{} may be read on some of these rows only", field.name),
            Shows::Never => format!("{} may not be read", field.name),
        };
        Err(Error::field(Code::FieldNotPermitted, field.name, text))
    }

    /// The rows on which the field may be written; 403 when there are none.
    pub(crate) fn writable(&self, field: &Field) -> Result<Reach> {
        match self.shows(field) {
            Shows::Always => Ok(self.reach()),
            Shows::Within(reach) => Ok(reach),
            Shows::Never => Err(Error::field(
                Code::FieldNotPermitted,
                field.name,
                format!("{} may not be written", field.name),
            )),
        }
    }

    /// The access for writing this body: 403 naming every field that may not be written, else the
    /// rows on which all of them may.
    pub(crate) fn for_body(&self, entity: &Entity, body: &Map<String, Value>) -> Result<Self> {
        let Some(limits) = &self.0 else { return Ok(Self::all()) };
        let mut reach = limits.reach;
        let mut faults = Vec::new();
        for field in body.keys().filter_map(|name| entity.field(name)) {
            match self.writable(field) {
                Ok(narrower) => reach = reach.min(narrower),
                Err(error) => faults.extend_from_slice(error.list()),
            }
        }
        if faults.is_empty() {
            return Ok(Self(Some(Limits { reach, ..limits.clone() })));
        }
        Err(Error::fields(Code::FieldNotPermitted, faults))
    }

    /// Whether these are fewer rows than the other's.
    pub(crate) fn is_narrower(&self, other: &Self) -> bool {
        self.reach() < other.reach()
    }

    /// Fields of the body that need a narrower reach than the row: what a refusal names.
    pub(crate) fn narrow_fields<'a>(&self, body: &'a Map<String, Value>) -> Vec<&'a str> {
        let Some(limits) = &self.0 else { return Vec::new() };
        let narrow = |name: &&str| limits.narrower.iter().any(|(field, _)| field == name);
        body.keys().map(String::as_str).filter(narrow).collect()
    }

    /// A new row without an owner is the caller's, where only some rows are in reach.
    /// `fields` are those that the body may hold.
    pub(crate) fn adopt(&self, entity: &Entity, fields: &[Field], body: &mut Map<String, Value>) {
        let Some(limits) = self.0.as_ref().filter(|limits| limits.reach != Reach::All) else {
            return;
        };
        let Some(owner) = compile::owner(entity) else { return };
        let given = fields.iter().any(|field| {
            field.name == owner.name
                && matches!(field.access, entity::Access::Writable | entity::Access::WriteOnce)
        });
        if given && !body.contains_key(owner.name) {
            body.insert(owner.name.to_owned(), Value::String(limits.person.user.to_string()));
        }
    }

    /// Fields that put a row into reach or out of it.
    pub(crate) fn hands(&self) -> Vec<&'static str> {
        match &self.0 {
            Some(limits) => {
                let pin = limits.pin.map(|pin| pin.column);
                compile::hands(limits.entity).into_iter().chain(pin).collect()
            }
            None => Vec::new(),
        }
    }
}
