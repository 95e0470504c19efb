//! The select list of a list and what its rows are in JSON: the row's own columns, the keys of the
//! order, the links to follow, and the linked rows, which are joined around the page by their keys.

use std::collections::BTreeSet;

use tokio_postgres::Row;
use uuid::Uuid;

use super::{List, Source, key_values};
use crate::engine::{Column, Layout, Told, select_list, shown, told};
use crate::entity::Kind;
use crate::error::Result;
use crate::filter::push;
use crate::kind;
use crate::page::order::{SortKey, keys_sql, outer_order_sql};
use crate::page::{Deleted, Include};
use crate::param::Bound;

pub(super) struct Rows<'a> {
    list: List<'a>,
    columns: Vec<Column>,
    sort: &'a [SortKey],
    includes: Vec<Included<'a>>,
    layout: Layout,
    /// Figures of the whole list beside every row: SQL and name.
    beside: Vec<(String, &'static str)>,
}

struct Included<'a> {
    include: &'a Include,
    columns: Vec<Column>,
    layout: Layout,
}

impl<'a> Rows<'a> {
    pub(super) fn new(list: List<'a>, sort: &'a [SortKey]) -> Result<Self> {
        let mut columns = shown(list.entity, list.access);
        if let Some(names) = &list.query.fields {
            let always = ["id", "version"];
            columns.retain(|one| always.contains(&one.name) || names.iter().any(|n| n == one.name));
        }
        if !matches!(list.query.deleted, Deleted::Hidden) {
            columns.push(Column::standard("deleted_at", Kind::Instant));
        }
        let includes = list.query.includes.iter().map(|include| {
            let columns = shown(include.target, &include.access);
            let layout = Layout::new(&columns)?;
            Ok(Included { include, columns, layout })
        });
        let layout = Layout::new(&columns)?;
        let includes = includes.collect::<Result<_>>()?;
        Ok(Self { list, includes, columns, sort, layout, beside: Vec::new() })
    }

    pub(super) fn beside(self, beside: Vec<(String, &'static str)>) -> Self {
        Self { beside, ..self }
    }

    /// ` and …` in the source and ` order by … limit …` in `tail` decide the rows; the linked ones
    /// are looked up for these only.
    pub(super) fn sql(&self, source: &Source, tail: &str, params: &mut Vec<Bound>) -> String {
        let mut inner = format!(
            "select {}{}",
            select_list(&self.columns, self.list.access, Some("t"), params),
            keys_sql(self.sort, params)
        );
        for (n, one) in self.includes.iter().enumerate() {
            push(&mut inner, &format!(", t.\"{}\" as \"@l{n}\"", one.include.link.name));
        }
        for (sql, name) in &self.beside {
            push(&mut inner, &format!(", {sql} as \"{name}\""));
        }
        push(&mut inner, &format!("{}{tail}", source.behind_with()));
        let with = source.with();
        if self.includes.is_empty() {
            return format!("{with}{inner}");
        }
        let mut list = String::from("select p.*");
        let mut joins = String::new();
        params.push(Bound::uuid(self.list.cx.org));
        let org = params.len();
        for (n, one) in self.includes.iter().enumerate() {
            let Include { target, access, .. } = one.include;
            let alias = format!("i{n}");
            let columns = select_list(&one.columns, access, Some(&alias), params);
            push(&mut list, &format!(", {alias}.\"id\", {columns}"));
            push(
                &mut joins,
                &format!(
                    " left join \"{}\" {alias} on {alias}.\"org_id\" = ${org} \
                     and {alias}.\"id\" = p.\"@l{n}\"",
                    target.name
                ),
            );
            if target.soft_deletes() {
                push(&mut joins, &format!(" and {alias}.\"deleted_at\" is null"));
            }
            access.rows_sql(Some(&alias), &mut joins, params);
        }
        let mut sql = format!("{with}{list} from ({inner}) p{joins}");
        if !self.sort.is_empty() {
            push(&mut sql, &format!(" order by {}", outer_order_sql(self.sort, "p")));
        }
        sql
    }

    pub(super) fn write(&self, row: &Row, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'{');
        self.write_members(row, out)?;
        out.push(b'}');
        Ok(())
    }

    /// Without the braces, for rows that get members of their view beside these.
    pub(super) fn write_members(&self, row: &Row, out: &mut Vec<u8>) -> Result<()> {
        self.layout.members(row, 0, out)?;
        if self.includes.is_empty() {
            return Ok(());
        }
        let links = self.width();
        let mut index = self.behind();
        for (n, one) in self.includes.iter().enumerate() {
            let link: Option<Uuid> = row.try_get(links + n)?;
            let there: Option<Uuid> = row.try_get(index)?;
            index += 1;
            // A linked row out of reach is absent; an empty link is null.
            if link.is_none() || there.is_some() {
                out.push(b',');
                kind::write_text(out, one.include.member)?;
                out.push(b':');
            }
            match (link, there) {
                (None, _) => out.extend_from_slice(b"null"),
                (Some(_), Some(_)) => {
                    out.push(b'{');
                    one.layout.members(row, index, out)?;
                    out.push(b'}');
                }
                (Some(_), None) => {}
            }
            index += one.layout.width();
        }
        Ok(())
    }

    /// Tells what these rows show, of linked rows too and by what the list is found and ordered, where
    /// the roles say so.
    pub(super) async fn tell(&self, rows: &[Row]) -> Result<()> {
        let List { cx, entity, access, .. } = self.list;
        if access.is_logged() {
            let ids: Vec<Uuid> =
                rows.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?;
            let names = self.columns.iter().map(|column| column.name);
            let names = names.chain(self.list.query.touched());
            told::tell(cx, entity, access, Told::Rows(&ids), names).await?;
        }
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        self.list.tell_linked(count).await?;
        let mut index = self.behind();
        for one in &self.includes {
            let Include { target, access, .. } = one.include;
            if access.is_logged() {
                let mut ids = BTreeSet::new();
                for row in rows {
                    ids.extend(row.try_get::<_, Option<Uuid>>(index)?);
                }
                let ids: Vec<Uuid> = ids.into_iter().collect();
                let names = one.columns.iter().map(|column| column.name);
                told::tell(cx, target, access, Told::Rows(&ids), names).await?;
            }
            index += 1 + one.layout.width();
        }
        Ok(())
    }

    /// The row's values of the order, as `ListQuery::cursor` takes them.
    pub(super) fn keys(&self, row: &Row) -> Result<Vec<u8>> {
        key_values(row, self.layout.width(), self.sort)
    }

    /// Columns before those that a caller's statement adds behind the list of a plain one.
    pub(super) fn width(&self) -> usize {
        self.layout.width() + self.sort.len()
    }

    /// Columns before those of the linked rows.
    fn behind(&self) -> usize {
        self.width() + self.includes.len() + self.beside.len()
    }

    /// The select list without linked rows, for statements around it.
    pub(super) fn select(&self, params: &mut Vec<Bound>) -> String {
        let list = select_list(&self.columns, self.list.access, Some("t"), params);
        format!("{list}{}", keys_sql(self.sort, params))
    }
}
