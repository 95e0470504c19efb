//! What a list was asked for: its parameters read into one value. The order and the cursor that
//! continues a list stand in `page/order`, groups and aggregates in `page/group`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::actor::Actor;
use crate::custom::{self, Model};
use crate::cx::Cx;
use crate::ddl;
use crate::engine::SEARCHED_CUSTOM;
use crate::entity::{Entity, Field, Kind, View};
use crate::error::{Code, Error, Result};
use crate::filter::{self, Asked, Moment, Tree};
use crate::kind;
use crate::param::{Bound, Param};
use crate::registry::Registry;
use crate::rights::{self, Access};

pub(crate) mod group;
pub(crate) mod order;

use group::Groups;
pub(crate) use group::{functions, key_endings};
pub(crate) use order::has_order;
use order::{Cursor, SortKey};

pub const LIMIT_DEFAULT: u32 = 50;
pub const LIMIT_MAX: u32 = 200;
/// Counts are exact up to here, then estimated.
pub const COUNT_EXACT_MAX: i64 = 10_000;
/// Counts are exact up to here when that was asked for.
pub const COUNT_ASKED_MAX: i64 = 1_000_000;
/// Links in one `include`.
pub const INCLUDES_MAX: usize = 5;
/// Levels of a tree.
pub const TREE_DEPTH_MAX: u32 = 32;
/// Rows of a tree; one that has more is refused.
pub const TREE_NODES_MAX: i64 = 2_000;
/// Characters of `q`.
pub const SEARCH_CHARS_MAX: usize = 200;

/// The parent of a child collection: the child's link field and the parent's id.
pub(crate) type Parent = Option<(&'static Field, Uuid)>;

/// Who asks for a list of what, and when.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) registry: &'static Registry,
    pub(crate) actor: &'a Actor,
    pub(crate) now: Timestamp,
    pub(crate) entity: &'static Entity,
    pub(crate) access: &'a Access,
    pub(crate) parent: Parent,
    pub(crate) custom: &'a Model,
}

impl<'a> Asking<'a> {
    pub(crate) fn of(
        cx: &'a Cx,
        entity: &'static Entity,
        access: &'a Access,
        parent: Parent,
        custom: &'a Model,
    ) -> Self {
        let (registry, actor, now) = (cx.registry(), &cx.actor, cx.now);
        Self { registry, actor, now, entity, access, parent, custom }
    }
}

impl ListQuery {
    /// Fields by which rows are found and ordered, where reads are told.
    pub(crate) fn touched(&self) -> impl Iterator<Item = &str> {
        self.touched.iter().map(String::as_str)
    }
}

/// Reads the parameters of a list, with the organization's own fields where they are named.
pub(crate) async fn read(
    cx: &Cx,
    entity: &'static Entity,
    access: &Access,
    parent: Parent,
    query: &[(String, String)],
) -> Result<ListQuery> {
    let names = |text: &str| text.contains(filter::CUSTOM);
    let needed = ddl::has_custom_fields(entity)
        && query.iter().any(|(name, value)| {
            names(name) || NAMING_FIELDS.contains(&name.as_str()) && names(value)
        });
    let model = if needed { custom::load(cx, entity).await? } else { Arc::default() };
    parse(Asking::of(cx, entity, access, parent, &model), query)
}

pub(crate) struct ListQuery {
    pub(crate) parent: Parent,
    pub(crate) tests: Tree,
    pub(crate) search: Option<Search>,
    pub(crate) deleted: Deleted,
    pub(crate) sort: Vec<SortKey>,
    /// Of the rows inside groups.
    pub(crate) row_sort: Vec<SortKey>,
    pub(crate) limit: u32,
    /// Values of the sort keys of the last row seen; `None` stands for null.
    pub(crate) after: Option<Vec<Option<Bound>>>,
    pub(crate) count: Count,
    /// Fields to show; absent means all.
    pub(crate) fields: Option<Vec<String>>,
    pub(crate) includes: Vec<Include>,
    pub(crate) shape: Shape,
    /// Fields by which rows are found and ordered: an answer says something of these as well, in its
    /// cursor and by which rows it has. Gathered where reads are told.
    touched: Vec<String>,
    /// Of everything that decides which rows the list has, in which order.
    hash: String,
    /// Now, when the list began.
    at: Timestamp,
}

