//! Rules of doors beyond the single entry: policies, the graph of zones, two-phase lanes, what is taken
//! back, one case at a time.

use inventory::command::{
    Command, Direction, DoorAnswers, Instruction, Reason, RefusalCode, Reply, ScanRequest,
    ScanVerdict, Settlement, Verdict,
};
use inventory::config::{
    EventConfig, LaneConfig, Passback, QuestionConfig, QuestionKind, ZonePolicy, ZoneWindow,
};
use inventory::decide::ANNUL_WITHIN_MS;
use uuid::Uuid;

use crate::harness::{FREE, HOUR, House, MINUTE, START, VIP, config, scan_of};

pub(crate) const SECOND: i64 = 1_000;
const DEVICE: Uuid = Uuid::from_u128(0xD);

/// Tickets 1 and 2 are VIP (main and lounge), 3 and 4 FREE (main), in an event changed like this.
pub(crate) fn house(change: impl FnOnce(&mut EventConfig)) -> House {
    let mut house = House::unconfigured();
    let mut config = config();
    change(&mut config);
    house.configure(config);
    house.buy(&[(VIP, 2), (FREE, 2)]);
    house
}

fn policy(policy: ZonePolicy) -> impl FnOnce(&mut EventConfig) {
    move |config| config.zones[0].policy = policy
}

impl House {
    fn pass(&mut self, at: i64, direction: Direction, ticket: u64, zone: &str) -> ScanVerdict {
        self.now = START.plus_ms(at);
        let nonce = format!("nonce-{}", self.journal.len() + 10_000);
        let zone = zone.to_owned();
        self.scan(ScanRequest { direction, zone, ..scan_of(ticket, &nonce) })
    }

    pub(crate) fn inside(&self, zone: usize) -> u64 {
        self.node.state().view().zones[zone].inside
    }
}

use Direction::{Entry, Exit};

/// Entries and exits of ticket 3 at minutes, and why each was refused.
#[track_caller]
fn check(change: impl FnOnce(&mut EventConfig), steps: &[(i64, Direction, Option<Reason>)]) {
    let mut house = house(change);
    for (step, (minute, direction, reason)) in steps.iter().enumerate() {
        let verdict = house.pass(minute * MINUTE, *direction, 3, "main");
        let expected = if reason.is_none() { Verdict::Admit } else { Verdict::Deny };
        assert_eq!((verdict.verdict, verdict.reason), (expected, *reason), "step {step}");
    }
}

#[test]
fn policies_of_a_zone() {
    let used = Some(Reason::AlreadyUsed);
    let inside = Some(Reason::Passback);
    check(policy(ZonePolicy::SingleEntry), &[(0, Entry, None), (1, Exit, None), (2, Entry, used)]);
    check(
        policy(ZonePolicy::Reentry),
        &[
            (0, Entry, None),
            (1, Entry, inside),
            (2, Exit, None),
            (3, Exit, Some(Reason::NotInside)),
            (4, Entry, None),
        ],
    );
    check(
        policy(ZonePolicy::Entries { max: 2 }),
        &[(0, Entry, None), (1, Entry, None), (2, Exit, None), (3, Entry, used)],
    );
    // START is 18:00 UTC, 19:00 in Berlin: five hours to midnight.
    check(
        policy(ZonePolicy::OnceADay),
        &[(0, Entry, None), (299, Entry, used), (300, Entry, None), (301, Entry, used)],
    );
    check(
        |config| {
            config.zones[0].policy = ZonePolicy::OnceADay;
            config.day_starts_min = 360;
        },
        &[(0, Entry, None), (300, Entry, used), (659, Entry, used), (660, Entry, None)],
    );
    check(
        policy(ZonePolicy::Days { max: 2 }),
        &[
            (0, Entry, None),
            (1, Entry, None),
            (300, Entry, None),
            (301, Entry, None),
            (300 + 24 * 60, Entry, used),
        ],
    );
    check(
        policy(ZonePolicy::Interval { minutes: 30 }),
        &[(0, Entry, None), (29, Entry, Some(Reason::TooSoon)), (30, Entry, None)],
    );
    check(policy(ZonePolicy::FreeFlow), &[(0, Entry, None), (0, Entry, None), (0, Entry, None)]);
}

