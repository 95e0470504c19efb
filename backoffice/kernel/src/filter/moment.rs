//! Dates and instants that are said relative to now, in a zone: `today`, `-7d`,
//! `start_of_month-1m`. Now is given, so that all pages of a list mean the same moment.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Zoned};

/// Largest number of units in an offset.
const OFFSET_MAX: i64 = 9_999;
/// Offsets behind a base.
const OFFSETS_MAX: usize = 4;

/// Now, and the zone in which days begin.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    now: Zoned,
}

type Read<T> = Result<T, String>;

/// Where a text begins: the moment itself, or an edge of the period around it.
#[derive(Clone, Copy)]
enum Base {
    Now,
    Day(i64),
    Start(Period),
    End(Period),
}

#[derive(Clone, Copy)]
enum Period {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

const BASES: &[(&str, Base)] = &[
    ("now", Base::Now),
    ("today", Base::Day(0)),
    ("yesterday", Base::Day(-1)),
    ("tomorrow", Base::Day(1)),
    ("start_of_day", Base::Start(Period::Day)),
    ("start_of_week", Base::Start(Period::Week)),
    ("start_of_month", Base::Start(Period::Month)),
    ("start_of_quarter", Base::Start(Period::Quarter)),
    ("start_of_year", Base::Start(Period::Year)),
    ("end_of_day", Base::End(Period::Day)),
    ("end_of_week", Base::End(Period::Week)),
    ("end_of_month", Base::End(Period::Month)),
    ("end_of_quarter", Base::End(Period::Quarter)),
    ("end_of_year", Base::End(Period::Year)),
];

impl Moment {
    /// `now` to the microsecond, as the database keeps instants.
    pub(crate) fn new(now: Timestamp, zone: TimeZone) -> Self {
        let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        Self { now: now.to_zoned(zone) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now.timestamp()
    }

    /// IANA name of the zone.
    pub(crate) fn zone(&self) -> &str {
        self.now.time_zone().iana_name().unwrap_or("UTC")
    }

    /// Absolute values begin with a digit.
    pub(crate) fn is_relative(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_lowercase() || c == '+' || c == '-')
    }

    /// The day; without a base, offsets count from today.
    pub(crate) fn date(&self, text: &str) -> Read<Date> {
        let (base, offsets) =
            parse(text, &["d", "w", "m", "q", "y"], "today, -7d, start_of_month")?;
        let at = self.at(base.unwrap_or(Base::Day(0)), offsets)?;
        Some(at.date()).filter(|date| (1..=9998).contains(&date.year())).ok_or_else(too_far)
    }

    /// The instant: a day's word is its first, an end is the last microsecond; without a base,
    /// offsets count from now.
    pub(crate) fn instant(&self, text: &str) -> Read<Timestamp> {
        let units = ["h", "d", "w", "m", "q", "y"];
        let (base, offsets) = parse(text, &units, "now, today, -7d, start_of_month")?;
        let at = self.at(base.unwrap_or(Base::Now), offsets)?;
        Some(at)
            .filter(|at| (1..=9998).contains(&at.year()))
            .map(|at| at.timestamp())
            .ok_or_else(too_far)
    }

    /// Offsets count from where the base's period begins, so that `end_of_month-1m` is an end of a
    /// month and `start_of_week+2d` a Wednesday.
    fn at(&self, base: Base, offsets: Vec<Span>) -> Read<Zoned> {
        moved(&self.now, base, offsets).map_err(|_| too_far())
    }
}

/// Days are counted in the calendar and begin where the zone's day does: midnight, or later where
/// the clocks go forward over it. Hours are added last, as they pass.
fn moved(now: &Zoned, base: Base, offsets: Vec<Span>) -> Result<Zoned, jiff::Error> {
    let (first, length) = match base {
        Base::Now => return offsets.into_iter().try_fold(now.clone(), |at, by| at.checked_add(by)),
        Base::Day(days) => (now.date().checked_add(days.days())?, None),
        Base::Start(period) => (start(now.date(), period)?, None),
        Base::End(period) => (start(now.date(), period)?, Some(length(period))),
    };
    let mut date = first;
    let mut hours = Span::new();
    for by in offsets {
        if by.get_hours() == 0 {
            date = date.checked_add(by)?;
        } else {
            hours = hours.checked_add(by)?;
        }
    }
    let zone = now.time_zone().clone();
    let edge = match length {
        None => date.to_zoned(zone)?,
        Some(length) => date.checked_add(length)?.to_zoned(zone)?.checked_sub(1.microsecond())?,
    };
    edge.checked_add(hours)
}

fn too_far() -> String {
    "is too far from now".to_owned()
}

fn length(period: Period) -> Span {
    match period {
        Period::Day => 1.day(),
        Period::Week => 1.week(),
        Period::Month => 1.month(),
        Period::Quarter => 3.months(),
        Period::Year => 1.year(),
    }
}

/// Weeks begin on Monday (ISO 8601).
fn start(date: Date, period: Period) -> Result<Date, jiff::Error> {
    Ok(match period {
        Period::Day => date,
        Period::Week => {
            let days = i64::from(date.weekday().since(Weekday::Monday));
            date.checked_sub(days.days())?
        }
        Period::Month => date.first_of_month(),
        Period::Quarter => {
            let month = date.month() - (date.month() - 1) % 3;
            Date::new(date.year(), month, 1)?
        }
        Period::Year => date.first_of_year(),
    })
}

fn parse(text: &str, units: &[&str], examples: &str) -> Read<(Option<Base>, Vec<Span>)> {
    let refuse = || format!("must be absolute or relative like {examples}");
    let split = text.find(['+', '-']).unwrap_or(text.len());
    let (head, mut rest) = text.split_at(split);
    let base = match head {
        "" => None,
        name => {
            let known = BASES.iter().find(|(known, _)| *known == name);
            Some(known.map(|(_, base)| *base).ok_or_else(refuse)?)
        }
    };
    let mut offsets = Vec::new();
    while let Some(sign) = rest.chars().next() {
        let tail = rest.get(1..).unwrap_or_default();
        let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = tail.split_at(digits);
        let unit = tail.get(..1).filter(|unit| units.contains(unit)).ok_or_else(refuse)?;
        let number: i64 = number.parse().ok().filter(|n| *n <= OFFSET_MAX).ok_or_else(refuse)?;
        let number = if sign == '-' { -number } else { number };
        offsets.push(span(number, unit).map_err(|_| too_far())?);
        rest = tail.get(1..).unwrap_or_default();
        if !rest.is_empty() && !rest.starts_with(['+', '-']) || offsets.len() > OFFSETS_MAX {
            return Err(refuse());
        }
    }
    if base.is_none() && offsets.is_empty() { Err(refuse()) } else { Ok((base, offsets)) }
}

fn span(number: i64, unit: &str) -> Result<Span, jiff::Error> {
    let span = Span::new();
    match unit {
        "h" => span.try_hours(number),
        "d" => span.try_days(number),
        "w" => span.try_weeks(number),
        "m" => span.try_months(number),
        "q" => span.try_months(number.saturating_mul(3)),
        _ => span.try_years(number),
    }
}
