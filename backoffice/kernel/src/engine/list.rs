//! Lists: what `page::parse` read, as SQL and as JSON. One statement gives the rows, whatever is
//! included; it and the count leave in one pipeline. The statement's table is `t`; a search joins it
//! as `s`.

use std::io::Write;

use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Told, no_such_row, told};
use crate::cx::Cx;
use crate::ddl;
use crate::entity::Entity;
use crate::error::{Error, Result};
use crate::filter::{Scope, push};
use crate::kind;
use crate::page::order::SortKey;
use crate::page::{self, Deleted, ListQuery, Shape};
use crate::param::Bound;
use crate::rights::Access;

mod count;
mod groups;
mod rows;
mod search;
mod tree;

use rows::Rows;
use search::{Among, Found};

/// `{"data":[…],"page":{"next":…,"count":{"value":n,"exact":true}}}`.
pub(crate) async fn page(
    cx: &Cx,
    entity: &'static Entity,
    query: &ListQuery,
    access: &Access,
) -> Result<Vec<u8>> {
    let list = List { cx, entity, query, access };
    match &query.shape {
        Shape::Rows => list.page().await,
        Shape::Tree(branch) => tree::page(list, branch).await,
        Shape::Groups(groups) => groups::page(list, groups).await,
    }
}

/// `from … where …` of a list's rows, the cursor apart. For statements of others over the same rows:
/// the table's own columns need no alias, and `ListQuery::order_sql` is their order.
pub(crate) fn source(
    cx: &Cx,
    entity: &'static Entity,
    query: &ListQuery,
    access: &Access,
    params: &mut Vec<Bound>,
) -> String {
    List { cx, entity, query, access }.source(params).text()
}

/// One row with the fields and the linked rows that were asked for, and its version.
pub(crate) async fn one(
    cx: &Cx,
    entity: &'static Entity,
    id: Uuid,
    query: &ListQuery,
    access: &Access,
) -> Result<(Vec<u8>, Option<i64>)> {
    let list = List { cx, entity, query, access };
    let mut params = Vec::new();
    let mut source = list.source(&mut params);
    params.push(Bound::uuid(id));
    push(&mut source.place, &format!(" and t.\"id\" = ${}", params.len()));
    let rows = Rows::new(list, &[])?;
    let sql = rows.sql(&source, "", &mut params);
    let found = cx.query_last(&sql, &params).await?;
    let row = found.first().ok_or_else(|| no_such_row(entity))?;
    let mut out = Vec::with_capacity(512);
    rows.write(row, &mut out)?;
    rows.tell(&found).await?;
    let version = if ddl::is_versioned(entity) { Some(row.try_get("version")?) } else { None };
    Ok((out, version))
}

#[derive(Clone, Copy)]
struct List<'a> {
    cx: &'a Cx,
    entity: &'static Entity,
    query: &'a ListQuery,
    access: &'a Access,
}

/// Where a list's rows come from.
struct Source {
    /// The search, when words are searched.
    found: Option<Found>,
    /// The table, as `t`, and what else stands behind ` from ` after the search.
    table: String,
    /// ` where …`.
    place: String,
}

impl Source {
    /// ` from … where …`.
    fn text(&self) -> String {
        match &self.found {
            Some(found) => self.joined(&found.call),
            None => format!("{}{}", self.table, self.place),
        }
    }

    /// ` with …`, so that rows and count search once; `behind_with` goes with it.
    fn with(&self) -> String {
        self.found.as_ref().map_or_else(String::new, Found::with)
    }

    fn behind_with(&self) -> String {
        match self.found {
            Some(_) => self.joined(search::CANDIDATES),
            None => self.text(),
        }
    }

    fn joined(&self, found: &str) -> String {
        let table = self.table.strip_prefix(" from ").unwrap_or(&self.table);
        format!(" from {found} s join {table} on t.\"id\" = s.found_id{}", self.place)
    }
}

