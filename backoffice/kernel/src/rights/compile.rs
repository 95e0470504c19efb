//! From a reach to SQL: whose a row is, by its owner, its team, its unit and the row it lies within.
//! Comparisons are of UUIDs only, whose operators keep their indexes under row-level security.

use uuid::Uuid;

use super::{Person, Reach};
use crate::entity::{Entity, Field, Kind};
use crate::param::{Bound, Param};
use crate::registry::Registry;
use tokio_postgres::types::Type;

/// What `own` compares with the caller.
pub(crate) const USERS: &str = "accounts.users";
const TEAMS: &str = "accounts.teams";
const UNITS: &str = "identity.units";
/// Parents that a chain of `within` has at most.
pub(crate) const WITHIN_DEPTH_MAX: usize = 3;

/// The field that says whose a row is: the named one, else the first link to a user.
pub(crate) fn owner(entity: &Entity) -> Option<&'static Field> {
    match entity.owner {
        Some(name) => entity.field(name),
        None => link_to(entity, USERS),
    }
}

fn link_to(entity: &Entity, target: &str) -> Option<&'static Field> {
    let leads = |field: &&Field| matches!(field.kind, Kind::Link { to, .. } if to == target);
    entity.fields.iter().find(leads)
}

/// Fields that put a row into a reach or out of it.
pub(super) fn hands(entity: &Entity) -> Vec<&'static str> {
    let links = [owner(entity), link_to(entity, TEAMS), link_to(entity, UNITS)];
    links.into_iter().flatten().map(|field| field.name).chain(entity.within).collect()
}

/// Whether a row of the entity can be in this reach at all.
pub(crate) fn carries(registry: &Registry, entity: &'static Entity, reach: Reach) -> bool {
    reach == Reach::All || !alternatives(registry, entity, reach).is_empty()
}

/// One way for a row to be in reach.
enum Way {
    Owner(&'static Field),
    /// The column that holds the team: a link, or `id` of the teams themselves.
    Team(&'static str),
    /// Somebody of the caller's teams owns it.
    Mate(&'static Field),
    Unit(&'static str),
    Within(&'static str, &'static Entity),
}

fn alternatives(registry: &Registry, entity: &'static Entity, reach: Reach) -> Vec<Way> {
    let mut ways = Vec::new();
    let column = |target: &str| {
        let itself = registry.member(entity.name).is_some_and(|own| own.qualified == target);
        if itself { Some("id") } else { link_to(entity, target).map(|field| field.name) }
    };
    ways.extend(owner(entity).map(Way::Owner));
    if Reach::Own < reach {
        // A row that names no team is of its owner's teams.
        match (column(TEAMS), owner(entity)) {
            (Some(team), _) => ways.push(Way::Team(team)),
            (None, owner) => ways.extend(owner.map(Way::Mate)),
        }
    }
    if Reach::Team < reach {
        ways.extend(column(UNITS).map(Way::Unit));
    }
    let parent = entity.within.and_then(|name| Some((name, registry.target(entity, name)?)));
    // The registry has checked that chains of parents end.
    if let Some((name, parent)) = parent
        && carries(registry, parent, reach)
    {
        ways.push(Way::Within(name, parent));
    }
    ways
}

/// A condition on rows, and where it finds the caller.
pub(crate) struct Predicate<'a> {
    registry: &'a Registry,
    caller: Caller<'a>,
    depth: usize,
}

enum Caller<'a> {
    /// In the statement's parameters, each put there when it is first needed.
    Bound {
        person: &'a Person,
        params: &'a mut Vec<Bound>,
        org: Option<usize>,
        user: Option<usize>,
        units: Option<usize>,
    },
    /// In the names of a function of the database.
    Named(Names),
}

/// What a function of the database calls the organization, the person and the person's units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    pub(crate) org: &'static str,
    pub(crate) user: &'static str,
    pub(crate) units: &'static str,
}

impl<'a> Predicate<'a> {
    pub(super) fn new(
        registry: &'static Registry,
        person: &'a Person,
        params: &'a mut Vec<Bound>,
    ) -> Self {
        let caller = Caller::Bound { person, params, org: None, user: None, units: None };
        Self { registry, caller, depth: 0 }
    }

    pub(crate) fn named(registry: &'a Registry, names: Names) -> Self {
        Self { registry, caller: Caller::Named(names), depth: 0 }
    }

    /// True for rows in reach, false or null for others.
    pub(crate) fn rows(
        &mut self,
        entity: &'static Entity,
        reach: Reach,
        alias: Option<&str>,
    ) -> String {
        if reach == Reach::All {
            return "true".to_owned();
        }
        let table = alias.map(|alias| format!("{alias}.")).unwrap_or_default();
        let ways = alternatives(self.registry, entity, reach);
        let ways: Vec<String> = ways.iter().map(|way| self.way(way, reach, &table)).collect();
        if ways.is_empty() {
            return "false".to_owned();
        }
        format!("({})", ways.join(" or "))
    }

    fn way(&mut self, way: &Way, reach: Reach, table: &str) -> String {
        match way {
            Way::Owner(field) => format!("{table}\"{}\" = {}", field.name, self.user()),
            Way::Team(column) => format!(
                "{table}\"{column}\" in (select mine.team_id from public.team_members as mine \
                 where mine.org_id = {} and mine.user_id = {} and mine.deleted_at is null)",
                self.org(),
                self.user()
            ),
            Way::Mate(field) => format!(
                "{table}\"{}\" in (select mate.user_id from public.team_members as mine \
                 join public.team_members as mate on mate.org_id = mine.org_id \
                 and mate.team_id = mine.team_id and mate.deleted_at is null \
                 where mine.org_id = {} and mine.user_id = {} and mine.deleted_at is null)",
                field.name,
                self.org(),
                self.user()
            ),
            Way::Unit(column) => format!("{table}\"{column}\" = any({})", self.units()),
            Way::Within(column, parent) => {
                self.depth += 1;
                let above = format!("above{}", self.depth);
                let rows = self.rows(parent, reach, Some(&above));
                format!(
                    "{table}\"{column}\" in (select {above}.\"id\" from public.\"{}\" as {above} \
                     where {above}.\"org_id\" = {} and {rows})",
                    parent.name,
                    self.org()
                )
            }
        }
    }

    fn org(&mut self) -> String {
        match &mut self.caller {
            Caller::Named(names) => names.org.to_owned(),
            Caller::Bound { person, params, org, .. } => {
                let place = *org.get_or_insert_with(|| put(params, Bound::uuid(person.org)));
                format!("${place}")
            }
        }
    }

    fn user(&mut self) -> String {
        match &mut self.caller {
            Caller::Named(names) => names.user.to_owned(),
            Caller::Bound { person, params, user, .. } => {
                let place = *user.get_or_insert_with(|| put(params, Bound::uuid(person.user)));
                format!("${place}")
            }
        }
    }

    fn units(&mut self) -> String {
        match &mut self.caller {
            Caller::Named(names) => names.units.to_owned(),
            Caller::Bound { person, params, units, .. } => {
                let place = *units.get_or_insert_with(|| put(params, uuids(&person.units)));
                format!("${place}")
            }
        }
    }
}

fn put(params: &mut Vec<Bound>, bound: Bound) -> usize {
    params.push(bound);
    params.len()
}

pub(crate) fn uuids(ids: &[Uuid]) -> Bound {
    Bound {
        value: Param::List(ids.iter().copied().map(Param::Uuid).collect()),
        ty: Type::UUID_ARRAY,
    }
}
