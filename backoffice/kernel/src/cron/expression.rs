//! Times as crontab(5) writes them, read in a zone: minute, hour, day of month, month, day of week.
//! Lists, ranges, steps and English names; when both days are restricted, either will do.
//!
//! Where a zone changes its clock: a local time that is skipped comes as much later as the clock
//! was put forward (RFC 5545, 3.3.5); one that comes twice counts the first time. An hour of `*`
//! means every hour that passes: it comes in both, and never in a skipped one's place.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Days that are looked at: the longest gap, from one 29 February to the next over a year like
/// 2100, is eight years.
const DAYS_MAX: u32 = 366 * 8 + 1;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

#[derive(Debug, Clone)]
pub struct Expression {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    zone: TimeZone,
}

/// Numbers below 64, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Set {
    bits: u64,
    /// Written as `*` (with or without a step), which crontab treats apart for the two days.
    star: bool,
    /// Without a step: every one.
    every: bool,
}

impl Set {
    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| self.bits >> number & 1 == 1)
    }
}

impl Expression {
    /// Reads five fields and an IANA zone; the error says which part is wrong.
    pub fn parse(text: &str, zone: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = parts.as_slice() else {
            return Err("has five fields: minute, hour, day of month, month, day of week".into());
        };
        let mut weekdays = set(weekdays, "day of week", 0, 7, &WEEKDAYS, 0)?;
        // Sunday is 0 and 7.
        weekdays.bits |= weekdays.bits >> 7 & 1;
        let zone = TimeZone::get(zone).map_err(|_| format!("{zone} is no time zone"))?;
        let expression = Self {
            minutes: set(minutes, "minute", 0, 59, &[], 0)?,
            hours: set(hours, "hour", 0, 23, &[], 0)?,
            days: set(days, "day of month", 1, 31, &[], 0)?,
            months: set(months, "month", 1, 12, &MONTHS, 1)?,
            weekdays,
            zone,
        };
        match expression.next(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(expression),
            None => Err("names a day that never comes".to_owned()),
        }
    }

    /// The first time after `now`; `None` at the end of time.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let here = now.to_zoned(self.zone.clone());
        // A skipped time of yesterday may come today.
        let mut date = here.date().yesterday().ok()?;
        for _ in 0..DAYS_MAX {
            if self.is_day(date) {
                let next = self.times(date).into_iter().filter(|time| *time > now).min();
                if next.is_some() {
                    return next;
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn is_day(&self, date: Date) -> bool {
        let by_month = self.days.has(date.day());
        let by_week = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        let day = match (self.days.star, self.weekdays.star) {
            (false, false) => by_month || by_week,
            _ => by_month && by_week,
        };
        day && self.months.has(date.month())
    }

    fn times(&self, date: Date) -> Vec<Timestamp> {
        let hours = (0..24).filter(|hour| self.hours.has(*hour));
        let mut times = Vec::new();
        for hour in hours {
            for minute in (0..60).filter(|minute| self.minutes.has(*minute)) {
                times.extend(self.instants(date.at(hour, minute, 0, 0)));
            }
        }
        times
    }

    /// When the clocks of the zone show this.
    fn instants(&self, local: DateTime) -> Vec<Timestamp> {
        let at = |offset: jiff::tz::Offset| offset.to_timestamp(local).ok();
        let both = match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => [at(offset), None],
            AmbiguousOffset::Gap { .. } if self.hours.every => [None, None],
            AmbiguousOffset::Gap { before, .. } => [at(before), None],
            AmbiguousOffset::Fold { before, after } if self.hours.every => [at(before), at(after)],
            AmbiguousOffset::Fold { before, .. } => [at(before), None],
        };
        both.into_iter().flatten().collect()
    }
}

/// `names` stand for numbers from `first_name` on.
fn set(
    text: &str,
    field: &str,
    min: u8,
    max: u8,
    names: &[&str],
    first_name: u8,
) -> Result<Set, String> {
    let fault = |part: &str| format!("{field}: {part:?} is not within {min} to {max}");
    let number = |part: &str| -> Result<u8, String> {
        let named = names.iter().position(|name| part.eq_ignore_ascii_case(name));
        let number = match named {
            Some(place) => u8::try_from(place).ok().map(|place| place + first_name),
            // A plus sign is a number for `parse`, not for crontab.
            None if part.bytes().all(|byte| byte.is_ascii_digit()) => part.parse().ok(),
            None => None,
        };
        number.filter(|number| (min..=max).contains(number)).ok_or_else(|| fault(part))
    };
    let mut all = Set { bits: 0, star: text.starts_with('*'), every: text == "*" };
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step = step.parse::<u8>().ok().filter(|step| *step > 0 && *step <= max);
                (range, Some(step.ok_or_else(|| format!("{field}: {part:?} has no such step"))?))
            }
            None => (part, None),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (min, max),
            (_, Some((from, to))) => (number(from)?, number(to)?),
            // `5/10` begins at 5 and goes on to the end.
            (one, None) if step.is_some() => (number(one)?, max),
            (one, None) => (number(one)?, number(one)?),
        };
        if to < from {
            return Err(format!("{field}: {part:?} ends before it begins"));
        }
        for number in (from..=to).step_by(usize::from(step.unwrap_or(1))) {
            all.bits |= 1 << number;
        }
    }
    Ok(all)
}
