//! `view=tree`: rows below one another by the link to the row above. Rows that a filter finds keep
//! the rows above them; a row whose parent is out of reach, or in another collection, stands as a
//! root. Levels and rows are bounded, so that even a circle ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde_json::json;
use uuid::Uuid;

use super::rows::Rows;
use super::{List, Source, write_end};
use crate::error::{Code, Error, Result};
use crate::page::{Branch, TREE_NODES_MAX, limit_bound};
use crate::param::Bound;

struct Node {
    id: Uuid,
    parent: Option<Uuid>,
    /// Whether the filters find the row itself.
    matches: bool,
    /// Members of the row, without braces.
    members: Vec<u8>,
}

pub(super) async fn page(list: List<'_>, branch: &Branch) -> Result<Vec<u8>> {
    let mut params = Vec::new();
    let rows = Rows::new(list, &[])?;
    let sql = sql(list, branch, &rows, &mut params);
    let found = list.cx.query_last(&sql, &params).await?;
    if i64::try_from(found.len()).is_ok_and(|count| count > TREE_NODES_MAX) {
        let text =
            format!("the tree has more than {TREE_NODES_MAX} rows: say a root, a depth or filters");
        return Err(Error::field(Code::InvalidRequest, "view", text));
    }
    rows.tell(&found).await?;
    let mut nodes = Vec::with_capacity(found.len());
    for row in &found {
        let mut members = Vec::with_capacity(256);
        rows.write_members(row, &mut members)?;
        let parent = row.try_get(rows.width())?;
        let matches = row.try_get(rows.width() + 1)?;
        nodes.push(Node { id: row.try_get("id")?, parent, matches, members });
    }
    let count = json!({"value": nodes.len(), "exact": true});
    let mut out = Vec::with_capacity(nodes.len().saturating_mul(256) + 128);
    out.extend_from_slice(b"{\"data\":[");
    Forest::new(&nodes, branch, !list.query.tests.is_empty()).write(&mut out)?;
    write_end(&mut out, None, &count)?;
    Ok(out)
}

/// `down` is what is below the roots, `hit` what the filters find of it, `up` that and what is
/// above it. Levels bound `down`, distinct rows bound `up`.
fn sql(list: List<'_>, branch: &Branch, rows: &Rows<'_>, params: &mut Vec<Bound>) -> String {
    let (table, parent) = (list.entity.name, branch.parent.name);
    params.push(Bound::uuid(list.cx.org));
    let org = params.len();
    let reach = |alias: &str, params: &mut Vec<Bound>| {
        let mut sql = format!("{alias}.\"org_id\" = ${org}");
        list.living(alias, &mut sql, params);
        list.access.rows_sql(Some(alias), &mut sql, params);
        list.below(alias, &mut sql, params);
        sql
    };
    let roots = match branch.root {
        Some(id) => {
            params.push(Bound::uuid(id));
            format!("t.\"id\" = ${}", params.len())
        }
        None => format!(
            "(t.\"{parent}\" is null or not exists \
              (select from \"{table}\" u where u.\"id\" = t.\"{parent}\" and {}))",
            reach("u", params)
        ),
    };
    let (first, below, above) = (reach("t", params), reach("t", params), reach("t", params));
    params.push(limit_bound(i64::from(branch.depth)));
    let depth = params.len();
    let mut tests = String::new();
    list.tests("t", &mut tests, params);
    params.push(limit_bound(TREE_NODES_MAX + 1));
    let most = params.len();
    let pick = if tests.is_empty() {
        format!("select distinct id from down limit ${most}")
    } else {
        format!("select distinct id from up limit ${most}")
    };
    let source = Source {
        found: None,
        table: format!(", t.\"{parent}\", t.\"id\" in (select id from hit) from \"{table}\" t"),
        place: format!(" where t.\"org_id\" = ${org} and t.\"id\" in (select id from pick)"),
    };
    let order = format!(" order by {}", list.query.order_sql(params));
    let select = rows.sql(&source, &order, params);
    format!(
        "with recursive down as (
            select t.id, 1::bigint as level from \"{table}\" t where {first} and {roots}
            union
            select t.id, d.level + 1 from \"{table}\" t join down d on t.\"{parent}\" = d.id
             where {below} and d.level < ${depth}
        ), hit as (
            select t.id, t.\"{parent}\" as above from \"{table}\" t
             where t.\"org_id\" = ${org} and t.id in (select id from down){tests}
        ), up as (
            select id, above from hit
            union
            select t.id, t.\"{parent}\" from \"{table}\" t join up u on t.id = u.above
             where {above} and t.id in (select id from down)
        ), pick as ({pick})
        {select}"
    )
}

struct Forest<'a> {
    nodes: &'a [Node],
    children: BTreeMap<Uuid, Vec<&'a Node>>,
    branch: &'a Branch,
    /// Whether rows say that the filters found them.
    filtered: bool,
}

impl<'a> Forest<'a> {
    fn new(nodes: &'a [Node], branch: &'a Branch, filtered: bool) -> Self {
        let mut children: BTreeMap<Uuid, Vec<&Node>> = BTreeMap::new();
        for node in nodes {
            if let Some(parent) = node.parent {
                children.entry(parent).or_default().push(node);
            }
        }
        Self { nodes, children, branch, filtered }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        let known: BTreeSet<Uuid> = self.nodes.iter().map(|node| node.id).collect();
        let mut seen = BTreeSet::new();
        let is_root = |node: &&Node| {
            self.branch.root == Some(node.id) || node.parent.is_none_or(|id| !known.contains(&id))
        };
        let mut first = true;
        for root in self.nodes.iter().filter(is_root) {
            self.node(root, &mut Vec::new(), &mut seen, &mut first, out)?;
        }
        Ok(())
    }

    /// Levels are bounded by the statement, so this does not go deep.
    fn node(
        &self,
        node: &Node,
        path: &mut Vec<Uuid>,
        seen: &mut BTreeSet<Uuid>,
        first: &mut bool,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if !seen.insert(node.id) {
            return Ok(());
        }
        if !std::mem::take(first) {
            out.push(b',');
        }
        path.push(node.id);
        out.push(b'{');
        out.extend_from_slice(&node.members);
        let mut put = |text: String| {
            out.write_all(text.as_bytes()).map_err(|cause| Error::internal(cause.to_string()))
        };
        if self.filtered {
            put(format!(",\"matches\":{}", node.matches))?;
        }
        let children = self.children.get(&node.id).map(Vec::as_slice).unwrap_or_default();
        if self.branch.flat {
            put(format!(",\"depth\":{},\"path\":{}}}", path.len() - 1, json!(path)))?;
            for child in children {
                self.node(child, path, seen, first, out)?;
            }
        } else {
            put(",\"children\":[".to_owned())?;
            let mut first = true;
            for child in children {
                self.node(child, path, seen, &mut first, out)?;
            }
            out.extend_from_slice(b"]}");
        }
        path.pop();
        Ok(())
    }
}
