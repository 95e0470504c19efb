//! The whole house as one value: every domain's entities, links resolved by name, and the rules that
//! descriptors must keep. Built once at start and passed around; it knows no SQL and no connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::action::{Action, On, Reading};
use crate::cron::Cron;
use crate::ddl::names;
use crate::entity::{Domain, Entity, Field, Kind};
use crate::error::Code;
use crate::jobs::Job;
use crate::outbox::Consumer;
use crate::rule::{EndRule, Rule};

mod check;
#[cfg(test)]
mod tests;

/// All domains, checked. Order is the order in which the domains were given.
pub struct Registry {
    domains: Vec<&'static Domain>,
    members: Vec<Member>,
    by_table: BTreeMap<&'static str, usize>,
    by_route: BTreeMap<String, usize>,
    meanings: BTreeMap<String, Meaning>,
    rules: BTreeMap<&'static str, Vec<&'static Rule>>,
    end_rules: BTreeMap<&'static str, Vec<&'static EndRule>>,
}

/// An entity in its place.
pub struct Member {
    pub domain: &'static Domain,
    pub entity: &'static Entity,
    /// `events.ticket_types`, as links name it.
    pub qualified: String,
    /// `ticket-types`.
    pub route: String,
    /// Link fields with the entity that each one names.
    pub links: Vec<Link>,
}

#[derive(Clone, Copy)]
pub struct Link {
    pub field: &'static Field,
    pub target: &'static Entity,
}

/// A collection below a row: `/events/{id}/ticket-types`.
#[derive(Clone, Copy)]
pub struct Child {
    pub entity: &'static Entity,
    /// Field of the child that holds the parent's id.
    pub field: &'static Field,
}

/// What a violated constraint means to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    pub code: Code,
    /// Field that the error names, where one field is to blame.
    pub field: Option<&'static str>,
}

/// Every fault of the descriptors, found in one pass.
#[derive(Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} faults in the descriptors", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n- {fault}"))
    }
}

impl std::error::Error for Faults {}

impl Registry {
    /// Collects and checks; the error lists all faults at once, so that one run shows all work.
    pub fn new(domains: &[&'static Domain]) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let mut registry = Self {
            domains: domains.to_vec(),
            members: Vec::new(),
            by_table: BTreeMap::new(),
            by_route: BTreeMap::new(),
            meanings: BTreeMap::new(),
            rules: BTreeMap::new(),
            end_rules: BTreeMap::new(),
        };
        registry.collect(&mut faults);
        registry.resolve(&mut faults);
        check::all(&registry, &mut faults);
        registry.gather_meanings();
        registry.gather_rules();
        if faults.is_empty() { Ok(registry) } else { Err(Faults(faults)) }
    }

    /// The registry lives as long as the process: descriptors are `static`, and so is their index.
    pub fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    pub fn domains(&self) -> &[&'static Domain] {
        &self.domains
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn entities(&self) -> impl Iterator<Item = &'static Entity> + '_ {
        self.members.iter().map(|member| member.entity)
    }

    /// By table name, which is unique over all domains.
    pub fn member(&self, table: &str) -> Option<&Member> {
        self.by_table.get(table).and_then(|&index| self.members.get(index))
    }

    pub fn entity(&self, table: &str) -> Option<&'static Entity> {
        self.member(table).map(|member| member.entity)
    }

