//! Rules of admission, one case at a time.

use inventory::command::{
    Command, Direction, Instruction, Reason, RefusalCode, ScanRequest, Subject, TicketStatus,
    Verdict,
};
use inventory::config::{EventConfig, EventStatus};
use inventory::decide::BACK_OFFICE_LANE;
use inventory::fact::Fact;
use uuid::Uuid;

use crate::harness::{
    DAY, FREE, HOUR, House, MINUTE, STANDARD, START, VIP, config, digest, scan_of,
};

/// Ticket 1 STANDARD, 2 and 3 VIP, 4 FREE.
fn house() -> House {
    let mut house = House::open();
    house.buy(&[(STANDARD, 1), (VIP, 2), (FREE, 1)]);
    house
}

fn exit(ticket: u64, nonce: &str) -> ScanRequest {
    ScanRequest { direction: Direction::Exit, ..scan_of(ticket, nonce) }
}

#[test]
fn first_scan_admits_second_says_when_and_where() {
    let mut house = house();
    let seq = house.node.durable().seq;
    let first = house.scan(scan_of(1, "nonce-001"));
    assert_eq!((first.verdict, first.reason, first.scan), (Verdict::Admit, None, seq + 1));
    assert_eq!((first.at, first.first_scan, first.replay), (START, None, false));
    let inside = first.occupancy.unwrap();
    assert_eq!((inside.zone.as_str(), inside.inside, inside.capacity), ("main", 1, None));

    house.now = START.plus_ms(3 * MINUTE);
    let second = house.scan(ScanRequest { lane: "South".to_owned(), ..scan_of(1, "nonce-002") });
    assert_eq!((second.verdict, second.reason), (Verdict::Deny, Some(Reason::AlreadyUsed)));
    let first_scan = second.first_scan.unwrap();
    assert_eq!((first_scan.at, first_scan.lane.as_str()), (START, "North 3"));
    assert_eq!(second.occupancy.unwrap().inside, 1);
    let view = house.node.state().view();
    assert_eq!((view.admitted, view.denied), (1, 1));
    assert_eq!((view.zones[0].admitted, view.zones[0].denied, view.zones[0].inside), (1, 1, 1));
    assert_eq!(view.types[0].admitted, 1);
    let Fact::ScanDecided(fact) = house.last_fact() else { panic!() };
    assert_eq!((fact.lane.as_str(), fact.ticket, fact.by), ("South", Some(1), None));
}

type Prepare = fn(&mut House);

/// What was done to ticket 1, how it is scanned, and why that is refused: without force, and with.
#[track_caller]
fn check(prepare: Prepare, change: fn(&mut ScanRequest), reason: Option<Reason>) {
    for force in [false, true] {
        let mut house = house();
        prepare(&mut house);
        let mut request = scan_of(1, "nonce-001");
        change(&mut request);
        request.force = force;
        let known = !matches!(reason, Some(Reason::UnknownTicket));
        let somewhere = request.zone != "nowhere";
        let verdict = house.scan(request);
        let admitted = reason.is_none() || (force && known && somewhere);
        let expected = if admitted { Verdict::Admit } else { Verdict::Deny };
        assert_eq!((verdict.verdict, verdict.reason), (expected, reason), "force: {force}");
        assert_eq!(verdict.forced, admitted && reason.is_some(), "forced only when needed");
        assert_eq!(verdict.ticket.is_some(), known);
        assert_eq!(house.journal.last().unwrap().kind, "scan.decided");
    }
}

const NOTHING: Prepare = |_| {};

fn same(_: &mut ScanRequest) {}

fn reissued(request: &mut ScanRequest) {
    request.subject = Subject::Credential { ticket: 1, revision: 1, stale_code: false };
}

#[test]
fn every_reason_in_the_request() {
    check(NOTHING, same, None);
    check(NOTHING, |r| r.subject = Subject::Ticket { ticket: 1 }, None);
    check(NOTHING, |r| r.subject = Subject::Ticket { ticket: 5 }, Some(Reason::UnknownTicket));
    check(NOTHING, |r| r.subject = Subject::Ticket { ticket: 0 }, Some(Reason::UnknownTicket));
    let far = |r: &mut ScanRequest| r.subject = Subject::Ticket { ticket: u64::MAX };
    check(NOTHING, far, Some(Reason::UnknownTicket));
    check(NOTHING, |r| r.zone = "nowhere".to_owned(), Some(Reason::WrongZone));
    check(NOTHING, |r| r.zone = "lounge".to_owned(), Some(Reason::WrongZone));
    check(NOTHING, |r| r.direction = Direction::Exit, Some(Reason::NotInside));
    check(NOTHING, reissued, Some(Reason::Superseded));
    let stale = |r: &mut ScanRequest| {
        r.subject = Subject::Credential { ticket: 1, revision: 0, stale_code: true };
    };
    check(NOTHING, stale, Some(Reason::StaleCode));
}

