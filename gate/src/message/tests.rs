use inventory::command::{FirstScan, Reason};
use inventory::time::Millis;

use super::{Denial, denied};

/// 2026-11-21T18:02:00Z, which is 19:02 in Berlin.
const SCANNED: Millis = Millis(1_795_284_120_000);

#[track_caller]
fn check(zone: &str, later_ms: i64, expect: &str) {
    let first = FirstScan { at: SCANNED, lane: "North 3".to_owned() };
    let now = Millis(SCANNED.0 + later_ms);
    assert_eq!(denied(Reason::AlreadyUsed, Some(&first), "main", zone, now), expect);
}

#[test]
fn times_are_those_of_the_venue() {
    check("Europe/Berlin", 180_000, "Used at 19:02 at lane North 3");
    check("Asia/Kathmandu", 180_000, "Used at 23:47 at lane North 3");
    check("UTC", 180_000, "Used at 18:02 at lane North 3");
    check("Nowhere/At_All", 180_000, "Used at 18:02 at lane North 3");
}

#[test]
fn another_day_is_said() {
    check("Europe/Berlin", 86_400_000, "Used at 19:02 on 2026-11-21 at lane North 3");
}

#[test]
fn a_zone_is_named() {
    let words = denied(Reason::WrongZone, None, "backstage", "UTC", SCANNED);
    assert_eq!(words, "The ticket is not for zone backstage");
}

#[test]
fn every_reason_has_words() {
    let reasons = [
        Reason::Superseded,
        Reason::Canceled,
        Reason::Unpaid,
        Reason::Blocked,
        Reason::NotYetValid,
        Reason::Expired,
        Reason::WrongProduct,
        Reason::WrongZone,
        Reason::AlreadyUsed,
        Reason::NotInside,
        Reason::ZoneFull,
        Reason::StaleCode,
        Reason::UnknownTicket,
        Reason::NonceReused,
        Reason::Passback,
        Reason::TooSoon,
        Reason::Evacuation,
        Reason::Clock,
        Reason::TooLate,
    ];
    let told = reasons.map(|reason| (reason.code(), denied(reason, None, "", "UTC", SCANNED)));
    for (code, words) in &told {
        let said = told.iter().filter(|(_, other)| other == words).count();
        assert_eq!(said, 1, "{code} is told like another: {words}");
        assert!(words.starts_with(char::is_uppercase) && words.len() > 10, "{code}: {words}");
    }
    assert_eq!(Denial::Evacuation.message(), denied(Reason::Evacuation, None, "", "UTC", SCANNED));
}