#[test]
fn passback_is_refused_or_told() {
    let flow = |passback| {
        move |config: &mut EventConfig| {
            config.zones[0].policy = ZonePolicy::FreeFlow;
            config.zones[0].passback = passback;
        }
    };
    let inside = Some(Reason::Passback);
    check(flow(Passback::Hard), &[(0, Entry, None), (1, Entry, inside), (2, Exit, None)]);
    let mut house = house(flow(Passback::Soft));
    house.pass(0, Entry, 3, "main");
    let told = house.pass(MINUTE, Entry, 3, "main");
    assert_eq!((told.verdict, told.reason, told.forced), (Verdict::Admit, inside, false));
    assert_eq!(house.inside(0), 1, "one person");
    house.pass(2 * MINUTE, Exit, 3, "main");
    let told = house.pass(3 * MINUTE, Exit, 3, "main");
    assert_eq!((told.verdict, told.reason), (Verdict::Admit, Some(Reason::NotInside)));
    assert_eq!(house.inside(0), 0);
}

#[test]
fn entering_one_zone_leaves_another() {
    let mut house = house(|config| {
        config.zones[0].policy = ZonePolicy::Reentry;
        config.zones[1].policy = ZonePolicy::Reentry;
        config.zones[1].leaves = vec![0];
        config.zones[1].exit_to = Some(0);
    });
    house.pass(0, Entry, 1, "main");
    assert_eq!((house.inside(0), house.inside(1)), (1, 0));
    house.pass(1, Entry, 1, "lounge");
    assert_eq!((house.inside(0), house.inside(1)), (0, 1));
    assert_eq!(house.pass(2, Exit, 1, "main").reason, Some(Reason::NotInside));
    house.pass(3, Exit, 1, "lounge");
    assert_eq!((house.inside(0), house.inside(1)), (1, 0));
    house.pass(4, Exit, 1, "main");
    assert_eq!((house.inside(0), house.inside(1)), (0, 0));
    assert_eq!(house.pass(5, Entry, 1, "main").verdict, Verdict::Admit);
}

#[test]
fn capacity_counts_people_and_takes_corrections() {
    let mut house = house(|config| {
        config.zones[0].policy = ZonePolicy::FreeFlow;
        config.zones[0].capacity = Some(2);
    });
    house.pass(0, Entry, 1, "main");
    house.pass(1, Entry, 2, "main");
    assert_eq!(house.pass(2, Entry, 3, "main").reason, Some(Reason::ZoneFull));
    assert_eq!(house.pass(3, Entry, 2, "main").verdict, Verdict::Admit, "takes no more room");
    let by = Uuid::from_u128(0xBB);
    let count =
        |zone: &str, inside| Instruction::OccupancyCorrect { zone: zone.to_owned(), inside, by };
    assert_eq!(house.instruct(1, count("main", 1)), None);
    assert_eq!(house.inside(0), 1);
    assert_eq!(house.pass(4, Entry, 3, "main").verdict, Verdict::Admit);
    assert_eq!(house.inside(0), 2);
    assert_eq!(house.instruct(2, count("main", 0)), None);
    house.pass(5, Exit, 1, "main");
    assert_eq!(house.inside(0), 0, "nobody is fewer than nobody");
    let refused = house.instruct(3, count("cellar", 0)).unwrap();
    assert_eq!(refused, (RefusalCode::UnknownZone, Some("zone cellar".to_owned())));
}

