//! What a list is narrowed by: typed tests of columns, joined by and, or and not, and their SQL.
//! Names come from descriptors, values are parameters: nothing of the caller's text reaches SQL.
//! How a query says a test stands in `filter/read`, what its values mean in `filter/value`.

use std::fmt::Write;

use uuid::Uuid;

use crate::actor::Actor;
use crate::custom::{CustomField, Model};
use crate::entity::{Entity, Field, Kind};
use crate::error::{Code, Error, Result};
use crate::kind_sql::currency_column;
use crate::param::Bound;
use crate::registry::Registry;
use crate::rights::Access;

mod moment;
mod read;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use moment::Moment;
pub(crate) use read::{Asked, CUSTOM, bracket, tree};

/// Tests in one list, those of `where` counted.
pub(crate) const TESTS_MAX: usize = 50;
/// Levels of and, or and not in `where`.
pub(crate) const DEPTH_MAX: usize = 5;
/// Values in one `in`, `not_in`, `any` or `all`.
pub(crate) const VALUES_MAX: usize = 100;

/// What of `Kind::Money` is compared by itself: `price.currency`.
const CURRENCY: &str = "currency";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
    Between,
    In,
    NotIn,
    Contains,
    Starts,
    Ends,
    Any,
    All,
    Empty,
    Null,
}

impl Operator {
    const NAMES: &[(&'static str, Self)] = &[
        ("eq", Self::Eq),
        ("ne", Self::Ne),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("between", Self::Between),
        ("in", Self::In),
        ("not_in", Self::NotIn),
        ("contains", Self::Contains),
        ("starts", Self::Starts),
        ("ends", Self::Ends),
        ("any", Self::Any),
        ("all", Self::All),
        ("empty", Self::Empty),
        ("null", Self::Null),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("eq", |(name, _)| name)
    }

    fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, one)| *one)
    }
}

/// Operators of a kind, the one that stands for itself (`filter[field]=value`) first.
pub(crate) fn operators(kind: Kind) -> &'static [Operator] {
    use Operator::{
        All, Any, Between, Contains, Empty, Ends, Eq, Gt, Gte, In, Lt, Lte, Ne, NotIn, Null, Starts,
    };
    match kind {
        Kind::Text { .. }
        | Kind::Slug
        | Kind::Email
        | Kind::Phone
        | Kind::Url
        | Kind::Language
        | Kind::TimeZone => &[Eq, Ne, In, NotIn, Contains, Starts, Ends, Null],
        Kind::Currency
        | Kind::Country
        | Kind::Choice(_)
        | Kind::Link { .. }
        | Kind::Id
        | Kind::File => &[Eq, Ne, In, NotIn, Null],
        Kind::Bool => &[Eq, Ne, Null],
        Kind::Integer { .. }
        | Kind::Decimal { .. }
        | Kind::Percent { .. }
        | Kind::Rate
        | Kind::Quantity { .. }
        | Kind::Duration
        | Kind::Date
        | Kind::Instant => &[Eq, Ne, Gt, Gte, Lt, Lte, Between, In, NotIn, Null],
        // A list of amounts would be a list of pairs: `or` says that.
        Kind::Money | Kind::Price => &[Eq, Ne, Gt, Gte, Lt, Lte, Between, Null],
        Kind::Rrule => &[Contains, Starts, Null],
        Kind::TextList { .. } => &[Contains, Any, All, Empty, Null],
        Kind::Json | Kind::Bytes { .. } | Kind::Geo => &[Null],
    }
}

/// A column that lists can filter, sort and group by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// In the table; a custom field's key.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Of a field that the organization added.
    custom: Option<CustomField>,
}

impl Column {
    pub(crate) fn own(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, custom: None }
    }

    /// As `engine::tell` names it.
    pub(crate) fn told(&self) -> String {
        match &self.custom {
            Some(field) => format!("{CUSTOM}{}", field.key),
            None => self.name.clone(),
        }
    }

    /// One that the organization added; of an amount, `currency` names the currency.
    fn custom(field: &CustomField, part: Option<&str>) -> Option<Self> {
        let kind = match (field.kind, part) {
            (kind, None) => kind,
            (Kind::Money, Some(CURRENCY)) => Kind::Currency,
            _ => return None,
        };
        Some(Self { name: field.key.clone(), kind, custom: Some(field.clone()) })
    }

    /// The value, of an amount its number. Keys of custom fields are the organization's own words:
    /// parameters.
    pub(crate) fn sql(&self, alias: &str, params: &mut Vec<Bound>) -> String {
        let Some(custom) = &self.custom else { return format!("{alias}.\"{}\"", self.name) };
        if custom.kind == Kind::Money && self.kind == Kind::Currency {
            return self.currency_sql(alias, params);
        }
        params.push(Bound::text(&custom.key));
        custom.value_sql(&format!("{alias}."), params.len())
    }

    /// The currency of an amount.
    pub(crate) fn currency_sql(&self, alias: &str, params: &mut Vec<Bound>) -> String {
        let Some(custom) = &self.custom else {
            return format!("{alias}.\"{}\"", currency_column(&self.name));
        };
        params.push(Bound::text(&custom.key));
        format!("({alias}.\"custom\" -> ${} ->> 'currency')", params.len())
    }
}

