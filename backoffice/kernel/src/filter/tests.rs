//! What relative dates and instants mean, at a moment and in a zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Moment;

/// A Saturday; 02:30 the next day in Auckland, 22:30 the day before in Denver.
const NOW: &str = "2026-11-21T13:30:00.123456789Z";

fn moment(zone: &str) -> Moment {
    Moment::new(NOW.parse::<Timestamp>().unwrap(), TimeZone::get(zone).unwrap())
}

#[track_caller]
fn date(zone: &str, text: &str, expected: &str) {
    assert_eq!(moment(zone).date(text).unwrap().to_string(), expected, "{text} in {zone}");
}

#[track_caller]
fn instant(zone: &str, text: &str, expected: &str) {
    assert_eq!(moment(zone).instant(text).unwrap().to_string(), expected, "{text} in {zone}");
}

#[test]
fn days_begin_in_the_zone() {
    date("UTC", "today", "2026-11-21");
    date("Pacific/Auckland", "today", "2026-11-22");
    date("UTC", "yesterday", "2026-11-20");
    date("UTC", "tomorrow", "2026-11-22");
    date("UTC", "now", "2026-11-21");
    instant("UTC", "today", "2026-11-21T00:00:00Z");
    instant("Europe/Berlin", "today", "2026-11-20T23:00:00Z");
    instant("Europe/Berlin", "now", "2026-11-21T13:30:00.123456Z");
}

#[test]
fn offsets_count_from_the_base() {
    date("UTC", "-7d", "2026-11-14");
    date("UTC", "+2w", "2026-12-05");
    date("UTC", "-1m", "2026-10-21");
    date("UTC", "+1q", "2027-02-21");
    date("UTC", "-1y+1d", "2025-11-22");
    date("UTC", "start_of_month-1d", "2026-10-31");
    date("UTC", "end_of_month", "2026-11-30");
    date("UTC", "end_of_month-1m", "2026-10-31");
    date("UTC", "end_of_month+3m", "2027-02-28");
    instant("UTC", "-36h", "2026-11-20T01:30:00.123456Z");
    instant("UTC", "-1d", "2026-11-20T13:30:00.123456Z");
}

#[test]
fn periods_are_those_of_the_calendar() {
    date("UTC", "start_of_week", "2026-11-16");
    date("UTC", "end_of_week", "2026-11-22");
    date("UTC", "start_of_quarter", "2026-10-01");
    date("UTC", "end_of_quarter", "2026-12-31");
    date("UTC", "start_of_year", "2026-01-01");
    instant("UTC", "end_of_day", "2026-11-21T23:59:59.999999Z");
    // Berlin's summer time ends in October: the month has one hour more.
    instant("Europe/Berlin", "start_of_month-1m", "2026-09-30T22:00:00Z");
    instant("Europe/Berlin", "end_of_month-1m", "2026-10-31T22:59:59.999999Z");
}

#[test]
fn days_without_a_midnight_begin_when_the_clocks_have_moved() {
    // Cairo's clocks go from 00:00 to 01:00 at the beginning of 24 April 2026.
    let at = |now: &str| Moment::new(now.parse().unwrap(), TimeZone::get("Africa/Cairo").unwrap());
    let check = |now: &str, text: &str, expected: &str| {
        let found = at(now).instant(text).unwrap().to_string();
        assert_eq!(found, expected, "{text} at {now}");
    };
    let (short, before) = ("2026-04-24T10:00:00Z", "2026-04-23T10:00:00Z");
    check(short, "today", "2026-04-23T22:00:00Z");
    check(short, "end_of_day", "2026-04-24T20:59:59.999999Z");
    check(short, "tomorrow", "2026-04-24T21:00:00Z");
    check(short, "today+1d", "2026-04-24T21:00:00Z");
    check(short, "start_of_day-1d", "2026-04-22T22:00:00Z");
    check(short, "end_of_day-1d", "2026-04-23T21:59:59.999999Z");
    check(short, "end_of_day+2h", "2026-04-24T22:59:59.999999Z");
    check(before, "end_of_day", "2026-04-23T21:59:59.999999Z");
    check(before, "end_of_day+1d", "2026-04-24T20:59:59.999999Z");
    check(before, "start_of_week+4d", "2026-04-23T22:00:00Z");
    // New York's days of 23 and 25 hours.
    let york = |now: &str, text: &str, expected: &str| {
        let zone = TimeZone::get("America/New_York").unwrap();
        let found = Moment::new(now.parse().unwrap(), zone).instant(text).unwrap();
        assert_eq!(found.to_string(), expected, "{text} at {now}");
    };
    york("2026-03-08T15:00:00Z", "end_of_day", "2026-03-09T03:59:59.999999Z");
    york("2026-11-01T15:00:00Z", "end_of_day", "2026-11-02T04:59:59.999999Z");
    york("2026-11-01T15:00:00Z", "start_of_day+24h", "2026-11-02T04:00:00Z");
}

#[test]
fn what_is_no_moment_is_refused() {
    for text in [
        "",
        "+",
        "-",
        "-d",
        "7",
        "-7",
        "-7x",
        "-7dd",
        "-7d 1h",
        "today1d",
        "day",
        "-99999d",
        "-7é",
        "+1d+1d+1d+1d+1d",
        "-9999y",
        "+9999y",
        "-3h",
    ] {
        assert!(moment("UTC").date(text).is_err(), "{text}");
    }
    assert!(moment("UTC").instant("-9999y").is_err());
    assert!(!Moment::is_relative("2026-11-21") && Moment::is_relative("-7d"));
}
