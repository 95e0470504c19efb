//! `GET /<route>/export`: every row of a list, as filtered and sorted, in one file. One statement
//! behind a cursor of the database gives all rows as they were at one moment, in constant memory;
//! rights are those of the list.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::MEDIA_TYPE;
use super::mapping::{Place, part_header};
use super::text::{self, Cell};
use crate::actor::Actor;
use crate::custom::{self, Model};
use crate::cx::{Cx, Mode};
use crate::dispatch::{Answer, Call};
use crate::engine::{self, Column, Told};
use crate::entity::{Entity, Field, Kind, Scope};
use crate::error::{Code, Error, Result};
use crate::kind;
use crate::page::{self, ListQuery, Shape};
use crate::param::{Bound, Param};
use crate::rights::{self, Access};
use crate::service::Service;
use crate::stream::{self, Sink};
use crate::views;

/// Rows that one round trip fetches.
const FETCH_ROWS: u32 = 500;
/// The whole file; then it is cut off.
const EXPORT_WAIT: Duration = Duration::from_secs(600);
/// A byte order mark, by which some spreadsheets know UTF-8.
const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What a caller asks of the file itself.
#[derive(Debug, Clone, Copy)]
struct Form {
    separator: u8,
    bom: bool,
    links: Links,
}

/// What stands for a linked row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    Id,
    /// The key by which people know it, where it has one and the caller may read it.
    Key,
}

/// One kind in the statement's select list, one or two columns of the file.
struct Shown {
    headers: Vec<String>,
    sql: String,
    kind: Kind,
    /// Of a custom field, whose column is JSON.
    cell: Option<Kind>,
}

pub(crate) async fn answer(
    service: &Service,
    call: &Call,
    actor: Actor,
    org: Uuid,
    entity: &'static Entity,
) -> Result<Answer> {
    let access = rights::may(&actor, entity, "read")?;
    let (form, query) = form(&call.query)?;
    let place = service.exports().try_acquire_owned().map_err(|_| {
        Error::new(Code::Overloaded, "too many exports are being made").retry_after(5)
    })?;
    let mut cx = service.open(actor, org, call.request_id, Mode::Read).await?;
    let statement = statement(&mut cx, entity, &query, &access, form).await;
    let statement = match statement {
        Ok(statement) => statement,
        Err(error) => return cx.finish(Err(error)).await,
    };
    if access.is_logged() {
        told(&cx, entity, &statement, &access).await?;
    }
    // What the database refuses is told now, before anything is promised.
    if let Err(error) = open(&cx, &statement).await {
        return cx.finish(Err(error)).await;
    }
    let name = format!("{}-{}.csv", entity.route(), cx.now.strftime("%Y-%m-%d"));
    let (sink, download) = stream::download(MEDIA_TYPE, name);
    tokio::spawn(async move {
        let sent = tokio::time::timeout(EXPORT_WAIT, send(cx, statement.shown, form, sink)).await;
        match sent {
            Ok(Ok(rows)) => tracing::debug!(entity = entity.name, rows, "an export was sent"),
            Ok(Err(error)) => tracing::info!(error = error.log_text(), "an export was cut off"),
            Err(_) => tracing::info!(entity = entity.name, "an export took too long"),
        }
        drop(place);
    });
    Ok(Answer { status: 200, download: Some(download), ..Answer::default() })
}

/// The parameters of the file; the others are the list's.
fn form(query: &[(String, String)]) -> Result<(Form, Vec<(String, String)>)> {
    let mut form = Form { separator: b',', bom: false, links: Links::Id };
    let mut rest = Vec::with_capacity(query.len());
    let refuse = |name: &str, text: &str| Err(Error::field(Code::InvalidRequest, name, text));
    for (name, value) in query {
        match name.as_str() {
            "separator" => {
                form.separator = separator(value)?;
            }
            "bom" => match value.as_str() {
                "true" => form.bom = true,
                "false" => form.bom = false,
                _ => return refuse(name, "is true or false"),
            },
            "links" => match value.as_str() {
                "id" => form.links = Links::Id,
                "key" => form.links = Links::Key,
                _ => return refuse(name, "is id or key"),
            },
            "limit" | "cursor" => {
                return Err(page::unknown_parameter(
                    name,
                    "those of the list but limit and cursor",
                ));
            }
            _ => rest.push((name.clone(), value.clone())),
        }
    }
    Ok((form, rest))
}

pub(super) fn separator(name: &str) -> Result<u8> {
    let found = text::SEPARATORS.iter().find(|(own, _)| *own == name);
    found.map(|(_, separator)| *separator).ok_or_else(|| {
        Error::field(Code::InvalidRequest, "separator", "is comma, semicolon or tab")
    })
}