pub(crate) enum Shape {
    Rows,
    Tree(Branch),
    Groups(Groups),
}

/// Part of a tree.
pub(crate) struct Branch {
    /// Link to the row above.
    pub(crate) parent: &'static Field,
    pub(crate) root: Option<Uuid>,
    pub(crate) flat: bool,
    /// Levels, those of the roots counted.
    pub(crate) depth: u32,
}

pub(crate) struct Search {
    pub(crate) words: String,
    /// Whether personal fields are searched too.
    pub(crate) personal: bool,
    /// Whether the best rows come first, as they do unless something else is asked for.
    pub(crate) ranked: bool,
}

/// What of deleted rows is shown; the access is that of the right to delete.
pub(crate) enum Deleted {
    Hidden,
    With(Access),
    Only(Access),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// Exact up to so many rows, then estimated.
    UpTo(i64),
    Estimate,
    None,
}

/// A linked row inside each row.
pub(crate) struct Include {
    pub(crate) link: &'static Field,
    pub(crate) target: &'static Entity,
    pub(crate) access: Access,
    /// Member that holds it: the link without `_id`.
    pub(crate) member: &'static str,
}

/// Parameters that say which rows a list has, in which order, and what of them is shown; `filter[…]`
/// is another.
const OF_ROWS: &[&str] = &["where", "zone", "q", "deleted", "sort", "fields"];
/// What says how a list is cut and drawn: a file has plain rows, all of them.
pub(crate) const CUT_AND_DRAWN: &[&str] = &[
    "limit",
    "cursor",
    "count",
    "include",
    "view",
    "root",
    "shape",
    "depth",
    "group",
    "aggregate",
    "per_group",
];
/// What says nothing about a tree.
const NOT_OF_TREES: &[&str] = &["limit", "cursor", "count", "include", "group", "q", "deleted"];
const OF_TREES: &[&str] = &["root", "shape", "depth"];
const OF_GROUPS: &[&str] = &["aggregate", "per_group"];
/// Parameters whose values name fields that the organization may have added.
const NAMING_FIELDS: &[&str] = &["where", "sort", "group", "aggregate"];
/// What changes neither the rows of a list nor their order.
const NOT_HASHED: &[&str] = &["limit", "cursor", "count", "fields", "include"];

/// Parameters of every list, beside `filter[…]`.
fn parameters() -> impl Iterator<Item = &'static str> {
    OF_ROWS.iter().chain(CUT_AND_DRAWN).copied()
}

type Given<'a> = BTreeMap<&'static str, &'a str>;

/// Unknown and repeated parameters are refused.
fn parse(asking: Asking<'_>, query: &[(String, String)]) -> Result<ListQuery> {
    let (given, filters) = gather(query)?;
    let zone = given.get("zone").map_or(Ok(TimeZone::UTC), |name| zone(name))?;
    let cursor = given.get("cursor").map(|text| Cursor::read(text)).transpose()?;
    let at = cursor.as_ref().map_or(asking.now, |cursor| cursor.at);
    let moment = Moment::new(at, zone);
    let tests = tests(asking, &moment, &given, &filters)?;
    let search = given.get("q").map(|words| search(asking, &given, words)).transpose()?;
    let shape = shape(asking, &given, &moment)?;
    let (sort, row_sort) = orders(asking, &given, search.is_some(), &shape)?;
    let hash = order::hash(asking, query.iter().filter(|(name, _)| !is_not_hashed(name)));
    let after = cursor.map(|cursor| cursor.after(&sort, &hash)).transpose()?;
    let limit_max = match &shape {
        Shape::Groups(groups) if groups.rows.is_some() => group::GROUPS_WITH_ROWS_MAX,
        _ => LIMIT_MAX,
    };
    let limit = number(&given, "limit", limit_max)?.unwrap_or(LIMIT_DEFAULT.min(limit_max));
    let includes = given.get("include").map_or(Ok(Vec::new()), |text| includes(asking, text))?;
    let touched = match asking.access.is_logged() {
        true => touched(asking, &given, &tests, search.as_ref()),
        false => Vec::new(),
    };
    Ok(ListQuery {
        parent: asking.parent,
        tests,
        search,
        deleted: deleted(asking, &given)?,
        sort,
        row_sort,
        limit,
        after,
        count: count(&given)?,
        fields: given.get("fields").map(|text| fields(asking, text)).transpose()?,
        includes,
        shape,
        touched,
        hash,
        at: moment.now(),
    })
}