/// Standard columns and shown fields by name, and `<money>.currency`; with the field whose rights
/// decide, which standard columns do not have.
pub(crate) fn column(entity: &Entity, name: &str) -> Option<(Column, Option<&'static Field>)> {
    const WHOLE: Kind = Kind::Integer { min: i64::MIN, max: i64::MAX };
    let versioned = crate::ddl::is_versioned(entity);
    let standard = |name: &str, kind| Some((Column::own(name, kind), None));
    match name {
        "id" => standard("id", Kind::Id),
        "created_at" => standard("created_at", Kind::Instant),
        "updated_at" if versioned => standard("updated_at", Kind::Instant),
        "version" if versioned => standard("version", WHOLE),
        _ => {
            let (name, part) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
            let field = entity.field(name).filter(|field| !field.secret)?;
            let column = match (field.kind, part) {
                (_, None) => Column::own(field.name, field.kind),
                (Kind::Money | Kind::Price, Some(CURRENCY)) => {
                    Column::own(&currency_column(field.name), Kind::Currency)
                }
                _ => return None,
            };
            Some((column, Some(field)))
        }
    }
}

/// Like `column`, for a caller, with the organization's own fields as `custom.<key>`: 403 when it is
/// not readable on every row in reach. `refuse` says that there is none.
pub(crate) fn readable(
    entity: &Entity,
    access: &Access,
    custom: &Model,
    name: &str,
    parameter: &str,
    refuse: impl FnOnce() -> Error,
) -> Result<Column> {
    if let Some(key) = name.strip_prefix(CUSTOM) {
        let (key, part) = key.split_once('.').map_or((key, None), |(key, part)| (key, Some(part)));
        let found = custom.find(key).and_then(|field| Some((field, Column::custom(field, part)?)));
        let (field, column) = found.ok_or_else(refuse)?;
        if !access.shows_level(field.level) {
            let text = format!("{CUSTOM}{key} may not be read on every row");
            return Err(Error::field(Code::FieldNotPermitted, parameter, text));
        }
        return Ok(column);
    }
    let (column, field) = column(entity, name).ok_or_else(refuse)?;
    if let Some(field) = field {
        access.readable_everywhere(field).map_err(|error| error.at(parameter))?;
    }
    Ok(column)
}

/// Tests and how they are joined. A test of a null is false, also below `not`: every row is either
/// in a list or in the list of its negation.
pub(crate) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
    Test(Box<Test>),
}

pub(crate) struct Test {
    path: Path,
    check: Check,
    /// True where the check is not.
    negated: bool,
}

enum Path {
    Own(Column),
    /// A column of the row that a link names, as far as the caller reaches that row.
    Linked(Box<Linked>),
}

struct Linked {
    link: &'static Field,
    target: &'static Entity,
    access: Access,
    column: Column,
}

enum Check {
    Null,
    Empty,
    /// A list with something in it.
    Filled,
    /// SQL operator.
    Compare(&'static str, Bound),
    Between(Bound, Bound),
    OneOf(Bound),
    Like(Bound),
    Has(Bound),
    HasAny(Bound),
    HasAll(Bound),
    /// Of an amount, in one currency.
    Money(Box<Check>, Bound),
}

/// Where the tested columns are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// Of the table.
    pub(crate) alias: &'a str,
    pub(crate) org: Uuid,
}

impl Tree {
    /// Appends a condition in brackets, or `true`.
    pub(crate) fn sql(&self, scope: Scope<'_>, sql: &mut String, params: &mut Vec<Bound>) {
        match self {
            Self::All(parts) => join(parts, " and ", scope, sql, params),
            Self::Any(parts) => join(parts, " or ", scope, sql, params),
            Self::Not(part) => {
                sql.push('(');
                part.sql(scope, sql, params);
                sql.push_str(" is not true)");
            }
            Self::Test(test) => test.sql(scope, sql, params),
        }
    }