struct Statement {
    sql: String,
    params: Vec<Bound>,
    /// ` from … where …`, and its parameters.
    source: String,
    source_params: Vec<Bound>,
    columns: Vec<Column>,
    query: ListQuery,
    /// Fields of linked rows that stand for links.
    keys: Vec<(&'static Entity, Access, &'static str)>,
    shown: Vec<Shown>,
}

/// A role may say that its reads of personal data are told. That stands before the first row leaves,
/// in a transaction of its own: what was sent cannot be taken back.
async fn told(
    cx: &Cx,
    entity: &'static Entity,
    statement: &Statement,
    access: &Access,
) -> Result<()> {
    let telling = cx.service().open(cx.actor.clone(), cx.org, cx.request_id, Mode::Write).await?;
    let told = async {
        let sql = format!("select count(*){}", statement.source);
        let rows = telling.query_typed(&sql, &statement.source_params).await?;
        let row = rows.first().ok_or_else(|| Error::internal("a count gave no row"))?;
        let names = statement.columns.iter().map(|column| column.name);
        let names = names.chain(statement.query.touched());
        let count = Told::Count(row.try_get(0)?);
        engine::tell(&telling, entity, access, count, names).await?;
        for (target, access, name) in statement.query.tests.linked() {
            let names = std::iter::once(name.as_str());
            engine::tell(&telling, target, access, count, names).await?;
        }
        for (target, access, name) in &statement.keys {
            let names = std::iter::once(*name);
            engine::tell(&telling, target, access, count, names).await?;
        }
        Ok(())
    };
    let told = told.await;
    telling.finish(told).await
}

async fn statement(
    cx: &mut Cx,
    entity: &'static Entity,
    query: &[(String, String)],
    access: &Access,
    form: Form,
) -> Result<Statement> {
    let query = views::apply(cx, entity, query).await?;
    let query = page::read(cx, entity, access, None, &query).await?;
    plain(&query)?;
    let mut params = Vec::new();
    let source = engine::list::source(cx, entity, &query, access, &mut params);
    let source_params = params.clone();
    let mut columns = engine::shown(entity, access);
    if let Some(fields) = &query.fields {
        columns.retain(|column| fields.iter().any(|field| field == column.name));
    }
    let custom = custom::load(cx, entity).await?;
    let mut keys = Vec::new();
    let mut shown = shown(cx, entity, access, form, &columns, &mut params, &mut keys);
    shown.extend(customs(entity, &custom, access, query.fields.as_deref(), &mut params));
    let list: Vec<&str> = shown.iter().map(|one| one.sql.as_str()).collect();
    let order = query.order_sql(&mut params);
    let list = list.join(", ");
    let sql = format!("declare export no scroll cursor for select {list}{source} order by {order}");
    Ok(Statement { sql, params, source, source_params, columns, query, keys, shown })
}

/// A file has rows of one kind.
fn plain(query: &ListQuery) -> Result<()> {
    let refuse = |name: &str| {
        Err(Error::field(Code::InvalidRequest, name, "is for pages; a file has plain rows"))
    };
    match query.shape {
        Shape::Rows if query.includes.is_empty() => Ok(()),
        Shape::Rows => refuse("include"),
        Shape::Tree(_) => refuse("view"),
        Shape::Groups(_) => refuse("group"),
    }
}

fn shown(
    cx: &Cx,
    entity: &'static Entity,
    access: &Access,
    form: Form,
    columns: &[Column],
    params: &mut Vec<Bound>,
    told: &mut Vec<(&'static Entity, Access, &'static str)>,
) -> Vec<Shown> {
    let mut all = Vec::new();
    // Custom fields have columns of their own.
    for Column { name, kind, only, .. } in columns.iter().copied().filter(|c| c.custom_of.is_none())
    {
        let field = entity.field(name);
        let keys = match (form.links, field) {
            // A link that shows on some rows only stays an id, which is empty on the others.
            (Links::Key, Some(field)) if only.is_none() => keys(cx, entity, field, told),
            _ => Vec::new(),
        };
        if !keys.is_empty() {
            all.extend(keys);
            continue;
        }
        // Where the field may not be read, its cell is empty.
        let mut cell = |column: &str| match only {
            Some(reach) => {
                let inside = access.within_sql(reach, Some("t"), params);
                format!("case when {inside} then t.\"{column}\" end")
            }
            None => format!("t.\"{column}\""),
        };
        let sql = match crate::kind_sql::second_column(kind, name) {
            Some(second) => format!("{}, {}", cell(name), cell(&second)),
            None => cell(name),
        };
        let headers = match field.filter(|field| super::cell::pair(field.kind).is_some()) {
            Some(field) => {
                [Place::First, Place::Second].map(|place| part_header(field, place)).to_vec()
            }
            None => vec![name.to_owned()],
        };
        all.push(Shown { headers, sql, kind, cell: None });
    }
    all
}