#[test]
fn windows_of_type_and_zone() {
    let window = |from: i64, until: i64| ZoneWindow {
        zone: 0,
        from: Some(START.plus_ms(from * MINUTE)),
        until: Some(START.plus_ms(until * MINUTE)),
    };
    check(
        |config| {
            config.zones[0].policy = ZonePolicy::FreeFlow;
            config.ticket_types[2].windows = vec![window(10, 20), window(30, 40)];
        },
        &[
            (0, Entry, Some(Reason::NotYetValid)),
            (10, Entry, None),
            (19, Exit, None),
            (20, Entry, Some(Reason::NotYetValid)),
            (39, Entry, None),
            (40, Entry, Some(Reason::Expired)),
            (41, Exit, None),
        ],
    );
    check(
        |config| {
            config.zones[0].policy = ZonePolicy::FreeFlow;
            config.zones[0].opens_at = Some(START.plus_ms(MINUTE));
            config.zones[0].closes_at = Some(START.plus_ms(3 * MINUTE));
        },
        &[
            (0, Entry, Some(Reason::NotYetValid)),
            (1, Entry, None),
            (3, Entry, Some(Reason::Expired)),
            (4, Exit, None),
        ],
    );
}

#[test]
fn zones_empty_themselves_every_day() {
    // 04:00 in Berlin is 03:00 UTC in winter: nine hours after START.
    let mut house = house(|config| {
        config.zones[0].policy = ZonePolicy::Reentry;
        config.zones[0].exit_all_at_min = Some(240);
    });
    house.pass(0, Entry, 3, "main");
    house.pass(1, Entry, 4, "main");
    assert_eq!(house.pass(9 * HOUR - 1, Entry, 3, "main").reason, Some(Reason::Passback));
    let entries = house.journal.len();
    assert_eq!(house.pass(9 * HOUR, Entry, 3, "main").verdict, Verdict::Admit);
    assert_eq!(house.kinds(entries), ["zone.emptied", "scan.decided"]);
    assert_eq!(house.inside(0), 1);
    assert_eq!(house.pass(9 * HOUR + 1, Exit, 4, "main").reason, Some(Reason::NotInside));
    house.now = START.plus_ms(33 * HOUR);
    house.ask(Command::Tick);
    assert_eq!((house.kinds(house.journal.len() - 1), house.inside(0)), (vec!["zone.emptied"], 0));
    // A configuration without it takes it back.
    house.configure(config());
    house.now = START.plus_ms(90 * HOUR);
    let entries = house.journal.len();
    house.ask(Command::Tick);
    assert_eq!(house.journal.len(), entries);
}

fn turnstile(lease_end: inventory::config::LeaseEnd) -> impl FnOnce(&mut EventConfig) {
    move |config| {
        config.zones[0].policy = ZonePolicy::Reentry;
        config.lanes = vec![LaneConfig {
            key: "North 3".to_owned(),
            types: vec![],
            two_phase: true,
            lease_s: 10,
            lease_end,
            mode: Default::default(),
            rotating_offline: Default::default(),
        }];
    }
}

