//! Which rows are a person's: the one that is named, those that say by a link whose they are, and so
//! on; and the words by which machine tables and files may know them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::account;
use crate::cx::Cx;
use crate::ddl;
use crate::entity::{Entity, Field, Kind, OnDelete, Scope};
use crate::error::{Code, Error, Result};

/// Rows of one person; more is no person.
const ROWS_MAX: usize = 10_000;
/// Addresses and numbers that are looked for.
const TERMS_MAX: usize = 1_000;
/// A shorter word would be found in what is not theirs.
const TERM_CHARS_MIN: usize = 6;
/// A telephone number as its kind takes it, with the separators that people write.
const NUMBER: &str = "'^[+][0-9][-0-9 ./()]*$'";

pub(super) struct Person {
    tables: BTreeMap<&'static str, (&'static Entity, Vec<Uuid>)>,
    /// Ids, mail addresses in lower case, telephone numbers as a plus and digits.
    terms: Vec<String>,
}

/// Whether rows of the entity tell of people, by its own fields.
pub(super) fn is_of_people(entity: &Entity) -> bool {
    entity.scope == Scope::Tenant && entity.fields.iter().any(|field| field.personal)
}

/// Whether the row belongs to the person that the field names.
fn tells_whose(field: &Field) -> bool {
    field.subject || matches!(field.kind, Kind::Link { on_delete: OnDelete::Cascade, .. })
}

impl Person {
    pub(super) async fn find(cx: &Cx, entity: &'static Entity, row: Uuid) -> Result<Self> {
        let mut tables: BTreeMap<&'static str, (&'static Entity, Vec<Uuid>)> = BTreeMap::new();
        tables.insert(entity.name, (entity, vec![row]));
        let mut known = BTreeSet::from([row]);
        let mut last = vec![row];
        while !last.is_empty() {
            let mut found = Vec::new();
            for entity in cx.registry().entities().filter(|one| one.scope == Scope::Tenant) {
                let links: Vec<String> = entity
                    .fields
                    .iter()
                    .filter(|field| tells_whose(field))
                    .map(|field| format!("\"{}\" = any($2)", field.name))
                    .collect();
                if links.is_empty() {
                    continue;
                }
                let sql = format!(
                    "select id from \"{}\" where org_id = $1 and ({}) order by id limit {}",
                    entity.name,
                    links.join(" or "),
                    ROWS_MAX + 1
                );
                for row in cx.query(&sql, &[&cx.org, &last]).await? {
                    let id: Uuid = row.try_get(0)?;
                    if known.insert(id) {
                        tables.entry(entity.name).or_insert((entity, Vec::new())).1.push(id);
                        found.push(id);
                    }
                }
                if ROWS_MAX < known.len() {
                    let text = format!("more than {ROWS_MAX} rows are this person's");
                    return Err(Error::new(Code::LimitReached, text));
                }
            }
            last = found;
        }
        let mut person = Self { tables, terms: Vec::new() };
        person.terms = person.look_for(cx).await?;
        let (entity, ids) = account::invitations(cx, &person.terms).await?;
        if !ids.is_empty() {
            let entry = person.tables.entry(entity.name).or_insert((entity, Vec::new()));
            entry.1.extend(ids.into_iter().filter(|id| !known.contains(id)));
        }
        Ok(person)
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = (&'static Entity, &Vec<Uuid>)> {
        self.tables.values().map(|(entity, rows)| (*entity, rows))
    }

    /// Rows by table, those apart that have nothing personal.
    pub(super) fn counts(&self) -> Map<String, Value> {
        self.tables().map(|(entity, rows)| (entity.name.to_owned(), json!(rows.len()))).collect()
    }

    /// What may not be erased, and why.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&'static Entity, usize, &'static str)> {
        self.tables().filter_map(|(entity, rows)| Some((entity, rows.len(), entity.keep?)))
    }

    pub(super) fn terms(&self) -> &[String] {
        &self.terms
    }

    /// Ids, and every address and number in the personal fields: what names this person alone. A
    /// name or a town would be found in others' mails, too.
    async fn look_for(&self, cx: &Cx) -> Result<Vec<String>> {
        let mut terms = BTreeSet::new();
        for (entity, rows) in self.tables() {
            terms.extend(rows.iter().map(Uuid::to_string));
            let texts = entity.fields.iter().filter(|field| field.personal && is_text(field.kind));
            let texts: Vec<String> = texts.map(|field| format!("\"{}\"", field.name)).collect();
            let mut values = texts.join(", ");
            if ddl::has_custom_fields(entity) {
                let sql = "array(select own.value from jsonb_each_text(custom) own)";
                values = match values.is_empty() {
                    true => sql.to_owned(),
                    false => format!("array[{values}] || {sql}"),
                };
            } else if values.is_empty() {
                continue;
            } else {
                values = format!("array[{values}]");
            }
            let sql = format!(
                "select distinct case when word ~ {NUMBER} \
                     then '+' || regexp_replace(replace(word, '(0)', ''), '[^0-9]', '', 'g') \
                     else lower(word) end \
                   from \"{}\", unnest({values}) as said (word) \
                  where org_id = $1 and id = any($2) \
                    and (word ~ '^[^\\s@]+@[^\\s@]+$' or word ~ {NUMBER}) limit {TERMS_MAX}",
                entity.name
            );
            for row in cx.query(&sql, &[&cx.org, rows]).await? {
                let term: String = row.try_get(0)?;
                if TERM_CHARS_MIN <= term.chars().count() && !term.ends_with("@erased.invalid") {
                    terms.insert(term);
                }
            }
        }
        Ok(terms.into_iter().collect())
    }
}

fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::Text { .. } | Kind::Email | Kind::Phone)
}