/// The linked row's key in place of its id: one sub-select a part, none where the caller may not
/// read it.
fn keys(
    cx: &Cx,
    entity: &'static Entity,
    field: &'static Field,
    told: &mut Vec<(&'static Entity, Access, &'static str)>,
) -> Vec<Shown> {
    let Some(target) = cx.registry().target(entity, field.name) else { return Vec::new() };
    let (Scope::Tenant, Some(unique)) = (target.scope, target.natural_key()) else {
        return Vec::new();
    };
    let Ok(access) = rights::may(&cx.actor, target, "read") else { return Vec::new() };
    // A key that shows on some rows only would read as no link on the others.
    if !access.is_everywhere() {
        return Vec::new();
    }
    let parts: Vec<&'static Field> =
        unique.fields.iter().filter_map(|name| target.field(name)).collect();
    if parts.iter().any(|part| access.readable_everywhere(part).is_err()) {
        return Vec::new();
    }
    told.extend(parts.iter().map(|part| (target, access.clone(), part.name)));
    let shown = parts.into_iter().map(|part| {
        let sql = format!(
            "(select linked.\"{}\" from \"{}\" linked where linked.org_id = t.org_id \
             and linked.id = t.\"{}\")",
            part.name, target.name, field.name
        );
        Shown {
            headers: vec![format!("{}.{}", field.name, part.name)],
            sql,
            kind: part.kind,
            cell: None,
        }
    });
    shown.collect()
}

/// Custom fields that anybody who reads the row may read, a column each.
fn customs(
    entity: &'static Entity,
    model: &Model,
    access: &Access,
    fields: Option<&[String]>,
    params: &mut Vec<Bound>,
) -> Vec<Shown> {
    if !crate::ddl::has_custom_fields(entity)
        || fields.is_some_and(|f| !f.iter().any(|f| f == "custom"))
    {
        return Vec::new();
    }
    let shown = model.fields.iter().filter(|field| access.shows_level(field.level)).map(|field| {
        params.push(Bound { value: Param::Text(field.key.clone()), ty: Type::TEXT });
        Shown {
            headers: vec![format!("custom.{}", field.key)],
            sql: format!("t.\"custom\" -> ${}", params.len()),
            kind: Kind::Json,
            cell: Some(field.kind),
        }
    });
    shown.collect()
}

async fn open(cx: &Cx, statement: &Statement) -> Result<()> {
    cx.query_typed(&statement.sql, &statement.params).await.map(drop)
}

async fn send(cx: Cx, shown: Vec<Shown>, form: Form, sink: Sink) -> Result<u64> {
    let mut out = Vec::new();
    if form.bom {
        out.extend_from_slice(BOM);
    }
    let header: Vec<Cell> =
        shown.iter().flat_map(|one| &one.headers).map(|name| Cell::text(name.as_str())).collect();
    text::write_record(header.iter(), form.separator, &mut out);
    let mut sent = 0;
    let fetch = format!("fetch {FETCH_ROWS} from export");
    loop {
        let rows = cx.query_typed(&fetch, &[]).await?;
        for row in &rows {
            record(row, &shown, form.separator, &mut out)?;
        }
        let last = rows.len() < FETCH_ROWS as usize;
        sent += rows.len() as u64;
        sink.send(std::mem::take(&mut out)).await?;
        if last {
            break;
        }
    }
    // Ended before the caller hears the end: the snapshot is not held for a slow reader.
    cx.rollback().await?;
    sink.end().await?;
    Ok(sent)
}

fn record(row: &Row, shown: &[Shown], separator: u8, out: &mut Vec<u8>) -> Result<()> {
    let mut cells = Vec::with_capacity(shown.len() + 1);
    let (mut index, mut encoded) = (0, Vec::with_capacity(64));
    for one in shown {
        encoded.clear();
        index += kind::encode(row, index, one.kind, &mut encoded)?;
        match one.cell {
            Some(kind) => cells.push(super::cell::write_one(kind, &encoded)?),
            None => super::cell::write(one.kind, &encoded, &mut cells)?,
        }
    }
    text::write_record(cells.iter(), separator, out);
    Ok(())
}
