//! Which rows a search hands to its list. Where the list shows the best rows as they come, a bounded
//! number of the best is enough. Where something else picks among them (filters, a parent, another
//! order, groups), the list gets all that are ranked; and where more rows have the words than are
//! ranked, the words are looked for once more, only among the rows that the rest of the query leaves.

use super::{List, Page};
use crate::ddl::search::{RANKED_MAX, function};
use crate::error::{Error, Result};
use crate::page::{self, Shape};
use crate::param::Bound;

/// The best rows of a search: what a list of what was found has at most, where nothing else picks.
pub(crate) const CANDIDATES_MAX: i64 = 1_000;
/// Rows that a query leaves for its words to be looked for only there.
pub(crate) const AMONG_MAX: i64 = 20_000;

/// Name of the candidates in a statement, and of the rows that are searched.
pub(super) const CANDIDATES: &str = "\"@s\"";
const FEW: &str = "\"@a\"";
/// Column with the number of candidates, beside the rows.
pub(super) const COLUMN: &str = "@c";

/// Where the words are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    All,
    /// The rows that the rest of the query leaves, where they are not more than `AMONG_MAX`.
    Few,
}

/// The search in a statement.
pub(super) struct Found {
    pub(super) call: String,
    /// The statement of the rows that are searched.
    few: Option<String>,
    /// Candidates that it gives at most: so many, and there may be more.
    pub(super) most: i64,
}

impl Found {
    pub(super) fn with(&self) -> String {
        let few = self
            .few
            .as_ref()
            .map_or_else(String::new, |few| format!("{FEW} as materialized ({few}), "));
        format!("with {few}{CANDIDATES} as materialized (select * from {}) ", self.call)
    }

    /// The number of candidates, where a list has to know it.
    pub(super) fn column(&self) -> Option<String> {
        (CANDIDATES_MAX < self.most && self.few.is_none())
            .then(|| format!("(select count(*) from {CANDIDATES})"))
    }
}

/// The call that finds rows by words, of those in reach; `rest` is ` from … where …` without words.
pub(super) fn found(
    list: List<'_>,
    among: Among,
    rest: &str,
    params: &mut Vec<Bound>,
) -> Option<Found> {
    let List { entity, query, access, .. } = list;
    let search = query.search.as_ref()?;
    let most = if picks(list) { i64::from(RANKED_MAX) } else { CANDIDATES_MAX };
    let (reach, user, units) = access.caller();
    let first = params.len() + 1;
    params.extend([
        Bound::text(&search.words),
        page::limit_bound(most),
        Bound::text(reach.name()),
        Bound::uuid(user),
        units,
        Bound::texts(&access.level_names()),
    ]);
    let places: Vec<String> = (first..=params.len()).map(|n| format!("${n}")).collect();
    let mut few = None;
    let mut ids = "null".to_owned();
    if among == Among::Few {
        params.push(page::limit_bound(AMONG_MAX + 1));
        let limit = params.len();
        few = Some(format!(
            "select coalesce(array_agg(f.id), '{{}}') as ids from (select t.\"id\"{rest} limit ${limit}) f"
        ));
        ids = format!("(select case when cardinality(ids) <= {AMONG_MAX} then ids end from {FEW})");
    }
    let call = format!("{}({}, {ids})", function(entity, search.personal), places.join(", "));
    Some(Found { call, few, most })
}

/// Whether something else than their rank decides which of the found rows are shown.
fn picks(list: List<'_>) -> bool {
    let query = list.query;
    let ranked = query.search.as_ref().is_some_and(|search| search.ranked);
    !ranked
        || !query.tests.is_empty()
        || query.parent.is_some()
        || !matches!(query.shape, Shape::Rows)
}

/// Whether more rows may have the words than were candidates, where something else picks among them.
pub(super) async fn falls_short(list: List<'_>, page: &Page<'_>) -> Result<bool> {
    let List { cx, query, .. } = list;
    if query.search.is_none() || !picks(list) {
        return Ok(false);
    }
    let candidates: i64 = match page.found.first() {
        Some(row) => row.try_get(COLUMN)?,
        None => {
            let mut params = Vec::new();
            let Some(found) = list.source(&mut params).found else { return Ok(false) };
            let sql = format!("select count(*) from {}", found.call);
            let rows = cx.query_typed(&sql, &params).await?;
            let row = rows.first().ok_or_else(|| Error::internal("a count gave no row"))?;
            row.try_get(0)?
        }
    };
    Ok(i64::from(RANKED_MAX) <= candidates)
}
