//! Groups of a list with figures of each: `group=status,starts_at:month` and
//! `aggregate=count,sum:price`. What they are in SQL stands in `engine/list/groups`.

use super::order::{self, SORT_CHARS_MAX, SortKey};
use super::{Asking, bad};
use crate::engine::{is_amount, is_number};
use crate::entity::Kind;
use crate::error::Result;
use crate::filter::{self, Column, Moment};

/// Keys of one grouping.
pub(crate) const KEYS_MAX: usize = 3;
/// Figures of one grouping.
pub(crate) const FIGURES_MAX: usize = 12;
/// Rows shown of each group.
pub(crate) const ROWS_MAX: u32 = 50;
/// Groups of one page when rows are shown of each.
pub(crate) const GROUPS_WITH_ROWS_MAX: u32 = 50;

#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) keys: Vec<GroupKey>,
    pub(crate) figures: Vec<Figure>,
    /// First rows of each group, for boards.
    pub(crate) rows: Option<u32>,
    /// Zone in which days begin.
    pub(crate) zone: String,
}

#[derive(Debug)]
pub(crate) struct GroupKey {
    /// As asked: `starts_at:month`.
    pub(crate) name: String,
    pub(crate) column: Column,
    /// Period that the value is cut to: `month`, as `date_trunc` says it.
    pub(crate) period: Option<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) function: Function,
    /// Field as asked; empty for `count`.
    pub(crate) field: String,
    /// Absent for `count`.
    pub(crate) column: Option<Column>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Count,
    CountDistinct,
    Sum,
    Avg,
    Min,
    Max,
}

impl Function {
    pub(crate) const NAMES: &[(&'static str, Self)] = &[
        ("count", Self::Count),
        ("count_distinct", Self::CountDistinct),
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("min", Self::Min),
        ("max", Self::Max),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, one)| *one == self).map_or("count", |(name, _)| name)
    }

    fn takes(self, kind: Kind) -> bool {
        let number = is_number(kind) || is_amount(kind);
        match self {
            Self::Count => false,
            Self::CountDistinct => !matches!(kind, Kind::Json | Kind::Geo) && !is_amount(kind),
            Self::Sum | Self::Avg => number,
            Self::Min | Self::Max => number || matches!(kind, Kind::Date | Kind::Instant),
        }
    }
}

const PERIODS: &[&str] = &["day", "week", "month", "quarter", "year"];

/// What `group` takes of a field of this kind, after its name: nothing, `:month`, `.currency`. Empty
/// where the field cannot be grouped by.
pub(crate) fn key_endings(kind: Kind) -> Vec<String> {
    let periods = || PERIODS.iter().map(|period| format!(":{period}"));
    match kind {
        Kind::Date => std::iter::once(String::new()).chain(periods()).collect(),
        Kind::Instant => periods().collect(),
        kind if is_amount(kind) => vec![".currency".to_owned()],
        kind if is_plain_key(kind) => vec![String::new()],
        _ => Vec::new(),
    }
}

/// Figures that `aggregate` takes of a field of this kind.
pub(crate) fn functions(kind: Kind) -> Vec<&'static str> {
    let takes = Function::NAMES.iter().filter(|(_, function)| function.takes(kind));
    takes.map(|(name, _)| *name).collect()
}

/// Whether rows are grouped by values of this kind as they stand.
fn is_plain_key(kind: Kind) -> bool {
    match kind {
        Kind::Text { max } => max <= SORT_CHARS_MAX,
        kind => order::has_order(kind),
    }
}

impl GroupKey {
    /// Kind of the group's value: a period is named by its first day.
    pub(crate) fn kind(&self) -> Kind {
        if self.period.is_some() { Kind::Date } else { self.column.kind }
    }
}