impl List<'_> {
    /// Row-level security says the organization again; saying it here gives the planner its index.
    fn source(self, params: &mut Vec<Bound>) -> Source {
        self.source_among(Among::All, params)
    }

    fn source_among(self, among: Among, params: &mut Vec<Bound>) -> Source {
        let Self { cx, entity, access, .. } = self;
        params.push(Bound::uuid(cx.org));
        let org = params.len();
        let table = format!(" from \"{}\" t", entity.name);
        let mut place = format!(" where t.\"org_id\" = ${org}");
        self.living("t", &mut place, params);
        access.rows_sql(Some("t"), &mut place, params);
        self.below("t", &mut place, params);
        self.tests("t", &mut place, params);
        let found = search::found(self, among, &format!("{table}{place}"), params);
        Source { found, table, place }
    }

    /// Rows of a child collection are those below one parent.
    fn below(self, alias: &str, sql: &mut String, params: &mut Vec<Bound>) {
        if let Some((field, id)) = self.query.parent {
            params.push(Bound::uuid(id));
            push(sql, &format!(" and {alias}.\"{}\" = ${}", field.name, params.len()));
        }
    }

    /// A test of linked rows says something of these, too: of no more than the list has.
    async fn tell_linked(self, count: i64) -> Result<()> {
        for (target, access, name) in self.query.tests.linked() {
            let names = std::iter::once(name.as_str());
            told::tell(self.cx, target, access, Told::Count(count), names).await?;
        }
        Ok(())
    }

    fn tests(self, alias: &str, sql: &mut String, params: &mut Vec<Bound>) {
        if !self.query.tests.is_empty() {
            sql.push_str(" and ");
            self.query.tests.sql(Scope { alias, org: self.cx.org }, sql, params);
        }
    }

    fn living(self, alias: &str, sql: &mut String, params: &mut Vec<Bound>) {
        if !self.entity.soft_deletes() {
            return;
        }
        match &self.query.deleted {
            Deleted::Hidden => push(sql, &format!(" and {alias}.\"deleted_at\" is null")),
            Deleted::With(access) => {
                push(sql, &format!(" and ({alias}.\"deleted_at\" is null or (true"));
                access.rows_sql(Some(alias), sql, params);
                sql.push_str("))");
            }
            Deleted::Only(access) => {
                push(sql, &format!(" and {alias}.\"deleted_at\" is not null"));
                access.rows_sql(Some(alias), sql, params);
            }
        }
    }

    async fn page(self) -> Result<Vec<u8>> {
        let mut page = self.rows(Among::All).await?;
        if search::falls_short(self, &page).await? {
            page = self.rows(Among::Few).await?;
        }
        let Page { rows, found, among } = page;
        let query = self.query;
        let count = count::of(self, among, found.first()).await?;
        let most = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let page = found.get(..found.len().min(most)).unwrap_or_default();
        rows.tell(page).await?;
        let mut out = Vec::with_capacity(page.len().saturating_mul(512) + 128);
        out.extend_from_slice(b"{\"data\":[");
        for (place, row) in page.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            rows.write(row, &mut out)?;
        }
        let last = if found.len() > most { page.last() } else { None };
        let next = last.map(|row| query.cursor(&rows.keys(row)?)).transpose()?;
        write_end(&mut out, next, &count)?;
        Ok(out)
    }
}

/// The rows of a page, and one more where there are more.
struct Page<'a> {
    rows: Rows<'a>,
    found: Vec<Row>,
    among: Among,
}

impl<'a> List<'a> {
    async fn rows(self, among: Among) -> Result<Page<'a>> {
        let Self { cx, query, .. } = self;
        let mut params = Vec::with_capacity(8);
        let mut source = self.source_among(among, &mut params);
        let beside = [
            count::column(&source, query.count, &mut params).map(|sql| (sql, count::COLUMN)),
            source.found.as_ref().and_then(Found::column).map(|sql| (sql, search::COLUMN)),
        ];
        query.after_sql(&mut source.place, &mut params);
        let rows = Rows::new(self, &query.sort)?.beside(beside.into_iter().flatten().collect());
        // One row more than asked tells whether there is a next page.
        params.push(page::limit_bound(i64::from(query.limit) + 1));
        let limit = params.len();
        let tail = format!(" order by {} limit ${limit}", query.order_sql(&mut params));
        let sql = rows.sql(&source, &tail, &mut params);
        let found = cx.query_last(&sql, &params).await?;
        Ok(Page { rows, found, among })
    }
}

/// `],"page":{…}}`.
fn write_end(out: &mut Vec<u8>, next: Option<String>, count: &Value) -> Result<()> {
    let next = next.map_or(Value::Null, Value::String);
    write!(out, "],\"page\":{{\"next\":{next},\"count\":{count}}}}}")
        .map_err(|cause| Error::internal(cause.to_string()))
}

/// The values of sort keys from columns that begin at `index`, as a JSON array of texts and nulls.
fn key_values(row: &Row, index: usize, sort: &[SortKey]) -> Result<Vec<u8>> {
    let mut values = Vec::with_capacity(64);
    for (n, key) in sort.iter().enumerate() {
        values.push(if n == 0 { b'[' } else { b',' });
        let start = values.len();
        kind::encode(row, index + n, key.kind, &mut values)?;
        match values.get(start) {
            Some(b'"' | b'n') => {}
            // A number or a truth.
            Some(b'-' | b'0'..=b'9' | b't' | b'f') => {
                values.insert(start, b'"');
                values.push(b'"');
            }
            _ => return Err(Error::internal("a sort key is no plain value")),
        }
    }
    values.push(b']');
    Ok(values)
}
