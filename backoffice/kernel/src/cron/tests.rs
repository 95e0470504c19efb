use jiff::Timestamp;

use super::Expression;

/// The next times after `from`, in UTC; `expect` is joined by spaces.
#[track_caller]
fn check(expression: &str, zone: &str, from: &str, expect: &str) {
    let expression = Expression::parse(expression, zone).unwrap();
    let mut now: Timestamp = from.parse().unwrap();
    let mut times = Vec::new();
    for _ in expect.split(' ') {
        now = expression.next(now).unwrap();
        times.push(now.to_string());
    }
    assert_eq!(times.join(" "), expect);
}

#[test]
fn times_come_in_order() {
    let from = "2026-11-21T12:00:00Z";
    check("*/20 * * * *", "UTC", from, "2026-11-21T12:20:00Z 2026-11-21T12:40:00Z");
    check("0 12 * * *", "UTC", from, "2026-11-22T12:00:00Z");
    check("0 12 * * *", "UTC", "2026-11-21T11:59:59.999Z", "2026-11-21T12:00:00Z");
    check("30 6 * * mon-fri", "UTC", from, "2026-11-23T06:30:00Z 2026-11-24T06:30:00Z");
    check("0 0 29 feb *", "UTC", from, "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z");
    check("0 0 1,15 * *", "UTC", from, "2026-12-01T00:00:00Z 2026-12-15T00:00:00Z");
    check("5/25 3 * * *", "UTC", from, "2026-11-22T03:05:00Z 2026-11-22T03:30:00Z");
    check("0 9 * * *", "Asia/Kolkata", from, "2026-11-22T03:30:00Z");
}

#[test]
fn either_day_will_do_when_both_are_named() {
    let from = "2026-11-21T12:00:00Z";
    let either = "2026-11-23T00:00:00Z 2026-11-30T00:00:00Z 2026-12-01T00:00:00Z";
    check("0 0 1 * mon", "UTC", from, either);
    check("0 0 * * 7", "UTC", from, "2026-11-22T00:00:00Z 2026-11-29T00:00:00Z");
    check("0 0 */2 * sun", "UTC", from, "2026-11-29T00:00:00Z 2026-12-13T00:00:00Z");
}

/// Berlin put its clock forward on 29 March 2026 at 02:00 and back on 25 October at 03:00.
#[test]
fn a_skipped_time_comes_later_and_one_that_comes_twice_counts_once() {
    let zone = "Europe/Berlin";
    let skipped = "2026-03-28T01:30:00Z 2026-03-29T01:30:00Z 2026-03-30T00:30:00Z";
    check("30 2 * * *", zone, "2026-03-28T00:00:00Z", skipped);
    let twice = "2026-10-24T00:30:00Z 2026-10-25T00:30:00Z 2026-10-26T01:30:00Z";
    check("30 2 * * *", zone, "2026-10-24T00:00:00Z", twice);
    // Every hour that passes, once.
    let forward = "2026-03-29T00:00:00Z 2026-03-29T01:00:00Z 2026-03-29T02:00:00Z";
    check("0 * * * *", zone, "2026-03-28T23:30:00Z", forward);
    let back = "2026-10-25T00:00:00Z 2026-10-25T01:00:00Z 2026-10-25T02:00:00Z";
    check("0 * * * *", zone, "2026-10-24T23:30:00Z", back);
}

#[test]
fn what_is_no_time_is_named() {
    for (expression, words) in [
        ("* * * *", "five fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of week"),
        ("*/0 * * * *", "step"),
        ("5-1 * * * *", "ends before"),
        ("+5 * * * *", "minute"),
        (", * * * *", "minute"),
        ("0 0 30 2 *", "never"),
        ("0 0 31 apr,jun *", "never"),
    ] {
        let fault = Expression::parse(expression, "UTC").unwrap_err();
        assert!(fault.contains(words), "{expression}: {fault}");
    }
    assert!(Expression::parse("* * * * *", "Moon/Sea").unwrap_err().contains("no time zone"));
}