/// Names of the fields that tests, words and order look at. Groups say their own.
fn touched(
    asking: Asking<'_>,
    given: &Given<'_>,
    tests: &Tree,
    search: Option<&Search>,
) -> Vec<String> {
    let mut all = tests.own();
    let sorted = given.get("sort").into_iter().flat_map(|text| text.split(','));
    let plain = |name: &str| match name.strip_prefix(filter::CUSTOM) {
        Some(_) => name.to_owned(),
        None => name.split(['.', ':']).next().unwrap_or_default().to_owned(),
    };
    all.extend(sorted.map(|part| plain(order::direction(part).0)));
    if let Some(search) = search {
        let fields = asking.entity.fields.iter().filter(|field| field.search.is_some());
        let fields = fields.filter(|field| search.personal || !field.personal);
        all.extend(fields.map(|field| field.name.to_owned()));
        if ddl::has_custom_fields(asking.entity) {
            all.push(SEARCHED_CUSTOM.to_owned());
        }
    }
    all
}

/// Reads the parameters of one row: fields and linked rows.
pub(crate) fn parse_one(
    cx: &Cx,
    entity: &'static Entity,
    access: &Access,
    query: &[(String, String)],
) -> Result<ListQuery> {
    const KNOWN: &[&str] = &["fields", "include"];
    match query.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
        Some((name, _)) => Err(unknown_parameter(name, &KNOWN.join(", "))),
        None => parse(Asking::of(cx, entity, access, None, &Model::default()), query),
    }
}

fn is_not_hashed(name: &str) -> bool {
    NOT_HASHED.contains(&name)
}

fn gather(query: &[(String, String)]) -> Result<(Given<'_>, Vec<(&str, &str)>)> {
    let mut given = Given::new();
    let mut filters = Vec::new();
    for (name, value) in query {
        if name.starts_with("filter[") && name.ends_with(']') {
            filters.push((name.as_str(), value.as_str()));
            continue;
        }
        let Some(known) = parameters().find(|known| *known == name) else {
            let known: Vec<&str> = parameters().collect();
            return Err(unknown_parameter(name, &format!("filter[…], {}", known.join(", "))));
        };
        if given.insert(known, value).is_some() {
            return Err(repeated_parameter(known));
        }
    }
    Ok((given, filters))
}

fn bad(name: &str, message: impl Into<String>) -> Error {
    Error::field(Code::InvalidRequest, name, message)
}

/// A parameter is given once: of two values nobody knows which one was meant.
#[track_caller]
pub(crate) fn repeated_parameter(name: impl Into<String>) -> Error {
    Error::field(Code::InvalidRequest, name, "the parameter stands there twice")
}

pub(crate) fn unknown_parameter(name: &str, known: &str) -> Error {
    let shown: String = name.chars().take(100).collect();
    Error::field(Code::UnknownParameter, shown, format!("known parameters are: {known}"))
}

fn zone(name: &str) -> Result<TimeZone> {
    let known = kind::read(Kind::TimeZone, name).ok().and_then(|_| TimeZone::get(name).ok());
    let known = known.filter(|zone| zone.iana_name().is_some());
    known.ok_or_else(|| bad("zone", "must be an IANA time zone like Europe/Berlin"))
}