    /// Tests in it.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::len).sum(),
            Self::Not(part) => part.len(),
            Self::Test(_) => 1,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }

    /// Fields of the rows themselves that are tested, as `engine::tell` names them.
    pub(crate) fn own(&self) -> Vec<String> {
        let leaves = self.leaves().into_iter();
        let own = leaves.filter_map(|test| match &test.path {
            Path::Own(column) => Some(column.told()),
            Path::Linked(_) => None,
        });
        own.collect()
    }

    /// Fields of linked rows that are tested, each with what the caller reaches of them.
    pub(crate) fn linked(&self) -> Vec<(&'static Entity, &Access, String)> {
        let leaves = self.leaves().into_iter();
        let linked = leaves.filter_map(|test| match &test.path {
            Path::Linked(one) => Some((one.target, &one.access, one.column.told())),
            Path::Own(_) => None,
        });
        linked.collect()
    }

    fn leaves(&self) -> Vec<&Test> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::leaves).collect(),
            Self::Not(part) => part.leaves(),
            Self::Test(test) => vec![test],
        }
    }
}

fn join(parts: &[Tree], word: &str, scope: Scope<'_>, sql: &mut String, params: &mut Vec<Bound>) {
    if parts.is_empty() {
        sql.push_str("true");
        return;
    }
    for (place, part) in parts.iter().enumerate() {
        sql.push_str(if place == 0 { "(" } else { word });
        part.sql(scope, sql, params);
    }
    sql.push(')');
}

impl Test {
    fn sql(&self, scope: Scope<'_>, sql: &mut String, params: &mut Vec<Bound>) {
        match &self.path {
            Path::Own(column) => self.check(scope.alias, column, sql, params),
            Path::Linked(linked) => {
                let Linked { link, target, access, column } = &**linked;
                params.push(Bound::uuid(scope.org));
                let (org, alias) = (params.len(), scope.alias);
                push(
                    sql,
                    &format!(
                        "exists (select from \"{}\" f where f.org_id = ${org} \
                         and f.id = {alias}.\"{}\"",
                        target.name, link.name
                    ),
                );
                if target.soft_deletes() {
                    sql.push_str(" and f.deleted_at is null");
                }
                access.rows_sql(Some("f"), sql, params);
                sql.push_str(" and ");
                self.check("f", column, sql, params);
                sql.push(')');
            }
        }
    }

    fn check(&self, alias: &str, column: &Column, sql: &mut String, params: &mut Vec<Bound>) {
        if self.negated {
            sql.push_str("((");
        }
        self.check.sql(alias, column, sql, params);
        if self.negated {
            sql.push_str(") is not true)");
        }
    }
}

impl Check {
    fn sql(&self, alias: &str, column: &Column, sql: &mut String, params: &mut Vec<Bound>) {
        if let Self::Money(check, currency) = self {
            let place = column.currency_sql(alias, params);
            params.push(currency.clone());
            push(sql, &format!("({place} = ${} and ", params.len()));
            check.sql(alias, column, sql, params);
            sql.push(')');
            return;
        }
        let name = column.sql(alias, params);
        let mut bind = |value: &Bound| {
            params.push(value.clone());
            params.len()
        };
        let text = match self {
            Self::Null => format!("{name} is null"),
            Self::Empty => format!("cardinality({name}) = 0"),
            Self::Filled => format!("cardinality({name}) > 0"),
            Self::Compare(operator, value) => format!("{name} {operator} ${}", bind(value)),
            Self::Between(from, until) => {
                format!("{name} between ${} and ${}", bind(from), bind(until))
            }
            Self::OneOf(values) => format!("{name} = any(${})", bind(values)),
            Self::Like(pattern) => format!("{name} ilike ${}", bind(pattern)),
            Self::Has(value) => format!("${} = any({name})", bind(value)),
            Self::HasAny(values) => format!("{name} && ${}", bind(values)),
            Self::HasAll(values) => format!("{name} @> ${}", bind(values)),
            Self::Money(..) => return,
        };
        sql.push_str(&text);
    }
}

/// Writing to a `String` cannot fail.
pub(crate) fn push(sql: &mut String, text: &str) {
    let written = sql.write_str(text);
    debug_assert!(written.is_ok());
}

/// A filter that cannot be applied, and where it stands in the query.
pub(super) fn refuse(place: &str, message: impl Into<String>) -> Error {
    let shown: String = place.chars().take(PLACE_CHARS_MAX).collect();
    Error::field(Code::InvalidFilter, shown, message)
}

/// Characters of a caller's own text in an error.
const PLACE_CHARS_MAX: usize = 100;

/// Who a query may mean with `me`.
fn me(actor: &Actor) -> Option<Uuid> {
    actor.user()
}

/// The entity behind a link that filters and includes may follow.
pub(crate) fn followed(
    registry: &Registry,
    entity: &Entity,
    link: &Field,
) -> Option<&'static Entity> {
    let target = registry.target(entity, link.name)?;
    (target.scope == crate::entity::Scope::Tenant && target.operations.read).then_some(target)
}
