//! The schema that a database really has, read from pg_catalog into a model that compares. Knows
//! nothing of descriptors; partitions are left out, since they follow the calendar.

use std::collections::BTreeMap;

use crate::db::{Admin, Pooled, Row};
use crate::error::{Error, Result};
use crate::kind_sql::Column;

mod queries;

/// Every object of schema `public`, by what it is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Catalog {
    pub objects: BTreeMap<Key, Object>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: ObjectKind,
    /// Table, or the function or sequence itself.
    pub on: String,
    /// Name within `on`; empty for the object itself.
    pub name: String,
}

/// In the order in which objects can be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    Extension,
    Sequence,
    Table,
    Column,
    Function,
    Constraint,
    ForeignKey,
    Index,
    RowSecurity,
    Policy,
    Trigger,
    /// Storage parameters of a table.
    Storage,
    Owner,
    Grant,
    /// What the generator never makes.
    Stray,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    Column(Column),
    /// The definition as the server prints it.
    Text(String),
}

impl Catalog {
    pub async fn read(admin: &Admin) -> Result<Self> {
        let mut catalog = Self::default();
        for (kind, sql) in queries::ALL {
            catalog.add(*kind, &admin.query(sql, &[]).await?)?;
        }
        Ok(catalog)
    }

    /// As any role: pg_catalog is readable to all.
    pub(crate) async fn read_as_app(client: &Pooled) -> Result<Self> {
        let mut catalog = Self::default();
        for (kind, sql) in queries::ALL {
            let rows = client
                .query(*sql, &[])
                .await
                .map_err(|cause| crate::error::from_database(None, &cause))?;
            catalog.add(*kind, &rows)?;
        }
        Ok(catalog)
    }

    pub fn get(&self, kind: ObjectKind, on: &str, name: &str) -> Option<&Object> {
        self.objects.get(&Key { kind, on: on.to_owned(), name: name.to_owned() })
    }

    pub fn column(&self, table: &str, name: &str) -> Option<&Column> {
        match self.get(ObjectKind::Column, table, name) {
            Some(Object::Column(column)) => Some(column),
            Some(Object::Text(_)) | None => None,
        }
    }

    /// Names of all tables.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.of(ObjectKind::Table).map(|(key, _)| key.on.as_str())
    }

    pub fn of(&self, kind: ObjectKind) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.iter().filter(move |(key, _)| key.kind == kind)
    }

    fn add(&mut self, kind: ObjectKind, rows: &[Row]) -> Result<()> {
        for row in rows {
            let key = Key { kind, on: text(row, 0)?, name: text(row, 1)? };
            let object = match kind {
                ObjectKind::Column => Object::Column(column(row, &key.name)?),
                _ => Object::Text(text(row, 2)?),
            };
            self.objects.insert(key, object);
        }
        Ok(())
    }
}

fn column(row: &Row, name: &str) -> Result<Column> {
    let optional = |index| row.try_get::<_, Option<String>>(index).map_err(unreadable);
    Ok(Column {
        name: name.to_owned(),
        sql_type: text(row, 2)?,
        not_null: row.try_get(3).map_err(unreadable)?,
        default: optional(4)?,
        generated: optional(5)?,
    })
}

fn text(row: &Row, index: usize) -> Result<String> {
    row.try_get(index).map_err(unreadable)
}

fn unreadable(cause: impl std::fmt::Display) -> Error {
    Error::internal(format!("a row of the catalogue cannot be read: {cause}"))
}
