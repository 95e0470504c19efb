//! Scans that were decided without the store: what is recorded of them, and what they contradict.

use inventory::command::{
    Command, Direction, OfflineMode, OfflineScan, Reason, Reply, ScanRequest, Subject, Uploaded,
    Verdict,
};
use inventory::config::{EventConfig, ZonePolicy};
use inventory::decide::UPLOAD_SCANS_MAX;
use inventory::state::State;
use inventory::time::Millis;
use proptest::prelude::*;
use uuid::Uuid;

use crate::harness::{DAY, EVENT, HOUR, House, MINUTE, START, digest, scan_of};
use crate::rules_doors::{SECOND, house};
use Direction::{Entry, Exit};

fn offline(ticket: u64, nonce: &str, at: i64) -> OfflineScan {
    let live = scan_of(ticket, nonce);
    OfflineScan {
        device: live.device,
        lane: "Handheld 7".to_owned(),
        zone: live.zone,
        direction: live.direction,
        nonce: live.nonce,
        request: live.request,
        ticket,
        at: START.plus_ms(at),
        admitted: true,
        reason: None,
        forced: false,
        mode: OfflineMode::Bundle,
        bundle: 3,
    }
}

impl House {
    #[track_caller]
    fn upload(&mut self, scans: Vec<OfflineScan>) -> Vec<Uploaded> {
        assert!(scans.len() <= UPLOAD_SCANS_MAX);
        let Reply::Uploaded(items) = self.ask(Command::Upload { scans }) else { panic!() };
        items
    }
}

#[test]
fn uploads_are_facts() {
    let mut house = house(|_| {});
    house.now = START.plus_ms(HOUR);
    let denied = OfflineScan { admitted: false, ..offline(4, "nonce-002", MINUTE) };
    let items = vec![
        offline(3, "nonce-001", 0),
        denied.clone(),
        offline(3, "nonce-001", 0),
        OfflineScan { request: digest(99), ..offline(3, "nonce-001", 0) },
        offline(99, "nonce-003", 0),
        OfflineScan { zone: "cellar".to_owned(), ..offline(3, "nonce-004", 0) },
        offline(4, "nonce-005", HOUR + 2 * MINUTE + 1),
    ];
    use Uploaded::{Duplicate, Recorded, Rejected};
    assert_eq!(
        house.upload(items.clone()),
        [
            Recorded,
            Recorded,
            Duplicate,
            Rejected(Reason::NonceReused),
            Rejected(Reason::UnknownTicket),
            Rejected(Reason::WrongZone),
            Rejected(Reason::Clock),
        ]
    );
    let figures = house.node.state().view();
    assert_eq!((figures.admitted, figures.denied, figures.zones[0].inside), (1, 1, 1));
    let entries = house.journal.len();
    assert_eq!(house.upload(vec![offline(3, "nonce-001", 0), denied]), [Duplicate, Duplicate]);
    assert_eq!(house.journal.len(), entries);
    // A door knows of it from then on, with the time at which it happened.
    let verdict = house.scan(scan_of(3, "nonce-010"));
    assert_eq!(verdict.reason, Some(Reason::AlreadyUsed));
    let first = verdict.first_scan.unwrap();
    assert_eq!((first.at, first.lane.as_str()), (START, "Handheld 7"));
    // A clock that is ahead by little is now.
    house.upload(vec![offline(4, "nonce-006", HOUR + MINUTE)]);
    assert_eq!(house.scan(scan_of(4, "nonce-011")).first_scan.unwrap().at, house.now);
}

#[test]
fn an_unheard_answer_is_repaired_by_what_the_device_did() {
    let mut house = house(|_| {});
    // Admitted by the store; the answer was lost and the device refused.
    house.scan(scan_of(3, "nonce-001"));
    let refused = OfflineScan { admitted: false, ..offline(3, "nonce-001", 0) };
    assert_eq!(house.upload(vec![refused.clone()]), [Uploaded::Recorded]);
    assert_eq!(house.inside(0), 0);
    assert_eq!(house.upload(vec![refused]), [Uploaded::Duplicate]);
    assert_eq!(house.scan(scan_of(3, "nonce-002")).verdict, Verdict::Admit);
    // Refused by the store; the device admitted.
    let denied = house.scan(scan_of(3, "nonce-003"));
    assert_eq!(denied.verdict, Verdict::Deny);
    let Uploaded::Conflict(conflict) =
        house.upload(vec![offline(3, "nonce-003", 5 * SECOND)]).remove(0)
    else {
        panic!()
    };
    assert_eq!((conflict.ticket, conflict.reason), (3, Reason::AlreadyUsed));
    // The same answer twice is one.
    house.scan(scan_of(4, "nonce-004"));
    assert_eq!(house.upload(vec![offline(4, "nonce-004", 0)]), [Uploaded::Duplicate]);
}

