//! `GET /imports/{id}/rows`: what would become of each row, or became of it, in pages.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::entities::IMPORT;
use super::Import;
use super::job::{chunks, outcomes};
use super::outcome::Fate;
use crate::cx::Cx;
use crate::dispatch::{Answer, Call};
use crate::error::{Code, Error, Result};
use crate::page::{LIMIT_DEFAULT, LIMIT_MAX, unknown_parameter};

struct Query {
    status: Option<String>,
    limit: usize,
    /// Rows behind this one.
    after: u64,
}

pub(crate) async fn page(cx: &mut Cx, call: &Call, id: Uuid) -> Result<Answer> {
    let query = query(&call.query)?;
    cx.get(&IMPORT, id).await?;
    let import = Import::load(cx, id).await?;
    let column = |path: &str| column(&import, path);
    let (mut data, mut count, mut last, mut more) = (Vec::new(), 0_u64, 0, false);
    for chunk in chunks(cx, id).await? {
        for outcome in outcomes(cx, &chunk).await? {
            if query.status.as_deref().is_some_and(|status| status != outcome.fate.name()) {
                continue;
            }
            count += 1;
            if outcome.row <= query.after {
                continue;
            }
            if data.len() >= query.limit {
                more = true;
                continue;
            }
            last = outcome.row;
            data.push(outcome.show(column));
        }
    }
    let next = if more { json!(last.to_string()) } else { Value::Null };
    let page = json!({"next": next, "count": {"value": count, "exact": true}});
    Ok(Answer::json(200, &json!({"data": data, "page": page})))
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
