use super::{day, next_time};
use crate::config::EventConfig;
use crate::time::Millis;

fn venue(zone: &str, day_starts_min: u16) -> EventConfig {
    let config = EventConfig::unconfigured(uuid::Uuid::nil());
    EventConfig { time_zone: zone.to_owned(), day_starts_min, ..config }
}

fn at(text: &str) -> Millis {
    Millis::parse(text).unwrap()
}

#[track_caller]
fn same_day(zone: &str, starts: u16, one: &str, other: &str, expect: bool) {
    let venue = venue(zone, starts);
    assert_eq!(day(&venue, at(one)) == day(&venue, at(other)), expect, "{one} and {other}");
}

#[test]
fn a_day_is_the_venues() {
    let berlin = "Europe/Berlin";
    same_day(berlin, 0, "2026-07-01T21:59:59Z", "2026-07-01T22:00:00Z", false);
    same_day("UTC", 0, "2026-07-01T21:59:59Z", "2026-07-01T22:00:00Z", true);
    same_day(berlin, 360, "2026-07-01T22:00:00Z", "2026-07-02T03:59:59Z", true);
    same_day(berlin, 360, "2026-07-02T03:59:59Z", "2026-07-02T04:00:00Z", false);
    // The night of the clock change has 25 hours and is one day.
    same_day(berlin, 0, "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", true);
    same_day(berlin, 0, "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z", false);
}

#[track_caller]
fn next(zone: &str, from: &str, minute: u16, expect: &str) {
    assert_eq!(next_time(&venue(zone, 0), at(from), minute), Some(at(expect)), "{from} {minute}");
}

#[test]
fn the_next_time_of_day_comes_every_day() {
    let berlin = "Europe/Berlin";
    next(berlin, "2026-07-01T00:00:00Z", 240, "2026-07-01T02:00:00Z");
    next(berlin, "2026-07-01T02:00:00Z", 240, "2026-07-02T02:00:00Z");
    next(berlin, "2026-07-01T01:59:59.999Z", 240, "2026-07-01T02:00:00Z");
    // 02:30 does not exist on the 29th of March 2026, and comes twice on the 25th of October.
    next(berlin, "2026-03-28T12:00:00Z", 150, "2026-03-29T01:30:00Z");
    next(berlin, "2026-10-24T12:00:00Z", 150, "2026-10-25T00:30:00Z");
    next(berlin, "2026-10-25T00:30:00Z", 150, "2026-10-26T01:30:00Z");
    next("Nowhere/Here", "2026-07-01T12:00:00Z", 0, "2026-07-02T00:00:00Z");
}
