//! Rows put straight into the tables: for what a test needs to find there, whoever may make it over
//! the API. Constraints and triggers hold as always.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::sample;
use crate::db::Admin;
use crate::entity::{Access, Entity, Scope};
use crate::error::{Error, Result};
use crate::registry::Registry;

/// Longest chain of required links.
const DEPTH_MAX: u32 = 12;

/// Plants rows of one organization, each with numbers of its own.
pub struct Planter<'a> {
    pub registry: &'static Registry,
    /// Passes row-level security.
    pub admin: &'a Admin,
    pub org: Uuid,
    /// Next number; tests that share a database begin at different ones.
    pub number: u32,
    /// Values that a kind alone cannot know: table, column, JSON.
    pub hints: &'static [(&'static str, &'static str, &'static str)],
}

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
    pub async fn row(&mut self, entity: &'static Entity) -> Result<Uuid> {
        self.row_with(entity, Map::new()).await
    }

    /// Like [`Self::row`], with some columns given.
    pub async fn row_with(
        &mut self,
        entity: &'static Entity,
        given: Map<String, Value>,
    ) -> Result<Uuid> {
        self.deep(entity, given, 0).await
    }

    async fn deep(
        &mut self,
        entity: &'static Entity,
        given: Map<String, Value>,
        depth: u32,
    ) -> Result<Uuid> {
        if DEPTH_MAX < depth {
            return Err(Error::internal(format!(
                "{} stands on a chain of more than {DEPTH_MAX} required links",
                entity.name
            )));
        }
        let member = self
            .registry
            .member(entity.name)
            .ok_or_else(|| Error::internal(format!("{} is in no domain", entity.name)))?;
        let mut row = Map::new();
        for link in &member.links {
            let name = link.field.name;
            if link.field.required && link.field.default.is_none() && !given.contains_key(name) {
                let id = Box::pin(self.deep(link.target, Map::new(), depth + 1)).await?;
                row.insert(name.to_owned(), json!(id));
            }
        }
        self.number += 1;
        for (place, field) in entity.fields.iter().enumerate() {
            let is_link = member.links.iter().any(|link| link.field.name == field.name);
            let computed = matches!(field.access, Access::Computed(_));
            let by_default = field.access == Access::ByAction && field.default.is_some();
            if is_link || computed || by_default || (!field.required && field.secret) {
                continue;
            }
            row.extend(sample::columns(field, self.number, place));
        }
        for (table, column, hint) in self.hints {
            if *table == entity.name {
                let value = serde_json::from_str(hint).map_err(|cause| {
                    Error::internal(format!("the hint for {table}.{column} is no JSON: {cause}"))
                })?;
                row.insert((*column).to_owned(), value);
            }
        }
        row.extend(given);
        self.insert(entity, row).await
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