pub(super) fn read(
    asking: Asking<'_>,
    moment: &Moment,
    keys: &str,
    aggregate: Option<&str>,
    rows: Option<u32>,
) -> Result<Groups> {
    let keys: Vec<GroupKey> =
        keys.split(',').map(|text| key(asking, text)).collect::<Result<_>>()?;
    let figures = aggregate.unwrap_or("count").split(',');
    let figures: Vec<Figure> = figures.map(|text| figure(asking, text)).collect::<Result<_>>()?;
    if keys.len() > KEYS_MAX {
        return Err(bad("group", format!("takes at most {KEYS_MAX} keys")));
    }
    if figures.len() > FIGURES_MAX {
        return Err(bad("aggregate", format!("takes at most {FIGURES_MAX} figures")));
    }
    let twice = |at: usize, name: &str| keys.iter().take(at).any(|key| key.name == name);
    if let Some((_, key)) = keys.iter().enumerate().find(|(at, key)| twice(*at, &key.name)) {
        return Err(bad("group", format!("{} stands there twice", key.name)));
    }
    let same = |a: &Figure, b: &Figure| a.function == b.function && a.field == b.field;
    let again = figures
        .iter()
        .enumerate()
        .find(|(at, one)| figures.iter().take(*at).any(|other| same(one, other)));
    if again.is_some() {
        return Err(bad("aggregate", "a figure stands there twice"));
    }
    Ok(Groups { keys, figures, rows, zone: moment.zone().to_owned() })
}

fn key(asking: Asking<'_>, text: &str) -> Result<GroupKey> {
    const NAME: &str = "group";
    let (name, period) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)));
    let nothing = || bad(NAME, "names a field that there is not");
    let Asking { entity, access, custom, .. } = asking;
    let column = filter::readable(entity, access, custom, name, NAME, nothing)?;
    let period = period
        .map(|period| {
            let known = PERIODS.iter().find(|known| **known == period).copied();
            known.ok_or_else(|| bad(NAME, format!("periods are: {}", PERIODS.join(", "))))
        })
        .transpose()?;
    let fits = match column.kind {
        Kind::Date => true,
        Kind::Instant if period.is_none() => {
            return Err(bad(NAME, format!("{name} needs a period, as {name}:day")));
        }
        Kind::Instant => true,
        _ if period.is_some() => return Err(bad(NAME, format!("{name} has no periods"))),
        kind if is_amount(kind) => return Err(bad(NAME, format!("group by {name}.currency"))),
        kind => is_plain_key(kind),
    };
    if !fits {
        return Err(bad(NAME, format!("{name} cannot be grouped by")));
    }
    Ok(GroupKey { name: text.to_owned(), column, period })
}

fn figure(asking: Asking<'_>, text: &str) -> Result<Figure> {
    const NAME: &str = "aggregate";
    let (function, field) = text.split_once(':').map_or((text, None), |(a, b)| (a, Some(b)));
    let known = Function::NAMES.iter().find(|(name, _)| *name == function).map(|(_, one)| *one);
    let Some(function) = known else {
        let names: Vec<&str> = Function::NAMES.iter().map(|(name, _)| *name).collect();
        return Err(bad(NAME, format!("figures are: {}", names.join(", "))));
    };
    let Some(field) = field else {
        if function == Function::Count {
            return Ok(Figure { function, field: String::new(), column: None });
        }
        let name = function.name();
        return Err(bad(NAME, format!("{name} needs a field, as {name}:field")));
    };
    let nothing = || bad(NAME, "names a field that there is not");
    let Asking { entity, access, custom, .. } = asking;
    let column = filter::readable(entity, access, custom, field, NAME, nothing)?;
    if !function.takes(column.kind) {
        return Err(bad(NAME, format!("{} cannot be taken of {field}", function.name())));
    }
    Ok(Figure { function, field: field.to_owned(), column: Some(column) })
}

impl Groups {
    /// By a key's name or by `count`; all keys come last, so that the order is total.
    pub(super) fn order(&self, text: Option<&str>) -> Result<Vec<SortKey>> {
        let mut order: Vec<SortKey> = Vec::new();
        let sql = |n: usize| format!("g.\"@g{n}\"");
        for part in text.into_iter().flat_map(|text| text.split(',')) {
            let (name, descending) = order::direction(part);
            let place = self.keys.iter().position(|key| key.name == name);
            let one = match place.and_then(|n| self.keys.get(n).map(|key| (n, key))) {
                Some((n, key)) => order::key(&sql(n), key.kind(), descending),
                None if name == "count" => {
                    let kind = Kind::Integer { min: 0, max: i64::MAX };
                    order::key("g.\"@n\"", kind, descending)
                }
                None => return Err(order::refuse("groups are sorted by their keys and by count")),
            };
            if order.iter().any(|other| other.is_like(&one)) {
                return Err(order::refuse(format!("{name} stands there twice")));
            }
            order.push(one);
        }
        for (n, key) in self.keys.iter().enumerate() {
            let one = order::key(&sql(n), key.kind(), false);
            if !order.iter().any(|other| other.is_like(&one)) {
                order.push(one);
            }
        }
        Ok(order)
    }
}
