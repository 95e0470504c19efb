//! Recurrence rules: whether a text is a `RECUR` value of RFC 5545, section 3.3.10, with every
//! combination that the section forbids refused. What a rule expands to is not known here.

use jiff::civil::{Date, DateTime};

use super::{Decoded, refuse};
use crate::error::Code;
use crate::kind_sql::RRULE_CHARS_MAX;

const FREQUENCIES: &[&str] =
    &["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"];
const WEEKDAYS: &[&str] = &["SU", "MO", "TU", "WE", "TH", "FR", "SA"];
/// Numbers in one list; the longest that makes sense is every second of a minute.
const LIST_MAX: usize = 366;
/// Occurrences, and units from one to the next.
const NUMBER_MAX: u32 = 1_000_000;

/// The rule as it was given.
pub(super) fn rule(text: &str) -> Decoded<String> {
    match fault(text) {
        None => Ok(text.to_owned()),
        Some(words) => {
            refuse(Code::InvalidFormat, format!("must be a recurrence rule (RFC 5545): {words}"))
        }
    }
}

fn fault(text: &str) -> Option<&'static str> {
    if RRULE_CHARS_MAX < text.len() {
        return Some("it is too long");
    }
    let mut parts: Vec<(&str, &str)> = Vec::new();
    for part in text.split(';') {
        let Some((name, value)) = part.split_once('=') else {
            return Some("its parts are NAME=value, separated by semicolons");
        };
        if parts.iter().any(|(own, _)| *own == name) {
            return Some("a part stands there twice");
        }
        parts.push((name, value));
    }
    let get = |name: &str| parts.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    let Some(frequency) = get("FREQ") else { return Some("FREQ is missing") };
    if !FREQUENCIES.contains(&frequency) {
        return Some("FREQ is none that the standard knows");
    }
    if get("UNTIL").is_some() && get("COUNT").is_some() {
        return Some("UNTIL and COUNT exclude each other");
    }
    let by = parts.iter().any(|(name, _)| name.starts_with("BY") && *name != "BYSETPOS");
    if get("BYSETPOS").is_some() && !by {
        return Some("BYSETPOS needs another BY part");
    }
    let wrong = parts.iter().find_map(|(name, value)| part_fault(name, value));
    wrong.or_else(|| forbidden(frequency, &get))
}

fn part_fault(name: &str, value: &str) -> Option<&'static str> {
    let (good, words) = match name {
        "FREQ" => (true, ""),
        "UNTIL" => {
            (is_until(value), "UNTIL is a date like 20261224 or a time like 20261224T180000Z")
        }
        "COUNT" => (is_number(value), "COUNT is a whole number from 1 to 1000000"),
        "INTERVAL" => (is_number(value), "INTERVAL is a whole number from 1 to 1000000"),
        "WKST" => (WEEKDAYS.contains(&value), "WKST is a day like MO"),
        "BYDAY" => (listed(value, is_weekday), "BYDAY lists days like MO, 1SU or -1FR"),
        "BYSECOND" => (listed(value, |one| within(one, 0, 60)), "BYSECOND lists 0 to 60"),
        "BYMINUTE" => (listed(value, |one| within(one, 0, 59)), "BYMINUTE lists 0 to 59"),
        "BYHOUR" => (listed(value, |one| within(one, 0, 23)), "BYHOUR lists 0 to 23"),
        "BYMONTH" => (listed(value, |one| within(one, 1, 12)), "BYMONTH lists 1 to 12"),
        "BYMONTHDAY" => {
            (listed(value, |one| signed(one, 31)), "BYMONTHDAY lists 1 to 31 or -1 to -31")
        }
        "BYYEARDAY" => {
            (listed(value, |one| signed(one, 366)), "BYYEARDAY lists 1 to 366 or -1 to -366")
        }
        "BYWEEKNO" => (listed(value, |one| signed(one, 53)), "BYWEEKNO lists 1 to 53 or -1 to -53"),
        "BYSETPOS" => {
            (listed(value, |one| signed(one, 366)), "BYSETPOS lists 1 to 366 or -1 to -366")
        }
        _ => (false, "a part is none that the standard knows"),
    };
    if good { None } else { Some(words) }
}

/// Parts that the standard forbids beside a frequency.
fn forbidden<'a>(frequency: &str, get: &dyn Fn(&str) -> Option<&'a str>) -> Option<&'static str> {
    let numbered = get("BYDAY").is_some_and(|days| days.bytes().any(|b| b.is_ascii_digit()));
    if numbered && !matches!(frequency, "MONTHLY" | "YEARLY") {
        return Some("BYDAY takes a number with MONTHLY and YEARLY alone");
    }
    if numbered && get("BYWEEKNO").is_some() {
        return Some("BYDAY takes no number beside BYWEEKNO");
    }
    if get("BYMONTHDAY").is_some() && frequency == "WEEKLY" {
        return Some("BYMONTHDAY does not go with WEEKLY");
    }
    if get("BYYEARDAY").is_some() && matches!(frequency, "DAILY" | "WEEKLY" | "MONTHLY") {
        return Some("BYYEARDAY does not go with DAILY, WEEKLY and MONTHLY");
    }
    if get("BYWEEKNO").is_some() && frequency != "YEARLY" {
        return Some("BYWEEKNO goes with YEARLY alone");
    }
    None
}

fn listed(value: &str, is_one: impl Fn(&str) -> bool) -> bool {
    value.split(',').count() <= LIST_MAX && value.split(',').all(is_one)
}

/// One to `digits` digits and nothing else.
fn digits(text: &str, most: usize) -> Option<u32> {
    let plain = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn within(text: &str, least: u32, most: u32) -> bool {
    digits(text, 2).is_some_and(|number| (least..=most).contains(&number))
}

/// 1 to `most`, counted from the end with a minus in front.
fn signed(text: &str, most: u32) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits(text, 3).is_some_and(|number| (1..=most).contains(&number))
}

fn is_number(text: &str) -> bool {
    digits(text, 7).is_some_and(|number| (1..=NUMBER_MAX).contains(&number))
}

fn is_weekday(text: &str) -> bool {
    let Some((number, day)) = text.split_at_checked(text.len().saturating_sub(2)) else {
        return false;
    };
    WEEKDAYS.contains(&day) && (number.is_empty() || signed(number, 53))
}

/// `DATE` or `DATE-TIME` of the standard: basic form, no leap second, UTC or local.
fn is_until(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if text.len() == 8 {
        return digits(text) && Date::strptime("%Y%m%d", text).is_ok();
    }
    let local = text.strip_suffix('Z').unwrap_or(text);
    let Some((date, time)) = local.split_once('T') else { return false };
    (date.len(), time.len()) == (8, 6)
        && digits(date)
        && digits(time)
        && DateTime::strptime("%Y%m%dT%H%M%S", local).is_ok()
}

#[cfg(test)]
mod tests;