#[test]
fn what_comes_too_late_is_refused() {
    let closes_at = START.plus_ms(HOUR);
    let mut house = house(|config| config.closes_at = Some(closes_at));
    house.now = closes_at.plus_ms(7 * DAY - 1);
    assert_eq!(house.upload(vec![offline(3, "nonce-001", 0)]), [Uploaded::Recorded]);
    house.now = closes_at.plus_ms(7 * DAY);
    let late = Uploaded::Rejected(Reason::TooLate);
    assert_eq!(house.upload(vec![offline(4, "nonce-002", 0)]), [late]);
}

/// Facts of ticket 3 at seconds: (device, second, exit, live).
type Facts = Vec<(u8, i64, bool, bool)>;

/// The facts in this order of sending; live ones are sent in order of time whatever it says.
fn told(facts: &Facts, order: &[usize], change: fn(&mut EventConfig)) -> House {
    let mut house = house(change);
    let mut live: Vec<usize> = (0..facts.len()).filter(|n| facts[*n].3).collect();
    live.sort_by_key(|n| (facts[*n].1, *n));
    for n in live {
        let (device, second, exit, _) = facts[n];
        house.now = START.plus_ms(second * SECOND);
        let direction = if exit { Exit } else { Entry };
        house.scan(ScanRequest {
            device: Uuid::from_u128(0xD0 + u128::from(device)),
            direction,
            force: true,
            ..scan_of(3, &format!("nonce-{n:03}"))
        });
    }
    house.now = START.plus_ms(HOUR);
    for n in order.iter().filter(|n| !facts[**n].3) {
        let (device, second, exit, _) = facts[*n];
        house.upload(vec![OfflineScan {
            device: Uuid::from_u128(0xD0 + u128::from(device)),
            direction: if exit { Exit } else { Entry },
            ..offline(3, &format!("nonce-{n:03}"), second * SECOND)
        }]);
    }
    house
}

type Told = (u64, String, [Millis; 2], [String; 2], Reason, i64);

/// What of a conflict does not depend on journal numbers.
fn report(state: &State) -> Vec<Told> {
    let conflicts = state.conflicts().into_iter();
    conflicts
        .map(|c| {
            let apart = c.seconds_apart();
            (c.ticket, c.zone, c.at, c.lanes, c.reason, apart)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn facts_fold_alike_in_any_order(
        facts in proptest::collection::vec(
            (0..3_u8, 0..600_i64, any::<bool>(), proptest::bool::weighted(0.3)), 1..12),
        shuffle in proptest::collection::vec(any::<u32>(), 12),
        which in 0..3_usize,
    ) {
        let change: fn(&mut EventConfig) = [
            |_: &mut EventConfig| {},
            |c: &mut EventConfig| c.zones[0].policy = ZonePolicy::Reentry,
            |c: &mut EventConfig| c.zones[0].policy = ZonePolicy::Interval { minutes: 3 },
        ][which];
        let straight: Vec<usize> = (0..facts.len()).collect();
        let mut shuffled = straight.clone();
        shuffled.sort_by_key(|n| shuffle[*n]);
        let (one, other) = (told(&facts, &straight, change), told(&facts, &shuffled, change));
        prop_assert_eq!(report(one.node.state()), report(other.node.state()));
        prop_assert_eq!(one.inside(0), other.inside(0));
        let bytes = one.node.state().to_bytes().unwrap();
        let again = State::from_bytes(EVENT, &bytes).unwrap();
        prop_assert_eq!(report(&again), report(one.node.state()));
        again.check().unwrap();
    }
}

#[test]
fn the_report_names_both_sides() {
    let mut house = house(|_| {});
    house.now = START.plus_ms(30 * SECOND);
    house.scan(scan_of(3, "nonce-001"));
    house.now = START.plus_ms(HOUR);
    let items = house.upload(vec![offline(3, "nonce-002", 10 * SECOND)]);
    let Uploaded::Conflict(conflict) = &items[0] else { panic!("{items:?}") };
    assert_eq!((conflict.seconds_apart(), conflict.reason), (20, Reason::AlreadyUsed));
    assert_eq!(conflict.lanes, ["Handheld 7".to_owned(), "North 3".to_owned()]);
    assert_eq!(house.node.state().conflicts(), std::slice::from_ref(conflict));
    let staff = Subject::Ticket { ticket: 3 };
    let look = house.scan(ScanRequest { subject: staff, ..scan_of(3, "nonce-003") });
    assert_eq!(look.first_scan.unwrap().at, START.plus_ms(10 * SECOND), "the earlier one");
}
