//! Durations: ISO 8601 text of weeks, days, hours, minutes and seconds to whole seconds, and back.

use jiff::SignedDuration;

use super::{Decoded, refuse};
use crate::error::Code;
use crate::kind_sql::DURATION_SECONDS_MAX;

/// Unit letters in their order, before and after the `T`, with their seconds.
const DATE_UNITS: &[(char, i64)] = &[('W', 604_800), ('D', 86_400)];
const TIME_UNITS: &[(char, i64)] = &[('H', 3_600), ('M', 60), ('S', 1)];

/// `P1DT2H` is 93,600.
pub(super) fn seconds(text: &str) -> Decoded<i64> {
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let Some(total) = rest.strip_prefix('P').and_then(total) else {
        return refuse(
            Code::InvalidFormat,
            "must be an ISO 8601 duration of weeks, days, hours, minutes and whole seconds, \
             like PT1H30M",
        );
    };
    if DURATION_SECONDS_MAX < total {
        return refuse(
            Code::OutOfRange,
            format!("must be at most {DURATION_SECONDS_MAX} seconds long"),
        );
    }
    Ok(sign * total)
}

/// The one way in which the API writes a duration: hours, minutes and seconds.
pub(crate) fn text(seconds: i64) -> String {
    SignedDuration::from_secs(seconds).to_string()
}

/// What stands behind the `P`; more than fits counts as too long, not as broken.
fn total(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None if text.is_empty() => return None,
        None => (text, ""),
    };
    Some(units(date, DATE_UNITS)?.saturating_add(units(time, TIME_UNITS)?))
}

/// Each unit at most once and in its order; `None` when the text is anything else.
fn units(text: &str, known: &[(char, i64)]) -> Option<i64> {
    let (mut rest, mut known, mut sum) = (text, known.iter(), 0_i64);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, unit) = rest.split_at(end);
        if digits.is_empty() {
            return None;
        }
        let letter = unit.chars().next()?;
        let (_, length) = known.find(|(own, _)| *own == letter)?;
        let number: i64 = digits.parse().unwrap_or(i64::MAX);
        sum = sum.saturating_add(number.saturating_mul(*length));
        rest = unit.get(1..)?;
    }
    Some(sum)
}
