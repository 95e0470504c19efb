//! Instants of the inventory: milliseconds since the Unix epoch, RFC 3339 on the wire. Knows no
//! time zones; clocks are handed in.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, Error as _};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Milliseconds since 1970-01-01T00:00Z. As JSON text: `"2026-11-21T19:05:00.123Z"`, always with
/// three digits of fraction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Millis(pub i64);

pub const SECOND_MS: i64 = 1_000;
pub const HOUR_MS: i64 = 3_600 * SECOND_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

impl Millis {
    /// 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what RFC 3339 can say.
    pub const MIN: Self = Self(-62_167_219_200_000);
    pub const MAX: Self = Self(253_402_300_799_999);

    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    #[must_use]
    pub fn plus_s(self, s: u32) -> Self {
        self.plus_ms(i64::from(s).saturating_mul(SECOND_MS))
    }

    /// Reads RFC 3339 with any offset; finer fractions than milliseconds are cut off. A leap
    /// second (`:60`) counts as the second after it.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| format!("{:?} is not an RFC 3339 instant", short(text)))
    }
}

/// Where the time comes from: passed in, so that tests decide it.
pub trait Clock: Send + Sync {
    fn now(&self) -> Millis;
}

pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that is handed in")]
    fn now(&self) -> Millis {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Millis(i64::try_from(since.as_millis()).unwrap_or(Millis::MAX.0))
    }
}

/// A clock that stands until it is moved.
#[cfg(feature = "testing")]
#[derive(Debug)]
pub struct ManualClock(std::sync::atomic::AtomicI64);

#[cfg(feature = "testing")]
impl ManualClock {
    pub fn at(now: Millis) -> Arc<Self> {
        Arc::new(Self(now.0.into()))
    }

    pub fn set(&self, now: Millis) {
        self.0.store(now.0, std::sync::atomic::Ordering::SeqCst);
    }

    /// Forward, or backward when negative.
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(feature = "testing")]
impl Clock for ManualClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(DAY_MS);
        let of_day = self.0.rem_euclid(DAY_MS);
        let (year, month, day) = civil_from_days(days);
        let (seconds, ms) = (of_day.div_euclid(SECOND_MS), of_day.rem_euclid(SECOND_MS));
        let (minutes, second) = (seconds.div_euclid(60), seconds.rem_euclid(60));
        let (hour, minute) = (minutes.div_euclid(60), minutes.rem_euclid(60));
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

impl std::str::FromStr for Millis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_i64(self.0);
        }
        if *self < Self::MIN || Self::MAX < *self {
            return Err(S::Error::custom("an instant outside the years 0000 to 9999"));
        }
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// Days since 1970-01-01 → (year, month, day) of the proleptic Gregorian calendar. Years are
/// counted from March, so that the leap day is the last of its year; an era is 400 years, which
/// are always 146,097 days.
#[expect(clippy::arithmetic_side_effects, reason = "days come from an i64 of milliseconds")]
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse, for a year of at most four digits.
#[expect(clippy::arithmetic_side_effects, reason = "years have four digits")]
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn parse(text: &str) -> Option<Millis> {
    // YYYY-MM-DDTHH:MM:SS is 19 bytes; what follows is a fraction and the offset.
    let (date_time, rest) = text.split_at_checked(19)?;
    let (date, time) = date_time.split_at_checked(10)?;
    let (year, month_day) = (digits(date.get(..4)?)?, date.get(4..)?);
    let (month, day) = pair(month_day.strip_prefix('-')?, '-')?;
    let time = time.strip_prefix(['T', 't', ' '])?;
    let (hour, minute) = pair(time.get(..5)?, ':')?;
    let second = digits(time.get(5..)?.strip_prefix(':')?)?;
    let in_range = (1..=12).contains(&month)
        && 1 <= day
        && day <= days_in_month(year, month)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    if !in_range {
        return None;
    }
    let (ms, offset) = fraction(rest)?;
    let seconds = days_from_civil(year, month, day)
        .checked_mul(86_400)?
        .checked_add(hour.checked_mul(3_600)?)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)?
        .checked_sub(offset_s(offset)?)?;
    let instant = Millis(seconds.checked_mul(SECOND_MS)?.checked_add(ms)?);
    (Millis::MIN <= instant && instant <= Millis::MAX).then_some(instant)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `.123456+02:00` → (123, `+02:00`).
fn fraction(rest: &str) -> Option<(i64, &str)> {
    let Some(rest) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (fraction, offset) = rest.split_at_checked(end)?;
    if fraction.is_empty() || 9 < fraction.len() {
        return None;
    }
    let mut thousandths = fraction.get(..3).unwrap_or(fraction).to_owned();
    while thousandths.len() < 3 {
        thousandths.push('0');
    }
    Some((digits(&thousandths)?, offset))
}

/// `Z` or `±HH:MM` → seconds east of Greenwich.
fn offset_s(offset: &str) -> Option<i64> {
    if offset == "Z" || offset == "z" {
        return Some(0);
    }
    let (sign, rest) = if let Some(rest) = offset.strip_prefix('+') {
        (1, rest)
    } else {
        (-1, offset.strip_prefix('-')?)
    };
    let (hours, minutes) = pair(rest, ':')?;
    if 23 < hours || 59 < minutes {
        return None;
    }
    hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60)?.checked_mul(sign)
}

/// Two numbers of two digits each with a separator between.
fn pair(text: &str, separator: char) -> Option<(i64, i64)> {
    let (left, right) = text.split_once(separator)?;
    (left.len() == 2 && right.len() == 2).then_some(())?;
    Some((digits(left)?, digits(right)?))
}

fn digits(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