#[test]
fn every_reason_in_the_ticket() {
    let reissue: Prepare = |house| {
        assert_eq!(house.instruct(1, Instruction::TicketReissue { ticket: 1 }), None);
    };
    check(reissue, same, Some(Reason::Superseded));
    check(reissue, reissued, None);
    check(reissue, |r| r.subject = Subject::Ticket { ticket: 1 }, None);
    let block: Prepare = |house| {
        assert_eq!(house.instruct(1, Instruction::TicketBlock { ticket: 1 }), None);
    };
    check(block, same, Some(Reason::Blocked));
    let cancel: Prepare = |house| {
        let order = house.node.state().ticket_view(1).unwrap().order;
        house.ask(Command::Cancel { order, positions: vec![1], key: None });
    };
    check(cancel, same, Some(Reason::Canceled));
    let used: Prepare = |house| drop(house.scan(scan_of(1, "nonce-000")));
    check(used, same, Some(Reason::AlreadyUsed));
}

#[test]
fn every_reason_in_the_event() {
    fn configured(house: &mut House, change: fn(&mut EventConfig)) {
        let mut config = config();
        change(&mut config);
        house.configure(config);
    }
    let call_off: Prepare = |house| {
        assert_eq!(house.instruct(1, Instruction::EventCancel {}), None);
    };
    check(call_off, same, Some(Reason::Canceled));
    let status: Prepare = |house| configured(house, |c| c.status = EventStatus::Canceled);
    check(status, same, Some(Reason::Canceled));
    let closed: Prepare = |house| configured(house, |c| c.status = EventStatus::SaleClosed);
    check(closed, same, None);
    let early: Prepare =
        |house| configured(house, |c| c.ticket_types[0].valid_from = Some(START.plus_ms(1)));
    check(early, same, Some(Reason::NotYetValid));
    let late: Prepare = |house| configured(house, |c| c.ticket_types[0].valid_until = Some(START));
    check(late, same, Some(Reason::Expired));
    let in_time: Prepare = |house| {
        configured(house, |c| {
            c.ticket_types[0].valid_from = Some(START);
            c.ticket_types[0].valid_until = Some(START.plus_ms(1));
        });
    };
    check(in_time, same, None);
    let full: Prepare = |house| configured(house, |c| c.zones[0].capacity = Some(0));
    check(full, same, Some(Reason::ZoneFull));
}

#[test]
fn a_zone_holds_no_more_than_its_capacity() {
    let mut house = house();
    house.buy(&[(VIP, 2)]);
    let lounge =
        |ticket, nonce| ScanRequest { zone: "lounge".to_owned(), ..scan_of(ticket, nonce) };
    assert_eq!(house.scan(lounge(2, "nonce-001")).verdict, Verdict::Admit);
    assert_eq!(house.scan(lounge(3, "nonce-002")).verdict, Verdict::Admit);
    assert_eq!(house.scan(lounge(5, "nonce-003")).reason, Some(Reason::ZoneFull));
    let out = ScanRequest { direction: Direction::Exit, ..lounge(2, "nonce-004") };
    assert_eq!(house.scan(out).verdict, Verdict::Admit);
    assert_eq!(house.scan(lounge(5, "nonce-005")).verdict, Verdict::Admit);
}

#[test]
fn an_exit_does_not_open_a_second_entry() {
    let mut house = house();
    assert_eq!(house.scan(exit(1, "nonce-000")).reason, Some(Reason::NotInside));
    house.scan(scan_of(1, "nonce-001"));
    let out = house.scan(exit(1, "nonce-002"));
    assert_eq!((out.verdict, out.occupancy.unwrap().inside), (Verdict::Admit, 0));
    assert_eq!(house.scan(exit(1, "nonce-003")).reason, Some(Reason::NotInside));
    let again = house.scan(scan_of(1, "nonce-004"));
    assert_eq!((again.verdict, again.reason), (Verdict::Deny, Some(Reason::AlreadyUsed)));
    // Force lets back in, and is counted as inside once.
    let forced = house.scan(ScanRequest { force: true, ..scan_of(1, "nonce-005") });
    assert_eq!((forced.verdict, forced.forced), (Verdict::Admit, true));
    assert_eq!(forced.occupancy.unwrap().inside, 1);
    let forced = house.scan(ScanRequest { force: true, ..scan_of(1, "nonce-006") });
    assert_eq!(forced.occupancy.unwrap().inside, 1);
}

