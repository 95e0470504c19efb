//! Names of the objects that the generator makes. One place, because the database reports faults by
//! these names and the error table reads them.

use crate::entity::{Entity, Field, Kind, Scope};
use crate::kind_sql;
use crate::registry::Member;

pub fn primary_key(entity: &Entity) -> String {
    format!("{}_pkey", entity.name)
}

pub fn foreign_key(entity: &Entity, field: &Field) -> String {
    format!("{}_{}_fkey", entity.name, field.name)
}

pub fn check(entity: &Entity, field: &Field) -> String {
    format!("{}_{}_check", entity.name, field.name)
}

pub fn index(entity: &Entity, fields: &[&str]) -> String {
    format!("{}_{}_idx", entity.name, fields.join("_"))
}

pub fn lookup(entity: &Entity, field: &str) -> String {
    format!("{}_{field}_lookup", entity.name)
}

/// What the sweep finds old rows by, for each of its rules.
pub fn sweep_index(entity: &Entity, place: usize) -> String {
    format!("{}_sweep{place}_idx", entity.name)
}

/// What keeps a portal to its own rows.
pub fn portal_policy(entity: &Entity) -> String {
    format!("{}_portal", entity.name)
}

/// Tenant tables: the policy of the organization; machine tables: that of workers.
pub fn policy(entity: &Entity) -> String {
    match entity.scope {
        Scope::Tenant | Scope::Global => format!("{}_tenant", entity.name),
        Scope::Machine => format!("{}_work", entity.name),
    }
}

/// Link fields that no unique key and no named index begins with: deleting or reading by the parent
/// would scan the table.
pub fn link_indexes(member: &Member) -> Vec<&'static str> {
    let entity = member.entity;
    let leads = |field: &str| {
        let unique = !entity.soft_deletes()
            && entity.uniques.iter().any(|unique| unique.fields.first() == Some(&field));
        unique || entity.indexes.iter().any(|index| index.first() == Some(&field))
    };
    let links = entity.fields.iter().filter(|field| matches!(field.kind, Kind::Link { .. }));
    links.map(|field| field.name).filter(|field| !leads(field)).collect()
}

/// Every name that the entity takes in the schema: relations, indexes, constraints.
pub fn of(member: &Member) -> Vec<String> {
    let entity = member.entity;
    let mut names = vec![entity.name.to_owned(), primary_key(entity)];
    names.extend(entity.fields.iter().filter_map(|field| {
        let checked = kind_sql::check(field).is_some();
        checked.then(|| check(entity, field))
    }));
    names.extend(member.links.iter().map(|link| foreign_key(entity, link.field)));
    names.extend(entity.uniques.iter().map(|unique| unique.name.to_owned()));
    names.extend(entity.checks.iter().map(|check| check.name.to_owned()));
    names.extend(entity.constraints.iter().map(|(name, _)| (*name).to_owned()));
    names.extend(entity.indexes.iter().map(|fields| index(entity, fields)));
    names.extend(entity.lookups.iter().map(|field| lookup(entity, field)));
    let searched = super::search::column_names(entity).into_iter();
    names.extend(searched.map(|column| super::search::index(entity, column)));
    names.extend((0..entity.retentions().len()).map(|place| sweep_index(entity, place)));
    names.extend(link_indexes(member).iter().map(|field| index(entity, &[field])));
    names
}