    /// By qualified name, as a link says it: `events.ticket_types`.
    pub fn qualified(&self, name: &str) -> Option<&'static Entity> {
        let (domain, table) = name.split_once('.')?;
        self.member(table).filter(|member| member.domain.name == domain).map(|member| member.entity)
    }

    /// By route segment: `ticket-types`.
    pub fn route(&self, route: &str) -> Option<&Member> {
        self.by_route.get(route).and_then(|&index| self.members.get(index))
    }

    /// The entity that a link field of `entity` names; `None` for other kinds.
    pub fn target(&self, entity: &Entity, field: &str) -> Option<&'static Entity> {
        let links = &self.member(entity.name)?.links;
        links.iter().find(|link| link.field.name == field).map(|link| link.target)
    }

    /// Collections below a row of `parent`, one per entity: its first link to the parent leads.
    pub fn children(&self, parent: &Entity) -> Vec<Child> {
        let mut children = Vec::new();
        for member in &self.members {
            let link = member.links.iter().find(|link| link.target.name == parent.name);
            children.extend(link.map(|link| Child { entity: member.entity, field: link.field }));
        }
        children
    }

    pub fn actions(&self) -> impl Iterator<Item = &'static Action> + '_ {
        self.domains.iter().flat_map(|domain| domain.actions.iter())
    }

    /// What rows of the entity tell beside their fields.
    pub fn readings(&self, entity: &Entity) -> impl Iterator<Item = &'static Reading> + '_ {
        let table = entity.name;
        let all = self.domains.iter().flat_map(|domain| domain.readings.iter());
        all.filter(move |reading| reading.entity.name == table)
    }

    /// What must hold after a write of the table.
    pub fn rules(&self, table: &str) -> &[&'static Rule] {
        self.rules.get(table).map_or(&[], Vec::as_slice)
    }

    /// What must hold when a unit of work ends that wrote the table.
    pub fn end_rules(&self, table: &str) -> &[&'static EndRule] {
        self.end_rules.get(table).map_or(&[], Vec::as_slice)
    }

    /// Rules of either sort look at writes of the entity.
    pub fn is_ruled(&self, entity: &Entity) -> bool {
        !self.rules(entity.name).is_empty() || !self.end_rules(entity.name).is_empty()
    }

    pub fn jobs(&self) -> impl Iterator<Item = &'static Job> + '_ {
        self.domains.iter().flat_map(|domain| domain.jobs.iter())
    }

    pub fn job(&self, name: &str) -> Option<&'static Job> {
        self.jobs().find(|job| job.name == name)
    }

    pub fn crons(&self) -> impl Iterator<Item = &'static Cron> + '_ {
        self.domains.iter().flat_map(|domain| domain.crons.iter())
    }

    pub fn consumers(&self) -> impl Iterator<Item = &'static Consumer> + '_ {
        self.domains.iter().flat_map(|domain| domain.consumers.iter())
    }

    /// What a constraint of the database means, by its name.
    pub fn meaning(&self, constraint: &str) -> Option<Meaning> {
        self.meanings.get(constraint).copied()
    }

    /// Names of all grants, for role checks.
    pub fn grants(&self) -> BTreeSet<&'static str> {
        self.entities().map(|entity| entity.grant).filter(|grant| !grant.is_empty()).collect()
    }

    /// Rights on an entity by name: operations, then moves and actions.
    pub fn rights(&self, entity: &'static Entity) -> Vec<&'static str> {
        let operations = entity.operations;
        let mut rights: Vec<&'static str> = [
            (operations.read, "read"),
            (operations.create, "create"),
            (operations.patch, "update"),
            (operations.delete, "delete"),
        ]
        .into_iter()
        .filter_map(|(offered, right)| offered.then_some(right))
        .collect();
        let moves =
            entity.flow.into_iter().flat_map(|flow| flow.moves.iter().map(|one| one.action));
        let actions = self.actions().filter(|one| one.entity.name == entity.name);
        let actions = actions.filter(|one| one.on != On::Internal).map(|one| one.name);
        for right in actions.chain(moves) {
            if !rights.contains(&right) {
                rights.push(right);
            }
        }
        rights
    }

    fn collect(&mut self, faults: &mut Vec<String>) {
        let mut names = BTreeSet::new();
        for domain in self.domains.clone() {
            if !names.insert(domain.name) {
                faults.push(format!("domain {}: the name is taken", domain.name));
            }
            for &entity in domain.entities {
                let index = self.members.len();
                let route = entity.route();
                if self.by_table.insert(entity.name, index).is_some() {
                    faults.push(format!("{}.{}: the table exists twice", domain.name, entity.name));
                }
                if self.by_route.insert(route.clone(), index).is_some() {
                    faults
                        .push(format!("{}.{}: route /{route} is taken", domain.name, entity.name));
                }
                let qualified = format!("{}.{}", domain.name, entity.name);
                self.members.push(Member { domain, entity, qualified, route, links: Vec::new() });
            }
        }
    }

    fn resolve(&mut self, faults: &mut Vec<String>) {
        let resolved: Vec<Vec<Link>> = self
            .members
            .iter()
            .map(|member| {
                let mut links = Vec::new();
                for field in member.entity.fields {
                    let Kind::Link { to, .. } = field.kind else { continue };
                    match self.qualified(to) {
                        Some(target) => links.push(Link { field, target }),
                        None => faults.push(format!(
                            "{}.{}: link to {to}, which no domain has",
                            member.qualified, field.name
                        )),
                    }
                }
                links
            })
            .collect();
        for (member, links) in self.members.iter_mut().zip(resolved) {
            member.links = links;
        }
    }

    /// By table, the entity's own domain first. What names no entity is told by the checks.
    fn gather_rules(&mut self) {
        for own in [true, false] {
            for domain in self.domains.clone() {
                let table = |on: &str| {
                    let entity = self.qualified(on)?;
                    let of = self.member(entity.name)?.domain.name;
                    ((of == domain.name) == own).then_some(entity.name)
                };
                let rules: Vec<_> =
                    domain.rules.iter().filter_map(|rule| Some((table(rule.on)?, rule))).collect();
                let ends: Vec<_> = domain
                    .end_rules
                    .iter()
                    .filter_map(|rule| Some((table(rule.on)?, rule)))
                    .collect();
                for (table, rule) in rules {
                    self.rules.entry(table).or_default().push(rule);
                }
                for (table, rule) in ends {
                    self.end_rules.entry(table).or_default().push(rule);
                }
            }
        }
    }

    /// Constraint names are the contract between database and error table; that they are unique is
    /// checked with the other object names.
    fn gather_meanings(&mut self) {
        let mut meanings = BTreeMap::new();
        let mut put = |name: &str, code, field: &'static str| {
            let field = Some(field).filter(|field| !field.is_empty());
            meanings.insert(name.to_owned(), Meaning { code, field });
        };
        for member in &self.members {
            let entity = member.entity;
            put(&names::primary_key(entity), Code::AlreadyExists, "id");
            for link in &member.links {
                let name = names::foreign_key(entity, link.field);
                put(&name, Code::UnknownReference, link.field.name);
            }
            for field in entity.fields {
                put(&names::check(entity, field), Code::InvalidValue, field.name);
            }
            for unique in entity.uniques {
                put(unique.name, unique.code, unique.fields.first().copied().unwrap_or_default());
            }
            for check in entity.checks {
                put(check.name, check.code, check.field);
            }
            for &(name, code) in entity.constraints {
                put(name, code, "");
            }
        }
        self.meanings = meanings;
    }
}