#[test]
fn a_turnstile_reserves_and_reports() {
    use inventory::config::LeaseEnd::{NotPassed, Passed};
    let mut house = house(turnstile(Passed));
    let reserved = house.pass(0, Entry, 3, "main");
    assert_eq!((reserved.verdict, reserved.settled), (Verdict::Reserve, None));
    assert_eq!(house.inside(0), 1, "counts as inside");
    assert_eq!(house.pass(1, Entry, 3, "main").reason, Some(Reason::Passback), "and as used");
    let settle = |scan, passed| Command::Settle { device: DEVICE, scan, passed };
    let Reply::Settled(view) = house.ask(settle(reserved.scan, true)) else { panic!() };
    assert_eq!((view.settled, view.scan), (Some(Settlement::Passed), reserved.scan));
    let entries = house.journal.len();
    assert!(matches!(house.ask(settle(reserved.scan, true)), Reply::Settled(_)));
    assert_eq!(house.journal.len(), entries, "told once");
    assert_eq!(house.refused(settle(reserved.scan, false)).0, RefusalCode::AlreadySettled);
    assert_eq!(house.refused(settle(9_999, false)).0, RefusalCode::UnknownScan);

    let reserved = house.pass(MINUTE, Entry, 4, "main");
    let other =
        Command::Settle { device: Uuid::from_u128(0xDD), scan: reserved.scan, passed: true };
    assert_eq!(house.refused(other).0, RefusalCode::UnknownScan);
    let Reply::Settled(view) = house.ask(settle(reserved.scan, false)) else { panic!() };
    assert_eq!(view.settled, Some(Settlement::NotPassed));
    assert_eq!(house.inside(0), 1);
    assert_eq!(house.node.state().view().admitted, 1);
    assert_eq!(house.pass(MINUTE + 1, Entry, 4, "main").verdict, Verdict::Reserve, "unused");

    // Nobody reports: the lease ends as the lane says.
    for (lease_end, inside, settled) in
        [(Passed, 1, Settlement::Passed), (NotPassed, 0, Settlement::NotPassed)]
    {
        let mut house = self::house(turnstile(lease_end));
        let request = scan_of(3, "nonce-001");
        let reserved = house.scan(request.clone());
        house.now = START.plus_ms(10 * SECOND - 1);
        assert_eq!(house.scan(request.clone()).settled, None);
        house.now = START.plus_ms(10 * SECOND);
        let entries = house.journal.len();
        let replay = house.scan(request);
        assert_eq!(house.kinds(entries), ["scan.settled"]);
        assert_eq!(
            (replay.replay, replay.settled, replay.scan),
            (true, Some(settled), reserved.scan)
        );
        assert_eq!(house.inside(0), inside);
    }
}

#[test]
fn a_device_takes_its_admission_back() {
    let mut house = house(|_| {});
    let admitted = house.scan(scan_of(3, "nonce-001"));
    let annul = |nonce: &str| Command::Annul { device: DEVICE, nonce: nonce.to_owned() };
    assert_eq!(house.refused(annul("nonce-009")).0, RefusalCode::UnknownScan);
    let other = Command::Annul { device: Uuid::from_u128(0xDD), nonce: "nonce-001".to_owned() };
    assert_eq!(house.refused(other).0, RefusalCode::UnknownScan);
    house.now = START.plus_ms(ANNUL_WITHIN_MS);
    let Reply::Annulled(view) = house.ask(annul("nonce-001")) else { panic!() };
    assert_eq!((view.scan, view.settled), (admitted.scan, Some(Settlement::Annulled)));
    let figures = house.node.state().view();
    assert_eq!((figures.admitted, figures.zones[0].inside, figures.types[2].admitted), (0, 0, 0));
    let entries = house.journal.len();
    assert!(matches!(house.ask(annul("nonce-001")), Reply::Annulled(_)));
    assert_eq!(house.journal.len(), entries);
    let again = house.scan(scan_of(3, "nonce-002"));
    assert_eq!((again.verdict, again.first_scan), (Verdict::Admit, None), "may enter again");
    house.now = house.now.plus_ms(ANNUL_WITHIN_MS + 1);
    assert_eq!(house.refused(annul("nonce-002")).0, RefusalCode::NotAnnullable);
    house.scan(scan_of(3, "nonce-003"));
    assert_eq!(house.refused(annul("nonce-003")).0, RefusalCode::NotAnnullable, "was refused");
}

#[test]
fn a_lane_serves_its_types() {
    let mut house = house(|config| {
        turnstile(Default::default())(config);
        config.lanes[0].types = vec![2];
        config.lanes[0].two_phase = false;
    });
    assert_eq!(house.pass(0, Entry, 3, "main").reason, Some(Reason::WrongProduct));
    assert_eq!(house.pass(1, Entry, 1, "main").verdict, Verdict::Admit);
}