/// Whatever became of the ticket, who is inside may leave.
#[test]
fn nobody_is_kept_inside() {
    let cases: [Prepare; 5] = [
        |house| drop(house.instruct(1, Instruction::TicketBlock { ticket: 1 })),
        |house| drop(house.instruct(1, Instruction::TicketReissue { ticket: 1 })),
        |house| drop(house.instruct(1, Instruction::EventCancel {})),
        |house| {
            let order = house.node.state().ticket_view(1).unwrap().order;
            drop(house.instruct(1, Instruction::OrderCancel { order, positions: vec![] }));
        },
        |house| {
            let mut config = config();
            config.ticket_types[0].valid_until = Some(START);
            config.ticket_types[0].zones = vec![];
            house.configure(config);
        },
    ];
    for prepare in cases {
        let mut house = house();
        house.scan(scan_of(1, "nonce-001"));
        prepare(&mut house);
        let out = house.scan(exit(1, "nonce-002"));
        assert_eq!((out.verdict, out.reason), (Verdict::Admit, None));
        assert_eq!(out.occupancy.unwrap().inside, 0);
    }
}

#[test]
fn first_scan_is_of_the_same_zone() {
    let mut house = house();
    house.scan(scan_of(2, "nonce-001"));
    house.now = START.plus_ms(MINUTE);
    let lounge = ScanRequest {
        zone: "lounge".to_owned(),
        lane: "Stairs".to_owned(),
        ..scan_of(2, "nonce-002")
    };
    let second = house.scan(lounge.clone());
    assert_eq!((second.verdict, second.first_scan), (Verdict::Admit, None));
    let third = house.scan(ScanRequest { nonce: "nonce-003".to_owned(), ..lounge });
    let first = third.first_scan.unwrap();
    assert_eq!((first.at, first.lane.as_str()), (START.plus_ms(MINUTE), "Stairs"));
    let view = house.node.state().view();
    assert_eq!((view.admitted, view.types[1].admitted), (2, 1));
}

#[test]
fn a_nonce_repeats_its_verdict() {
    let mut house = house();
    let admitted = house.scan(scan_of(1, "nonce-001"));
    let denied = house.scan(scan_of(1, "nonce-002"));
    house.instruct(1, Instruction::TicketBlock { ticket: 1 });
    house.now = START.plus_ms(5 * HOUR);
    let entries = house.journal.len();
    for (first, nonce) in [(admitted, "nonce-001"), (denied, "nonce-002")] {
        let again = house.scan(scan_of(1, nonce));
        assert!(again.replay && !first.replay);
        let kept = |v: &inventory::command::ScanVerdict| {
            (v.verdict, v.reason, v.scan, v.at, v.first_scan.clone(), v.forced)
        };
        assert_eq!(kept(&again), kept(&first));
        assert_eq!(again.ticket.unwrap().status, TicketStatus::Blocked, "the ticket as it is");
    }
    // Same device and nonce, another request.
    let reused = house.scan(ScanRequest { request: digest(99), ..scan_of(1, "nonce-001") });
    assert_eq!((reused.verdict, reused.reason), (Verdict::Deny, Some(Reason::NonceReused)));
    assert_eq!((reused.replay, reused.at, reused.ticket), (false, house.now, None));
    assert_eq!(house.journal.len(), entries, "neither is written");
    // Another device's nonce of the same name is another nonce.
    let other = ScanRequest { device: Uuid::from_u128(0xDD), ..scan_of(4, "nonce-001") };
    assert_eq!(house.scan(other).verdict, Verdict::Admit);
}

