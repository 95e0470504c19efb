//! When a schedule comes: pure, from its row and the time. Runs that nobody could begin in time come
//! once, and the next time lies after now.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::clock::after;
use crate::cron::Expression;
use crate::error::{Code, Error, Result};

#[derive(Debug)]
pub(super) enum Timing {
    Cron(Expression),
    EveryMinutes(i64),
    Once(Timestamp),
}

impl Timing {
    /// From a row as the API shows it.
    pub(super) fn of(row: &Map<String, Value>) -> Result<Self> {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let zone = text("zone").unwrap_or("UTC");
        let every = row.get("every_minutes").and_then(Value::as_i64);
        match (text("cron"), every, super::moment(row, "at")?) {
            (Some(cron), None, None) => Self::cron(cron, zone),
            (None, Some(minutes), None) => Ok(Self::EveryMinutes(minutes)),
            (None, None, Some(at)) => Ok(Self::Once(at)),
            _ => Err(Error::field(Code::InvalidValue, "cron", super::ONE_OF)),
        }
    }

    fn cron(text: &str, zone: &str) -> Result<Self> {
        Expression::parse(text, zone).map(Self::Cron).map_err(|fault| {
            let field = if fault.ends_with("is no time zone") { "zone" } else { "cron" };
            Error::field(Code::InvalidValue, field, fault)
        })
    }

    /// The first time after it was written.
    pub(super) fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(expression) => expression.next(now),
            Self::EveryMinutes(minutes) => Some(after(now, SignedDuration::from_mins(*minutes))),
            Self::Once(at) => Some(*at).filter(|at| now < *at),
        }
    }

    /// The time after the one that was due, the first that lies after now. An interval keeps its
    /// beat: it is counted from due times, not from runs.
    pub(super) fn next(&self, due: Timestamp, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(expression) => expression.next(now.max(due)),
            Self::EveryMinutes(minutes) => {
                let beat = SignedDuration::from_mins(*minutes);
                let passed = now.duration_since(due).as_secs().max(0);
                let beats = passed.checked_div(beat.as_secs())?.saturating_add(1);
                let ahead = beat.as_secs().saturating_mul(beats);
                Some(after(due, SignedDuration::from_secs(ahead)))
            }
            Self::Once(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
