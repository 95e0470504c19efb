//! Days and times of day at a venue. The only place here that knows time zones; what depends on
//! them is decided once and then stands in the journal.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use crate::config::EventConfig;
use crate::time::Millis;

#[cfg(test)]
mod tests;

/// A day of admission, counted from an arbitrary one: equal numbers are the same day.
pub(crate) fn day(config: &EventConfig, at: Millis) -> Option<i64> {
    let local = local(config, at)?;
    let shift = Span::new().minutes(i64::from(config.day_starts_min));
    let date = local.datetime().checked_sub(shift).ok()?.date();
    let epoch = jiff::civil::date(1970, 1, 1);
    Some(i64::from(epoch.until(date).ok()?.get_days()))
}

/// The next time strictly after `at` that the venue's clock shows so many minutes past midnight. A
/// time that a clock change leaves out is taken after the gap; of one that comes twice, the first.
pub(crate) fn next_time(config: &EventConfig, at: Millis, minute: u16) -> Option<Millis> {
    let local = local(config, at)?;
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let time = Time::new(hour, minute, 0, 0).ok()?;
    let days = [0, 1, 2].map(|days| Span::new().days(days));
    days.into_iter().find_map(|ahead| {
        let date = local.date().checked_add(ahead).ok()?;
        let zoned = date.to_datetime(time).to_zoned(local.time_zone().clone()).ok()?;
        let next = Millis(zoned.timestamp().as_millisecond());
        (at < next).then_some(next)
    })
}

/// An unknown zone reads as UTC: the catalogue refuses such a name, an older journal may have one.
fn local(config: &EventConfig, at: Millis) -> Option<Zoned> {
    let zone = TimeZone::get(&config.time_zone).unwrap_or(TimeZone::UTC);
    Some(Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone))
}