#[test]
fn nonces_are_kept_until_seven_days_after_the_end() {
    let closes_at = START.plus_ms(6 * HOUR);
    let mut house = house();
    house.configure(EventConfig { closes_at: Some(closes_at), ..config() });
    house.scan(scan_of(1, "nonce-001"));
    house.now = closes_at.plus_ms(DAY);
    house.scan(scan_of(4, "nonce-004"));
    house.now = closes_at.plus_ms(7 * DAY - 1);
    assert!(house.scan(scan_of(1, "nonce-001")).replay);
    house.now = closes_at.plus_ms(7 * DAY);
    let again = house.scan(scan_of(1, "nonce-001"));
    assert_eq!((again.replay, again.reason), (false, Some(Reason::AlreadyUsed)));
    // A scan after the end is remembered for seven days too.
    assert!(house.scan(scan_of(4, "nonce-004")).replay);

    // Without an end, for ever.
    let mut house = self::house();
    house.scan(scan_of(1, "nonce-001"));
    house.now = START.plus_ms(10_000 * DAY);
    assert!(house.scan(scan_of(1, "nonce-001")).replay);
}

#[test]
fn the_back_office_checks_in_by_the_same_rules() {
    let mut house = house();
    let by = Uuid::from_u128(0xBB);
    let check_in = |ticket, zone: Option<&str>, force| Instruction::CheckIn {
        ticket,
        zone: zone.map(str::to_owned),
        by,
        force,
    };
    let entries = house.journal.len();
    assert_eq!(house.instruct(1, check_in(1, None, false)), None);
    assert_eq!(house.kinds(entries), ["scan.decided", "instruction.done"]);
    let Fact::ScanDecided(fact) = Fact::from_entry(&house.journal[entries]).unwrap() else {
        panic!()
    };
    assert_eq!((fact.by, fact.zone.as_str()), (Some(by), "main"));
    assert_eq!(fact.lane, BACK_OFFICE_LANE);
    let at_the_door = house.scan(scan_of(1, "nonce-001"));
    assert_eq!(at_the_door.first_scan.unwrap().lane, BACK_OFFICE_LANE);

    let refused = house.instruct(2, check_in(1, None, false)).unwrap();
    assert_eq!(refused, (RefusalCode::NotAdmitted, Some("scan already_used".to_owned())));
    assert_eq!(house.kinds(house.journal.len() - 2), ["scan.decided", "instruction.done"]);
    assert_eq!(house.instruct(3, check_in(1, None, true)), None);
    let refused = house.instruct(4, check_in(1, Some("lounge"), false)).unwrap();
    assert_eq!(refused.1.as_deref(), Some("scan wrong_zone"));
    let refused = house.instruct(5, check_in(99, None, true)).unwrap();
    assert_eq!(refused.1.as_deref(), Some("scan unknown_ticket"));
    // Once by id.
    let entries = house.journal.len();
    assert_eq!(house.instruct(1, check_in(2, None, false)), None);
    assert_eq!(house.journal.len(), entries);
}

#[test]
fn blocking_and_reissuing_tickets() {
    let mut house = house();
    let entries = house.journal.len();
    assert_eq!(house.instruct(1, Instruction::TicketUnblock { ticket: 1 }), None);
    assert_eq!(house.instruct(2, Instruction::TicketBlock { ticket: 1 }), None);
    assert_eq!(house.instruct(3, Instruction::TicketBlock { ticket: 1 }), None);
    assert_eq!(house.instruct(4, Instruction::TicketReissue { ticket: 1 }), None);
    let ticket = house.node.state().ticket_view(1).unwrap();
    assert_eq!((ticket.status, ticket.revision), (TicketStatus::Blocked, 1));
    assert_eq!(house.instruct(5, Instruction::TicketUnblock { ticket: 1 }), None);
    let done = "instruction.done";
    assert_eq!(
        house.kinds(entries),
        [done, "ticket.blocked", done, done, "ticket.reissued", done, "ticket.unblocked", done]
    );
    let order = house.node.state().ticket_view(1).unwrap().order;
    house.ask(Command::Cancel { order, positions: vec![1], key: None });
    for (id, instruction, code) in [
        (6, Instruction::TicketBlock { ticket: 1 }, RefusalCode::AlreadyCanceled),
        (7, Instruction::TicketUnblock { ticket: 1 }, RefusalCode::AlreadyCanceled),
        (8, Instruction::TicketReissue { ticket: 1 }, RefusalCode::AlreadyCanceled),
        (9, Instruction::TicketReissue { ticket: 9 }, RefusalCode::UnknownTicket),
    ] {
        assert_eq!(house.instruct(id, instruction).unwrap().0, code);
    }
}