fn number(given: &Given<'_>, name: &str, max: u32) -> Result<Option<u32>> {
    let Some(text) = given.get(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    number.map(Some).ok_or_else(|| bad(name, format!("must be between 1 and {max}")))
}

fn tests(
    asking: Asking<'_>,
    moment: &Moment,
    given: &Given<'_>,
    filters: &[(&str, &str)],
) -> Result<Tree> {
    let Asking { registry, actor, entity, access, custom, .. } = asking;
    let asked = Asked { registry, actor, entity, access, moment, custom };
    let mut parts = Vec::with_capacity(filters.len() + 1);
    for (name, value) in filters {
        let part = filter::bracket(asked, name, value);
        parts.push(part.unwrap_or_else(|| Err(unknown_parameter(name, "filter[field]")))?);
    }
    parts.extend(given.get("where").map(|text| filter::tree(asked, text)).transpose()?);
    let tests = Tree::All(parts);
    if tests.len() > filter::TESTS_MAX {
        let most = filter::TESTS_MAX;
        let text = format!("a list takes at most {most} filters");
        return Err(Error::new(Code::InvalidFilter, text));
    }
    Ok(tests)
}

/// Every searched field has to be readable: personal ones are left out otherwise, a missing open one
/// refuses the search.
fn search(asking: Asking<'_>, given: &Given<'_>, words: &str) -> Result<Search> {
    let Asking { entity, access, .. } = asking;
    if words.chars().count() > SEARCH_CHARS_MAX {
        return Err(bad("q", format!("has at most {SEARCH_CHARS_MAX} characters")));
    }
    let searched = || entity.fields.iter().filter(|field| field.search.is_some());
    let refused = |personal: bool| {
        let fields = searched().filter(move |field| field.personal == personal);
        fields.map(|field| access.readable_everywhere(field)).find_map(Result::err)
    };
    if searched().next().is_none() {
        return Err(bad("q", format!("{} have no text that is searched", entity.route())));
    }
    if let Some(error) = refused(false) {
        return Err(error.at("q"));
    }
    let has_open = searched().any(|field| !field.personal);
    let personal = match (refused(true), has_open) {
        (None, _) => searched().any(|field| field.personal),
        (Some(_), true) => false,
        (Some(error), false) => return Err(error.at("q")),
    };
    let ranked = !given.contains_key("sort");
    Ok(Search { words: words.replace('\0', " "), personal, ranked })
}

fn deleted(asking: Asking<'_>, given: &Given<'_>) -> Result<Deleted> {
    let Some(word) = given.get("deleted") else { return Ok(Deleted::Hidden) };
    let Asking { actor, entity, .. } = asking;
    if !entity.soft_deletes() {
        return Err(bad("deleted", format!("{} are never deleted", entity.route())));
    }
    if given.contains_key("q") {
        return Err(bad("deleted", "does not go with q: deleted rows are not searched"));
    }
    let access = || rights::may(actor, entity, "delete").map_err(|error| error.at("deleted"));
    match *word {
        "with" => access().map(Deleted::With),
        "only" => access().map(Deleted::Only),
        _ => Err(bad("deleted", "is with or only")),
    }
}

fn count(given: &Given<'_>) -> Result<Count> {
    match given.get("count").copied() {
        None => Ok(Count::UpTo(COUNT_EXACT_MAX)),
        Some("exact") => Ok(Count::UpTo(COUNT_ASKED_MAX)),
        Some("estimate") => Ok(Count::Estimate),
        Some("none") => Ok(Count::None),
        Some(_) => Err(bad("count", "is exact, estimate or none")),
    }
}

fn fields(asking: Asking<'_>, text: &str) -> Result<Vec<String>> {
    let shown = crate::engine::shown(asking.entity, asking.access);
    let mut names = Vec::new();
    for name in text.split(',') {
        if !shown.iter().any(|one| one.name == name) {
            let hidden = filter::column(asking.entity, name).filter(|_| !name.contains('.'));
            let Some((_, Some(field))) = hidden else {
                return Err(bad("fields", "names a field that there is not"));
            };
            asking.access.readable_everywhere(field).map_err(|error| error.at("fields"))?;
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn includes(asking: Asking<'_>, text: &str) -> Result<Vec<Include>> {
    const NAME: &str = "include";
    let Asking { registry, actor, entity, access, .. } = asking;
    let mut all: Vec<Include> = Vec::new();
    for name in text.split(',') {
        let link = entity.field(name).filter(|field| matches!(field.kind, Kind::Link { .. }));
        let link = link.ok_or_else(|| bad(NAME, "names a link that there is not"))?;
        let member = link.name.strip_suffix("_id").unwrap_or(link.name);
        let target = filter::followed(registry, entity, link)
            .filter(|_| entity.field(member).is_none())
            .ok_or_else(|| bad(NAME, format!("{} cannot be included", link.name)))?;
        if all.iter().any(|one| one.link.name == link.name) {
            return Err(bad(NAME, format!("{} stands there twice", link.name)));
        }
        access.readable_everywhere(link).map_err(|error| error.at(NAME))?;
        let access = rights::may(actor, target, "read").map_err(|error| error.at(NAME))?;
        all.push(Include { link, target, access, member });
    }
    if all.len() > INCLUDES_MAX {
        return Err(bad(NAME, format!("takes at most {INCLUDES_MAX} links")));
    }
    Ok(all)
}

/// `sort` says the order of groups, or that of their rows when these are shown.
fn orders(
    asking: Asking<'_>,
    given: &Given<'_>,
    ranked: bool,
    shape: &Shape,
) -> Result<(Vec<SortKey>, Vec<SortKey>)> {
    let text = given.get("sort").copied();
    let rows = || order::keys(asking, text, ranked, shape);
    match shape {
        Shape::Groups(groups) if groups.rows.is_some() => Ok((groups.order(None)?, rows()?)),
        Shape::Groups(groups) => Ok((groups.order(text)?, Vec::new())),
        Shape::Rows | Shape::Tree(_) => Ok((rows()?, Vec::new())),
    }
}

fn shape(asking: Asking<'_>, given: &Given<'_>, moment: &Moment) -> Result<Shape> {
    let stray = |names: &[&'static str], with: &str| {
        let stray = names.iter().find(|name| given.contains_key(*name));
        stray.map_or(Ok(()), |name| Err(bad(name, format!("goes with {with} only"))))
    };
    match (given.get("view").copied(), given.get("group")) {
        (Some("tree"), _) => {
            if let Some(name) = NOT_OF_TREES.iter().find(|name| given.contains_key(*name)) {
                return Err(bad(name, "does not go with view=tree"));
            }
            branch(asking, given).map(Shape::Tree)
        }
        (Some(_), _) => Err(bad("view", "is tree")),
        (None, Some(keys)) => {
            stray(OF_TREES, "view=tree")?;
            let (aggregate, rows) =
                (given.get("aggregate").copied(), number(given, "per_group", group::ROWS_MAX)?);
            group::read(asking, moment, keys, aggregate, rows).map(Shape::Groups)
        }
        (None, None) => {
            stray(OF_TREES, "view=tree")?;
            stray(OF_GROUPS, "group")?;
            Ok(Shape::Rows)
        }
    }
}

fn branch(asking: Asking<'_>, given: &Given<'_>) -> Result<Branch> {
    let link = |view: &View| match view {
        View::Tree(name) => asking.entity.field(name),
        _ => None,
    };
    let parent = asking.entity.views.iter().find_map(link);
    let parent = parent.ok_or_else(|| bad("view", "there is no tree of these"))?;
    asking.access.readable_everywhere(parent).map_err(|error| error.at("view"))?;
    let root = given.get("root").map(|text| match kind::read(Kind::Id, text) {
        Ok(Param::Uuid(id)) => Ok(id),
        _ => Err(Error::field(Code::InvalidId, "root", "must be a UUID")),
    });
    let flat = match given.get("shape").copied() {
        None | Some("nested") => false,
        Some("flat") => true,
        Some(_) => return Err(bad("shape", "is nested or flat")),
    };
    let depth = number(given, "depth", TREE_DEPTH_MAX)?.unwrap_or(TREE_DEPTH_MAX);
    Ok(Branch { parent, root: root.transpose()?, flat, depth })
}

/// A whole number as a parameter.
pub(crate) fn limit_bound(limit: i64) -> Bound {
    Bound { value: Param::Int(limit), ty: Type::INT8 }
}
