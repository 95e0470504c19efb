//! `GET /imports/{id}/rows`: what would become of each row, or became of it, in pages, as far as the
//! caller's rights on the rows themselves reach.

use serde_json::{Value, json};
use uuid::Uuid;

use super::outcome::{self, Fate, Outcome};
use super::{Import, May};
use crate::cx::Cx;
use crate::error::{Code, Error, Result};
use crate::history;
use crate::page::{LIMIT_DEFAULT, LIMIT_MAX, unknown_parameter};
use crate::rights::{self, Access};

/// Chunks whose outcomes are read at a time.
const CHUNKS_AT_ONCE: i64 = 4;

struct Query {
    status: Option<String>,
    limit: usize,
    /// Rows behind this one.
    after: u64,
}

impl Query {
    fn wants(&self, outcome: &Outcome) -> bool {
        let fate = outcome.fate.name();
        self.after < outcome.row && self.status.as_ref().is_none_or(|status| status == fate)
    }
}

pub(crate) async fn page(cx: &Cx, id: Uuid, query: &[(String, String)]) -> Result<Value> {
    let query = self::query(query)?;
    let import = Import::load(cx, id).await?;
    let count = count(cx, id, &query).await?;
    let column = |path: &str| column(&import, path);
    let mut shown: Vec<Outcome> = Vec::new();
    let (mut last, mut more, mut after) = (0, false, query.after);
    while !more {
        let chunks = chunks(cx, id, &query, after).await?;
        let Some((_, end)) = chunks.last() else { break };
        after = *end;
        let outcomes = chunks.iter().map(|(bytes, _)| outcome::read(bytes));
        let outcomes = outcomes.collect::<Result<Vec<_>>>()?.into_iter().flatten();
        for outcome in outcomes.filter(|outcome| query.wants(outcome)) {
            if shown.len() >= query.limit {
                more = true;
                break;
            }
            last = outcome.row;
            shown.push(outcome);
        }
    }
    let data = Eye::of(cx, &import)?.look(cx, shown).await?;
    let data: Vec<Value> = data.iter().map(|outcome| outcome.show(column)).collect();
    let next = if more { json!(last.to_string()) } else { Value::Null };
    let page = json!({"next": next, "count": {"value": count, "exact": true}});
    Ok(json!({"data": data, "page": page}))
}

/// What a caller sees of an import's rows: no more than a history shows of them. Who may write what
/// the file writes is told what is wrong with it, as a write of their own would tell them.
struct Eye<'a> {
    import: &'a Import,
    read: Option<Access>,
    writes: bool,
    /// Their own file: what it made is theirs to know.
    own: bool,
}

impl<'a> Eye<'a> {
    fn of(cx: &Cx, import: &'a Import) -> Result<Self> {
        let writes = May::ask(cx, import.entity, import.matching, &import.mapping).is_ok();
        let read = rights::may(&cx.actor, import.entity, "read");
        let read = if writes { read.ok() } else { Some(read?) };
        let own = import.sender.is_some() && import.sender == cx.actor.user();
        Ok(Self { import, read, writes, own })
    }

    async fn look(&self, cx: &Cx, mut outcomes: Vec<Outcome>) -> Result<Vec<Outcome>> {
        let ids = outcomes.iter().filter_map(|outcome| outcome.id).collect();
        let seen = history::among(cx, self.import.entity, ids).await?;
        for outcome in &mut outcomes {
            let made = self.own && outcome.fate == Fate::Create;
            if !made && outcome.id.is_some_and(|id| !seen.contains(&id)) {
                (outcome.id, outcome.version) = (None, None);
            }
            outcome.faults.retain(|fault| self.is_told(&fault.field));
        }
        Ok(outcomes)
    }

    /// Whether a fault at this path is told. One of the row as a whole may speak of any field.
    fn is_told(&self, path: &str) -> bool {
        let Some(read) = self.read.as_ref().filter(|_| !self.writes) else { return self.writes };
        let mut parts = path.split(['.', '[']);
        let head = parts.next().unwrap_or_default();
        if head == "custom" {
            let key = parts.next().unwrap_or_default();
            let mut fields = self.import.mapping.custom_fields();
            return fields.any(|field| field.key == key && read.shows_level(field.level));
        }
        let field = self.import.entity.field(head);
        head == "id" || field.is_some_and(|field| read.readable_everywhere(field).is_ok())
    }
}

/// Rows of the wanted fate, or of all that are known, from what the chunks say of themselves.
async fn count(cx: &Cx, id: Uuid, query: &Query) -> Result<i64> {
    let sql = "select coalesce(sum(fate.value::bigint), 0)::bigint from import_chunks, \
               jsonb_each_text(fates) as fate where org_id = $1 and import_id = $2 \
               and ($3::text is null or fate.key = $3)";
    cx.query_one(sql, &[&cx.org, &id, &query.status]).await?.try_get(0).map_err(Into::into)
}

/// Outcomes and last row of the next chunks that have rows of the wanted fate behind a row.
async fn chunks(cx: &Cx, id: Uuid, query: &Query, after: u64) -> Result<Vec<(Vec<u8>, u64)>> {
    let sql = "select outcome, row_last from import_chunks \
               where org_id = $1 and import_id = $2 and outcome is not null and row_last > $3 \
               and ($4::text is null or fates ? $4) order by seq limit $5";
    let behind = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = cx.query(sql, &[&cx.org, &id, &behind, &query.status, &CHUNKS_AT_ONCE]).await?;
    let chunk = |row: &crate::db::Row| {
        let last: i64 = row.try_get(1)?;
        Ok((row.try_get(0)?, u64::try_from(last).unwrap_or(u64::MAX)))
    };
    rows.iter().map(chunk).collect()
}

/// The file's header for a field's path.
fn column(import: &Import, path: &str) -> Value {
    let head = path.split(['.', '[']).next().unwrap_or_default();
    let place = |name: &str| {
        let columns = import.mapping.columns.iter();
        columns.clone().position(|column| column.target().as_deref() == Some(name)).or_else(|| {
            columns.clone().position(|column| column.field().is_some_and(|f| f.name == name))
        })
    };
    let header = place(path).or_else(|| place(head)).and_then(|at| import.mapping.headers.get(at));
    json!(header)
}

fn query(pairs: &[(String, String)]) -> Result<Query> {
    let mut query = Query { status: None, limit: LIMIT_DEFAULT as usize, after: 0 };
    let refuse = |name: &str, text: String| Err(Error::field(Code::InvalidRequest, name, text));
    for (name, value) in pairs {
        match name.as_str() {
            "status" if Fate::NAMES.contains(&value.as_str()) => query.status = Some(value.clone()),
            "status" => return refuse(name, format!("is one of: {}", Fate::NAMES.join(", "))),
            "limit" => match value.parse::<u32>() {
                Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => query.limit = limit as usize,
                _ => return refuse(name, format!("must be between 1 and {LIMIT_MAX}")),
            },
            "cursor" => match value.parse() {
                Ok(row) => query.after = row,
                Err(_) => {
                    let text = "the cursor is not one of this list";
                    return Err(Error::field(Code::InvalidCursor, name, text));
                }
            },
            _ => return Err(unknown_parameter(name, "status, limit, cursor")),
        }
    }
    Ok(query)
}
