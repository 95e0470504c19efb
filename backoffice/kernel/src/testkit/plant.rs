//! Rows put straight into the tables: for what a test needs to find there, whoever may make it over
//! the API. Constraints and triggers hold as always.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::sample;
use crate::accounts::MEMBERSHIP;
use crate::db::Admin;
use crate::entity::{Access, Entity, Field, Scope};
use crate::error::{Error, Result};
use crate::registry::{Link, Registry};

/// Longest chain of required links.
const DEPTH_MAX: u32 = 12;
/// People, who are made members where rows name them.
const USERS: &str = "users";

/// Plants rows of one organization, each with numbers of its own.
pub struct Planter<'a> {
    pub registry: &'static Registry,
    /// Passes row-level security.
    pub admin: &'a Admin,
    pub org: Uuid,
    /// Last number used; tests that share a database begin at different ones.
    pub number: u32,
    pub hints: &'static [Hint],
}

/// A value that a kind alone cannot know: table, column, and JSON or `@domain.table` for the id of a
/// row there.
pub type Hint = (&'static str, &'static str, &'static str);

/// Rows planted for one row. Links to one table lead to one row, since relatives often have to agree
/// (a quota and a ticket type of one event).
type Family = BTreeMap<&'static str, Uuid>;

/// A row of `entity` in `org`, with the rows that it must link to.
pub async fn plant(
    registry: &'static Registry,
    admin: &Admin,
    org: Uuid,
    number: u32,
    entity: &'static Entity,
) -> Result<Uuid> {
    Planter { registry, admin, org, number, hints: &[] }.row(entity).await
}

impl Planter<'_> {
    /// A row with what is required; everything else stays null.
    pub async fn row(&mut self, entity: &'static Entity) -> Result<Uuid> {
        self.row_with(entity, Map::new()).await
    }

    /// Like [`Self::row`], with some columns given.
    pub async fn row_with(
        &mut self,
        entity: &'static Entity,
        given: Map<String, Value>,
    ) -> Result<Uuid> {
        self.deep(entity, given, &mut Family::new(), 0).await
    }

    /// A body for create over the API: every required field that may be written, the rows that it
    /// links to planted.
    pub async fn body(&mut self, entity: &'static Entity) -> Result<Map<String, Value>> {
        let mut family = Family::new();
        let mut body = Map::new();
        let writable = |field: &&Field| {
            field.required && matches!(field.access, Access::Writable | Access::WriteOnce)
        };
        for link in self.required_links(entity, &Map::new())? {
            if writable(&link.field) {
                let id = self.relative(link.target, &mut family, 0).await?;
                body.insert(link.field.name.to_owned(), json!(id));
            }
        }
        self.number += 1;
        for (place, field) in entity.fields.iter().enumerate().filter(|(_, field)| writable(field))
        {
            if !body.contains_key(field.name) {
                body.insert(field.name.to_owned(), sample::value(field, self.number, place));
            }
        }
        for (column, value) in self.hinted(entity, &mut family).await? {
            if entity.field(&column).is_some_and(|field| writable(&field)) {
                body.insert(column, value);
            }
        }
        Ok(body)
    }

    async fn deep(
        &mut self,
        entity: &'static Entity,
        given: Map<String, Value>,
        family: &mut Family,
        depth: u32,
    ) -> Result<Uuid> {
        if DEPTH_MAX < depth {
            return Err(Error::internal(format!(
                "{} stands on a chain of more than {DEPTH_MAX} required links",
                entity.name
            )));
        }
        let mut row = Map::new();
        for link in self.required_links(entity, &given)? {
            let id = self.relative(link.target, family, depth).await?;
            row.insert(link.field.name.to_owned(), json!(id));
        }
        self.number += 1;
        for (place, field) in entity.fields.iter().enumerate() {
            let by_database = matches!(field.access, Access::Computed(_))
                || (field.access == Access::ByAction && field.default.is_some());
            if field.required && !by_database && !row.contains_key(field.name) {
                row.extend(sample::columns(field, self.number, place));
            }
        }
        row.extend(self.hinted(entity, family).await?);
        row.extend(given);
        self.insert(entity, row).await
    }

    fn required_links(
        &self,
        entity: &Entity,
        given: &Map<String, Value>,
    ) -> Result<Vec<&'static Link>> {
        let member = self
            .registry
            .member(entity.name)
            .ok_or_else(|| Error::internal(format!("{} is in no domain", entity.name)))?;
        let needed = |link: &&Link| {
            let field = link.field;
            field.required && field.default.is_none() && !given.contains_key(field.name)
        };
        Ok(member.links.iter().filter(needed).collect())
    }

    async fn relative(
        &mut self,
        target: &'static Entity,
        family: &mut Family,
        depth: u32,
    ) -> Result<Uuid> {
        if let Some(id) = family.get(target.name) {
            return Ok(*id);
        }
        let person = target.name == USERS;
        let mut given = Map::new();
        if person {
            given.insert("verified_at".to_owned(), json!("2026-01-01T00:00:00Z"));
        }
        let id = Box::pin(self.deep(target, given, family, depth + 1)).await?;
        family.insert(target.name, id);
        if person {
            self.join(id, depth).await?;
        }
        Ok(id)
    }

    /// Rows name members of the organization only.
    async fn join(&mut self, person: Uuid, depth: u32) -> Result<()> {
        let given = Map::from_iter([("user_id".to_owned(), json!(person))]);
        // A family of its own: the one that asked may need the same person with the same role.
        let mut apart = Family::from([(USERS, person)]);
        Box::pin(self.deep(&MEMBERSHIP, given, &mut apart, depth + 1)).await.map(drop)
    }

    async fn hinted(
        &mut self,
        entity: &'static Entity,
        family: &mut Family,
    ) -> Result<Map<String, Value>> {
        let mut values = Map::new();
        for (_, column, hint) in self.hints.iter().filter(|(table, ..)| *table == entity.name) {
            let value = match hint.strip_prefix('@') {
                Some(name) => {
                    let target = self.registry.qualified(name).ok_or_else(|| {
                        Error::internal(format!("the hint {hint} names no entity"))
                    })?;
                    json!(self.relative(target, family, 0).await?)
                }
                None => serde_json::from_str(hint).map_err(|cause| {
                    Error::internal(format!("the hint {hint} is no JSON: {cause}"))
                })?,
            };
            values.insert((*column).to_owned(), value);
        }
        Ok(values)
    }

    async fn insert(&self, entity: &Entity, mut row: Map<String, Value>) -> Result<Uuid> {
        if entity.scope != Scope::Global {
            row.insert("org_id".to_owned(), json!(self.org));
        }
        let columns: Vec<&str> = row.keys().map(String::as_str).collect();
        let columns = columns.join(", ");
        let sql = format!(
            "insert into {name} ({columns}) \
             select {columns} from jsonb_populate_record(null::{name}, $1) returning id",
            name = entity.name
        );
        let found = self.admin.query_one(&sql, &[&Value::Object(row)]).await?;
        found.try_get(0).map_err(|cause| Error::internal(format!("no id came back: {cause}")))
    }
}