#[test]
fn questions_are_asked_once() {
    let question = |n: u128, types: &[u16]| QuestionConfig {
        id: Uuid::from_u128(n),
        text: "Over 18?".to_owned(),
        kind: QuestionKind::Confirm,
        options: vec![],
        types: types.to_vec(),
    };
    let mut house = house(|config| {
        config.zones[0].policy = ZonePolicy::FreeFlow;
        config.questions = vec![question(1, &[]), question(2, &[2])];
    });
    let entries = house.journal.len();
    let asked = house.scan(scan_of(3, "nonce-001"));
    assert_eq!((asked.verdict, asked.questions), (Verdict::Ask, vec![Uuid::from_u128(1)]));
    assert_eq!((house.journal.len(), house.inside(0)), (entries, 0), "nothing is written");
    let answers = |ids: &[u128]| {
        let questions = ids.iter().map(|id| Uuid::from_u128(*id)).collect();
        Some(DoorAnswers { questions, sealed: vec![1, 2, 3] })
    };
    let answered = ScanRequest { answers: answers(&[1]), ..scan_of(3, "nonce-001") };
    assert_eq!(house.scan(answered).verdict, Verdict::Admit, "with the same nonce");
    assert_eq!(house.scan(scan_of(3, "nonce-002")).verdict, Verdict::Admit, "not asked again");
    assert_eq!(house.scan(scan_of(1, "nonce-003")).questions.len(), 2);
    let half = ScanRequest { answers: answers(&[2]), ..scan_of(1, "nonce-004") };
    assert_eq!(house.scan(half).questions, [Uuid::from_u128(1)]);
    let forced = ScanRequest { force: true, ..scan_of(1, "nonce-005") };
    let forced = house.scan(forced);
    assert_eq!((forced.verdict, forced.forced), (Verdict::Admit, false));
    assert_eq!(house.pass(HOUR, Exit, 1, "main").verdict, Verdict::Admit);
}

#[test]
fn evacuation_overrules_what_was_refused_before() {
    let mut house = house(|_| {});
    let exit = |ticket| ScanRequest { direction: Exit, ..scan_of(ticket, "nonce-001") };
    assert_eq!(house.scan(exit(3)).reason, Some(Reason::NotInside));
    house.ask(Command::Evacuate { on: true, by: DEVICE });
    for ticket in [3, 4] {
        let out = house.scan(exit(ticket));
        assert_eq!((out.verdict, out.replay), (Verdict::Admit, false), "the nonce of a refusal");
    }
    house.ask(Command::Evacuate { on: false, by: DEVICE });
    let replay = house.scan(exit(3));
    assert_eq!((replay.verdict, replay.replay), (Verdict::Deny, true), "what was given stays");
}

#[test]
fn evacuation_lets_everyone_out_and_nobody_in() {
    let mut house = house(|_| {});
    let by = DEVICE;
    assert_eq!(house.ask(Command::Evacuate { on: true, by }), Reply::Evacuated { on: true });
    let entries = house.journal.len();
    assert_eq!(house.ask(Command::Evacuate { on: true, by }), Reply::Evacuated { on: true });
    assert_eq!(house.journal.len(), entries);
    assert!(house.node.state().view().evacuated);
    let out = house.pass(0, Exit, 3, "main");
    assert_eq!((out.verdict, out.reason), (Verdict::Admit, None), "without having entered");
    for (ticket, zone, told) in
        [(99, "main", Reason::UnknownTicket), (3, "cellar", Reason::WrongZone)]
    {
        let entries = house.journal.len();
        let out = house.pass(0, Exit, ticket, zone);
        assert_eq!((out.verdict, out.reason, out.scan), (Verdict::Admit, Some(told), 0));
        assert_eq!(house.journal.len(), entries, "nobody knows who it was");
    }
    let refused = house.pass(1, Entry, 3, "main");
    assert_eq!(
        (refused.reason, refused.reason.unwrap().rule()),
        (Some(Reason::Evacuation), Some("evacuation"))
    );
    assert_eq!(house.instruct(1, Instruction::EventEvacuate { on: false, by }), None);
    assert_eq!(house.pass(2, Entry, 3, "main").verdict, Verdict::Admit);
}
